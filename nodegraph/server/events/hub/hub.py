"""The event hub: distributes job events to all subscribers, also those of other servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, cast

from nodegraph.core.events import Event, EventKind
from nodegraph.core.text_format import format_size
from nodegraph.jobs.queue import JobEvent, JobQueue
from nodegraph.jobs.queue.events import LIVE, LiveEvent
from nodegraph.jobs.supervisor.queue_reads import EventTail, QueueReads
from nodegraph.server.events.hub.messages import HubMessage, LiveEvents, event_message, first_within
from nodegraph.server.events.hub.subscription import (
    BATCH_BYTES,
    Batch,
    EventFilter,
    Ring,
    SlowConsumer,
    Subscription,
    page,
)
from nodegraph.server.http.errors import Unavailable
from nodegraph.server.root_path import using_root_path
from nodegraph.store.packing import pack, unpack

_LOG = logging.getLogger(__name__)


class EventRelay:
    """Shows live events here, and tells a queue's other servers; on the event loop it is made on.

    Args:
        queue: What is told to nobody else if it is a file.
    """

    def __init__(self, queue: JobQueue, hub: EventHub) -> None:
        self._hub = hub
        self._loop = asyncio.get_running_loop()
        self._relay = queue.relay(self._receive, lambda: hub.subscribers > 0)

    def publish_live(self, live_event: LiveEvent) -> None:
        """A worker of this server tells something."""
        self._hub.publish_live(live_event)
        if self._relay is None or not self.is_followed:
            return
        event = live_event.event
        about = (live_event.job, live_event.client, live_event.attempt, live_event.after)
        row = (*about, event.number, event.kind, event.node, event.seconds, dict(event.data))
        try:
            self._relay.publish((live_event.job, event.node or "", event.kind), pack(row))
        except TypeError:
            _LOG.debug("%s of %s is not sent to other servers", event.kind, live_event.job)

    @property
    def is_followed(self) -> bool:
        """Whether clients of another server follow jobs."""
        return self._relay is not None and self._relay.has_followers

    def close(self) -> None:
        """Tell, and hear, no more."""
        if self._relay is not None:
            self._relay.close()

    def _receive(self, bodies: Sequence[bytes]) -> None:
        events = []
        for body in bodies:
            # Another version of nodegraph may say it otherwise.
            with suppress(ValueError, TypeError):
                events.append(_read(body))
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._show, events)

    def _show(self, events: Sequence[LiveEvent]) -> None:
        for each in events:
            self._hub.publish_live(each)


def _read(body: bytes) -> LiveEvent:
    job, client, attempt, after, number, kind, node, seconds, data = unpack(body)
    if kind not in LIVE:
        raise ValueError(kind)
    event = Event(number, cast(EventKind, kind), node, seconds, data)
    return LiveEvent(job, client, attempt, after, event)


_LIVE_EVERY = 1 / 30
"""Seconds between two times that progress is shown: more often nobody sees."""
_LIVE_A_SECOND = 2_000
"""Messages of progress and previews to all subscribers together, about, so that many watchers
don't take the processor from the job that they watch."""


class HubClosed(Unavailable):
    """The server stops; there will be no more events."""

    code = "server-stopping"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that everybody who is connected should know, such as that node types changed."""

    kind: str
    data: Mapping[str, Any] = field(default_factory=dict)


class EventHub:
    """Hands each event to all who follow it: read once, and written once for all of them.

    All of it is used on the event loop on which it is made.

    Args:
        queue: Whose past events are read.
        tail: Tells of new ones.
        ring_size: How many of the last ones are kept in memory, for those who come back.
        max_bytes: That may wait for all subscribers together; whom most waits for is ended first.
        root: Path below which events have the addresses of files.
    """

    def __init__(
        self,
        queue: JobQueue,
        tail: EventTail,
        *,
        ring_size: int = 10_000,
        max_bytes: int = 128 << 20,
        root: str = "",
    ) -> None:
        self._root = root
        self._queue = queue
        self._looks = QueueReads(queue)
        self._most_held = max_bytes
        self._handed = 0
        self._ring = Ring(tail.newest, ring_size)
        self.newest = tail.newest
        """The number of the last event that was handed out."""
        self._live = LiveEvents(self._publish, lambda: self.newest, self._interval)
        self._of_all: dict[Subscription, None] = {}
        self._of_job: dict[str, dict[Subscription, None]] = {}
        self._open: dict[Subscription, None] = {}
        self._listeners: list[Callable[[Notice], None]] = []
        self._batch = Batch((), 0)
        self._together: list[HubMessage] | None = None
        self.is_open = True
        """Whether there may be more subscriptions."""
        self._tail = tail
        self._end = tail.listen(self._handle_events)

    @property
    def subscribers(self) -> int:
        """How many there are."""
        return len(self._open)

    @property
    def has_listeners(self) -> bool:
        """Whether anybody is given notices."""
        return bool(self._listeners)

    def is_followed(self, job: str) -> bool:
        """Whether somebody follows this very job."""
        return bool(self._of_job.get(job))

    def current_messages(self, job: str) -> list[HubMessage]:
        """Progress and previews that were shown last of each node of a job that runs."""
        return self._live.current_messages(job)

    def publish_live(self, live_event: LiveEvent) -> None:
        """Show progress or a preview, once what came before it was."""
        self._live.add(live_event)

    def subscribe(
        self,
        jobs: Collection[str] | None = None,
        *,
        client: str | None = None,
        after: int | None = None,
        live: bool = True,
        previews: bool = True,
        overrun: Callable[[SlowConsumer], None] | None = None,
    ) -> Subscription:
        """Follow jobs, until the subscription is closed.

        Args:
            jobs: Their ids; all jobs if not given.
            client: Only this client's jobs.
            after: The number of the last event that is known, as `known` has it; only what comes
                from now on if not given.
            live: Whether progress is wanted too.
            previews: Whether previews are.
            overrun: Is called when events have come too fast for the subscriber.
        Raises:
            HubClosed: The server stops.
        """
        if not self.is_open:
            raise _stopping()
        which = EventFilter(None if jobs is None else frozenset(jobs), client, live, previews)
        position = self.newest if after is None else max(after, 0)
        subscription = Subscription(self, which, position, overrun)
        self._open[subscription] = None
        return subscription

    async def resume_position(self, after: int) -> int:
        """A number to go on from: the one given, or the newest if it is of another queue.

        What a client that knows such a number has seen is void; it should look at all anew.
        """
        if after <= self.newest or not self.is_open:
            return max(after, 0)
        # It may have been read from the queue before it was told here.
        newest = await self._looks.run(self._queue.newest_event)
        return after if after <= newest else self.newest

    def notify(self, kind: str, **data: Any) -> None:
        """Give everybody notice."""
        notice = Notice(kind, data)
        for listener in list(self._listeners):
            try:
                listener(notice)
            except Exception:  # noqa: BLE001 - the others are told all the same
                _LOG.exception("a listener to notices failed")

    def listen(self, listener: Callable[[Notice], None]) -> Callable[[], None]:
        """Have a function called with each notice; it must be quick.

        Returns:
            What ends it.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener) if listener in self._listeners else None

    def close(self) -> None:
        """End all subscriptions, also those to come."""
        if not self.is_open:
            return
        self.is_open = False
        self._end()
        self._looks.close()
        self._live.close()
        self.notify("server.stopping")
        for subscription in list(self._open):
            subscription.end(_stopping())

    # What subscriptions need.

    async def read_past(
        self, which: EventFilter, after: int, limit: int
    ) -> tuple[list[HubMessage], int, bool]:
        """Some events after one, up to which number that is all, and whether the rest is recent."""
        if after >= self._ring.start:
            recent = self._ring.after(after)
            some = first_within(recent[:limit], BATCH_BYTES)
            if len(some) == len(recent):
                return [], after, True
            # Others get their turn, however long the way is.
            await asyncio.sleep(0)
            last = some[-1].seq
            assert last is not None
            return _of(which, some), last, False
        read = self._looks.run if self._queue.is_shared else asyncio.to_thread
        events_page = await read(page, self._queue, which, after, limit)
        with using_root_path(self._root):
            messages = [event_message(event) for event in events_page.events]
        return messages, events_page.last, False

    def enter(self, subscription: Subscription) -> None:
        """Hand over what is recent, and then all that happens."""
        jobs = [None] if subscription.event_filter.jobs is None else subscription.event_filter.jobs
        for job in jobs:
            subscriptions = self._of_all if job is None else self._of_job.setdefault(job, {})
            subscriptions[subscription] = None
        subscription.push(self._ring.after(subscription.position))
        for job in jobs:
            subscription.push(self._live.current_messages(job))

    def leave(self, subscription: Subscription) -> None:
        """Hand over no more."""
        self._open.pop(subscription, None)
        self._of_all.pop(subscription, None)
        for job in subscription.event_filter.jobs or ():
            followers = self._of_job.get(job)
            if followers is not None:
                followers.pop(subscription, None)
                if not followers:
                    del self._of_job[job]

    def batch(self, messages: tuple[HubMessage, ...], last: int) -> Batch:
        """A batch; those who get the same one after the other share it."""
        if self._batch.last != last or self._batch.messages != messages:
            self._batch = Batch(messages, last)
        return self._batch

    # What happens.

    def _handle_events(self, events: Sequence[JobEvent]) -> None:
        together = self._together = []
        try:
            # Not for one request alone, so none has said what links lie below.
            with using_root_path(self._root):
                for event in events:
                    self._live.before_event(event)
                    self.newest = event.seq
                    message = event_message(event)
                    self._ring.add(event.seq, message)
                    together.append(message)
                    self._live.after_event(event)
        finally:
            self.newest = self._tail.newest
            self._together = None
            self._distribute(together)

    def _publish(self, message: HubMessage) -> None:
        if self._together is not None:
            self._together.append(message)
        else:
            self._distribute([message])

    def _distribute(self, messages: Sequence[HubMessage]) -> None:
        # Subscribers may leave on the way.
        for subscription in list(self._of_all):
            subscription.push(messages)
        self._give_to_followers_of_jobs(messages)
        self._handed += sum(message.size for message in messages) * len(self._open)
        if self._handed > self._most_held // 16:
            # All that was handed out since the last look is at most what may have come to wait.
            self._handed = 0
            self._end_slowest()

    def _give_to_followers_of_jobs(self, messages: Sequence[HubMessage]) -> None:
        if not self._of_job:
            return
        for message in messages:
            for subscription in list(self._of_job.get(message.job, ())):
                subscription.push((message,))

    def _end_slowest(self) -> None:
        """End those for whom most waits, until what waits for all of them isn't too much."""
        held = sum(subscription.buffered_bytes for subscription in self._open)
        if held <= self._most_held:
            return
        for subscription in sorted(self._open, key=lambda each: each.buffered_bytes, reverse=True):
            held -= subscription.buffered_bytes
            subscription.overrun(
                SlowConsumer(
                    "the server buffers too many events for its clients, and most of them for "
                    "this one",
                    given=f"{format_size(subscription.buffered_bytes)} waiting",
                    expected=f"at most {format_size(self._most_held)} for all clients together",
                    hint="Reconnect and continue from the last number.",
                )
            )
            if held <= self._most_held:
                return

    def _interval(self) -> float:
        return max(_LIVE_EVERY, len(self._open) / _LIVE_A_SECOND)


def _of(which: EventFilter, messages: Sequence[HubMessage]) -> list[HubMessage]:
    return [
        message
        for message in messages
        if which.client in (None, message.client)
        and (which.jobs is None or message.job in which.jobs)
    ]


def _stopping() -> HubClosed:
    return HubClosed(
        "the server is stopping", hint="Reconnect in a moment, and continue from the last number."
    )
