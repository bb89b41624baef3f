"""Every job that was taken in ends once, in whatever order workers and servers die."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from nodegraph.jobs.queue import JobQueue
from nodegraph.jobs.queue.job import ENDED
from nodegraph.jobs.supervisor.dispatcher import Dispatcher
from nodegraph.jobs.supervisor.queue_reads import EventTail
from tests.jobs.queue.support import open_queue, wanted
from tests.jobs.supervisor.dispatching import PATIENCE, until
from tests.jobs.supervisor.scripted import ScriptedWorkers, event
from tests.properties import examples

T = TypeVar("T")
WORKERS = ("one", "two", "three")
WORKER = st.sampled_from(WORKERS)
CHOICE = st.integers(0, 1 << 16)
ENDS = {"job.finished", "job.failed", "job.cancelled"}


class Dispatching(RuleBasedStateMachine):
    """A server with workers, both of which come and go; the queue's file stays."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name)
        self.jobs: list[str] = []
        self.deaths: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.retries: Counter[str] = Counter()
        self.cancelled: set[str] = set()
        self.done: dict[str, int] = {}
        """Attempts that have finished, and whose server has lived on since."""
        self.other: sqlite3.Connection | None = None
        self.open()

    # The server.

    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.queue: JobQueue = open_queue(self.path, patience=0.005)
        self.workers = ScriptedWorkers(*WORKERS)
        self.wait(self.start())

    async def start(self) -> None:
        self.tail = EventTail(self.queue)
        self.dispatcher = Dispatcher(self.queue, self.tail, lambda _: None)
        self.workers.observer = self.dispatcher
        await self.dispatcher.start(self.workers)
        self.workers.start()

    def wait(self, what: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(what, 2 * PATIENCE))

    def close(self) -> None:
        # The queue's thread first: then nobody speaks to the loop any more.
        self.queue.close()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    def teardown(self) -> None:
        try:
            self.wait(self.all_end())
            self.wait(self.dispatcher.stop())
            self.check()
        finally:
            self.unlock_now()
            self.close()
            self.folder.cleanup()

    @initialize(count=st.integers(0, 5))
    def begin(self, count: int) -> None:
        self.submit(count, False, False)

    @rule(is_meant=st.sampled_from([False, False, True]))
    def kill_server(self, is_meant: bool) -> None:
        """What was put is committed or not, and nothing else is done."""
        if not is_meant:
            return
        self.done.clear()
        self.unlock_now()
        self.tail.close()
        self.close()
        self.open()

    @rule(is_meant=st.sampled_from([False, False, True]))
    def stop_server(self, is_meant: bool) -> None:
        if not is_meant:
            return
        self.unlock_now()
        self.wait(self.dispatcher.stop(PATIENCE))
        assert self.dispatcher.status.unwritten == 0
        assert self.queue.counts().running == 0
        self.tail.close()
        self.close()
        self.open()

    @rule(seconds=st.sampled_from([0.0, 0.001, 0.004]))
    def pass_time(self, seconds: float) -> None:
        self.wait(asyncio.sleep(seconds))

    @rule()
    def settle(self) -> None:
        """Everything that was put is told."""
        self.ask(self.queue.recover())
        self.wait(asyncio.sleep(0.001))

    # The disk.

    @precondition(lambda self: self.other is None)
    @rule()
    def lock(self) -> None:
        other = sqlite3.connect(self.queue.location, isolation_level=None, timeout=PATIENCE)
        other.execute("BEGIN IMMEDIATE")
        self.other = other

    @precondition(lambda self: self.other is not None)
    @rule()
    def unlock(self) -> None:
        self.unlock_now()

    def unlock_now(self) -> None:
        if self.other is not None:
            self.other.close()
            self.other = None

    @precondition(lambda self: self.other is None)
    @rule(
        choice=CHOICE,
        what=st.sampled_from(["worker_finishes", "worker_fails", "worker_obeys", "worker_dies"]),
    )
    def end_while_locked(self, choice: int, what: str) -> None:
        """An attempt ends, and that can't be written at first."""
        # Nothing that is drawn may depend on how quick the machine is, so this may be for nothing.
        self.wait(asyncio.sleep(0.005))
        busy = self.workers.busy()
        if not busy:
            return
        self.lock()
        getattr(self, what)(busy[choice % len(busy)])
        self.wait(asyncio.sleep(0.015))
        self.unlock_now()

    # The workers.

    @rule(worker=WORKER)
    def start_worker(self, worker: str) -> None:
        self.in_loop(lambda: self.workers.start(worker))

    @rule(worker=WORKER)
    def worker_dies(self, worker: str) -> None:
        if worker in self.workers.runs:
            run = self.workers.runs[worker]
            self.deaths.update([] if run is None else [run.job])
            self.in_loop(lambda: self.workers.die(worker))

    @rule(worker=WORKER, count=st.integers(1, 3))
    def worker_tells(self, worker: str, count: int) -> None:
        if worker in self.workers.busy():
            told = [event(at) for at in range(count)]
            self.in_loop(lambda: self.workers.tell(worker, *told))

    @rule(worker=WORKER)
    def worker_finishes(self, worker: str) -> None:
        if worker in self.workers.busy():
            run = self.workers.running(worker)
            self.done[run.job] = run.attempt
            self.in_loop(lambda: self.workers.finish(worker, event(9)))

    @rule(worker=WORKER)
    def worker_fails(self, worker: str) -> None:
        if worker in self.workers.busy():
            self.failures[self.workers.running(worker).job] += 1
            self.in_loop(lambda: self.workers.end(worker, "failed", error={"code": "x"}))

    @rule(worker=WORKER)
    def worker_obeys(self, worker: str) -> None:
        if worker in self.workers.busy():
            self.in_loop(lambda: self.workers.obey(worker))

    def in_loop(self, act: Any) -> None:
        async def done() -> None:
            act()

        self.wait(done())

    # The people.

    def ask(self, future: Any) -> Any:
        """What the queue answers; None if it refuses."""

        async def answer() -> Any:
            (found,) = await asyncio.gather(asyncio.wrap_future(future), return_exceptions=True)
            return None if isinstance(found, Exception) else found

        return self.wait(answer())

    @rule(
        count=st.integers(1, 4),
        held=st.sampled_from([False, False, False, True]),
        is_claimed=st.booleans(),
    )
    def submit(self, count: int, held: bool, is_claimed: bool) -> None:
        """Jobs come from this server, which claims them in the same commit, or from elsewhere."""

        async def put() -> list[Any]:
            target = self.dispatcher if is_claimed else self.queue
            futures = [target.submit(wanted(held=held)) for _ in range(count)]
            answers = map(asyncio.wrap_future, futures)
            return await asyncio.gather(*answers, return_exceptions=True)

        answers = self.wait(put())
        self.jobs += [made.job.id for made in answers if not isinstance(made, Exception)]

    def some(self, choice: int) -> str:
        return self.jobs[choice % len(self.jobs)]

    @precondition(lambda self: self.jobs)
    @rule(choice=CHOICE)
    def cancel(self, choice: int) -> None:
        job = self.some(choice)
        if self.ask(self.queue.cancel(job)) is not None:
            self.cancelled.add(job)

    @precondition(lambda self: self.jobs)
    @rule(choice=CHOICE, what=st.sampled_from(["hold", "unhold"]))
    def hold(self, choice: int, what: str) -> None:
        self.ask(getattr(self.queue, what)(self.some(choice)))

    @precondition(lambda self: self.jobs)
    @rule(choice=CHOICE)
    def retry(self, choice: int) -> None:
        job = self.some(choice)
        if self.ask(self.queue.retry(job)) is not None:
            self.retries[job] += 1

    @rule(what=st.sampled_from(["pause", "resume", "resume"]))
    def pause(self, what: str) -> None:
        self.ask(getattr(self.queue, what)())

    # The end.

    async def all_end(self) -> None:
        """Everything is in order again, and every job ends."""
        self.unlock_now()
        await asyncio.wrap_future(self.queue.resume())
        self.workers.start()
        await until(self.has_ended)

    def has_ended(self) -> bool:
        self.workers.start()  # those that were ended to be new for a job
        for worker in self.workers.busy():
            self.workers.obey(worker)
        for worker in self.workers.busy():
            self.workers.finish(worker)
        left = [job for job in self.jobs if self.queue.get(job).state not in ENDED]
        for job in left:
            if self.queue.get(job).held:
                self.queue.unhold(job)
        return not left

    def check(self) -> None:
        for job in self.jobs:
            found = self.queue.get(job)
            kinds = Counter(event.kind for event in self.queue.events_after(0, job=job).events)
            assert sum(kinds[kind] for kind in ENDS) == 1 + self.retries[job]
            assert kinds["job.queued"] == 1
            assert kinds[f"job.{found.state}"] >= 1
            if job in self.done:
                # Nothing that was done is done again.
                assert (found.state, found.attempt) == ("finished", self.done[job])
            if found.state == "finished":
                assert found.outputs == {"by": found.attempt}
            elif found.state == "cancelled":
                assert job in self.cancelled
            else:
                assert self.failures[job] or self.deaths[job] >= 3
        assert self.queue.counts().running == 0


TestDispatching = Dispatching.TestCase
TestDispatching.settings = settings(
    max_examples=examples(40), stateful_step_count=40, deadline=None
)
