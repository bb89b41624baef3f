"""The role of a worker: it runs jobs, and tells what it holds in memory.

It runs one after the other, but for those that it is told to run beside what it has.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections import deque
from dataclasses import replace
from threading import Lock
from time import monotonic

from nodegraph.core.keys import Key
from nodegraph.engine.cache import is_in_memory
from nodegraph.engine.planning.device_memory import pack_entry
from nodegraph.errors import Problem
from nodegraph.jobs.supervisor.errors import ProtocolFault, error_from_problems
from nodegraph.jobs.supervisor.messages import (
    BatchingUpdate,
    Cancel,
    Ended,
    EndStatus,
    MemoryUpdate,
    Release,
    RunJob,
)
from nodegraph.jobs.supervisor.protocol import Message
from nodegraph.jobs.supervisor.worker_spec import MOST_JOBS
from nodegraph.jobs.worker.job import Assignment, Jobs
from nodegraph.jobs.worker.pipes import EventSender, JobEvents, Outbox, call_threadsafe
from nodegraph.session.session import Session

_LOG = logging.getLogger(__name__)

PERIOD = 5.0
"""Seconds."""


class StoreFlusher:
    """Writes what calls took into the store, and reads what other processes wrote.

    So plans made elsewhere know of it, and it doesn't pile up here.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._last = monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def plan(self, loop: asyncio.AbstractEventLoop) -> None:
        """Do it soon, in a thread of its own, if it isn't planned yet."""
        if self._timer is None and (self._task is None or self._task.done()):
            self._timer = loop.call_later(PERIOD, self._begin, loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        self._task = loop.create_task(asyncio.to_thread(self._work))

    async def end(self) -> None:
        """Plan no more, and wait for what goes on."""
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            await self._task

    def if_due(self) -> None:
        """Do it now, unless it was done a moment ago."""
        if monotonic() - self._last >= PERIOD:
            self._work()

    def _work(self) -> None:
        kept = self._session.persistence
        if kept is None:
            return
        try:
            kept.costs.flush()
        except sqlite3.Error as error:
            _LOG.warning("cannot record the cost of calls: %s", error)
        self._last = monotonic()


class BatchingReporter:
    """Tells how many jobs' samplings may go on at once, like the one that goes on now.

    That is as many as share batches at most, and as the device has memory for: none as long as
    nothing samples, as two kinds do, or as sharing batches was seen not to pay.
    """

    def __init__(self, session: Session, outbox: Outbox) -> None:
        self._session = session
        self._outbox = outbox
        # What is told last has to be what is so.
        self._telling = Lock()
        self._told = BatchingUpdate(0, 0, 0)
        if session.merging is not None:
            session.merging.on_change = self._tell

    def _tell(self) -> None:
        merging = self._session.merging
        assert merging is not None
        with self._telling:
            most, memory = self._most()
            news = BatchingUpdate(most, memory, merging.merged)
            if news != self._told:
                self._told = news
                self._outbox.send(news)

    def _most(self) -> tuple[int, int]:
        """How many, and the bytes that each takes."""
        merging = self._session.merging
        at_work = [] if merging is None else merging.active_samplings
        if merging is None or len(at_work) != 1 or not at_work[0].may_join:
            return 0, 0
        room, memory = self._session.room(), at_work[0].memory
        if room is None or not memory:
            return 0, 0
        # Those that go on have taken theirs, or are about to: what is free now has to do for all.
        return min(merging.most, room.free // memory), memory


_MOST = 4096
"""Results that are told of, those that were kept last."""
_LOG = logging.getLogger(__name__)
MOST_AHEAD = 64
"""Jobs that may wait here for the one that runs."""


class MemoryReporter:
    """Finds what has changed since it was told last. It costs by what has changed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._memory = session.engine.shared.cache.memory
        self._memory.take_changed_keys()
        self._told: dict[Key, None] = {}
        self._weights: list[str] = []

    def get_update(self) -> MemoryUpdate | None:
        """What has changed; None if nothing has."""
        results, gone = {}, []
        for key in self._memory.take_changed_keys():
            was_told = self._told.pop(key, ...) is None
            entry = self._memory.peek(key)
            if entry is not None and is_in_memory(entry):
                self._told[key] = None
                results[key] = pack_entry(entry)
            elif was_told:
                gone.append(key)
        while len(self._told) > _MOST:
            key = next(iter(self._told))
            del self._told[key]
            if results.pop(key, None) is None:
                gone.append(key)
        weights = self._session.resident()
        if not results and not gone and weights == self._weights:
            return None
        self._weights = weights
        return MemoryUpdate(results, gone, weights)


class JobRunner:
    """Runs the jobs that it is given; see `Role`. Made on the event loop's thread.

    Attributes:
        memory: What is in memory.
    """

    def __init__(
        self,
        session: Session,
        outbox: Outbox,
        events: EventSender,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._jobs = Jobs(session)
        self.memory = MemoryReporter(session)
        self._upkeep = StoreFlusher(session)
        self._company = BatchingReporter(session, outbox)
        self._outbox = outbox
        self._events = events
        self._loop = loop
        # Held by whoever changes what this worker has: jobs are taken back from another thread.
        self._changing = Lock()
        self._running: list[Assignment] = []
        self._ahead: deque[RunJob] = deque()
        self._is_ending = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_to_end = asyncio.Event()

    @property
    def job(self) -> str | None:
        running = self._running[:1]
        return running[0].order.job if running else None

    def receive(self, message: Message) -> None:
        # Jobs are stopped from this thread, as an async node may hold up the event loop.
        if isinstance(message, RunJob):
            self._take(message)
        elif isinstance(message, Cancel):
            self._stop(message, "cancelled")
        elif isinstance(message, Release):
            self._stop(message, "released")

    def _take(self, order: RunJob) -> None:
        with self._changing:
            if not self._is_ending:
                is_beside = order.beside and len(self._running) < MOST_JOBS
                if self._running and not is_beside:
                    self._put_ahead(order)
                else:
                    assignment = self._taken(order)
                    self._loop.call_soon_threadsafe(self._begin, assignment)
                return
        self._give_back(order, "released")

    def _put_ahead(self, order: RunJob) -> None:
        if len(self._ahead) >= MOST_AHEAD:
            raise ProtocolFault("more jobs at the same time than possible", given=order.job)
        self._ahead.append(order)

    def _taken(self, order: RunJob) -> Assignment:
        assignment = Assignment(order)
        self._running.append(assignment)
        return assignment

    def _stop(self, message: Cancel | Release, status: EndStatus) -> None:
        job, attempt = message.job, message.attempt
        with self._changing:
            for running in self._running:
                if running.is_of(job, attempt):
                    stop = running.cancel if status == "cancelled" else running.release
                    stop(message.reason)
                    return
            waiting = [run for run in self._ahead if (run.job, run.attempt) == (job, attempt)]
            for order in waiting:
                self._ahead.remove(order)
        # If it isn't here, it has ended meanwhile.
        for order in waiting:
            self._give_back(order, status)

    def _give_back(self, order: RunJob, status: EndStatus) -> None:
        """Tell of the end of a job that hasn't begun."""
        self._outbox.send(Ended(order.job, order.attempt, status))

    def end(self, reason: str) -> None:
        with self._changing:
            self._is_ending = True
            running = list(self._running)
            waiting, self._ahead = self._ahead, deque()
        for assignment in running:
            assignment.release(reason)
        for order in waiting:
            self._give_back(order, "released")
        call_threadsafe(self._loop, self._is_to_end.set)

    async def serve(self) -> None:
        await self._is_to_end.wait()
        await asyncio.gather(*self._tasks)
        await self._upkeep.end()

    def _begin(self, assignment: Assignment) -> None:
        task = self._loop.create_task(self._run(assignment))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, first: Assignment) -> None:
        assignment: Assignment | None = first
        while assignment is not None:
            order = assignment.order
            events = self._events.begin(order.job, order.attempt)
            ended = await self._jobs.run(assignment, events)
            # The next job may come as soon as the server hears of this one's end.
            assignment = self._after(assignment)
            self._send(ended, events)
            self._upkeep.plan(self._loop)

    def _after(self, ended: Assignment) -> Assignment | None:
        """The job that comes next, if one waits and no other runs."""
        with self._changing:
            self._running.remove(ended)
            may_begin = self._ahead and not self._running
            return self._taken(self._ahead.popleft()) if may_begin else None

    def _send(self, ended: Ended, events: JobEvents) -> None:
        left, news = events.end(), self.memory.get_update()
        whole = replace(ended, events=left)
        try:
            # What is in memory comes before the end: a plan that is made then knows of it.
            self._outbox.send(*([] if news is None else [news]), whole)
        except ProtocolFault:
            self._send_apart(news, whole, events)

    def _send_apart(self, news: MemoryUpdate | None, ended: Ended, events: JobEvents) -> None:
        """As `_send`, where something is too large or can't be sent at all."""
        try:
            self._outbox.send(*([] if news is None else [news]))
        except ProtocolFault as fault:
            _LOG.warning(
                "the contents of memory cannot be reported, so plans do not include them: %s", fault
            )
        try:
            self._outbox.send(ended)
        except ProtocolFault:
            events.send(list(ended.events))
            self._send_alone(replace(ended, events=()))

    def _send_alone(self, ended: Ended) -> None:
        """As `_send`, where it is too large or can't be sent at all."""
        try:
            self._outbox.send(ended)
        except ProtocolFault as fault:
            _LOG.error("the outputs of %s cannot be reported: %s", ended.job, fault)
            error = error_from_problems(
                [Problem("output-failed", f"the outputs of the job cannot be reported: {fault}")]
            )
            self._outbox.send(Ended(ended.job, ended.attempt, "failed", error=error))
