"""Submit, watch and control jobs; download their files and upload inputs."""

from __future__ import annotations

import secrets
from collections.abc import AsyncGenerator, Callable, Collection, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.client.answers import count, error_from_reply, mapping, parse_answer, picture
from nodegraph.client.async_wire import pause
from nodegraph.client.asynchronous.transport import AsyncClientPart, AsyncEventStream
from nodegraph.client.downloads import PartialFile, Progress, Pulled, output_files, resolve_target
from nodegraph.client.errors import ConnectionLost, NotReachable, ServerError, WrongDigest
from nodegraph.client.request_fields import (
    AnyFile,
    AnyRows,
    AnyWorkflow,
    ArtifactFilter,
    End,
    Filters,
    JobFields,
    Match,
    SomeJobs,
    ids_of,
    request_body,
)
from nodegraph.client.requests import (
    NEVER,
    PLAN_SECONDS,
    Backoff,
    Deadline,
    Reply,
    Request,
    json_request,
    query,
    url_path,
)
from nodegraph.client.shapes import (
    Artifact,
    CarriedTexts,
    Event,
    FileCredentials,
    FileLineage,
    InputFile,
    Job,
    JobGroup,
    JobSummary,
    OutputFile,
    Upload,
)
from nodegraph.client.shapes.jobs import id_of
from nodegraph.errors import InvalidValue, NodegraphError

if TYPE_CHECKING:
    from typing_extensions import Unpack

_ARTIFACTS, _UPLOADS, _INPUTS = "/artifacts", "/uploads", "/inputs"
_LONGEST_NAME = 200
_NO_SUCH_RANGE = 416


class AsyncFileMethods(AsyncClientPart):
    """Methods for output files of jobs and uploaded files."""

    async def pull(
        self,
        job: JobSummary | str,
        folder: Path | str = ".",
        *,
        nodes: Collection[str] | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> tuple[Pulled, ...]:
        """Download the output files of a job.

        A file appears in the folder once it is complete and its digest is correct. The next call
        resumes an interrupted download.

        Args:
            folder: Target folder; created if it does not exist.
            nodes: Only files that these nodes wrote.
            overwrite: Replace other files of the same name. If False, they stay and the new files
                get different names.
            progress: Called with the received and the total number of bytes.
        Raises:
            JobFailed: The job failed or was cancelled.
            InvalidValue: The job has not ended, or a node wrote no file.
            WrongDigest: The received bytes differ from what the job wrote.
            OutputError: A file cannot be written.
        """
        if not isinstance(job, Job):
            request = Request("GET", "/jobs" + url_path(id_of(job)))
            job = parse_answer(Job, await self._channel.send(request))
        files = output_files(job, nodes)
        total, before = sum(file.size for file in files), 0
        taken: dict[Path, str] = {}
        done: list[Pulled] = []
        for file in files:
            path, existed = resolve_target(file, Path(folder), taken, overwrite=overwrite)
            if not existed:
                await self._downloaded(file, path, _share(progress, before, total))
            before += file.size
            if progress is not None:
                progress(before, total)
            taken[path] = file.digest
            done.append(Pulled(path, file, existed))
        return tuple(done)

    async def download(self, file: AnyFile, path: Path | str) -> None:
        """Download one file to a path and replace an existing file; see `pull`."""
        await self._downloaded(file, Path(path))

    async def _downloaded(
        self, file: AnyFile, target: Path, on_progress: Callable[[int], None] | None = None
    ) -> None:
        part = PartialFile(file, target, on_progress)
        try:
            if not (part.is_whole and part.was_begun):
                await self._filled(file, part)
            was_begun = part.was_begun
            try:
                part.commit()
            except WrongDigest:
                if not was_begun:
                    raise
                # The earlier part may have been wrong.
                await self._filled(file, part)
                part.commit()
        finally:
            part.close()

    async def _filled(self, file: AnyFile, part: PartialFile) -> None:
        """Download the missing rest of a file, from where an attempt stopped."""
        trouble = Backoff(self._channel.retries, self._channel.retries.seconds)
        while True:
            before = part.size
            wanted: float | None = None
            fault: NodegraphError
            try:
                request = Request("GET", _path_of(file), (), part.headers)
                answer = await self._channel.exchange(request, part)
            except (NotReachable, ConnectionLost) as error:
                fault = error
            else:
                if answer.status == _NO_SUCH_RANGE and before:
                    part.restart()
                    continue
                if answer.status in (200, 206) and part.is_whole:
                    return
                fault, wanted = _fault_of(file, answer), answer.retry_after
            if part.size > before:
                trouble.reset()
            wait = trouble.delay(wanted)
            if wait is None:
                raise fault
            await pause(wait)

    async def thumbnail(self, file: AnyFile, size: int = 256) -> bytes:
        """Return the bytes of a small WebP image of a file.

        It shows an image upright, or the first frame of an animation or a video. Audio, shapes,
        molecules and plots are drawn.

        Args:
            size: Side of the square that the image fits into, 64 to 512 pixels.
        Raises:
            NotFound: The file cannot be shown as an image.
        """
        request = Request("GET", f"{_path_of(file)}/thumbnail", query(size=size))
        return picture(await self._channel.send(request))

    async def texts(self, file: AnyFile) -> Mapping[str, str]:
        """Return the texts in a file's metadata by name, such as its ``workflow`` as JSON.

        Raises:
            NotFound: There is no such file.
            ServerError: The file is damaged, or its metadata is too large.
        """
        request = Request("GET", f"{_path_of(file)}/texts")
        return parse_answer(CarriedTexts, await self._channel.send(request)).texts

    async def credentials(self, file: AnyFile) -> FileCredentials:
        """Return who signed a file with C2PA, and whether it was changed since.

        Raises:
            NotFound: There is no such file.
            ServerError: The file is too large, or the server lacks the extra ``c2pa``.
        """
        request = Request("GET", f"{_path_of(file)}/credentials")
        return parse_answer(FileCredentials, await self._channel.send(request))

    async def signed(self, file: OutputFile) -> bytes:
        """Return a copy of a file that the server signs now, with C2PA.

        For formats that can't hold credentials, such as GLB, it is a ZIP file of the copy and its
        ``.c2pa`` file. The file on the server does not change.

        Raises:
            NotFound: There is no such file.
            InvalidValue: The server has no certificate, or lacks the extra ``c2pa``.
        """
        request = Request("GET", f"{_path_of(file)}/signed")
        return (await self._channel.send(request)).body

    async def lineage(self, file: AnyFile | str) -> FileLineage:
        """Return what a file was made from, and what was made from it.

        Args:
            file: An output file, an upload, or the digest of one.
        Raises:
            NotFound: There is no such file.
        """
        digest = file if isinstance(file, str) else file.digest
        request = Request("GET", f"/lineage{url_path(digest)}")
        return parse_answer(FileLineage, await self._channel.send(request))

    def artifacts(self, **which: Unpack[ArtifactFilter]) -> AsyncGenerator[Artifact, None]:
        """Iterate over output files of jobs, the newest first. Pages are requested as needed.

        Args:
            which: See `ArtifactFilter`; all files if not given.
        """
        job = which.get("job")
        parameters = {**which, "job": None if job is None else id_of(job)}
        return self._channel.items(Artifact, _ARTIFACTS, query(**parameters))

    async def delete_artifact(
        self, file: OutputFile, *, job: JobSummary | str | None = None
    ) -> None:
        """Remove a file from the lists of jobs. It is deleted if no other job lists it.

        Args:
            job: Only from this job; if not given, from all your jobs that list it.
        Raises:
            Conflict: One of the jobs has not ended.
        """
        parameters = query(job=None if job is None else id_of(job))
        await self._channel.send(
            Request("DELETE", _path_of(file), parameters, already_done_status=404)
        )

    async def upload(self, file: Path | str | bytes, name: str | None = None) -> Upload:
        """Upload an image or a workflow, for inputs of workflows; see `Upload.value`.

        Args:
            file: Path of the file, or its bytes.
            name: Name on the server; the file's own name if not given.
        """
        body = Path(file) if isinstance(file, str) else file
        if name is None:
            name = body.name if isinstance(body, Path) else ""
        headers = {"Content-Type": "application/octet-stream"}
        # The server names it by its content, so a repeated upload has no effect.
        request = Request("POST", _UPLOADS, query(name=name[-_LONGEST_NAME:]), headers, body)
        return parse_answer(Upload, await self._channel.send(request))

    async def upload_output(self, file: OutputFile) -> Upload:
        """Copy an output file to the uploads, for inputs of workflows, without a transfer.

        Raises:
            NotFound: There is no such file.
        """
        place_of = f"{_UPLOADS}/artifacts{url_path(file.digest)}"
        return parse_answer(Upload, await self._channel.send(Request("POST", place_of)))

    def uploads(self) -> AsyncGenerator[Upload, None]:
        """Iterate over your uploads, the newest first. Pages are requested as needed."""
        return self._channel.items(Upload, _UPLOADS)

    def inputs(self) -> AsyncGenerator[InputFile, None]:
        """Iterate over the files of the server's inputs folder; see `InputFile.path`."""
        return self._channel.items(InputFile, _INPUTS)

    async def delete_upload(self, upload: Upload) -> None:
        """Delete an upload. Waiting jobs can no longer read it."""
        await self._channel.send(Request("DELETE", _path_of(upload), already_done_status=404))


def _path_of(file: AnyFile) -> str:
    """Return the path of a file on the server."""
    return (_UPLOADS if isinstance(file, Upload) else _ARTIFACTS) + url_path(file.digest)


def _share(progress: Progress | None, before: int, total: int) -> Callable[[int], None] | None:
    return None if progress is None else lambda size: progress(before + size, total)


def _fault_of(file: AnyFile, answer: Reply) -> NodegraphError:
    """Return why an answer did not contain the file.

    Raises:
        NodegraphError: Another attempt would fail, too.
    """
    if answer.status in (200, 206):
        return ConnectionLost(f"{file.name} was received only in part")
    fault = error_from_reply(answer)
    if isinstance(fault, ServerError) and fault.is_passing:
        return fault
    raise fault


_JOBS = "/jobs"


class AsyncJobMethods(AsyncClientPart):
    """Methods for jobs, which may be given by their ids."""

    async def submit(
        self, workflow: AnyWorkflow, *, key: str | None = None, **job: Unpack[JobFields]
    ) -> JobSummary:
        """Submit a job that runs a workflow.

        Repeated requests create only one job.

        Args:
            workflow: A `nodegraph.Workflow`, the content of its file, or a `Saved` workflow.
            key: Idempotency key: a second submission with the same key returns the same job. By
                default a new key.
            job: See `JobFields`.
        Raises:
            InvalidWorkflow: The workflow cannot run; lists all its problems.
            TooManyRequests: The queue is full.
        """
        request = json_request(
            "POST",
            _JOBS,
            request_body(workflow, job),
            headers={"Idempotency-Key": key or secrets.token_hex(16)},
            seconds=PLAN_SECONDS if job.get("plan") else 0.0,
        )
        return parse_answer(JobSummary, await self._channel.send(request))

    async def submit_rows(
        self,
        workflow: AnyWorkflow,
        rows: AnyRows,
        *,
        key: str | None = None,
        **job: Unpack[JobFields],
    ) -> JobGroup:
        """Submit a job for each row of a table: all of them, or none if a row has a problem.

        Args:
            workflow: See `submit`.
            rows: Text of a CSV file with column names, or of one with a JSON object per line; or a
                mapping for each row. Columns are parameters, or inputs such as ``sampler.seed``.
            key: Idempotency key of them all. By default a new key.
            job: See `JobFields`.
        Raises:
            InvalidWorkflow: A row cannot run; names the rows and columns.
            TooManyRequests: The queue has no room for all of them.
        """
        request = json_request(
            "POST",
            f"{_JOBS}/rows",
            {**request_body(workflow, job), "rows": rows},
            headers={"Idempotency-Key": key or secrets.token_hex(16)},
            seconds=PLAN_SECONDS,
        )
        return parse_answer(JobGroup, await self._channel.send(request))

    async def get(self, job: JobSummary | str) -> Job:
        """Return a job with its request and its result.

        Raises:
            JobNotFound: There is no job of this id.
        """
        return parse_answer(
            Job, await self._channel.send(Request("GET", _JOBS + url_path(id_of(job))))
        )

    async def workflow(
        self, job: JobSummary | str, *, is_filled: bool = False
    ) -> Mapping[str, Any]:
        """Return the workflow of a job.

        Args:
            is_filled: Whether to insert the parameter values of the job.
        """
        path = _JOBS + url_path(id_of(job), "workflow")
        request = Request("GET", path, query(parameters=is_filled or None))
        return mapping(await self._channel.send(request))

    def list(
        self, *, most: int | None = None, **which: Unpack[Filters]
    ) -> AsyncGenerator[JobSummary, None]:
        """Iterate over jobs, the newest first by default. Pages are requested as needed.

        Args:
            most: Largest number of jobs.
            which: See `Filters`.
        """
        return self._channel.items(JobSummary, _JOBS, query(**which), most)

    async def wait(self, job: JobSummary | str, *, timeout: float | None = None) -> Job:
        """Wait until a job has finished, failed or was cancelled; see `Job.checked`.

        Raises:
            TookTooLong: The job has not ended within `timeout` seconds.
        """
        name = id_of(job)
        deadline = Deadline(timeout, f"job {name}")
        current = await self.get(name)

        async def is_over(name: str, seq: int | None) -> bool:
            nonlocal current
            request = Request("GET", _JOBS + url_path(name))
            current = parse_answer(Job, await self._channel.send(request, NEVER))
            return current.is_over

        if not current.is_over:
            following = AsyncEventStream(
                self._channel, (name,), live=False, deadline=deadline, is_over=is_over
            )
            async with aclosing(following.events()) as events:
                async for _ in events:
                    pass
        return current

    def watch(
        self,
        jobs: SomeJobs = None,
        *,
        after: int | None = None,
        live: bool = True,
        previews: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """Iterate over the events of jobs until they end.

        Each event comes exactly once, even if connections break.

        Args:
            jobs: One or several jobs; if not given, all jobs that you may see, without an end.
            after: `Event.seq` of the last known event. If not given, all events of the given jobs,
                or only new events if no jobs are given.
            live: Whether to include progress events.
            previews: Whether to include previews.
        """
        following = AsyncEventStream(
            self._channel, ids_of(jobs), after=after, live=live, previews=previews
        )
        return following.events()

    async def cancel(self, job: JobSummary | str) -> JobSummary:
        """Cancel a job: at once if it waits, at its next step if it is running."""
        return await self._post_action(job, "cancel")

    async def retry(self, job: JobSummary | str) -> JobSummary:
        """Queue a failed or cancelled job again."""
        return await self._post_action(job, "retry")

    async def hold(self, job: JobSummary | str) -> JobSummary:
        """Pause a job."""
        return await self._post_action(job, "hold")

    async def unhold(self, job: JobSummary | str) -> JobSummary:
        """Release a paused job."""
        return await self._post_action(job, "unhold")

    async def _post_action(self, job: JobSummary | str, action: str) -> JobSummary:
        # A second request may have another effect.
        request = Request("POST", _JOBS + url_path(id_of(job), action), is_repeatable=False)
        return parse_answer(JobSummary, await self._channel.send(request))

    async def prioritise(self, job: JobSummary | str, priority: int) -> JobSummary:
        """Change the priority of a waiting job, -100 to 100; the highest runs first."""
        request = json_request("PATCH", _JOBS + url_path(id_of(job)), {"priority": priority})
        return parse_answer(JobSummary, await self._channel.send(request))

    async def move(
        self,
        job: JobSummary | str,
        to: End | None = None,
        *,
        before: JobSummary | str | None = None,
    ) -> JobSummary:
        """Move a waiting job among the jobs of the same client and priority.

        Args:
            to: ``first`` or ``last``.
            before: Job to move it directly before, instead of `to`.
        Raises:
            InvalidValue: Neither or both of `to` and `before` are given.
        """
        if (to is None) == (before is None):
            raise InvalidValue(
                "a job is moved either to an end or before another job", expected="one of them"
            )
        where = {"to": to} if before is None else {"before": id_of(before)}
        request = json_request(
            "POST", _JOBS + url_path(id_of(job), "move"), where, is_repeatable=False
        )
        return parse_answer(JobSummary, await self._channel.send(request))

    async def delete(self, job: JobSummary | str) -> None:
        """Delete an ended job. Its files stay on the server."""
        await self._channel.send(
            Request("DELETE", _JOBS + url_path(id_of(job)), already_done_status=404)
        )

    async def delete_all(self, **which: Unpack[Match]) -> int:
        """Delete all ended jobs, or those that match a filter.

        Args:
            which: See `Match`.
        Returns:
            Number of deleted jobs.
        """
        # Sent again, it would return 0.
        request = Request("DELETE", _JOBS, query(**which), is_repeatable=False)
        return count("deleted", await self._channel.send(request))
