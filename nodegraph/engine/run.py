"""One run of a graph: decides what is ready, in which order, and when it is over.

Everything here happens on the event loop's thread; only a node's own function runs in a lane's.
What the cache holds is settled in the same turn, without a task or a thread per node.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import Any

from nodegraph.core.events import EventStream
from nodegraph.core.graph import Graph
from nodegraph.engine.artifact import Artifact
from nodegraph.engine.calls import Calls
from nodegraph.engine.cancel import CancelToken
from nodegraph.engine.failure import node_failure
from nodegraph.engine.invoke import Invoker
from nodegraph.engine.mapping import Nested, gather, spread
from nodegraph.engine.result import JobStatus, NodeStatus, RunResult, WrittenFile
from nodegraph.engine.shared import Shared
from nodegraph.engine.states import Call, NodeState
from nodegraph.errors import InvalidValue, NodeFailed

_TURN = 256
"""Nodes settled in one turn of the event loop, so that a long cached graph doesn't hold it up."""


class Run:
    """The scheduler of one run; made and used on a running event loop."""

    def __init__(
        self,
        shared: Shared,
        graph: Graph,
        events: EventStream,
        cancel: CancelToken,
        workflow: Mapping[str, Any],
    ) -> None:
        self.shared = shared
        self.events = events
        self.cancel = cancel
        self.files: list[WrittenFile] = []
        self.states: dict[str, NodeState] = {}
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self.calls = Calls(self, Invoker(self, workflow), self._loop)
        self._targets = graph.targets
        self._ready: deque[NodeState] = deque()
        self._ended: list[NodeState] = []
        self._open = 0
        self._pump_planned = False
        self.add(graph)

    async def execute(self) -> RunResult:
        """Run to the end; see `Engine.run`."""
        start = monotonic()
        with self.cancel.telling(partial(self._loop.call_soon_threadsafe, self._stop)):
            self.events.emit("job.started", nodes=len(self.states), targets=list(self._targets))
            for target in self._targets:
                self.demand(target)
            if self._open:
                await self._end()
        result = self._result(monotonic() - start)
        closing = {"ok": "finished", "failed": "failed", "cancelled": "cancelled"}
        self.events.emit(f"job.{closing[result.status]}", seconds=result.seconds)  # type: ignore[arg-type]
        return result

    async def _end(self) -> None:
        """Wait until every node has ended, also where the waiting task is cancelled meanwhile."""
        try:
            await asyncio.shield(self._over)
        except asyncio.CancelledError:
            self.cancel.cancel()
            await self._over
            raise

    def _stop(self) -> None:
        with self.no_hanging():
            self.calls.stop()
            self._plan_pump()

    # What there is to run

    def add(self, graph: Graph, *, within: NodeState | None = None) -> None:
        """Take a graph's nodes in; its targets' outputs stay until `let_go`.

        Args:
            within: The node that expanded into the graph.
        Raises:
            InvalidValue: There are nodes of these names already.
        """
        taken = [name for name in graph.nodes if name in self.states]
        if taken:
            raise InvalidValue(f"there is a node `{taken[0]}` already", hint="Rename one of them.")
        level = within.level + 1 if within else 0
        depth = within.depth if within else 0
        for name, item in graph.nodes.items():
            self.states[name] = NodeState(item, depth=depth, level=level)
        kept = frozenset(graph.targets)
        for name in reversed(tuple(graph.nodes)):
            state = self.states[name]
            state.consumers += name in kept
            for source in state.sources:
                upstream = self.states[source]
                upstream.consumers += 1
                upstream.depth = max(upstream.depth, state.depth + 1)

    def demand(self, name: str) -> NodeState:
        """See to it that a node and what it needs are run."""
        waiting = [name]
        while waiting:
            state = self.states[waiting.pop()]
            if state.demanded:
                continue
            state.demanded = True
            self._open += 1
            for source in state.eager_sources:
                upstream = self.states[source]
                if upstream.status is None:
                    upstream.followers.append(state)
                    state.waiting += 1
                    waiting.append(source)
            if not state.waiting:
                self._ready.append(state)
        self._plan_pump()
        return self.states[name]

    # The loop

    def _plan_pump(self) -> None:
        if self._ready and not self._pump_planned:
            self._pump_planned = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_planned = False
        with self.no_hanging():
            for _ in range(_TURN):
                if not self._ready:
                    return
                self._start(self._ready.popleft())
            self._plan_pump()

    @contextmanager
    def no_hanging(self) -> Iterator[None]:
        """A fault of the scheduler's own ends the run with it, rather than let it wait for ever."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, `execute` raises it
            if not self._over.done():
                self._over.set_exception(error)

    def _start(self, state: NodeState) -> None:
        if self.cancel.is_set:
            self.end(state, "cancelled")
            return
        if not all(self.states[source].has_outputs for source in state.eager_sources):
            self.end(state, "skipped")
            return
        inputs: dict[str, Artifact] = {}
        try:
            for port in state.node.links:
                if port not in state.lazy_ports:
                    inputs[port] = self.linked(state, port)
            state.base = self.shared.base_of(state.node)
            state.calls = self._calls(state, inputs)
        except Exception as error:  # noqa: BLE001 - pack code's values and digest functions
            self._fail(state, node_failure(Call(state, state.node.name, inputs), error))
            return
        self._begin_calls(state, state.calls)

    def _begin_calls(self, state: NodeState, calls: Nested[Call]) -> None:
        leaves = list(calls.leaves())
        state.open_calls = len(leaves)
        if not leaves:
            self._gather(state)
        elif state.node.spec.output:
            # One after the other: files are numbered in the order of the list.
            state.queue.extend(leaves[1:])
            self.calls.begin(leaves[0])
        else:
            for call in leaves:
                self.calls.begin(call)

    def linked(self, state: NodeState, port: str) -> Artifact:
        """The value of a linked input whose source has ended, as the link hands it on."""
        source = state.node.links[port]
        artifact = self.states[source.node].output(source.port)
        return artifact if source.fit.map_depth else artifact.converted(source.fit.conversions)

    def _calls(self, state: NodeState, inputs: dict[str, Artifact]) -> Nested[Call]:
        if not state.node.map_depth:
            return Nested(Call(state, state.node.name, inputs))
        depths = {port: state.node.links[port].fit.map_depth for port in inputs}
        return self._named_calls(state, spread(inputs, depths), state.node.name)

    def _named_calls(
        self, state: NodeState, spreaded: Nested[dict[str, Artifact]], name: str
    ) -> Nested[Call]:
        if spreaded.branches is not None:
            branches = [
                self._named_calls(state, branch, f"{name}[{at}]")
                for at, branch in enumerate(spreaded.branches)
            ]
            return Nested(branches=tuple(branches))
        assert spreaded.leaf is not None
        links = state.node.links
        inputs = {
            port: artifact.converted(links[port].fit.conversions)
            if links[port].fit.map_depth
            else artifact
            for port, artifact in spreaded.leaf.items()
        }
        return Nested(Call(state, name, inputs))

    # The end of a node

    def call_ended(self, call: Call) -> None:
        """A call has outputs, or never will."""
        state = call.state
        state.open_calls -= 1
        if self.cancel.is_set:
            state.open_calls -= len(state.queue)
            state.queue.clear()
        if state.queue:
            self._loop.call_soon(self._begin_next, state)
        elif not state.open_calls:
            self._gather(state)

    def _begin_next(self, state: NodeState) -> None:
        with self.no_hanging():
            self.calls.begin(state.queue.popleft())

    def _gather(self, state: NodeState) -> None:
        assert state.calls is not None
        calls = list(state.calls.leaves())
        if state.error is not None:
            self._fail(state, state.error)
        elif any(call.outputs is None for call in calls):
            self.end(state, "cancelled" if self.cancel.is_set else "skipped")
        else:
            outputs = _outputs(state.calls)
            state.artifacts = gather(outputs, len(state.node.spec.outputs))
            state.is_repeatable = all(call.is_repeatable for call in calls)
            every = bool(calls) and all(call.was_cached for call in calls)
            self.end(state, "cached" if every else "ran")

    def _fail(self, state: NodeState, error: NodeFailed) -> None:
        """A node ends with an error; what depends on it will be skipped."""
        state.error = error
        self.end(state, "failed")

    def end(self, state: NodeState, status: NodeStatus) -> None:
        """A node has ended, whatever way."""
        state.status = status
        state.forget_calls()
        self._ended.append(state)
        self._tell(state, status)
        for follower in state.followers:
            follower.waiting -= 1
            if not follower.waiting:
                self._ready.append(follower)
        for watcher in state.watchers:
            watcher()
        self._release(state)
        self._open -= 1
        if not self._open and not self._over.done():
            self._over.set_result(None)
        self._plan_pump()

    def _tell(self, state: NodeState, status: NodeStatus) -> None:
        if not self.events.is_watched:
            return
        name = state.node.name
        if status == "cached":
            self.events.emit("node.cached", name)
        elif status == "ran":
            report = state.report()
            self.events.emit(
                "node.finished",
                name,
                seconds=report.seconds,
                calls=report.calls,
                cached=report.cached,
            )
        elif status == "failed":
            assert state.error is not None
            self.events.emit("node.failed", name, **state.error.problem.about_node())
        else:
            self.events.emit("node.skipped", name, reason=status)

    def _release(self, state: NodeState) -> None:
        """Let go of what this node was the last to use, and of branches that nobody took."""
        if not state.consumers:
            state.artifacts = None
        ended = [state]
        while ended:
            for source in ended.pop().sources:
                upstream = self.states[source]
                upstream.used()
                if not upstream.consumers and not upstream.demanded:
                    ended.append(upstream)

    def let_go(self, states: Sequence[NodeState]) -> None:
        """Somebody outside the graph who kept these nodes' outputs needs them no more."""
        for state in states:
            state.used()

    # The end of the run

    def _result(self, seconds: float) -> RunResult:
        outputs = {}
        for name in self._targets:
            state = self.states[name]
            for port, artifact in zip(state.node.spec.outputs, state.artifacts or (), strict=False):
                outputs[f"{name}.{port.name}"] = artifact.value
        errors = tuple(state.error for state in self._ended if state.error is not None)
        return RunResult(
            self._status(),
            outputs,
            tuple(self.files),
            {state.node.name: state.report() for state in self._ended},
            errors,
            seconds,
        )

    def _status(self) -> JobStatus:
        statuses = {state.status for state in self._ended}
        if "cancelled" in statuses:
            return "cancelled"
        return "failed" if "failed" in statuses else "ok"


def _outputs(calls: Nested[Call]) -> Nested[tuple[Artifact, ...]]:
    if calls.branches is not None:
        return Nested(branches=tuple(_outputs(branch) for branch in calls.branches))
    assert calls.leaf is not None
    assert calls.leaf.outputs is not None
    return Nested(calls.leaf.outputs)
