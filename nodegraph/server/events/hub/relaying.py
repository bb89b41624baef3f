"""Progress and previews of jobs that other servers' workers run, and of this one's for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import cast

from nodegraph.core.events import Event, EventKind
from nodegraph.jobs.queue import JobQueue
from nodegraph.jobs.supervisor.live import LIVE, LiveEvent
from nodegraph.server.events.hub.hub import EventHub
from nodegraph.store.packing import pack, unpack

_LOG = logging.getLogger(__name__)


class LiveRelay:
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
            _LOG.debug("%s of %s isn't told to other servers", event.kind, live_event.job)

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
