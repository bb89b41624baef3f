"""Compute along with another worker's job: what can be shared, and whether it pays.

A helper runs the same workflow without nodes that act on the world. Equal calls run once across
processes, so each helper takes calls that nobody has begun, for example branches or list items,
and the run finds the results in the store. A helper stops when it gets its own job, which begins
after the current step.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING

from nodegraph.core.events import Event, Listener
from nodegraph.core.file_access import uploaded_paths
from nodegraph.core.graph import CheckedGraph, GraphNode
from nodegraph.core.workflow import Workflow
from nodegraph.engine.planning.plan import NodePlan, Plan
from nodegraph.errors import NodegraphError
from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.jobs.supervisor.messages import Help, HelpStatus, HelpUpdate, RunJob, StopHelp
from nodegraph.jobs.supervisor.protocol import Message
from nodegraph.jobs.worker.job import Assignment, Jobs
from nodegraph.jobs.worker.job_runner import JobRunner
from nodegraph.jobs.worker.pipes import EventSender, JobEvents, NoNotes, Outbox
from nodegraph.session.session import Session

if TYPE_CHECKING:
    from nodegraph.core.catalog import Catalog
    from nodegraph.core.workflow import Workflow

_LEAST = 1.0
"""Seconds that are worth the stir."""
_UNKNOWN = 3600.0
"""Seconds in the place of those that nobody knows: what may take long is worth trying."""


def shared_targets(graph: CheckedGraph, *, bodies_act: bool) -> list[str]:
    """What others may compute for a run: all that its sinks need, as far as that acts on nothing.

    Left out is, too, what comes out otherwise each time, and what is made of it.

    Args:
        bodies_act: Whether a subgraph that nodes run for each item may act on the world.
    """
    own: set[str] = set()
    for name, item in graph.nodes.items():
        is_own = not item.is_repeatable or (bodies_act and item.spec.body is not None)
        if is_own or any(source.node in own for source in item.links.values()):
            own.add(name)
    needed = {source.node for name in own for source in graph.nodes[name].links.values()}
    wanted = needed.union(target.partition(".")[0] for target in graph.targets)
    return [name for name in graph.nodes if name in wanted and name not in own]


def bodies_have_sinks(workflow: Workflow, catalog: Catalog) -> bool:
    """Whether a subgraph of a workflow holds a node that acts on the world."""
    return any(
        (spec := catalog.spec(entry.type)) is not None and spec.output
        for block in workflow.subgraphs.values()
        for entry in block.nodes.values()
    )


def bodies_compute(workflow: Workflow, catalog: Catalog) -> bool:
    """Whether a subgraph of a workflow holds a node that computes on the device."""
    return any(
        (spec := catalog.spec(entry.type)) is not None and spec.lane == "gpu"
        for block in workflow.subgraphs.values()
        for entry in block.nodes.values()
    )


def saved_seconds(graph: CheckedGraph, plan: Plan, *, bodies_compute: bool) -> float:
    """What two devices spare at most of what one takes; 0 where all of it comes in a row.

    What takes no device doesn't count: a process does several things of that kind at once.

    Args:
        plan: Of what others may compute.
        bodies_compute: Whether a subgraph that nodes run for each item computes on the device.
    """
    work = longest = 0.0
    until: dict[str, float] = {}
    for name, node in graph.nodes.items():
        whole, step = _weight(node, plan.nodes.get(name), bodies_compute=bodies_compute)
        before = max((until[source.node] for source in node.links.values()), default=0.0)
        until[name] = before + step
        work += whole
        longest = max(longest, until[name])
    return work - max(longest, work / 2)


def _weight(node: GraphNode, plan: NodePlan | None, *, bodies_compute: bool) -> tuple[float, float]:
    """Seconds on the device of all of a node's calls, and of those that come in a row."""
    runs_body = bodies_compute and node.spec.body is not None
    if plan is None or plan.status != "run" or not (runs_body or node.spec.lane == "gpu"):
        return 0.0, 0.0
    # Of a list whose length isn't known, two items are as good a guess as any.
    calls = 2 if plan.calls is None or runs_body else max(1, plan.calls - plan.cached)
    whole = _UNKNOWN * calls if plan.seconds is None else plan.seconds
    return whole, whole / calls


def is_worthwhile(spared: float) -> bool:
    """Whether what is spared is worth asking anybody."""
    return spared > _LEAST


def is_helpful(plan: Plan, spared: float) -> bool:
    """Whether a worker would be of help: by what it has to load, and its device's memory.

    Args:
        plan: Of that worker, of what it would compute.
        spared: Seconds.
    """
    # With a small footprint results may differ, so that they are nobody else's.
    has_room = all(node.fit not in ("small", "none") for node in plan.nodes.values())
    return has_room and spared > plan.totals.load_seconds


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
            helping.assignment.cancel("a job is running")
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
            _LOG.warning("cannot help with %s: %s", helping.help.job, error)
        finally:
            self._end(helping, status)

    def _end(self, helping: _Helping, status: HelpStatus) -> None:
        news = self._runner.memory.get_update()
        try:
            if news is not None:
                self._outbox.send(news)
        except ProtocolFault as fault:
            _LOG.warning("the contents of memory cannot be reported: %s", fault)
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
