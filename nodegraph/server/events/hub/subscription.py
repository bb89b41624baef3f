"""A subscription to job events: past events first, then live ones, with a bounded backlog."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from nodegraph.core.text_format import format_excess, pluralize
from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue import EventPage, JobNotFound
from nodegraph.jobs.queue.reader import QueueView
from nodegraph.server.events.hub.messages import NODE_ENDS, PROGRESS, HubMessage, first_within


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


_Key = int | tuple[str, str | None, str]


class SlowConsumer(NodegraphError):
    """A subscriber that takes events more slowly than they happen, for too long."""

    code = "slow-consumer"


class Pending:
    """Messages in the order in which they happened.

    Args:
        most: Numbered ones.
        most_bytes: Of all of them. Before it is too much, progress and previews go.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        # In order: what is put anew under a key goes to the end.
        self._messages: dict[_Key, HubMessage] = {}
        self._bytes = 0
        self._numbered = 0

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return self._bytes

    def __bool__(self) -> bool:
        return bool(self._messages)

    def add(self, message: HubMessage) -> None:
        """Take in a message.

        Raises:
            SlowConsumer: There are more than may be.
        """
        if message.seq is None:
            key: _Key = (message.job, message.node, message.kind)
            self._drop(key)
        else:
            key = message.seq
            self._numbered += 1
            if message.kind in NODE_ENDS:
                self._drop((message.job, message.node, PROGRESS))
        self._messages[key] = message
        self._bytes += message.size
        if self._numbered > self._most or self._bytes > self._most_bytes:
            self._shrink()

    def take(self, most_bytes: int) -> tuple[HubMessage, ...]:
        """The oldest messages, of so many bytes or one."""
        if self._bytes <= most_bytes:
            all_ = tuple(self._messages.values())
            self.clear()
            return all_
        taken = first_within(self._messages.values(), most_bytes)
        for key in list(self._messages)[: len(taken)]:
            self._drop(key)
        return tuple(taken)

    def clear(self) -> None:
        """Forget all."""
        self._messages.clear()
        self._bytes = self._numbered = 0

    def _drop(self, key: _Key) -> None:
        dropped = self._messages.pop(key, None)
        if dropped is not None:
            self._bytes -= dropped.size
            self._numbered -= dropped.seq is not None

    def _shrink(self) -> None:
        for key in [key for key, message in self._messages.items() if message.seq is None]:
            self._drop(key)
        if self._numbered > self._most or self._bytes > self._most_bytes:
            amount, most = format_excess(self._bytes, self._most_bytes)
            raise SlowConsumer(
                "events happen faster than the client reads them",
                given=f"{pluralize(self._numbered, 'event')}, {amount} waiting",
                expected=f"at most {pluralize(self._most, 'event')}, {most}",
                hint="Reconnect and continue from the last number, with fewer jobs or without "
                "previews.",
            )


MOST_PENDING = 10_000
MOST_PENDING_BYTES = 16 << 20
BATCH_BYTES = 1 << 20
_AT_ONCE = 500
"""Past events that are read at once."""


class EventSource(Protocol):
    """Where events come from."""

    @property
    def newest(self) -> int:
        """The number of the last event that was handed to those who are up to date."""

    async def read_past(
        self, which: EventFilter, after: int, limit: int
    ) -> tuple[list[HubMessage], int, bool]:
        """Some events after one, up to which number that is all, and whether the rest is recent."""

    def enter(self, subscription: Subscription) -> None:
        """Hand over what is recent, and then all that happens."""

    def leave(self, subscription: Subscription) -> None:
        """Hand over no more."""

    def batch(self, messages: tuple[HubMessage, ...], last: int) -> Batch:
        """A batch; those who get the same one after the other share it."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some events, in order.

    Attributes:
        messages: Empty if a wait was over before anything happened for the subscriber.
        last: Whoever goes on from this number misses no event and sees none twice.
        encoded: What it was written as, for others who get the same.
    """

    messages: tuple[HubMessage, ...]
    last: int
    encoded: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)


class Subscription:
    """Events as they happen, in batches; past ones first. For one task.

    Args:
        after: The number of the last event that the subscriber knows.
        overrun: Is called at once when the subscriber turns out to be too slow, as it may be busy
            with what it took before.

    Attributes:
        position: All events up to this number were taken.
        is_open: Whether there may be more.
    """

    def __init__(
        self,
        source: EventSource,
        which: EventFilter,
        after: int,
        overrun: Callable[[SlowConsumer], None] | None = None,
    ) -> None:
        self.event_filter = which
        self.position = after
        self._source = source
        self._overrun = overrun
        self._pending = Pending(MOST_PENDING, MOST_PENDING_BYTES)
        self._past: list[HubMessage] = []
        self._past_last = after
        self._taken = 0
        self._is_current = False
        self.is_open = True
        self._error: NodegraphError | None = None
        self._waiter: asyncio.Future[bool] | None = None

    @property
    def buffered_bytes(self) -> int:
        """Bytes that it makes the server keep: what it hasn't asked for, and what it took last."""
        return self._pending.size + self._taken

    def accepts(self, message: HubMessage) -> bool:
        """Whether it is for this subscriber."""
        which = self.event_filter
        if which.client is not None and message.client != which.client:
            return False
        if which.jobs is not None and message.job not in which.jobs:
            return False
        if message.seq is not None:
            return message.seq > self.position
        return which.live and (which.previews or message.kind != "node.preview")

    def push(self, messages: Iterable[HubMessage]) -> None:
        """Something happens."""
        add, takes = self._pending.add, self.accepts
        try:
            for message in messages:
                if takes(message):
                    add(message)
        except SlowConsumer as error:
            self.overrun(error)
        if self._pending:
            self._wake()

    def close(self) -> None:
        """Take no more."""
        self.end(None)

    def overrun(self, error: SlowConsumer) -> None:
        """Have no more taken, as the subscriber is too slow."""
        self.end(error)
        if self._overrun is not None:
            self._overrun(error)

    def end(self, error: NodegraphError | None) -> None:
        """Have no more taken, for a reason."""
        if self.is_open:
            self.is_open = False
            self._error = error
            self._source.leave(self)
            self._pending.clear()
            self._wake()

    async def __aiter__(self) -> AsyncIterator[Batch]:
        while self.is_open:
            batch = await self.next()
            if batch.messages:
                yield batch
        if self._error is not None:
            raise self._error

    async def next(self, timeout: float | None = None) -> Batch:
        """The next batch; an empty one after so many seconds, or at the end.

        Raises:
            SlowConsumer: The subscriber was too slow.
            HubClosed: The server stops.
        """
        self._taken = 0
        while self.is_open:
            if not self._is_current:
                batch = await self._catch_up()
                if batch.messages:
                    return self._handed(batch)
            elif self._pending:
                return self._handed(self._take())
            elif not await self._wait(timeout) and not self._pending:
                # Nothing for it in what happened meanwhile, up to this very moment.
                self.position = max(self.position, self._source.newest)
                break
        if self._error is not None:
            raise self._error
        return Batch((), self.position)

    def _handed(self, batch: Batch) -> Batch:
        # Whoever comes for the next one has sent this one.
        self._taken = sum(message.size for message in batch.messages)
        return batch

    async def _catch_up(self) -> Batch:
        if not self._past:
            past_events = await self._source.read_past(self.event_filter, self.position, _AT_ONCE)
            self._past, self._past_last, is_recent = past_events
            if is_recent and self.is_open:
                self._is_current = True
                self._source.enter(self)
        some = first_within(self._past, BATCH_BYTES)
        del self._past[: len(some)]
        last = some[-1].seq if self._past else self._past_last
        self.position = max(self.position, last or 0)
        return Batch(tuple(some), self.position)

    def _take(self) -> Batch:
        messages = self._pending.take(BATCH_BYTES)
        if not self._pending:
            self.position = max(self.position, self._source.newest)
        else:
            numbers = [message.seq for message in messages if message.seq is not None]
            self.position = max([self.position, *numbers])
        return self._source.batch(messages, self.position)

    async def _wait(self, timeout: float | None) -> bool:
        """Whether something happened in time."""
        loop = asyncio.get_running_loop()
        waiter = self._waiter = loop.create_future()
        timer = None if timeout is None else loop.call_later(timeout, _done, waiter, False)
        try:
            return bool(await waiter)
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._waiter is not None:
            _done(self._waiter, True)
            self._waiter = None


def _done(waiter: asyncio.Future[bool], result: bool) -> None:
    if not waiter.done():
        waiter.set_result(result)
