"""The role of a worker: it runs jobs, one at a time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from nodegraph.errors import Problem
from nodegraph.runner.assignment import Assignment
from nodegraph.runner.event_sender import EventSender
from nodegraph.runner.faults import told
from nodegraph.runner.job import Jobs
from nodegraph.runner.outbox import Outbox
from nodegraph.runner.upkeep import Upkeep
from nodegraph.session import Session
from nodegraph.workers.errors import ProtocolFault
from nodegraph.workers.messages import Cancel, Ended, Message, Release, Run

_LOG = logging.getLogger(__name__)


class Worker:
    """Runs the jobs that it is given; see `Role`. Made on the event loop's thread."""

    def __init__(
        self,
        session: Session,
        outbox: Outbox,
        events: EventSender,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._jobs = Jobs(session)
        self._upkeep = Upkeep(session)
        self._outbox = outbox
        self._events = events
        self._loop = loop
        self._current: Assignment | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_to_end = asyncio.Event()

    @property
    def job(self) -> str | None:
        current = self._current
        return None if current is None else current.order.job

    def told(self, message: Message) -> None:
        # Jobs are stopped from this thread, as an async node may hold up the event loop.
        current = self._current
        if isinstance(message, Run):
            if current is not None:
                raise ProtocolFault("a second job at a time", given=message.job)
            self._current = assignment = Assignment(message)
            self._loop.call_soon_threadsafe(self._begin, assignment)
        elif isinstance(message, Cancel | Release):
            if current is None or not current.is_of(message.job, message.attempt):
                return  # it has ended meanwhile
            if isinstance(message, Cancel):
                current.cancel(message.reason)
            else:
                current.release(message.reason)

    def end(self, reason: str) -> None:
        current = self._current
        if current is not None:
            current.release(reason)
        self._loop.call_soon_threadsafe(self._is_to_end.set)

    async def serve(self) -> None:
        await self._is_to_end.wait()
        if self._task is not None:
            await self._task
        await self._upkeep.end()

    def _begin(self, assignment: Assignment) -> None:
        self._task = self._loop.create_task(self._run(assignment))

    async def _run(self, assignment: Assignment) -> None:
        order = assignment.order
        listener = self._events.begin(order.job, order.attempt)
        ended = await self._jobs.run(assignment, listener)
        # The next job may come as soon as the server hears of this one's end.
        self._current = None
        self._send(ended)
        self._upkeep.plan(self._loop)

    def _send(self, ended: Ended) -> None:
        left = self._events.end()
        try:
            self._outbox.send(replace(ended, events=left))
        except ProtocolFault:
            self._events.send(left)
            self._send_alone(ended)

    def _send_alone(self, ended: Ended) -> None:
        """As `_send`, where it is too large or can't be sent at all."""
        try:
            self._outbox.send(ended)
        except ProtocolFault as fault:
            _LOG.error("what %s gave can't be told: %s", ended.job, fault)
            error = told([Problem("output-failed", f"what the job gave can't be told: {fault}")])
            self._outbox.send(Ended(ended.job, ended.attempt, "failed", error=error))
