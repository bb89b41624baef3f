"""Scheduler of one run: which nodes are ready, in which order, and when the run is over.

Everything here happens on the event loop's thread; only a node's own function runs in a lane's.
What the cache holds is settled in the same turn, without a task or a thread per node.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from contextvars import copy_context
from functools import partial
from itertools import count
from operator import is_
from threading import Lock
from time import monotonic
from typing import Any
from uuid import uuid4

from nodegraph.core.context import NESTING
from nodegraph.core.digests import Digest
from nodegraph.core.events import EventStream
from nodegraph.core.garbage_collection import PausedGC
from nodegraph.core.graph import CheckedGraph, GraphNode
from nodegraph.engine.calls import Calls
from nodegraph.engine.external_reads import LocalReads
from nodegraph.engine.external_results import TargetValues
from nodegraph.engine.lanes import Share
from nodegraph.engine.options import CancelToken, RunOptions
from nodegraph.engine.product import Product
from nodegraph.engine.result import (
    JobStatus,
    NodeReports,
    NodeStatus,
    OutputValues,
    PassedProducts,
    RunResult,
    WrittenFile,
)
from nodegraph.engine.run_graph import GraphReads, nodes_before
from nodegraph.engine.runtime import EngineState, FaultGuard, Pumping
from nodegraph.engine.states import Call, Nested, NodeState, gather_calls, node_failure, spread
from nodegraph.errors import InvalidValue, NodeFailed

_UNKNOWN = 0.001
"""Seconds that a node is taken to need of which nothing is known."""
_TURN = 0.02
"""Seconds of a turn, so that settling a long cached graph doesn't hold the event loop up.

In much shorter ones garbage is looked for so often that in a graph of 100,000 nodes it costs as
much as the nodes.
"""
_AT_ONCE = 64
"""Nodes settled between two looks at the clock."""


class Run:
    """The scheduler of one run; made and used on a running event loop. See `Engine.run`."""

    def __init__(
        self,
        shared: EngineState,
        graph: CheckedGraph,
        options: RunOptions,
        workflow: Mapping[str, Any],
        run_id: str = "",
    ) -> None:
        self.shared = shared
        self.events = EventStream(options.listener, previews=options.previews)
        self.cancel = options.cancel or CancelToken()
        self.share = options.share or Share()
        self.id = run_id or uuid4().hex
        self.nesting = NESTING.get()
        self.check_mutation = options.check_mutation
        # One call at a time, so that who changes something is told from who runs beside.
        self.alone: AbstractContextManager[object] = (
            Lock() if self.check_mutation else nullcontext()
        )
        self.pin: Callable[[Iterable[Product]], None] = lambda products: None
        self.files: list[WrittenFile] = []
        self.states: dict[str, NodeState] = {}
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._fault_guard = FaultGuard(self._over)
        self.calls = Calls(self, workflow, self._loop)
        self._deadline = options.deadline
        self._targets = graph.targets
        self._stand_ins = graph.output_aliases
        self._wanted = TargetValues(self, graph.targets, self._loop, values=options.values)
        self._ready: deque[NodeState] = deque()
        self._ended: dict[str, NodeState] = {}
        self._open = 0
        self._pump_planned = False
        self._was_paused = False
        self.add(graph)
        self._stood_in = len(graph.values)
        for name, product in graph.values.items():
            self._stand_in(name, product)

    async def execute(self) -> RunResult:
        """Run to the end; see `Engine.run`."""
        start = monotonic()
        with ExitStack() as stack:
            context = copy_context()
            tell = partial(self._loop.call_soon_threadsafe, self._control_changed, context=context)
            nodes = len(self.states) - self._stood_in
            self.events.emit("job.started", nodes=nodes, targets=list(self._targets))
            stack.enter_context(self.cancel.on_change(tell))
            self.pin = stack.enter_context(self.shared.cache.pinning())
            if self._deadline is not None:
                reason = f"deadline of {self._deadline:g} s passed"
                timer = self._loop.call_later(self._deadline, self.cancel.cancel, reason)
                stack.callback(timer.cancel)
            with PausedGC():
                for target in self._targets:
                    self.demand(target)
            if self._open or self._wanted.fetch():
                await self._end()
        with PausedGC():
            result = self._result(monotonic() - start)
            # The result holds them from here on: what is left of a run waits for the collector.
            self.release_outputs([self.states[name] for name in self._targets])
        closing = {"ok": "finished", "failed": "failed", "cancelled": "cancelled"}
        because = {"reason": result.reason} if result.reason else {}
        self.events.emit(f"job.{closing[result.status]}", seconds=result.seconds, **because)  # type: ignore[arg-type]
        return result

    async def _end(self) -> None:
        """Wait until every node has ended, also where the waiting task is cancelled meanwhile."""
        try:
            await asyncio.shield(self._over)
        except asyncio.CancelledError:
            self.cancel.cancel()
            await self._over
            raise

    def _control_changed(self) -> None:
        """The run was cancelled, paused or resumed."""
        with self.end_on_fault():
            if self.cancel.is_set:
                self.shared.lanes.release(self)
                self.calls.stop()
            elif self.cancel.is_paused and not self._was_paused:
                self._was_paused = True
                self.shared.lanes.hold(self)
                self.events.emit("job.paused")
            elif not self.cancel.is_paused and self._was_paused:
                self._was_paused = False
                self.shared.lanes.release(self)
                self.events.emit("job.resumed")
                self.calls.resume()
            self._plan_pump()

    # What there is to run

    def add(self, graph: CheckedGraph, *, within: NodeState | None = None) -> None:
        """Take a graph's nodes in; its targets' outputs stay until `release_outputs`.

        Args:
            within: The node that expanded into the graph.
        Raises:
            InvalidValue: There are nodes of these names already.
        """
        taken = [name for name in graph.nodes if name in self.states]
        if taken:
            raise InvalidValue(f"there is already a node `{taken[0]}`", hint="Rename one of them.")
        with PausedGC():
            self._add(graph, within)

    def _add(self, graph: CheckedGraph, within: NodeState | None) -> None:
        level = within.level + 1 if within else 0
        depth = within.depth if within else 0.0
        for name, item in graph.nodes.items():
            state = self.states[name] = NodeState(item, depth=depth, level=level, within=within)
            if within is not None:
                state.depends_on(within)
                if not item.spec.deterministic:
                    within.mark_nondeterministic()
            if item.spec.hidden and "graph" in item.spec.hidden.values():
                # What it returns may be linked to any of them: they keep their values until then.
                state.sources = tuple(nodes_before(name, self._node))
        kept = frozenset(graph.targets)
        if within is not None and within.needs_values:
            for name in kept:
                self.states[name].needs_values = True
        for name in reversed(tuple(graph.nodes)):
            state = self.states[name]
            state.consumers += name in kept
            state.depth += self.shared.expected_seconds(state.node.spec) or _UNKNOWN
            for source in state.sources:
                upstream = self.states[source]
                upstream.consumers += 1
                upstream.depth = max(upstream.depth, state.depth)
                if within is not None and upstream.is_nondeterministic:
                    within.mark_nondeterministic()

    def _node(self, name: str) -> GraphNode:
        return self.states[name].node

    def reads_of(self, state: NodeState) -> LocalReads | None:
        """Fingerprints of what a node reads of the graph; None if its function can't read it."""
        if not state.node.spec.reads_graph:
            return None
        return GraphReads(
            state.node.name, self._node, self._output_digest, self.shared.registry.digesters
        )

    def _output_digest(self, name: str, port: str) -> Digest | None:
        state = self.states.get(name)
        return state.output(port).digest if state is not None and state.has_outputs else None

    def _stand_in(self, name: str, product: Product) -> None:
        """Settle a node that stands for a live value: it has given that, and never runs."""
        state = self.states[name]
        state.products = (product.stub(),)  # the graph may be run again, and holds on to its own
        state.demanded = True
        state.status = "ran"

    def demand(self, name: str) -> NodeState:
        """See to it that a node and what it needs are run."""
        with PausedGC():
            self._demand(name)
        self._plan_pump()
        return self.states[name]

    def _demand(self, name: str) -> None:
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

    def revive(self, name: str) -> NodeState:
        """See to it that a node's values are there again; it has ended, and they are gone."""
        state = self.states[name]
        if state.status is None or not state.has_outputs or state.is_loaded:
            return state  # somebody else needed them a moment ago
        state.again()
        # What it expanded into then would stand in the way of what it expands into now.
        inner = (f"{name}/", f"{name}[")
        for other in [other for other in self.states if other.startswith(inner)]:
            del self.states[other]
        self._hold(state)
        self._open += 1
        self._ready.append(state)
        self._plan_pump()
        return state

    def _hold(self, state: NodeState) -> None:
        """Take back what `_release` said to a node's sources."""
        waiting = [state]
        while waiting:
            for source in waiting.pop().sources:
                upstream = self.states[source]
                upstream.consumers += 1
                if upstream.is_released:
                    upstream.is_released = False
                    waiting.append(upstream)

    # The loop

    def _plan_pump(self) -> None:
        if self._ready:
            self._plan_turn()

    def _plan_turn(self) -> None:
        if not self._pump_planned:
            self._pump_planned = True
            self._loop.call_soon(self.pump)

    def pumping(self) -> Pumping:
        """What becomes ready inside the `with` begins at its end, in this turn of the loop."""
        return Pumping(self)

    def plan_pump(self) -> bool:
        """Note that a pump is to come; whether none was planned yet."""
        is_first = not self._pump_planned
        self._pump_planned = True
        return is_first

    def pump(self) -> None:
        """Begin what is ready, for as long as a turn may last."""
        # What it settles itself plans no other turn.
        self._pump_planned = True
        if not self.cancel.is_paused:
            with self.end_on_fault(), PausedGC():
                self._begin_ready()
        self._pump_planned = False
        self.events.flush()
        if not self.cancel.is_paused:
            self._plan_pump()

    def _begin_ready(self) -> None:
        end = monotonic() + _TURN
        for number in count(1):
            if not self._ready:
                return
            self._start(self._ready.popleft())
            if not number % _AT_ONCE and monotonic() > end:
                return

    def end_on_fault(self) -> FaultGuard:
        """A fault of the scheduler's own ends the run with it, rather than let it wait for ever."""
        return self._fault_guard

    def _start(self, state: NodeState) -> None:
        if self.cancel.is_set:
            self.end(state, "cancelled")
            return
        inputs: dict[str, Product] = {}
        for port, source in state.node.links.items():
            if port in state.deferred_ports:
                continue
            if not self.states[source.node].has_outputs:
                if not self._waits_again(state):
                    self._skip(state)
                return
            inputs[port] = product = self.linked(state, port)
            if product.is_blocked:
                state.is_blocked = True
                self._skip(state)
                return
            state.depends_on(self.states[source.node])
        try:
            state.base = self.shared.base_of(state.node)
            state.calls = self._calls(state, inputs)
        except Exception as error:  # noqa: BLE001 - pack code's values and digest functions
            self._fail(state, node_failure(Call(state, state.node.name, inputs), error))
            return
        self._begin_calls(state, state.calls)

    def _skip(self, state: NodeState) -> None:
        """End a node that lacks an input; the first message of why one is blocked goes on."""
        sources = [self.states[name] for name in state.eager_sources]
        messages = [source.blocker for source in sources]
        messages += [
            self.linked(state, port).blocker.message
            for port, source in state.node.links.items()
            if port not in state.deferred_ports
            and self.states[source.node].has_outputs
            and self.linked(state, port).is_blocked
        ]
        if message := next(filter(None, messages), ""):
            state.block(message)
        self.end(state, "skipped")

    def _waits_again(self, state: NodeState) -> bool:
        """Whether a node must wait for sources that had ended and are computed once more."""
        sources = [self.states[name] for name in state.eager_sources]
        if any(source.status is not None and not source.has_outputs for source in sources):
            return False
        for source in sources:
            if source.status is None:
                source.followers.append(state)
                state.waiting += 1
        return True

    def _begin_calls(self, state: NodeState, calls: Nested[Call]) -> None:
        leaves = calls.leaves()
        state.open_calls = len(leaves)
        if not leaves:
            self._gather(state)
        elif state.node.spec.output:
            # One after the other: files are numbered in the order of the list.
            state.queue = deque(leaves[1:])
            self.calls.begin(leaves[0])
        else:
            for call in leaves:
                self.calls.begin(call)

    def linked(self, state: NodeState, port: str) -> Product:
        """The value of a linked input whose source has ended, as the link hands it on."""
        source = state.node.links[port]
        product = self.states[source.node].output(source.port)
        if source.fit.map_depth:
            return product
        product = product.without_blocked(skips=state.node.spec.skips_blocked)
        return product.converted(source.fit.conversions)

    def inputs_of(self, call: Call) -> dict[str, Product]:
        """The linked inputs of a call, as their sources give them now."""
        state = call.state
        ports = [port for port in state.node.links if port not in state.deferred_ports]
        sources = [self.states[state.node.links[port].node].products for port in ports]
        if state.relinked is None or not all(map(is_, state.relinked[0], sources)):
            # Kept, as each call of a long list asks once.
            assert state.calls is not None
            calls = self._calls(state, {port: self.linked(state, port) for port in ports})
            calls_by_position = {item.position: item for item in calls.leaves()}
            is_same = calls_by_position.keys() == {item.position for item in state.calls.leaves()}
            state.relinked = (sources, calls_by_position if is_same else {})
        again = state.relinked[1].get(call.position)
        if again is None:
            raise RuntimeError("a list that it maps over has a different length than before")
        return again.inputs

    def _calls(self, state: NodeState, inputs: dict[str, Product]) -> Nested[Call]:
        if not state.node.map_depth:
            return Nested(Call(state, state.node.name, inputs))
        depths = {port: state.node.links[port].fit.map_depth for port in inputs}
        return self._placed_calls(state, spread(inputs, depths), ())

    def _placed_calls(
        self, state: NodeState, nested: Nested[dict[str, Product]], indices: tuple[int, ...]
    ) -> Nested[Call]:
        if nested.branches is not None:
            branches = [
                self._placed_calls(state, branch, (*indices, at))
                for at, branch in enumerate(nested.branches)
            ]
            return Nested(branches=tuple(branches))
        assert nested.leaf is not None
        links, skips = state.node.links, state.node.spec.skips_blocked
        inputs = {
            port: product.without_blocked(skips=skips).converted(links[port].fit.conversions)
            if links[port].fit.map_depth
            else product
            for port, product in nested.leaf.items()
        }
        name = state.node.name + "".join(f"[{at}]" for at in indices)
        return Nested(Call(state, name, inputs, indices))

    # The end of a node

    def call_ended(self, call: Call) -> None:
        """A call has outputs, or never will."""
        state = call.state
        state.open_calls -= 1
        if self.cancel.is_set and state.queue:
            state.open_calls -= len(state.queue)
            state.queue.clear()
        if state.queue:
            self._loop.call_soon(self._begin_next, state)
        elif not state.open_calls:
            self._gather(state)

    def _begin_next(self, state: NodeState) -> None:
        with self.end_on_fault():
            assert state.queue is not None
            self.calls.begin(state.queue.popleft())

    def _gather(self, state: NodeState) -> None:
        assert state.calls is not None
        calls = state.calls.leaves()
        if state.error is not None:
            self._fail(state, state.error)
        elif any(call.outputs is None for call in calls):
            self.end(state, "cancelled" if self.cancel.is_set else "skipped")
        else:
            state.products = gather_calls(state.calls, state.node.spec.outputs)
            is_repeatable, is_closed, is_cached = True, True, bool(calls)
            for call in calls:
                is_repeatable = is_repeatable and call.is_repeatable
                is_closed = is_closed and call.is_closed
                is_cached = is_cached and bool(call.cached_from)
            state.is_repeatable, state.is_closed = is_repeatable, is_closed
            self.end(state, "cached" if is_cached else "ran")

    def _fail(self, state: NodeState, error: NodeFailed) -> None:
        """A node ends with an error; what depends on it will be skipped."""
        state.error = error
        self.end(state, "failed")

    def end(self, state: NodeState, status: NodeStatus) -> None:
        """A node has ended, whatever way."""
        state.status = status
        state.forget_calls()
        if state.node.map_depth and state.has_outputs:
            self.calls.note_length(state)
        self._ended[state.node.name] = state
        self._tell(state, status)
        for follower in state.followers:
            follower.waiting -= 1
            if not follower.waiting:
                self._ready.append(follower)
        state.followers.clear()
        if state.watchers:
            watchers, state.watchers = state.watchers, []
            for watcher in watchers:
                watcher()
        self._release(state)
        self._open -= 1
        if not self._open and not self._over.done() and not self._wanted.fetch():
            self._over.set_result(None)
        self._plan_pump()

    def targets_are_loaded(self) -> None:
        """The targets' values are in memory, or never will be."""
        if not self._open and not self._over.done():
            self._over.set_result(None)

    def _tell(self, state: NodeState, status: NodeStatus) -> None:
        if not self.events.has_listener:
            return
        name = state.node.name
        if status == "cached":
            ui = state.ui() if state.warnings else None
            self.events.emit_cached(name, state.source, state.saved, ui)
            # At its end it is told, should nothing else be before.
            self._plan_turn()
        elif status == "ran":
            ui = state.ui().get(name) if state.warnings else None
            self.events.emit(
                "node.finished",
                name,
                seconds=round(state.seconds, 6),
                loading=round(state.loading, 6),
                calls=state.call_count,
                cached=state.cached_count,
                **({} if ui is None else {"ui": ui}),
            )
        elif status == "failed":
            assert state.error is not None
            origin = {"origin": state.origin} if state.origin else {}
            self.events.emit("node.failed", name, **state.error.problem.about_node(), **origin)
        else:
            reason = "blocked" if state.is_blocked else status
            details = {"message": state.blocker} if state.blocker and state.node.spec.output else {}
            for warning in state.warnings if details else ():
                self.events.emit("log", name, message=warning.message, level=warning.level)
            self.events.emit("node.skipped", name, reason=reason, **details)

    def _release(self, state: NodeState) -> None:
        """Let go of what this node was the last to use, and of branches that nobody took."""
        if not state.consumers:
            state.release_values()
        ended = [state]
        while ended:
            for source in ended.pop().sources:
                upstream = self.states[source]
                upstream.used()
                if not upstream.consumers and not upstream.demanded:
                    upstream.is_released = True
                    ended.append(upstream)

    def release_outputs(self, states: Sequence[NodeState]) -> None:
        """Somebody outside the graph who kept these nodes' outputs needs them no more."""
        for state in states:
            state.used()

    # The end of the run

    def _result(self, seconds: float) -> RunResult:
        outputs = {}
        wanted = 0
        for name in self._targets:
            state = self.states[name]
            for port, product in zip(state.node.spec.outputs, state.products or (), strict=False):
                wanted += 1
                # Whoever wanted values gets those that are there; a cancelled run loads no more.
                if product.is_loaded or not self._wanted.values:
                    outputs[f"{name}.{port.name}"] = product
        errors = tuple(state.error for state in self._ended.values() if state.error is not None)
        status = self._status()
        if self.cancel.is_set and len(outputs) < wanted:
            status = "cancelled"  # after all had ended, and before the values were there
        return RunResult(
            status,
            OutputValues(outputs),
            tuple(self.files),
            NodeReports(self._ended),
            errors,
            seconds,
            self.cancel.reason if status == "cancelled" else "",
            passed=OutputValues(PassedProducts(self._ended)),
            stand_ins=self._stand_ins,
        )

    def _status(self) -> JobStatus:
        statuses = {state.status for state in self._ended.values()}
        if "cancelled" in statuses:
            return "cancelled"
        return "failed" if "failed" in statuses else "ok"
