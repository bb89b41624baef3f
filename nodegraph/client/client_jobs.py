"""Jobs, for programs that wait for what they ask."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.client import job_calls
from nodegraph.client.asking import Asks
from nodegraph.client.job_calls import AnyWorkflow, End, Filters, JobFields, Match
from nodegraph.client.sending import paged
from nodegraph.client.shapes import Event, Job, JobSummary
from nodegraph.client.shapes.jobs import id_of
from nodegraph.client.waiting import waited
from nodegraph.client.watching import Which, watched

if TYPE_CHECKING:
    from typing_extensions import Unpack


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
        return self._asked(job_calls.submit(workflow, job, key))

    def get(self, job: JobSummary | str) -> Job:
        """A job with all that is kept of it.

        Raises:
            JobNotFound: There is none of that id.
        """
        return self._asked(job_calls.get(id_of(job)))

    def workflow(self, job: JobSummary | str, *, is_filled: bool = False) -> Mapping[str, Any]:
        """The workflow of a job.

        Args:
            is_filled: Whether the values of its parameters are to be in it.
        """
        return self._asked(job_calls.get_workflow(id_of(job), is_filled))

    def list(self, *, most: int | None = None, **which: Unpack[Filters]) -> Iterator[JobSummary]:
        """Jobs, the newest first; asked for as they are needed.

        Args:
            most: How many.
            which: See `Filters`.
        """
        return self._doer.told(paged(lambda at: job_calls.page(at, which), self._retries, most))

    def wait(self, job: JobSummary | str, *, timeout: float | None = None) -> Job:
        """A job once it has ended, however it did; see `Job.checked`.

        Raises:
            TookTooLong: It hasn't in so many seconds.
        """
        return self._doer.done(waited(id_of(job), self._retries, timeout))

    def watch(
        self,
        jobs: Which = None,
        *,
        after: int | None = None,
        live: bool = True,
        previews: bool = False,
    ) -> Iterator[Event]:
        """What happens to jobs, until they have ended: each event once, whatever breaks meanwhile.

        Args:
            jobs: One or several; all that one may see, without an end, if not given.
            after: `Event.seq` of the last event that is known; if not given, all events of the
                jobs, but only new ones of all jobs.
            live: Whether progress is wanted.
            previews: Whether previews are.
        """
        return self._doer.told(watched(jobs, self._retries, after, live, previews))

    def cancel(self, job: JobSummary | str) -> JobSummary:
        """Cancel a job: at once if it waits, at its next step if it runs."""
        return self._asked(job_calls.steer(id_of(job), "cancel"))

    def retry(self, job: JobSummary | str) -> JobSummary:
        """Let a job that failed or was cancelled wait once more."""
        return self._asked(job_calls.steer(id_of(job), "retry"))

    def hold(self, job: JobSummary | str) -> JobSummary:
        """Pause a job."""
        return self._asked(job_calls.steer(id_of(job), "hold"))

    def unhold(self, job: JobSummary | str) -> JobSummary:
        """Let a paused job go."""
        return self._asked(job_calls.steer(id_of(job), "unhold"))

    def prioritise(self, job: JobSummary | str, priority: int) -> JobSummary:
        """Give a job that waits another priority, -100 to 100; the highest goes first."""
        return self._asked(job_calls.prioritise(id_of(job), priority))

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
        """
        other = None if before is None else id_of(before)
        return self._asked(job_calls.move(id_of(job), to, other))

    def delete(self, job: JobSummary | str) -> None:
        """Forget a job that has ended. Its files stay on the server."""
        self._asked(job_calls.delete(id_of(job)))

    def delete_all(self, **which: Unpack[Match]) -> int:
        """Forget all jobs that have ended, or those of them that are meant.

        Args:
            which: See `Match`.
        Returns:
            How many those were.
        """
        return self._asked(job_calls.delete_all(which))
