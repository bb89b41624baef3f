"""Waiting for a job to end."""

from __future__ import annotations

import asyncio

from nodegraph.jobs.queue import Job
from nodegraph.jobs.queue.states import ENDED
from nodegraph.server.events.hub import HubClosed, SlowConsumer
from nodegraph.server.services import Services

_ENDS = frozenset(f"job.{state}" for state in ENDED)


async def job_after(services: Services, id: str, seconds: float) -> Job:
    """A job once it has ended; as it is then, if it hasn't within so many seconds.

    Raises:
        JobNotFound: There is none, or it was deleted meanwhile.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    try:
        # Before the first look, so that no end is missed in between.
        subscription = services.hub.subscribe([id], live=False)
    except HubClosed:
        return await services.off_loop(services.queue.get, id)
    try:
        job = await services.off_loop(services.queue.get, id)
        while job.state not in ENDED and loop.time() < end:
            batch = await subscription.next(end - loop.time())
            if not batch.messages or any(message.kind in _ENDS for message in batch.messages):
                job = await services.off_loop(services.queue.get, id)
    except (HubClosed, SlowConsumer):
        return await services.off_loop(services.queue.get, id)
    finally:
        subscription.close()
    return job
