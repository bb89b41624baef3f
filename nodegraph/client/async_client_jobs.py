"""Jobs, within an event loop."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import TYPE_CHECKING, Any

from nodegraph.client import job_calls
from nodegraph.client.async_asking import AsyncAsks
from nodegraph.client.job_calls import AnyWorkflow, End, Filters, JobFields, Match
from nodegraph.client.sending import paged
from nodegraph.client.shapes import Event, Job, JobSummary
from nodegraph.client.shapes.jobs import id_of
from nodegraph.client.waiting import waited
from nodegraph.client.watching import Which, watched

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AsyncAsksForJobs(AsyncAsks):
    """What can be done with jobs, which may be given by their ids."""

    async def submit(
        self, workflow: AnyWorkflow, *, key: str | None = None, **job: Unpack[JobFields]
    ) -> JobSummary:
        """See `Client.submit`."""
        return await self._asked(job_calls.submit(workflow, job, key))

    async def get(self, job: JobSummary | str) -> Job:
        """See `Client.get`."""
        return await self._asked(job_calls.get(id_of(job)))

    async def workflow(
        self, job: JobSummary | str, *, is_filled: bool = False
    ) -> Mapping[str, Any]:
        """See `Client.workflow`."""
        return await self._asked(job_calls.get_workflow(id_of(job), is_filled))

    def list(
        self, *, most: int | None = None, **which: Unpack[Filters]
    ) -> AsyncGenerator[JobSummary, None]:
        """See `Client.list`."""
        return self._doer.told(paged(lambda at: job_calls.page(at, which), self._retries, most))

    async def wait(self, job: JobSummary | str, *, timeout: float | None = None) -> Job:
        """See `Client.wait`."""
        return await self._doer.done(waited(id_of(job), self._retries, timeout))

    def watch(
        self,
        jobs: Which = None,
        *,
        after: int | None = None,
        live: bool = True,
        previews: bool = False,
    ) -> AsyncGenerator[Event, None]:
        """See `Client.watch`."""
        return self._doer.told(watched(jobs, self._retries, after, live, previews))

    async def cancel(self, job: JobSummary | str) -> JobSummary:
        """See `Client.cancel`."""
        return await self._asked(job_calls.steer(id_of(job), "cancel"))

    async def retry(self, job: JobSummary | str) -> JobSummary:
        """See `Client.retry`."""
        return await self._asked(job_calls.steer(id_of(job), "retry"))

    async def hold(self, job: JobSummary | str) -> JobSummary:
        """See `Client.hold`."""
        return await self._asked(job_calls.steer(id_of(job), "hold"))

    async def unhold(self, job: JobSummary | str) -> JobSummary:
        """See `Client.unhold`."""
        return await self._asked(job_calls.steer(id_of(job), "unhold"))

    async def prioritise(self, job: JobSummary | str, priority: int) -> JobSummary:
        """See `Client.prioritise`."""
        return await self._asked(job_calls.prioritise(id_of(job), priority))

    async def move(
        self,
        job: JobSummary | str,
        to: End | None = None,
        *,
        before: JobSummary | str | None = None,
    ) -> JobSummary:
        """See `Client.move`."""
        other = None if before is None else id_of(before)
        return await self._asked(job_calls.move(id_of(job), to, other))

    async def delete(self, job: JobSummary | str) -> None:
        """See `Client.delete`."""
        await self._asked(job_calls.delete(id_of(job)))

    async def delete_all(self, **which: Unpack[Match]) -> int:
        """See `Client.delete_all`."""
        return await self._asked(job_calls.delete_all(which))
