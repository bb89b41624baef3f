"""Events that happened before a subscriber came, from the queue's file."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from nodegraph.jobs.queue import EventPage, JobNotFound
from nodegraph.jobs.queue.reader import QueueView


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Whose events a subscriber gets.

    Attributes:
        jobs: Only theirs; None for those of all jobs.
        client: Only those of this client's jobs; None for everybody's.
        live: Whether progress is wanted too.
        previews: Whether previews are.
    """

    jobs: frozenset[str] | None = None
    client: str | None = None
    live: bool = True
    previews: bool = True


def page(queue: QueueView, which: EventFilter, after: int, limit: int) -> EventPage:
    """The next events after one, in order; none of jobs that are gone."""
    if which.jobs is None:
        return queue.events_after(after, client=which.client, limit=limit)
    return _merged([_of_job(queue, job, which, after, limit) for job in sorted(which.jobs)])


def _of_job(queue: QueueView, job: str, which: EventFilter, after: int, limit: int) -> EventPage:
    try:
        return queue.events_after(after, job=job, client=which.client, limit=limit)
    except JobNotFound:
        return EventPage((), queue.newest_event(), True)


def _merged(pages: Collection[EventPage]) -> EventPage:
    """One page of several jobs' pages.

    It goes as far as all of them do: an incomplete one says nothing of what comes after it, and one
    that was read before another nothing of what happened in between.
    """
    last = min(page.last for page in pages)
    events = sorted(
        (event for page in pages for event in page.events if event.seq <= last),
        key=lambda event: event.seq,
    )
    return EventPage(tuple(events), last, all(page.is_complete for page in pages))
