"""The role of a worker: it runs jobs, one after the other, and tells what it holds in memory."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import replace
from threading import Lock

from nodegraph.core.keys import Key
from nodegraph.engine.cache import is_in_memory
from nodegraph.engine.planning.stock import packed
from nodegraph.errors import Problem
from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.jobs.supervisor.message import Message
from nodegraph.jobs.supervisor.messages import Cancel, Ended, EndStatus, Release, RunJob, StockNews
from nodegraph.jobs.worker.event_sender import EventSender
from nodegraph.jobs.worker.faults import told
from nodegraph.jobs.worker.job import Assignment, Jobs
from nodegraph.jobs.worker.pipes import Outbox, hand_on
from nodegraph.jobs.worker.upkeep import StoreUpkeep
from nodegraph.session.session import Session

_MOST = 4096
"""Results that are told of, those that were kept last."""
_LOG = logging.getLogger(__name__)
MOST_AHEAD = 64
"""Jobs that may wait here for the one that runs."""


class Telling:
    """Finds what has changed since it was told last. It costs by what has changed."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._memory = session.engine.shared.cache.memory
        self._memory.changed()
        self._told: dict[Key, None] = {}
        self._weights: list[str] = []

    def news(self) -> StockNews | None:
        """What has changed; None if nothing has."""
        results, gone = {}, []
        for key in self._memory.changed():
            was_told = self._told.pop(key, ...) is None
            entry = self._memory.peek(key)
            if entry is not None and is_in_memory(entry):
                self._told[key] = None
                results[key] = packed(entry)
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
        return StockNews(results, gone, weights)


class JobRunner:
    """Runs the jobs that it is given; see `Role`. Made on the event loop's thread."""

    def __init__(
        self,
        session: Session,
        outbox: Outbox,
        events: EventSender,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._jobs = Jobs(session)
        self._stock = Telling(session)
        self._upkeep = StoreUpkeep(session)
        self._outbox = outbox
        self._events = events
        self._loop = loop
        # Held by whoever changes what this worker has: jobs are taken back from another thread.
        self._changing = Lock()
        self._current: Assignment | None = None
        self._ahead: deque[RunJob] = deque()
        self._is_ending = False
        self._task: asyncio.Task[None] | None = None
        self._is_to_end = asyncio.Event()

    @property
    def job(self) -> str | None:
        current = self._current
        return None if current is None else current.order.job

    def told(self, message: Message) -> None:
        # Jobs are stopped from this thread, as an async node may hold up the event loop.
        if isinstance(message, RunJob):
            self._take(message)
        elif isinstance(message, Cancel):
            self._stop(message, "cancelled")
        elif isinstance(message, Release):
            self._stop(message, "released")

    def _take(self, order: RunJob) -> None:
        with self._changing:
            if self._current is not None and not self._is_ending:
                if len(self._ahead) >= MOST_AHEAD:
                    raise ProtocolFault("more jobs at a time than can be", given=order.job)
                self._ahead.append(order)
                return
            if not self._is_ending:
                self._current = assignment = Assignment(order)
                self._loop.call_soon_threadsafe(self._begin, assignment)
                return
        self._give_back(order, "released")

    def _stop(self, message: Cancel | Release, status: EndStatus) -> None:
        job, attempt = message.job, message.attempt
        with self._changing:
            current = self._current
            if current is not None and current.is_of(job, attempt):
                stop = current.cancel if status == "cancelled" else current.release
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
            current = self._current
            waiting, self._ahead = self._ahead, deque()
        if current is not None:
            current.release(reason)
        for order in waiting:
            self._give_back(order, "released")
        hand_on(self._loop, self._is_to_end.set)

    async def serve(self) -> None:
        await self._is_to_end.wait()
        if self._task is not None:
            await self._task
        await self._upkeep.end()

    def _begin(self, assignment: Assignment) -> None:
        self._task = self._loop.create_task(self._run(assignment))

    async def _run(self, first: Assignment) -> None:
        assignment: Assignment | None = first
        while assignment is not None:
            order = assignment.order
            listener = self._events.begin(order.job, order.attempt)
            ended = await self._jobs.run(assignment, listener)
            # The next job may come as soon as the server hears of this one's end.
            assignment = self._next()
            self._send(ended)
            self._upkeep.plan(self._loop)

    def _next(self) -> Assignment | None:
        with self._changing:
            self._current = Assignment(self._ahead.popleft()) if self._ahead else None
            return self._current

    def _send(self, ended: Ended) -> None:
        left, news = self._events.end(), self._stock.news()
        whole = replace(ended, events=left)
        try:
            # What is in memory comes before the end: a plan that is made then knows of it.
            self._outbox.send(*([] if news is None else [news]), whole)
        except ProtocolFault:
            self._send_apart(news, whole)

    def _send_apart(self, news: StockNews | None, ended: Ended) -> None:
        """As `_send`, where something is too large or can't be sent at all."""
        try:
            self._outbox.send(*([] if news is None else [news]))
        except ProtocolFault as fault:
            _LOG.warning("what is in memory can't be told, plans won't know of it: %s", fault)
        try:
            self._outbox.send(ended)
        except ProtocolFault:
            self._events.send(list(ended.events))
            self._send_alone(replace(ended, events=()))

    def _send_alone(self, ended: Ended) -> None:
        """As `_send`, where it is too large or can't be sent at all."""
        try:
            self._outbox.send(ended)
        except ProtocolFault as fault:
            _LOG.error("what %s gave can't be told: %s", ended.job, fault)
            error = told([Problem("output-failed", f"what the job gave can't be told: {fault}")])
            self._outbox.send(Ended(ended.job, ended.attempt, "failed", error=error))
