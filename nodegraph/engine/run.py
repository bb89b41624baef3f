"""One run of a graph: decides what is ready, from cache or anew, and when it is over.

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
from nodegraph.core.keys import call_key
from nodegraph.engine.artifact import Artifact
from nodegraph.engine.cache import Outputs
from nodegraph.engine.cancel import CancelToken
from nodegraph.engine.expansion import expand
from nodegraph.engine.failure import node_failure
from nodegraph.engine.invoke import Invoker
from nodegraph.engine.lanes import Priority
from nodegraph.engine.lazy import run_lazily
from nodegraph.engine.mapping import Nested, gather, spread
from nodegraph.engine.result import JobStatus, NodeStatus, RunResult, WrittenFile
from nodegraph.engine.scheduling import Answer
from nodegraph.engine.shared import Shared
from nodegraph.engine.states import Call, NodeState
from nodegraph.errors import Cancelled, NodeFailed

_TURN = 256
"""Nodes settled in one turn of the event loop, so that a long cached graph doesn't hold it up."""


class Run:
    """The scheduler of one run."""

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
        self.invoker = Invoker(self, workflow)
        self._targets = graph.targets
        self._ready: deque[NodeState] = deque()
        self._ended: list[NodeState] = []
        self._open = 0
        self._pump_planned = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.add(graph, kept=graph.targets)

    async def execute(self) -> RunResult:
        """Run to the end; see `Engine.run`."""
        start = monotonic()
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        with self.cancel.telling(partial(self._loop.call_soon_threadsafe, self._stop_tasks)):
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

    # What there is to run

    def add(self, graph: Graph, *, kept: tuple[str, ...] = (), level: int = 0) -> None:
        """Take a graph's nodes in; those named in `kept` stay in memory to the end."""
        for name, item in graph.nodes.items():
            self.states[name] = NodeState(item, level=level)
        keeping = frozenset(kept)
        for name in reversed(tuple(graph.nodes)):
            state = self.states[name]
            state.consumers += name in keeping
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
        with self._no_hanging():
            for _ in range(_TURN):
                if not self._ready:
                    return
                self._start(self._ready.popleft())
            self._plan_pump()

    @contextmanager
    def _no_hanging(self) -> Iterator[None]:
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
        inputs = {
            port: self.linked(state, port)
            for port in state.node.links
            if port not in state.lazy_ports
        }
        try:
            if state.base is None:
                state.base = self.shared.base_of(state.node)
            state.calls = self._calls(state, inputs)
        except Exception as error:  # noqa: BLE001 - the border with pack code, such as a type's digest function
            self.fail_node(state, node_failure(Call(state, state.node.name, inputs), error))
            return
        leaves = list(state.calls.leaves())
        state.open_calls = len(leaves)
        if not leaves:
            self._gather(state)
        for call in leaves:
            self.begin(call)

    def linked(self, state: NodeState, port: str) -> Artifact:
        """The value of a linked input whose source has ended, as the link hands it on."""
        source = state.node.links[port]
        upstream = self.states[source.node]
        assert upstream.artifacts is not None, f"{source.node} left memory too early"
        at = next(i for i, out in enumerate(upstream.node.spec.outputs) if out.name == source.port)
        artifact = upstream.artifacts[at]
        return artifact if source.fit.map_depth else artifact.converted(source.fit.conversions)

    def _calls(self, state: NodeState, inputs: dict[str, Artifact]) -> Nested[Call]:
        if not state.node.map_depth:
            return Nested(Call(state, state.node.name, inputs))
        links = state.node.links
        depths = {port: links[port].fit.map_depth for port in inputs}
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

    # One call

    def begin(self, call: Call) -> None:
        """Answer a call from the cache, join an equal one in flight, or run it."""
        state = call.state
        assert state.base is not None
        try:
            fingerprint = self.invoker.fingerprint(call)
        except Exception as error:  # noqa: BLE001 - the border with pack code: a hook may raise anything
            self.fail(call, error)
            return
        digests = {port: artifact.digest for port, artifact in call.inputs.items()}
        call.key = call_key(state.base, digests, fingerprint)
        if state.lazy_ports:
            self._spawn(call, run_lazily(self, self.invoker, call))
        elif not self.is_cacheable(call):
            self._dispatch(call)
        elif not self._answered(call):
            self.shared.in_flight[call.key] = call
            self._dispatch(call)

    def is_cacheable(self, call: Call) -> bool:
        """Whether an earlier result of the same key may stand for this call's."""
        node = call.state.node
        return node.spec.deterministic and not node.spec.output and not node.always

    def _answered(self, call: Call) -> bool:
        entry = self.shared.cache.get(call.key)
        if isinstance(entry, Outputs):
            self.complete(call, entry.artifacts, cached=True)
            return True
        leader = self.shared.in_flight.get(call.key)
        if leader is not None:
            leader.followers.append(partial(self._follow, call, leader))
            return True
        return False

    def _follow(self, call: Call, leader: Call, error: BaseException | None) -> None:
        """An equal call that this one waited for has ended."""
        if error is None:
            assert leader.outputs is not None
            self.complete(call, leader.outputs, cached=True)
        elif isinstance(error, Cancelled):
            self.begin(call)  # another run gave up; this one still wants the result
        else:
            self.fail(call, error)

    def _dispatch(self, call: Call) -> None:
        if self.cancel.is_set:
            self.fail(call, Cancelled("the run was cancelled"))
            return
        spec = call.state.node.spec
        if spec.is_async:
            self._spawn(call, self._await(call))
            return
        work = partial(self.invoker.invoke, call)
        lane = self.shared.lanes[spec.lane]
        lane.submit(self._loop, self._priority(call), work, partial(self._returned, call))

    async def _await(self, call: Call) -> None:
        try:
            answer = await self.invoker.invoke_async(call, {})
        except Exception as error:  # noqa: BLE001 - the border with node code
            self.fail(call, error)
        else:
            self.answer(call, answer)

    def _spawn(self, call: Call, coroutine: Any) -> None:
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(partial(self._task_ended, call))

    def _task_ended(self, call: Call, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        with self._no_hanging():
            if task.cancelled():
                self.fail(call, Cancelled("the run was cancelled"))
            elif task.exception() is not None:
                self.fail(call, task.exception())

    def _priority(self, call: Call) -> Priority:
        freed = sum(
            upstream.artifacts[0].size
            for source in call.state.sources
            if (upstream := self.states[source]).consumers == 1 and upstream.artifacts
        )
        return (-freed, -call.state.depth)

    def _returned(self, call: Call, answer: Any, error: BaseException | None) -> None:
        with self._no_hanging():
            if error is not None:
                self.fail(call, error)
            else:
                self.answer(call, answer)

    def answer(self, call: Call, answer: Answer) -> None:
        """A call's function has returned."""
        call.state.seconds += answer.seconds
        if answer.expansion is not None:
            try:
                expand(self, call, answer)
            except Exception as error:  # noqa: BLE001 - a fragment is pack code's word, and may be anything
                self.fail(call, error)
            return
        self.keep(call, answer.artifacts, answer.seconds)
        self.complete(call, answer.artifacts)

    def keep(self, call: Call, artifacts: tuple[Artifact, ...], seconds: float) -> None:
        """Offer a call's outputs to the cache."""
        spec = call.state.node.spec
        if spec.deterministic and not spec.output:
            self.shared.cache.put(call.key, Outputs(artifacts, seconds))

    def complete(
        self, call: Call, artifacts: tuple[Artifact, ...], *, cached: bool = False
    ) -> None:
        """A call has its outputs."""
        call.outputs = artifacts
        call.was_cached = cached
        self._end_call(call, None)

    def fail(self, call: Call, error: BaseException | None) -> None:
        """A call has raised."""
        assert error is not None
        if not (isinstance(error, Cancelled) and self.cancel.is_set) and call.state.error is None:
            call.state.error = node_failure(call, error)
        self._end_call(call, error)

    def leave(self, call: Call) -> None:
        """A call ends without outputs, as something that it needs has none."""
        self._end_call(call, Cancelled("what it waited for was cancelled or failed"))

    def _end_call(self, call: Call, error: BaseException | None) -> None:
        self._leave_flight(call, error)
        call.state.open_calls -= 1
        if not call.state.open_calls:
            self._gather(call.state)

    def _leave_flight(self, call: Call, error: BaseException | None) -> None:
        if self.shared.in_flight.get(call.key) is call:
            del self.shared.in_flight[call.key]
        followers, call.followers = call.followers, []
        for follower in followers:
            follower(error)

    # The end of a node

    def _gather(self, state: NodeState) -> None:
        assert state.calls is not None
        calls = list(state.calls.leaves())
        if state.error is not None:
            self.fail_node(state, state.error)
        elif any(call.outputs is None for call in calls):
            self.end(state, "cancelled" if self.cancel.is_set else "skipped")
        else:
            outputs = _outputs(state.calls)
            state.artifacts = gather(outputs, len(state.node.spec.outputs))
            every = bool(calls) and all(call.was_cached for call in calls)
            self.end(state, "cached" if every else "ran")

    def fail_node(self, state: NodeState, error: NodeFailed) -> None:
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
        ended = [state]
        while ended:
            done = ended.pop()
            for source in done.sources:
                upstream = self.states[source]
                upstream.consumers -= 1
                if upstream.consumers:
                    continue
                upstream.artifacts = None
                if not upstream.demanded:
                    ended.append(upstream)
        if not state.consumers:
            state.artifacts = None

    def let_go(self, states: Sequence[NodeState]) -> None:
        """Somebody outside the graph who kept these nodes' outputs needs them no more."""
        for state in states:
            state.consumers -= 1
            if not state.consumers:
                state.artifacts = None

    # The end of the run

    def _stop_tasks(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        self._plan_pump()

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
