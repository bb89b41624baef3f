"""A hub on a real queue, for tests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

from nodegraph.core.events import Event, EventKind
from nodegraph.jobs.queue import Job, JobQueue
from nodegraph.jobs.queue.events import LiveEvent
from nodegraph.jobs.supervisor.queue_reads import EventTail
from nodegraph.server.events.hub import EventHub, HubMessage, Subscription
from tests.jobs.queue.support import open_queue, wanted
from tests.jobs.supervisor.dispatching import PATIENCE, until


@dataclass
class Hub:
    """What a test works with."""

    queue: JobQueue
    hub: EventHub

    async def submit(self, client: str = "ann", count: int = 1) -> list[str]:
        """Jobs that were just submitted."""
        asked = [self.queue.submit(wanted(client)) for _ in range(count)]
        return [(await asyncio.wrap_future(each)).job.id for each in asked]

    async def claim(self) -> Job:
        """The next job."""
        job = await asyncio.wrap_future(self.queue.claim("worker"))
        assert job is not None
        return job

    async def tell(self, job: Job, *events: Event) -> None:
        """A run's events that are kept."""
        await asyncio.wrap_future(self.queue.append_events(job.id, job.attempt, events))

    def show(self, job: Job, after: int, number: int, kind: EventKind, **data: Any) -> None:
        """A run's live event."""
        event = Event(number, kind, "node", 0.5, data)
        self.hub.publish_live(LiveEvent(job.id, job.client, job.attempt, after, event))

    async def seen(self) -> None:
        """Wait until the hub has told all."""
        newest = self.queue.newest_event()
        await until(lambda: self.hub.newest >= newest)


@asynccontextmanager
async def hub_on(folder: Path, **options: Any) -> AsyncIterator[Hub]:
    """A hub on a queue in a folder."""
    with open_queue(folder) as queue:
        tail = EventTail(queue)
        hub = EventHub(queue, tail, **options)
        try:
            yield Hub(queue, hub)
        finally:
            hub.close()
            tail.close()


async def taken(subscription: Subscription, count: int) -> list[HubMessage]:
    """The next messages, so many at least."""
    found: list[HubMessage] = []
    while len(found) < count:
        batch = await asyncio.wait_for(subscription.next(), PATIENCE)
        found += batch.messages
    return found


async def left(subscription: Subscription) -> list[HubMessage]:
    """What waits to be taken."""
    found: list[HubMessage] = []
    while batch := (await subscription.next(0.01)).messages:
        found += batch
    return found


def content(message: HubMessage) -> dict[str, Any]:
    """What a message says, which is the same in both forms."""
    packed: dict[str, Any] = msgpack.unpackb(message.packed)
    assert json.loads(message.json).keys() == packed.keys()
    return packed


def kinds(messages: list[HubMessage]) -> list[str]:
    """The kinds of messages."""
    return [message.kind for message in messages]
