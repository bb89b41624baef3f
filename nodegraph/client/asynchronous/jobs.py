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
    InputFile,
    Job,
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
    """What jobs gave, and what is brought for them to read."""

    async def pull(
        self,
        job: JobSummary | str,
        folder: Path | str = ".",
        *,
        nodes: Collection[str] | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> tuple[Pulled, ...]:
        """Download what a job gave.

        A file is there once it is whole and its digest is right. What breaks off is gone on with
        the next time.

        Args:
            folder: Where it goes; made if it isn't there.
            nodes: Only what these wrote.
            overwrite: Replace others of the same name; if not, they stay and the new ones get
                names of their own.
            progress: Is told how many bytes of how many there are.
        Raises:
            JobFailed: It has failed, or was cancelled.
            InvalidValue: It hasn't ended, or such a node gave nothing.
            WrongDigest: What comes isn't what the job wrote.
            OutputError: It can't be written.
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
        """Download one file to a path, in place of what is there; see `pull`."""
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
                # What there was before may have been at fault.
                await self._filled(file, part)
                part.commit()
        finally:
            part.close()

    async def _filled(self, file: AnyFile, part: PartialFile) -> None:
        """Download what a part lacks, going on where an attempt stopped."""
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
        """A small image of a file, as WebP: of an image, upright, of an animation or a video the
        first one; drawn, of audio, shapes, molecules and plots.

        Args:
            size: Pixels of the square that it fits into, 64 to 512.
        Raises:
            NotFound: It is nothing that can be shown.
        """
        request = Request("GET", f"{_path_of(file)}/thumbnail", query(size=size))
        return picture(await self._channel.send(request))

    async def texts(self, file: AnyFile) -> Mapping[str, str]:
        """The texts that a file carries, by name: its ``workflow``, as JSON, if it has one.

        Raises:
            NotFound: There is no such file.
            ServerError: It is damaged, or claims more than there is room for.
        """
        request = Request("GET", f"{_path_of(file)}/texts")
        return parse_answer(CarriedTexts, await self._channel.send(request)).texts

    def artifacts(self, **which: Unpack[ArtifactFilter]) -> AsyncGenerator[Artifact, None]:
        """Files that jobs gave, the newest first; asked for as they are needed.

        Args:
            which: See `ArtifactFilter`; all files if not given.
        """
        job = which.get("job")
        parameters = {**which, "job": None if job is None else id_of(job)}
        return self._channel.items(Artifact, _ARTIFACTS, query(**parameters))

    async def delete_artifact(
        self, file: OutputFile, *, job: JobSummary | str | None = None
    ) -> None:
        """Have jobs no longer list a file; it is deleted if no other job lists it.

        Args:
            job: Only this one; all of one's own that list it if not given.
        Raises:
            Conflict: One of them hasn't ended.
        """
        parameters = query(job=None if job is None else id_of(job))
        await self._channel.send(
            Request("DELETE", _path_of(file), parameters, already_done_status=404)
        )

    async def upload(self, file: Path | str | bytes, name: str | None = None) -> Upload:
        """Bring an image or a workflow, for inputs of workflows; see `Upload.value`.

        Args:
            file: Its path, or its bytes.
            name: What it is called there; its own name if not given.
        """
        body = Path(file) if isinstance(file, str) else file
        if name is None:
            name = body.name if isinstance(body, Path) else ""
        headers = {"Content-Type": "application/octet-stream"}
        # Named by its content there, so that bringing it twice is bringing it once.
        request = Request("POST", _UPLOADS, query(name=name[-_LONGEST_NAME:]), headers, body)
        return parse_answer(Upload, await self._channel.send(request))

    async def upload_output(self, file: OutputFile) -> Upload:
        """Have what a job gave as an upload, for inputs of workflows; nothing is transferred.

        Raises:
            NotFound: There is no such file.
        """
        place_of = f"{_UPLOADS}/artifacts{url_path(file.digest)}"
        return parse_answer(Upload, await self._channel.send(Request("POST", place_of)))

    def uploads(self) -> AsyncGenerator[Upload, None]:
        """What was brought, the newest first; asked for as it is needed."""
        return self._channel.items(Upload, _UPLOADS)

    def inputs(self) -> AsyncGenerator[InputFile, None]:
        """What lies in the server's inputs folder, the newest first; see `InputFile.path`."""
        return self._channel.items(InputFile, _INPUTS)

    async def delete_upload(self, upload: Upload) -> None:
        """Delete what was brought; jobs that wait for their turn can't read it any more."""
        await self._channel.send(Request("DELETE", _path_of(upload), already_done_status=404))


def _path_of(file: AnyFile) -> str:
    """Where the server has a file."""
    return (_UPLOADS if isinstance(file, Upload) else _ARTIFACTS) + url_path(file.digest)


def _share(progress: Progress | None, before: int, total: int) -> Callable[[int], None] | None:
    return None if progress is None else lambda size: progress(before + size, total)


def _fault_of(file: AnyFile, answer: Reply) -> NodegraphError:
    """Why an answer didn't bring the file.

    Raises:
        NodegraphError: It never will.
    """
    if answer.status in (200, 206):
        return ConnectionLost(f"{file.name} was received only in part")
    fault = error_from_reply(answer)
    if isinstance(fault, ServerError) and fault.is_passing:
        return fault
    raise fault


_JOBS = "/jobs"


class AsyncJobMethods(AsyncClientPart):
    """What can be done with jobs, which may be given by their ids."""

    async def submit(
        self, workflow: AnyWorkflow, *, key: str | None = None, **job: Unpack[JobFields]
    ) -> JobSummary:
        """Have a workflow run.

        However often it has to be sent, there is one job of it.

        Args:
            workflow: A `nodegraph.Workflow`, what its file says, or a `Saved` one.
            key: Submitting again with the same one gives the same job; a new one if not given.
            job: See `JobFields`.
        Raises:
            InvalidWorkflow: It can't run; lists all that is wrong.
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

    async def get(self, job: JobSummary | str) -> Job:
        """A job with all that is kept of it.

        Raises:
            JobNotFound: There is none of that id.
        """
        return parse_answer(
            Job, await self._channel.send(Request("GET", _JOBS + url_path(id_of(job))))
        )

    async def workflow(
        self, job: JobSummary | str, *, is_filled: bool = False
    ) -> Mapping[str, Any]:
        """The workflow of a job.

        Args:
            is_filled: Whether the values of its parameters are to be in it.
        """
        path = _JOBS + url_path(id_of(job), "workflow")
        request = Request("GET", path, query(parameters=is_filled or None))
        return mapping(await self._channel.send(request))

    def list(
        self, *, most: int | None = None, **which: Unpack[Filters]
    ) -> AsyncGenerator[JobSummary, None]:
        """Jobs, the newest first; asked for as they are needed.

        Args:
            most: How many.
            which: See `Filters`.
        """
        return self._channel.items(JobSummary, _JOBS, query(**which), most)

    async def wait(self, job: JobSummary | str, *, timeout: float | None = None) -> Job:
        """A job once it has ended, however it did; see `Job.checked`.

        Raises:
            TookTooLong: It hasn't in so many seconds.
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
        """What happens to jobs, until they have ended: each event once, whatever breaks meanwhile.

        Args:
            jobs: One or several; all that one may see, without an end, if not given.
            after: `Event.seq` of the last event that is known; if not given, all events of the
                jobs, but only new ones of all jobs.
            live: Whether progress is wanted.
            previews: Whether previews are.
        """
        following = AsyncEventStream(
            self._channel, ids_of(jobs), after=after, live=live, previews=previews
        )
        return following.events()

    async def cancel(self, job: JobSummary | str) -> JobSummary:
        """Cancel a job: at once if it waits, at its next step if it runs."""
        return await self._post_action(job, "cancel")

    async def retry(self, job: JobSummary | str) -> JobSummary:
        """Let a job that failed or was cancelled wait once more."""
        return await self._post_action(job, "retry")

    async def hold(self, job: JobSummary | str) -> JobSummary:
        """Pause a job."""
        return await self._post_action(job, "hold")

    async def unhold(self, job: JobSummary | str) -> JobSummary:
        """Let a paused job go."""
        return await self._post_action(job, "unhold")

    async def _post_action(self, job: JobSummary | str, action: str) -> JobSummary:
        # A second time it may mean something else.
        request = Request("POST", _JOBS + url_path(id_of(job), action), is_repeatable=False)
        return parse_answer(JobSummary, await self._channel.send(request))

    async def prioritise(self, job: JobSummary | str, priority: int) -> JobSummary:
        """Give a job that waits another priority, -100 to 100; the highest goes first."""
        request = json_request("PATCH", _JOBS + url_path(id_of(job)), {"priority": priority})
        return parse_answer(JobSummary, await self._channel.send(request))

    async def move(
        self,
        job: JobSummary | str,
        to: End | None = None,
        *,
        before: JobSummary | str | None = None,
    ) -> JobSummary:
        """Move a job that waits among those of its client and priority.

        Args:
            to: ``first`` or ``last``.
            before: Or right before this one.
        Raises:
            InvalidValue: None of them is given, or both.
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
        """Forget a job that has ended. Its files stay on the server."""
        await self._channel.send(
            Request("DELETE", _JOBS + url_path(id_of(job)), already_done_status=404)
        )

    async def delete_all(self, **which: Unpack[Match]) -> int:
        """Forget all jobs that have ended, or those of them that are meant.

        Args:
            which: See `Match`.
        Returns:
            How many those were.
        """
        # Sent once more, it would tell of none.
        request = Request("DELETE", _JOBS, query(**which), is_repeatable=False)
        return count("deleted", await self._channel.send(request))
