"""The jobs that a caller may see, and what may be done with them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from nodegraph.jobs.queue import Job, JobFilter
from nodegraph.jobs.queue.job import not_found
from nodegraph.server.access.caller import Caller
from nodegraph.server.services import Services

T = TypeVar("T")


async def get_visible_job(services: Services, caller: Caller, id: str) -> Job:
    """A job that the caller may see.

    Raises:
        JobNotFound: There is none. Others' jobs look as if they weren't there.
    """
    return await services.queue_reads.run(read_visible_job, services, caller, id)


def read_visible_job(services: Services, caller: Caller, id: str) -> Job:
    """The same, looked up in this thread."""
    job = services.queue.get(id)
    if not caller.sees(job.client):
        raise not_found(id)
    return job


async def change_visible_job(
    services: Services, caller: Caller, id: str, action: Callable[[str], Future[T]]
) -> T:
    """What became of something that was done with a job that the caller may see.

    Raises:
        JobNotFound, WrongState: See the queue's methods.
    """
    await get_visible_job(services, caller, id)
    return await services.queue_reads.changed(action(id))


def restrict_to_caller(caller: Caller, which: JobFilter) -> JobFilter | None:
    """A filter for what the caller may see of some jobs; None if that is nothing."""
    if caller.only_client is None:
        return which
    if which.client not in (None, caller.only_client):
        return None
    return JobFilter(
        which.states,
        caller.only_client,
        which.tag,
        which.created_after,
        which.created_before,
        which.text,
    )
