"""Expansions: run the graph fragments that a node returns, and answer its call with their outputs.

An answer may come in steps, as a loop's does. The fragments of all steps stand side by side, none
within another, so there may be thousands. What a step hands to the next stays where it is: the
next fragment is linked to the nodes of the one before, which may even have to run again for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any

from nodegraph.core.graph import GraphNode
from nodegraph.core.hooks import (
    Validations,
    await_validations,
    deferred_validations,
    keep_validations,
)
from nodegraph.core.links import Expand, Value
from nodegraph.core.plugins import in_scope
from nodegraph.core.ports import Blocked, RawLink
from nodegraph.core.spec import NodeSpec
from nodegraph.core.types import ANY, TypeExpr, fit, list_of, named_type
from nodegraph.engine.external_reads import OUTPUT
from nodegraph.engine.fragments import (
    Carried,
    Fragment,
    FragmentOutput,
    InnerOutput,
    build_fragment,
)
from nodegraph.engine.invocation import is_sound, isolated_pack, values_of
from nodegraph.engine.product import Product, blocked, listed, product_of, unnamed_digest
from nodegraph.engine.run_graph import nodes_before
from nodegraph.engine.runtime import FunctionResult, RunScheduler
from nodegraph.engine.states import Call, NodeState
from nodegraph.errors import InvalidValue, InvalidWorkflow
from nodegraph.packs.registry import Registry
from nodegraph.store.entries import OutputGone

DEEPEST = 64
"""Expansions within expansions; more is taken for a node that expands without end."""
_NESTED = 16
"""Expansions that end within each other on one stack."""
_DEEPEST_LOOP = 1024
"""The same for node types of other tools, whose loops expand once more for each iteration."""


def expand(run: RunScheduler, call: Call, answer: FunctionResult) -> None:
    """Take a call's fragment into the run; the call completes with the fragment's outputs.

    Raises:
        NodegraphError: The fragment is invalid, or expansions don't end.
    """
    assert answer.expansion is not None
    most = _DEEPEST_LOOP if call.state.node.spec.foreign else DEEPEST
    if call.state.level >= most:
        raise InvalidValue(
            f"expands within itself more than {most} times",
            hint="Make the node return plain outputs at some depth.",
        )
    _Expansion(run, call, answer.seconds).begin(answer.expansion)


@dataclass(slots=True)
class _Step:
    """One fragment in the run.

    Attributes:
        targets: Nodes that must have ended before the expansion goes on. Their outputs stay until
            what comes next has taken them.
    """

    expansion: Expand
    fragment: Fragment
    targets: list[NodeState]


def _check_trust(spec: NodeSpec, expansion: Expand, registry: Registry) -> None:
    """Refuse node types that reach more than a pack without trust may.

    They run outside of its sandbox. Subgraphs count as a whole: built-in nodes run their nodes.

    Raises:
        InvalidValue: One reads or writes files, is a sink, or belongs to another pack.
    """
    pack = isolated_pack(registry, spec.pack)
    if pack is None or pack.isolation is None or pack.isolation.trusted:
        return
    documents = (expansion.nodes, *(each.get("nodes", {}) for each in expansion.subgraphs.values()))
    types = {str(node.get("type")) for nodes in documents for node in nodes.values()}
    for node_type in sorted(types):
        inner = registry.spec(node_type)
        is_known = inner is not None or node_type in expansion.subgraphs
        if not is_known or (inner and inner.pack != pack.name and not _is_harmless(inner)):
            raise InvalidValue(
                f"pack `{pack.name}` is not trusted, and its expansion has a node type that could "
                "reach more than the pack may",
                given=node_type,
                expected="node types of the pack, and built-in ones that neither read nor write "
                "files and are no sinks",
                hint="Put the node into the workflow, or trust the pack.",
            )


def _is_harmless(spec: NodeSpec) -> bool:
    return not (spec.pack or spec.output or spec.file_ports or spec.lane == "io")


class _Expansion:
    """Runs a call's fragments, one after the other, and answers the call."""

    def __init__(self, run: RunScheduler, call: Call, seconds: float) -> None:
        self._run = run
        self._call = call
        self._seconds = seconds
        self._spec = call.state.node.spec
        assert call.input_guard is not None
        self._handing = call.input_guard
        self._is_repeatable = True
        self._steps = 0
        self._before: _Step | None = None
        self._values: list[NodeState] = []
        self._waiting = 0
        self._before_it: dict[str, None] | None = None

    # A step

    def begin(self, expansion: Expand) -> None:
        """Take a fragment into the run, and wait for it.

        Raises:
            NodegraphError: It is invalid.
        """
        prefix, shared = f"{self._call.name}/", self._run.shared
        _check_trust(self._spec, expansion, shared.registry)
        with deferred_validations() as pending:
            fragment = build_fragment(
                expansion, prefix, self._steps, shared.registry, shared.environment, self._type_of
            )
        for value in fragment.values.values():
            if isinstance(value, Carried) and not value.product.is_there:
                keep_validations(pending, ())
                raise OutputGone("the output of a step is no longer in memory")
        if not pending:
            self._start(expansion, fragment)
            return
        keep_validations(pending, [name.removeprefix(prefix) for name in fragment.graph.nodes])
        self._run.calls.spawn(self._call, self._validate(pending, expansion, fragment))

    async def _validate(self, pending: Validations, expansion: Expand, fragment: Fragment) -> None:
        """Start a fragment once the async validate hooks of its nodes have agreed."""
        with self._run.calls.failing(self._call):
            problems, _ = await await_validations(pending)
            if problems:
                self._let_go(None)
                raise InvalidWorkflow(problems)
            self._start(expansion, fragment)

    def _start(self, expansion: Expand, fragment: Fragment) -> None:
        """Take a checked fragment into the run, and wait for it."""
        run, prefix = self._run, f"{self._call.name}/"
        self._steps += 1
        if expansion.then is None:
            self._check_outputs(fragment.outputs)
        graph = fragment.graph
        if graph.nodes:
            run.add(graph, within=self._call.state)
            origins = self._note_origins(expansion, prefix)
            run.events.emit("node.expanded", self._call.name, nodes=list(graph.nodes), **origins)
        targets = [run.states[name] for name in graph.targets]
        for end in _leaves(fragment.outputs.values()):
            if end.is_outer and end.source is not None:
                state = run.states[end.source.node]
                state.consumers += 1
                targets.append(state)
        self._give(fragment.values)
        step = _Step(expansion, fragment, targets)
        self._let_go(step)
        self._wait(targets, partial(self._ended, step))

    def _type_of(self, link: RawLink[Any]) -> TypeExpr:
        """The type of an output of the run that the fragment is linked to.

        Raises:
            InvalidValue: It isn't before the expanding node, so it may wait for that.
        """
        own = self._call.state
        if self._before_it is None:
            self._before_it = nodes_before(own.node.name, lambda name: self._run.states[name].node)
        state = self._run.states.get(link.node)
        if link.node not in self._before_it or state is None:
            raise InvalidValue(
                f"the expansion is linked to `{link.node}`, which is not a node before this one",
                given=str(link),
                hint="Link it to nodes that this node is linked from, at any distance.",
            )
        port = state.node.spec.outputs_by_name.get(link.port)
        if port is None:
            raise InvalidValue(
                f"the expansion is linked to an output that `{link.node}` does not have",
                given=str(link),
                expected=" or ".join(state.node.spec.outputs_by_name) or None,
            )
        return port.mapped(state.node.map_depth)

    def _note_origins(self, expansion: Expand, prefix: str) -> dict[str, dict[str, str]]:
        """Note which nodes of the workflow the fragment's nodes are copies of."""
        origins = {
            f"{prefix}{name}": str(item["origin"])
            for name, item in expansion.nodes.items()
            if "origin" in item and f"{prefix}{name}" in self._run.states
        }
        for name, origin in origins.items():
            self._run.states[name].origin = origin
        return {"origins": origins} if origins else {}

    def _note_outer(self, step: _Step) -> None:
        """What the fragment was linked to counts in the call's key, by its value.

        If that is blocked, the result is not kept: a skipped node has no value that could count,
        and the message of a blocker counts in no key.
        """
        inputs = self._run.shared.environment.inputs
        for link in step.fragment.outer:
            state = self._run.states[link.node]
            if state.has_outputs:
                self._call.readings.graph(f"{OUTPUT}{link}", inputs)
                self._is_repeatable &= not state.output(link.port).is_blocked
            elif state.status is not None:
                self._is_repeatable = False

    def _let_go(self, step: _Step | None) -> None:
        """Let go of what the step before gave; the next one, if any, holds on to what it needs."""
        before, self._before = self._before, step
        if before is not None:
            self._run.release_outputs(before.targets)
        if step is None:
            self._run.release_outputs(self._values)
            self._values = []

    def _give(self, values: Mapping[str, Value]) -> None:
        """Settle the nodes that stand for live values."""
        for name, value in values.items():
            state = self._run.states[name]
            state.products = (self._product(value, named_type(ANY), name),)
            state.demanded = True
            state.status = "ran"
            # They can't run again, as nodes of an earlier step may have to: they keep their values.
            state.consumers += 1
            self._values.append(state)

    def _wait(self, states: Sequence[NodeState], then: Callable[[], None]) -> None:
        """Go on once some nodes have ended."""
        waiting = [state for state in states if state.status is None]
        self._waiting = len(waiting)
        for state in waiting:
            state.watchers.append(partial(self._one_ended, then))
        for state in waiting:
            self._run.demand(state.node.name)
        if not waiting:
            then()

    def _one_ended(self, then: Callable[[], None]) -> None:
        self._waiting -= 1
        if self._waiting:
            return
        if self._call.state.level % _NESTED == _NESTED - 1:
            # Expansions in expansions end within each other: a loop's would exceed Python's stack.
            asyncio.get_running_loop().call_soon(self._proceed, then)
        else:
            self._proceed(then)

    def _proceed(self, then: Callable[[], None]) -> None:
        with self._run.end_on_fault(), self._run.calls.failing(self._call):
            then()

    def _ended(self, step: _Step) -> None:
        """A fragment's targets have ended."""
        if self._run.cancel.is_set or any(map(self._has_failed, step.targets)):
            self._let_go(None)
            self._run.calls.abandon(self._call)
            return
        self._note_warnings(step)
        self._note_outer(step)
        nodes = step.fragment.graph.nodes.values()
        self._is_repeatable = self._is_repeatable and all(map(self._may_be_kept, nodes))
        if step.expansion.then is not None:
            self._go_on(step, step.expansion.then)
            return
        ends = step.fragment.outputs
        try:
            products = [self._output(ends[p.name], p.expr, p.name) for p in self._spec.outputs]
        except OutputGone:
            self._again(step, ends.values(), partial(self._ended, step))
            return
        self._complete(tuple(products))

    def _note_warnings(self, step: _Step) -> None:
        """What the fragment's nodes said is of the call's result, too."""
        for name in step.fragment.graph.nodes:
            for warning in self._run.states[name].warnings:
                inner = name[len(self._call.name) :] + warning.inner
                self._call.warnings[warning._replace(inner=inner)] = None

    def _has_failed(self, state: NodeState) -> bool:
        """Whether a node has no outputs for another reason than that something is blocked."""
        if state.has_outputs:
            return False
        is_blocked = False
        visited = {state.node.name}
        waiting = [state]
        while waiting:
            current = waiting.pop()
            if current.status in ("failed", "cancelled"):
                return True
            is_blocked |= current.is_blocked or any(
                product.is_blocked for product in current.products or ()
            )
            if current.status == "skipped" and not current.is_blocked:
                new = [name for name in current.sources if name not in visited]
                visited.update(new)
                waiting += [self._run.states[name] for name in new]
        return not is_blocked

    def _may_be_kept(self, item: GraphNode) -> bool:
        """Whether what a node gave is the same in every run with the same key."""
        state = self._run.states[item.name]
        is_repeatable = item.is_repeatable and state.is_repeatable
        # The state of the world that it reads is no part of the expanding node's key.
        is_closed = state.is_closed and not item.spec.hidden
        return is_repeatable and is_closed and "fingerprint" not in item.spec.hooks

    def _complete(self, products: tuple[Product, ...]) -> None:
        self._let_go(None)
        self._call.is_repeatable = self._is_repeatable
        self._call.is_sound &= is_sound(self._run.shared, self._call)
        if self._is_repeatable:
            self._run.calls.keep(self._call, products, self._seconds)
        self._run.calls.complete(self._call, products)

    # The next step

    def _go_on(self, step: _Step, then: Callable[[Mapping[str, Value]], Any]) -> None:
        """Ask the node for its next answer; not in this thread, as it is the node's code."""
        values = {port: self._carried(ends, port) for port, ends in step.fragment.outputs.items()}
        loop = asyncio.get_running_loop()
        answer = loop.run_in_executor(None, in_scope(partial(self._ask, then, values)))
        answer.add_done_callback(partial(self._answered, step))

    def _ask(self, then: Callable[[Mapping[str, Value]], Any], values: Mapping[str, Value]) -> Any:
        start = monotonic()
        result = values_of(self._call, then(values))
        if not isinstance(result, Expand):
            result = self._products(result)
        self._seconds += monotonic() - start
        return result

    def _products(self, result: Any) -> tuple[Product, ...]:
        """A plain answer, as one of the node's function."""
        definition = self._run.shared.registry.definition(self._spec.type)
        return tuple(
            self._product(
                Value(value),
                named_type(ANY) if value is None and port.nullable else port.expr,
                port.name,
            )
            for port, value in zip(self._spec.outputs, definition.outputs_of(result), strict=True)
        )

    def _answered(self, step: _Step, answer: asyncio.Future[Any]) -> None:
        run = self._run
        with run.end_on_fault():
            if answer.cancelled() or run.cancel.is_set:
                self._let_go(None)
                run.calls.fail(self._call, run.cancel.error())
                return
            with run.calls.failing(self._call):
                try:
                    result = answer.result()
                    if isinstance(result, Expand):
                        self.begin(result)
                    else:
                        self._complete(result)
                except OutputGone:
                    self._again(step, step.fragment.outputs.values(), partial(self._ended, step))
                except BaseException:
                    self._let_go(None)
                    raise

    def _again(self, step: _Step, ends: Iterable[FragmentOutput], then: Callable[[], None]) -> None:
        """Run nodes again whose outputs are needed and gone, then go on."""
        sources = {end.source.node: end.source for end in _leaves(ends) if end.source}
        gone = [
            name
            for name, source in sources.items()
            if self._run.states[name].has_outputs
            and not self._run.states[name].output(source.port).is_there
        ]
        if not gone:
            raise RuntimeError(
                "an output of a fragment is no longer in memory, and no node can compute it again"
            )
        self._wait([self._run.revive(name) for name in gone], then)

    # Values

    def _product(self, value: Value, expr: TypeExpr, port: str) -> Product:
        """A live value's product; known ones keep their digest."""
        if isinstance(value, Carried):
            return value.product
        known = self._handing.product_of(value.value)
        if known is not None and not expr.is_list:
            return known
        deterministic = self._spec.deterministic
        unnamed = unnamed_digest(self._call.result_key, port, deterministic=deterministic)
        return product_of(value.value, expr, self._run.shared.registry.digesters, unnamed)

    def _inner(self, end: InnerOutput) -> Product:
        """What an inner node gave; blocked if it is left out or was skipped."""
        if end.source is None:
            return blocked()
        state = self._run.states[end.source.node]
        return (
            state.output(end.source.port) if state.has_outputs else blocked(Blocked(state.blocker))
        )

    def _carried(self, ends: FragmentOutput, port: str) -> Carried:
        if isinstance(ends, Carried):
            return ends
        if isinstance(ends, InnerOutput):
            product = self._inner(ends)
            source = None if product.is_blocked else ends.source
            return Carried(product, source, ends.expr)
        if isinstance(ends, list):
            items = [self._carried(item, f"{port}[{at}]") for at, item in enumerate(ends)]
            return Carried(listed([item.product for item in items]), None, list_of(named_type(ANY)))
        return Carried(self._product(ends, named_type(ANY), port), None, named_type(ANY))

    def _check_outputs(self, ends: Mapping[str, FragmentOutput]) -> None:
        declared = self._spec.outputs_by_name
        if sorted(ends) != sorted(declared):
            raise InvalidValue(
                "the expansion's outputs differ from the node's outputs",
                given=", ".join(ends) or "none",
                expected=", ".join(declared) or "none",
            )
        for name, end in ends.items():
            self._check_type(end, declared[name].expr, name)

    def _check_type(self, ends: FragmentOutput, expr: TypeExpr, port: str) -> None:
        if isinstance(ends, list) and expr.is_list:
            for item in ends:
                self._check_type(item, expr.item, port)
            return
        if isinstance(ends, Value) and not isinstance(ends, Carried):
            return  # looked at itself when it is taken
        actual = list_of(named_type(ANY)) if isinstance(ends, list) else ends.expr
        fitted = fit(actual, expr, self._run.shared.registry.types)
        if fitted is None or fitted.map_depth:
            text = f"{actual} from `{ends.text}`" if isinstance(ends, InnerOutput) else str(actual)
            raise InvalidValue(
                f"the expansion's output `{port}` has a different type from the one that the node "
                "declares",
                given=text,
                expected=str(expr),
            )

    def _output(self, ends: FragmentOutput, expr: TypeExpr, port: str) -> Product:
        """What stands for one of the node's outputs."""
        if isinstance(ends, list) and expr.is_list:
            return listed([self._output(item, expr.item, port) for item in ends])
        if isinstance(ends, (InnerOutput, Carried)):
            product = self._inner(ends) if isinstance(ends, InnerOutput) else ends.product
            fitted = fit(ends.expr, expr, self._run.shared.registry.types)
            if fitted is not None and not product.is_blocked:
                product = product.converted(fitted.conversions)
        elif isinstance(ends, list):
            product = self._carried(ends, port).product
        else:
            product = self._product(ends, expr, port)
        if expr.is_list and product.items is None and not product.is_blocked:
            # It came through a port of type Any.
            digesters = self._run.shared.registry.digesters
            return product_of(product.value, expr, digesters, product.digest)
        return product


def _leaves(ends: Iterable[FragmentOutput]) -> Iterable[InnerOutput]:
    waiting = list(ends)
    while waiting:
        end = waiting.pop()
        if isinstance(end, InnerOutput):
            yield end
        elif isinstance(end, list):
            waiting += end
