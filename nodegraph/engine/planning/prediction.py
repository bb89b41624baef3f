"""Predict what a run finds in the cache and what it computes, without running it.

A forward pass computes keys from digests, as a run does: a cached result gives the digests, and so
the keys, of the next nodes. A backward pass from the targets decides which results are needed, and
which must be computed again because only their digests are left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal, cast

from nodegraph.core.digests import Digest
from nodegraph.core.file_access import check_paths, file_links_to_check
from nodegraph.core.graph import CheckedGraph, GraphNode
from nodegraph.core.hooks import HookInputs
from nodegraph.core.keys import Key, call_key, lazy_key
from nodegraph.core.spec import OutputSpec
from nodegraph.engine.cache import AskedPort, CallOutputs, get_tier
from nodegraph.engine.external_reads import look_up
from nodegraph.engine.product import Product, blocked, leaves, listed
from nodegraph.engine.run_graph import GraphReads, raw_digests
from nodegraph.engine.runtime import EngineState
from nodegraph.engine.states import Nested, spread


class UnknownValue:
    """A value that only a run can tell, or a list with such an item.

    Attributes:
        items: What is known of its items, if it is a list whose length is known.
    """

    __slots__ = ("items",)

    is_blocked = False

    def __init__(self, items: tuple[PredictedValue, ...] | None = None) -> None:
        self.items = items

    def converted(self, conversions: tuple[str, ...]) -> PredictedValue:
        """As a link hands it on."""
        if conversions and conversions[-1] == "one_to_list":
            return foreseen_list([self.converted(conversions[:-1])])
        if not conversions or self.items is None:
            return self
        each = tuple(name.removeprefix("each:") for name in conversions)
        return UnknownValue(tuple(item.converted(each) for item in self.items))

    def without_blocked(self, *, skips: bool = True) -> PredictedValue:
        """A list without its blocked items; see `Product.without_blocked`."""
        if self.items is None:
            return self
        if not skips:
            is_blocked = any(item.is_blocked for item in self.items)
            return blocked() if is_blocked else self
        return UnknownValue(tuple(item for item in self.items if not item.is_blocked))


PredictedValue = Product | UnknownValue
"""What is known of a value on a link."""

UNKNOWN = UnknownValue()


def foreseen_list(items: Sequence[PredictedValue]) -> PredictedValue:
    """What is known of a list of which this is known of the items."""
    known = [item for item in items if isinstance(item, Product)]
    return listed(known) if len(known) == len(items) else UnknownValue(tuple(items))


def known_leaves(value: PredictedValue) -> Iterator[Product]:
    """The products in it that have values of their own, as far as they are known."""
    if isinstance(value, Product):
        yield from leaves((value,))
        return
    for item in value.items or ():
        yield from known_leaves(item)


def has_length(value: PredictedValue, depth: int) -> bool:
    """Whether the lengths of its lists are known, `depth` levels down."""
    if not depth:
        return True
    items = value.items
    return items is not None and all(has_length(item, depth - 1) for item in items)


Reason = Literal[
    "new",
    "upstream",
    "first",
    "state",
    "sink",
    "always",
    "random",
    "gone",
    "kept",
    "files",
    "shared",
    "blocked",
    "unasked",
    "fault",
]
"""Why a call runs, or need not.

``new``: nothing is kept under its key. ``upstream``: an input is known only once what gives it has
run. ``first``: so it is, and no node of its type has ever run here. ``state``: what it reads
outside is known only then. ``sink``, ``always``, ``random``: it runs each time, as it acts on the
world, as the workflow says so, as its results differ. ``gone``: its result is needed, and only its
digest is left. ``fault``: its key can't be made. ``kept``: its result is there. ``files``: so
are the files that it wrote. ``shared``: an equal call runs for it. ``blocked``: an input has no
value this time. ``unasked``: nobody asks for it.
"""
Verdict = Literal["hit", "run", "perhaps"]
FoundIn = Literal["memory", "disk", "digest", "files", "shared", "blocked"]

_CHEAP = 1 << 20
"""Bytes of an input's value that may be loaded to ask for what a node reads outside."""


class Demand(IntEnum):
    """Whether something is asked for."""

    NO = 0
    PERHAPS = 1
    YES = 2


@dataclass(slots=True, eq=False)
class PlannedCall:
    """One call of a node, as far as it can be foreseen.

    Attributes:
        inputs: Linked inputs, those among the lazy ones that it is known to ask for included.
        key: None while an input isn't known.
        verdict: ``perhaps``: it runs, unless what it waits for turns out as it was before.
        asks_more: It may ask for more of its lazy inputs than is known.
        entry: What its key leads to, also where it runs all the same.
        outputs: One for each output port.
        passed: Keys that lead to `key`, of what it asks for and reads outside, step by step.
        files: Digests of the files of a sink that need not be written again.
    """

    name: str
    node: GraphNode
    inputs: dict[str, PredictedValue]
    key: Key | None = None
    fingerprint: str = ""
    verdict: Verdict = "perhaps"
    reason: Reason = "upstream"
    asks_more: bool = False
    entry: CallOutputs | None = None
    outputs: tuple[PredictedValue, ...] = ()
    passed: list[Key] = field(default_factory=list)
    files: tuple[Digest, ...] = ()

    @property
    def found_in(self) -> FoundIn | None:
        """Where its result is; None if it is nowhere."""
        if self.reason in ("files", "shared", "blocked"):
            return cast(FoundIn, self.reason)
        return get_tier(self.entry) if self.entry is not None else None


@dataclass(slots=True, eq=False)
class PlannedNode:
    """One node, as far as it can be foreseen.

    Attributes:
        lazy: Linked inputs that are evaluated on demand.
        calls: None if not even their number can be told.
        outputs: One for each output port.
        demand: Whether it is asked for.
        needed: Digests of outputs whose values somebody needs who runs, or may run.
        is_skipped: It won't run, as an input is blocked, or what gives it is skipped itself.
        fault: What keeps its key from being made.
    """

    node: GraphNode
    lazy: frozenset[str] = frozenset()
    calls: Nested[PlannedCall] | None = None
    outputs: tuple[PredictedValue, ...] = ()
    demand: Demand = Demand.NO
    needed: dict[str, Demand] = field(default_factory=dict)
    is_skipped: bool = False
    fault: str = ""

    def each_call(self) -> Iterator[PlannedCall]:
        """Its calls; none if their number can't be told."""
        return iter(() if self.calls is None else self.calls.leaves())


def may_run(planned: PlannedNode) -> bool:
    """Whether a node runs, or may run."""
    if not planned.demand or planned.is_skipped:
        return False
    return planned.calls is None or any(call.verdict != "hit" for call in planned.each_call())


SinkState = Callable[[PlannedCall], tuple[Digest, ...] | None]
"""Digests of the files that a sink's call wrote if they lie there unchanged; its key is known."""


def predict(
    graph: CheckedGraph,
    shared: EngineState,
    *,
    sink_state: SinkState | None = None,
    needs_targets: bool = False,
) -> dict[str, PlannedNode]:
    """What a run of a graph would do, node by node, in the graph's order.

    Args:
        sink_state: Asked of sinks whose key is known; without it they always run.
        needs_targets: The values of the targets' outputs are wanted, not only their files.
    """
    nodes: dict[str, PlannedNode] = {}
    forwards = _Forwards(shared, nodes, sink_state)
    for name, node in graph.nodes.items():
        if name in graph.values:
            # It stands for a live value: there is nothing to call.
            nodes[name] = PlannedNode(
                node, calls=Nested(branches=()), outputs=(graph.values[name],)
            )
        else:
            nodes[name] = forwards.planned(node)
    _doubt_races(nodes)
    _Backwards(graph, nodes).settle(needs_targets=needs_targets)
    return nodes


def _doubt_races(nodes: Mapping[str, PlannedNode]) -> None:
    """Which of two equal calls comes first decides whether the other runs, unless it waits for it.

    Those of nodes with lazy inputs don't wait for each other, nor does any for one that runs each
    time; but the result of each is kept.
    """
    calls: dict[Key, list[PlannedCall]] = {}
    races = set()
    for planned in nodes.values():
        for call in planned.each_call():
            if call.key is None or call.reason not in ("new", "always"):
                continue
            others = calls.setdefault(call.key, [])
            others.append(call)
            if call.reason == "always" or (planned.lazy and len(others) > 1):
                races.add(call.key)
    for key in races:
        for call in calls[key]:
            if call.reason == "new" and len(calls[key]) > 1:
                call.verdict = "perhaps"


class _Forwards:
    """Foresees one node after the other, each after those that it needs."""

    def __init__(
        self, shared: EngineState, nodes: Mapping[str, PlannedNode], sink_state: SinkState | None
    ) -> None:
        self._shared = shared
        self._nodes = nodes
        self._sink_state = sink_state

    def planned(self, node: GraphNode) -> PlannedNode:
        """What a node would do if it were asked for."""
        lazy = node.lazy_links | node.raw_links.keys()
        planned_node = PlannedNode(node, lazy)
        inputs = {port: self._linked(node, port) for port in node.links if port not in lazy}
        if any(self._is_blocked(node, port, value) for port, value in inputs.items()):
            return self._skipped(planned_node)
        try:
            base = self._shared.base_of(node)
        except Exception as error:  # noqa: BLE001 - literals' digests may be pack code's work
            planned_node.fault = f"{type(error).__name__}: {error}"
            planned_node.outputs = tuple(UNKNOWN for _ in node.spec.outputs)
            return planned_node
        planned_node.calls = self._calls(node, inputs)
        if planned_node.calls is None:
            planned_node.outputs = tuple(UNKNOWN for _ in node.spec.outputs)
            return planned_node
        for call in planned_node.calls.leaves():
            self._foresee(call, base, lazy)
            if not node.map_depth and call.reason == "blocked":
                return self._skipped(planned_node)
        planned_node.outputs = _gathered(planned_node.calls, node.spec.outputs)
        return planned_node

    def _linked(self, node: GraphNode, port: str) -> PredictedValue:
        """A linked input as it gets in; see `Run.linked`."""
        source = node.links[port]
        upstream = self._nodes[source.node]
        names = [output.name for output in upstream.node.spec.outputs]
        value = upstream.outputs[names.index(source.port)]
        if source.fit.map_depth:
            return value
        value = value.without_blocked(skips=node.spec.skips_blocked)
        return value.converted(source.fit.conversions)

    def _is_blocked(self, node: GraphNode, port: str, value: PredictedValue) -> bool:
        return value.is_blocked or self._nodes[node.links[port].node].is_skipped

    def _skipped(self, planned: PlannedNode) -> PlannedNode:
        planned.is_skipped = True
        planned.outputs = tuple(blocked() for _ in planned.node.spec.outputs)
        return planned

    def _calls(
        self, node: GraphNode, inputs: dict[str, PredictedValue]
    ) -> Nested[PlannedCall] | None:
        if not node.map_depth:
            return Nested(PlannedCall(node.name, node, inputs))
        depths = {port: node.links[port].fit.map_depth for port in inputs}
        if not all(has_length(inputs[port], depth) for port, depth in depths.items()):
            return None
        # It only takes lists apart, whatever the items are.
        taken = spread(cast("dict[str, Product]", inputs), depths)
        return self._named(node, cast("Nested[dict[str, PredictedValue]]", taken), node.name)

    def _named(
        self, node: GraphNode, taken: Nested[dict[str, PredictedValue]], name: str
    ) -> Nested[PlannedCall]:
        if taken.branches is not None:
            branches = enumerate(taken.branches)
            return Nested(
                branches=tuple(
                    self._named(node, branch, f"{name}[{at}]") for at, branch in branches
                )
            )
        assert taken.leaf is not None
        links = node.links
        inputs = {
            port: value.converted(links[port].fit.conversions)
            if links[port].fit.map_depth
            else value
            for port, value in taken.leaf.items()
        }
        return Nested(PlannedCall(name, node, inputs))

    # One call

    def _foresee(self, call: PlannedCall, base: str, lazy: frozenset[str]) -> None:
        """Settle what can be told of a call from what is known of its inputs; see `Calls.begin`."""
        node = call.node
        call.outputs = tuple(UNKNOWN for _ in node.spec.outputs)
        call.asks_more = bool(lazy)
        if any(value.is_blocked for value in call.inputs.values()):
            _block(call)
            return
        is_spared = self._sink_state is not None and node.spec.output_files and not node.always
        if not node.is_repeatable and not is_spared:
            call.verdict = "run"
            call.reason = _each_time(node)
        digests = {}
        for port, value in call.inputs.items():
            if isinstance(value, UnknownValue):
                return
            digests[port] = value.digest
        fingerprint = self._fingerprint(call)
        if fingerprint is None:
            if node.is_repeatable:
                call.reason = "state"
            return
        call.fingerprint = fingerprint
        call.key = call_key(base, digests | raw_digests(node), fingerprint)
        self._look_up(call, lazy)

    def _look_up(self, call: PlannedCall, lazy: frozenset[str]) -> None:
        node, get = call.node, self._shared.cache.get
        inputs = self._shared.environment.inputs
        assert call.key is not None
        call.passed.clear()
        local = self._reads_of(node) if node.spec.reads_graph else None
        call.key, entry = look_up(call.key, get, inputs, call.passed, local)
        while isinstance(entry, AskedPort) and entry.port in lazy:
            value = self._linked(node, entry.port)
            call.inputs[entry.port] = value
            if self._is_blocked(node, entry.port, value):
                _block(call)
                return
            if isinstance(value, UnknownValue):
                call.key = None
                return
            call.passed.append(call.key)
            key = lazy_key(call.key, entry.port, value.digest)
            call.key, entry = look_up(key, get, inputs, call.passed, local)
        if isinstance(entry, CallOutputs):
            call.entry = entry
            call.asks_more = False
        if not node.is_repeatable:
            call.verdict, call.reason = "run", _each_time(node)
            files = self._sink_state(call) if node.spec.output and self._sink_state else None
            if files is not None:
                call.verdict, call.reason, call.files = "hit", "files", files
        elif call.entry is not None:
            call.verdict, call.reason, call.outputs = "hit", "kept", call.entry.products
        else:
            call.verdict, call.reason = "run", "new"

    def _reads_of(self, node: GraphNode) -> GraphReads:
        """Fingerprints of what a node reads of the graph, as far as they are known."""

        def digest_of(name: str, port: str) -> Digest | None:
            upstream = self._nodes.get(name)
            if upstream is None:
                return None
            value = upstream.outputs[upstream.node.spec.output_indices[port]]
            return None if isinstance(value, UnknownValue) else value.digest

        def node_of(name: str) -> GraphNode:
            return node if name == node.name else self._nodes[name].node

        return GraphReads(node.name, node_of, digest_of, self._shared.registry.digesters)

    def _fingerprint(self, call: PlannedCall) -> str | None:
        """What it reads outside, by its own word; None if that can't be told yet."""
        spec = call.node.spec
        if "fingerprint" not in spec.hooks and not file_links_to_check(
            spec, call.inputs, self._shared.environment
        ):
            return ""
        known = [value for value in call.inputs.values() if isinstance(value, Product)]
        if not all(value.is_loaded or (value.size <= _CHEAP and value.is_there) for value in known):
            return None
        try:
            linked: dict[str, Any] = {
                port: value.value
                for port, value in call.inputs.items()
                if isinstance(value, Product)
            }
            input_values = {**call.node.literals, **linked}
            check_paths(call.node.name, spec, input_values, self._shared.environment)
            hook = self._shared.registry.hook(spec.type, "fingerprint")
            return (
                ""
                if hook is None
                else str(
                    hook(
                        HookInputs(
                            input_values,
                            {port: {} for port in call.inputs},
                            self._shared.environment,
                        )
                    )
                )
            )
        except Exception:  # noqa: BLE001 - the pack's code may raise anything, and the run tells it
            return None


def _block(call: PlannedCall) -> None:
    call.verdict, call.reason, call.asks_more = "hit", "blocked", False
    call.outputs = tuple(blocked() for _ in call.node.spec.outputs)


def _each_time(node: GraphNode) -> Reason:
    if node.always:
        return "always"
    return "sink" if node.spec.output else "random"


def _gathered(
    calls: Nested[PlannedCall], ports: Sequence[OutputSpec]
) -> tuple[PredictedValue, ...]:
    """What is known of each output; lists in the shape of the calls, see `states.gather`."""
    if calls.branches is None:
        assert calls.leaf is not None
        return calls.leaf.outputs
    columns = [_gathered(branch, ports) for branch in calls.branches]
    is_last = all(branch.branches is None for branch in calls.branches)
    return tuple(
        _joined([column[at] for column in columns])
        if is_last and port.is_joined
        else foreseen_list([column[at] for column in columns])
        for at, port in enumerate(ports)
    )


def _joined(values: Sequence[PredictedValue]) -> PredictedValue:
    """What is known of the lists of several calls as one list."""
    if any(value.items is None and not value.is_blocked for value in values):
        return UNKNOWN
    return foreseen_list(
        [
            item
            for value in values
            for item in (value.items if value.items is not None else (value,))
        ]
    )


class _Backwards:
    """Settles, from the targets back, what is asked for and what must be computed once more."""

    def __init__(self, graph: CheckedGraph, nodes: Mapping[str, PlannedNode]) -> None:
        self._graph = graph
        self._nodes = nodes
        self._each_time = {
            call.key
            for planned in nodes.values()
            for call in planned.each_call()
            if call.reason == "always"
        }

    def settle(self, *, needs_targets: bool) -> None:
        for name in self._graph.targets:
            target = self._nodes[name]
            target.demand = Demand.YES
            if needs_targets:
                for value in target.outputs:
                    _need(target, value, Demand.YES)
        for planned in reversed(tuple(self._nodes.values())):
            if planned.demand:
                self._compute_again(planned)
                self._ask(planned)
        self._share()

    def _compute_again(self, planned: PlannedNode) -> None:
        """Where a value that is needed is gone, all calls whose values are gone run again."""
        if not planned.needed:
            return
        level = Demand.NO
        for value in planned.outputs:
            for leaf in known_leaves(value):
                if leaf.digest in planned.needed and not leaf.is_there:
                    level = max(level, planned.needed[leaf.digest])
        if not level:
            return
        for call in planned.each_call():
            if call.reason == "kept" and call.found_in == "digest":
                # An equal call that runs each time may bring the value back first.
                is_sure = level is Demand.YES and call.key not in self._each_time
                call.verdict = "run" if is_sure else "perhaps"
                call.reason = "gone"

    def _ask(self, planned: PlannedNode) -> None:
        """Ask for what a node needs, and for the values of what its calls take in."""
        node, lazy = planned.node, planned.lazy
        for port, source in node.links.items():
            if port not in lazy:
                self._demand(source.node, planned.demand)
        if planned.calls is None and not planned.is_skipped:
            for port in lazy:
                self._demand(node.links[port].node, Demand.PERHAPS)
        for call in planned.each_call():
            for port in lazy:
                if port in call.inputs:
                    self._demand(node.links[port].node, planned.demand)
                elif call.asks_more:
                    self._demand(node.links[port].node, Demand.PERHAPS)
            if call.verdict != "hit":
                # One whose inputs aren't all known may yet be left out, as one is blocked.
                is_sure = call.verdict == "run" and planned.demand is Demand.YES and call.key
                level = Demand.YES if is_sure else Demand.PERHAPS
                for port, value in call.inputs.items():
                    _need(self._nodes[node.links[port].node], value, level)

    def _demand(self, name: str, demand: Demand) -> None:
        upstream = self._nodes[name]
        upstream.demand = max(upstream.demand, demand)

    def _share(self) -> None:
        """Of equal calls one runs, and the others take what it gives."""
        leaders: dict[Key, tuple[Demand, PlannedCall]] = {}
        for planned in self._nodes.values():
            if not planned.demand or planned.lazy:
                continue
            for call in planned.each_call():
                if call.key is None or call.verdict != "run" or call.reason not in ("new", "gone"):
                    continue
                known = leaders.get(call.key)
                if known is None:
                    leaders[call.key] = planned.demand, call
                    continue
                follower = call
                if planned.demand > known[0]:
                    leaders[call.key] = planned.demand, call
                    follower = known[1]
                follower.verdict, follower.reason = "hit", "shared"


def _need(planned: PlannedNode, value: PredictedValue, level: Demand) -> None:
    needed = planned.needed
    for leaf in known_leaves(value):
        needed[leaf.digest] = max(needed.get(leaf.digest, Demand.NO), level)
