"""A worker without a job computes along with one that another worker has.

It stops as soon as it is given a job of its own, which begins once that step is over.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from threading import Lock

from nodegraph.core.events import Event, Listener
from nodegraph.core.uploads import uploaded_paths
from nodegraph.core.workflow import Workflow
from nodegraph.errors import NodegraphError
from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.jobs.supervisor.message import Message
from nodegraph.jobs.supervisor.messages import Help, HelpStatus, HelpUpdate, RunJob, StopHelp
from nodegraph.jobs.worker.event_sender import EventSender, JobEvents, NoNotes
from nodegraph.jobs.worker.job import Assignment, Jobs
from nodegraph.jobs.worker.job_runner import JobRunner
from nodegraph.jobs.worker.pipes import Outbox
from nodegraph.jobs.worker.sharing import (
    bodies_compute,
    bodies_have_sinks,
    is_helpful,
    is_worthwhile,
    saved_seconds,
    shared_targets,
)
from nodegraph.session.session import Session

_LOG = logging.getLogger(__name__)
_UNTOLD = frozenset({"node.preview", "node.wrote", "log"})
"""Kinds of events that say nothing of whether it goes on."""


@dataclass
class _Helping:
    """Help with one job.

    Attributes:
        waiting: What was said meanwhile to whoever runs jobs here.
    """

    help: Help
    assignment: Assignment
    waiting: list[Message] = field(default_factory=list)

    @property
    def status(self) -> HelpStatus:
        """How it has ended."""
        return "over" if self.assignment.ending is None else "stopped"


class HelperRunner:
    """Hands jobs on to a `JobRunner`, and helps with others' while that has none; see `Role`."""

    def __init__(
        self,
        runner: JobRunner,
        session: Session,
        outbox: Outbox,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._runner = runner
        self._session = session
        self._outbox = outbox
        self._loop = loop
        self._jobs = Jobs(session)
        # The supervisor sees by them that it goes on. No node is blamed for a death.
        self._events = EventSender(outbox, NoNotes())
        self._has_begun = False
        self._changing = Lock()
        self._helping: _Helping | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def job(self) -> str | None:
        return self._runner.job

    @property
    def is_busy(self) -> bool:
        """Whether it has a job, or helps with one."""
        return self._helping is not None or self.job is not None

    def receive(self, message: Message) -> None:
        if isinstance(message, Help):
            self._help(message)
        elif isinstance(message, StopHelp):
            self._stop(message)
        elif not self._is_put_off(message):
            self._runner.receive(message)

    def _is_put_off(self, message: Message) -> bool:
        """Whether what is said to the runner has to wait for the end of helping, which is soon."""
        with self._changing:
            helping = self._helping
            if helping is None:
                return False
            helping.waiting.append(message)
        if isinstance(message, RunJob):
            helping.assignment.cancel("there is a job")
        return True

    def _help(self, message: Help) -> None:
        order = RunJob(message.job, message.attempt, **message.order)
        helping = _Helping(message, Assignment(order))
        with self._changing:
            if not self.is_busy:
                self._helping = helping
                self._loop.call_soon_threadsafe(self._begin, helping)
                return
        self._tell(message, "stopped")

    def _stop(self, message: StopHelp) -> None:
        helping = self._helping
        if helping is not None and helping.assignment.is_of(message.job, message.attempt):
            helping.assignment.cancel(message.reason)

    def _tell(self, help: Help, status: HelpStatus) -> None:
        self._outbox.send(HelpUpdate(help.job, help.attempt, status))

    def _begin(self, helping: _Helping) -> None:
        self._task = self._loop.create_task(self._run(helping))

    async def _run(self, helping: _Helping) -> None:
        status: HelpStatus = "unfit"
        try:
            status = await self._computed(helping)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the job itself comes to it, and tells
            _LOG.warning("can't help with %s: %s", helping.help.job, error)
        finally:
            self._end(helping, status)

    def _end(self, helping: _Helping, status: HelpStatus) -> None:
        news = self._runner.memory.get_update()
        try:
            if news is not None:
                self._outbox.send(news)
        except ProtocolFault as fault:
            _LOG.warning("what is in memory can't be told: %s", fault)
        self._tell(helping.help, status)
        with self._changing:
            self._helping = None
            # Inside, as what is said from now on comes after it.
            for message in helping.waiting:
                self._runner.receive(message)

    async def _computed(self, helping: _Helping) -> HelpStatus:
        order = helping.assignment.order
        prepared = self._prepared(order)
        if isinstance(prepared, str):
            return prepared
        if helping.assignment.ending is not None:
            return "stopped"
        self._tell(helping.help, "begun")
        helping.assignment.order = prepared
        events = self._begun(prepared)
        try:
            await self._jobs.run(helping.assignment, self._listener(events))
        finally:
            events.end()
        return helping.status

    def _begun(self, order: RunJob) -> JobEvents:
        if not self._has_begun:
            self._has_begun = True
            self._events.start()
        return self._events.begin(order.job, order.attempt)

    def _listener(self, take: Listener) -> Listener:
        def tell(event: Event) -> None:
            if event.kind not in _UNTOLD:
                take(event)

        return tell

    def _prepared(self, order: RunJob) -> RunJob | HelpStatus:
        """What of a job can be computed here; else why there is nothing, in a word."""
        session = self._session
        kept = session.persistence
        if kept is None or kept.claims is None or not kept.claims.is_shared:
            return "unfit"
        session.refresh()
        try:
            workflow = Workflow.from_json(order.workflow).with_parameters(order.parameters)
            uploads = session.settings.uploads
            granted = uploaded_paths(order.workflow, order.parameters, uploads) if uploads else ()
            graph = session.graph(workflow, targets=order.targets, granted=granted)
        except NodegraphError:
            return "unfit"
        targets = shared_targets(graph, bodies_act=bodies_have_sinks(workflow, session.registry))
        if not targets:
            return "useless"
        plan = session.plan(workflow, targets=targets, granted=granted)
        computing = bodies_compute(workflow, session.registry)
        spared = saved_seconds(graph, plan, bodies_compute=computing)
        if not is_worthwhile(spared):
            return "useless"
        return replace(order, targets=targets) if is_helpful(plan, spared) else "unfit"

    def end(self, reason: str) -> None:
        with self._changing:
            helping = self._helping
            if helping is not None:
                helping.assignment.cancel(reason)
        self._runner.end(reason)

    async def serve(self) -> None:
        await self._runner.serve()
        if self._task is not None:
            await self._task
