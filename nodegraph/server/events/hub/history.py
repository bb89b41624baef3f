"""Events that have happened: the last ones in memory, all of them in the queue's file."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass

from nodegraph.jobs.queue import EventPage, JobNotFound
from nodegraph.jobs.queue.reader import QueueView
from nodegraph.server.events.hub.message import HubMessage


class Ring:
    """The last messages, up to a number and a size of them.

    Args:
        start: Number of the last event before the first that will be added.
    """

    def __init__(self, start: int, most: int = 10_000, most_bytes: int = 16 << 20) -> None:
        self.start = start
        """All events with higher numbers are in it."""
        self._most = most
        self._most_bytes = most_bytes
        self._messages: list[HubMessage] = []
        self._numbers: list[int] = []
        self._bytes = 0

    def add(self, seq: int, message: HubMessage) -> None:
        """Keep the newest message; the oldest may go."""
        self._messages.append(message)
        self._numbers.append(seq)
        self._bytes += message.size
        # Some at a time, as each time all that stay are moved.
        if len(self._messages) > self._most + self._most // 10 or self._bytes > self._most_bytes:
            self._trim()

    def after(self, seq: int, limit: int | None = None) -> list[HubMessage]:
        """The messages with higher numbers, the oldest first."""
        at = bisect_right(self._numbers, seq)
        return self._messages[at : None if limit is None else at + limit]

    def _trim(self) -> None:
        gone = max(0, len(self._messages) - self._most)
        left = self._bytes - sum(message.size for message in self._messages[:gone])
        while left > self._most_bytes * 9 // 10 and gone < len(self._messages):
            left -= self._messages[gone].size
            gone += 1
        self._bytes = left
        if gone:
            self.start = self._numbers[gone - 1]
        del self._messages[:gone]
        del self._numbers[:gone]


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
