# Made from ../asynchronous/jobs.py by docs/generate_blocking_client.py: don't edit.
"""Jobs."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any

from nodegraph.client.blocking.channel import Asks
from nodegraph.client.blocking.following import Following
from nodegraph.client.reading import count, mapping, parse_answer
from nodegraph.client.requests import PLAN_SECONDS, Request, json_request, query, url_path
from nodegraph.client.retries import NEVER, Deadline
from nodegraph.client.shapes import Event, Job, JobSummary
from nodegraph.client.shapes.jobs import id_of
from nodegraph.client.wishes import (
    AnyWorkflow,
    End,
    Filters,
    JobFields,
    Match,
    SomeJobs,
    ids_of,
    request_body,
)
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from typing_extensions import Unpack

_JOBS = "/jobs"


class AsksForJobs(Asks):
    """What can be done with jobs, which may be given by their ids."""

    def submit(
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
        return parse_answer(JobSummary, self._channel.send(request))

    def get(self, job: JobSummary | str) -> Job:
        """A job with all that is kept of it.

        Raises:
            JobNotFound: There is none of that id.
        """
        return parse_answer(Job, self._channel.send(Request("GET", _JOBS + url_path(id_of(job)))))

    def workflow(self, job: JobSummary | str, *, is_filled: bool = False) -> Mapping[str, Any]:
        """The workflow of a job.

        Args:
            is_filled: Whether the values of its parameters are to be in it.
        """
        path = _JOBS + url_path(id_of(job), "workflow")
        request = Request("GET", path, query(parameters=is_filled or None))
        return mapping(self._channel.send(request))

    def list(
        self, *, most: int | None = None, **which: Unpack[Filters]
    ) -> Generator[JobSummary, None, None]:
        """Jobs, the newest first; asked for as they are needed.

        Args:
            most: How many.
            which: See `Filters`.
        """
        return self._channel.items(JobSummary, _JOBS, query(**which), most)

    def wait(self, job: JobSummary | str, *, timeout: float | None = None) -> Job:
        """A job once it has ended, however it did; see `Job.checked`.

        Raises:
            TookTooLong: It hasn't in so many seconds.
        """
        name = id_of(job)
        deadline = Deadline(timeout, f"job {name}")
        found = self.get(name)

        def is_over(name: str, seq: int | None) -> bool:
            nonlocal found
            request = Request("GET", _JOBS + url_path(name))
            found = parse_answer(Job, self._channel.send(request, NEVER))
            return found.is_over

        if not found.is_over:
            following = Following(
                self._channel, (name,), live=False, deadline=deadline, is_over=is_over
            )
            with closing(following.events()) as events:
                for _ in events:
                    pass
        return found

    def watch(
        self,
        jobs: SomeJobs = None,
        *,
        after: int | None = None,
        live: bool = True,
        previews: bool = False,
    ) -> Generator[Event, None, None]:
        """What happens to jobs, until they have ended: each event once, whatever breaks meanwhile.

        Args:
            jobs: One or several; all that one may see, without an end, if not given.
            after: `Event.seq` of the last event that is known; if not given, all events of the
                jobs, but only new ones of all jobs.
            live: Whether progress is wanted.
            previews: Whether previews are.
        """
        following = Following(
            self._channel, ids_of(jobs), after=after, live=live, previews=previews
        )
        return following.events()

    def cancel(self, job: JobSummary | str) -> JobSummary:
        """Cancel a job: at once if it waits, at its next step if it runs."""
        return self._steered(job, "cancel")

    def retry(self, job: JobSummary | str) -> JobSummary:
        """Let a job that failed or was cancelled wait once more."""
        return self._steered(job, "retry")

    def hold(self, job: JobSummary | str) -> JobSummary:
        """Pause a job."""
        return self._steered(job, "hold")

    def unhold(self, job: JobSummary | str) -> JobSummary:
        """Let a paused job go."""
        return self._steered(job, "unhold")

    def _steered(self, job: JobSummary | str, action: str) -> JobSummary:
        # A second time it may mean something else.
        request = Request("POST", _JOBS + url_path(id_of(job), action), is_repeatable=False)
        return parse_answer(JobSummary, self._channel.send(request))

    def prioritise(self, job: JobSummary | str, priority: int) -> JobSummary:
        """Give a job that waits another priority, -100 to 100; the highest goes first."""
        request = json_request("PATCH", _JOBS + url_path(id_of(job)), {"priority": priority})
        return parse_answer(JobSummary, self._channel.send(request))

    def move(
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
                "a job is moved to an end, or before another one", expected="one of them"
            )
        where = {"to": to} if before is None else {"before": id_of(before)}
        request = json_request(
            "POST", _JOBS + url_path(id_of(job), "move"), where, is_repeatable=False
        )
        return parse_answer(JobSummary, self._channel.send(request))

    def delete(self, job: JobSummary | str) -> None:
        """Forget a job that has ended. Its files stay on the server."""
        self._channel.send(Request("DELETE", _JOBS + url_path(id_of(job)), already_done_status=404))

    def delete_all(self, **which: Unpack[Match]) -> int:
        """Forget all jobs that have ended, or those of them that are meant.

        Args:
            which: See `Match`.
        Returns:
            How many those were.
        """
        # Sent once more, it would tell of none.
        request = Request("DELETE", _JOBS, query(**which), is_repeatable=False)
        return count("deleted", self._channel.send(request))
