"""A queue, workers that do as they are told, and the dispatcher between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodegraph.jobs.queue import JobQueue, JobSummary
from nodegraph.jobs.queue.events import LiveEvent
from nodegraph.jobs.supervisor.dispatcher import Dispatcher
from nodegraph.jobs.supervisor.placement import JobPayload
from nodegraph.jobs.supervisor.queue_reads import EventTail
from tests.jobs.queue.support import open_queue, wanted
from tests.jobs.supervisor.scripted import ScriptedWorkers

FoundHere = Callable[[str, Mapping[str, Any]], JobPayload] | None
PATIENCE = 90.0
"""Seconds: the machine may have much else to do."""


async def until(is_so: Callable[[], Any], seconds: float = PATIENCE) -> None:
    """Wait until something is so."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not is_so():
        assert loop.time() < end, "it never came to that"
        await asyncio.sleep(0.001)


@dataclass
class Dispatching:
    """What a test works with."""

    queue: JobQueue
    workers: ScriptedWorkers
    dispatcher: Dispatcher
    live: list[LiveEvent] = field(default_factory=list)

    async def submit(self, client: str = "ann", **options: Any) -> str:
        """A job that was just submitted."""
        made = await asyncio.wrap_future(self.queue.submit(wanted(client, **options)))
        return made.job.id

    async def running(self, job: str, worker: str = "one") -> int:
        """Wait until a worker runs a job; the attempt."""
        await until(lambda: (run := self.workers.runs.get(worker)) and run.job == job)
        return self.workers.running(worker).attempt

    async def state(self, job: str, state: str) -> JobSummary:
        """Wait until a job is in a state."""
        await until(lambda: self.queue.get(job).state == state)
        return self.queue.get(job)

    async def asked(self, job: str, what: str) -> None:
        """Wait until something is asked of a job's worker."""
        await until(lambda: self.workers.asked.get((job, self.queue.get(job).attempt)) == what)

    def kinds(self, job: str) -> list[str]:
        """What is told of a job."""
        return [event.kind for event in self.queue.events_after(0, job=job).events]


@asynccontextmanager
async def dispatching(
    folder: Path, *names: str, start: bool = True, found_here: FoundHere = None, **options: Any
) -> AsyncIterator[Dispatching]:
    """A queue in a folder and a dispatcher with living workers, stopped at the end."""
    with open_queue(folder, **options) as queue:
        workers = ScriptedWorkers(*(names or ("one",)))
        live: list[LiveEvent] = []
        tail = EventTail(queue)
        dispatcher = Dispatcher(queue, tail, live.append, found_here)
        workers.observer = dispatcher
        if start:
            workers.start()
        await dispatcher.start(workers)
        try:
            yield Dispatching(queue, workers, dispatcher, live)
        finally:
            await dispatcher.stop(patience=PATIENCE)
            tail.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run an asynchronous test, with a limit."""
    asyncio.run(asyncio.wait_for(test, 4 * PATIENCE))
