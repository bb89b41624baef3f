"""The plan of a run: what each node would do, and what that is expected to take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.core.digests import Digest
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.hooks import Estimate
from nodegraph.core.tables import rich_table
from nodegraph.core.text_format import (
    format_seconds,
    format_size,
    pluralize,
    strip_control_characters,
)
from nodegraph.core.values import Recipe
from nodegraph.engine.call_records import RECIPES, find_unchanged_files
from nodegraph.engine.planning.device_memory import Fit, MemoryNeed, RoomOf, fit_of
from nodegraph.engine.planning.estimates import (
    Basis,
    CostEstimator,
    Residency,
    WeightLoads,
    WeightSource,
)
from nodegraph.engine.planning.prediction import (
    Demand,
    FoundIn,
    PlannedCall,
    PlannedNode,
    Reason,
    SinkState,
    known_leaves,
    may_run,
    predict,
)
from nodegraph.engine.product import Product
from nodegraph.engine.runtime import EngineState
from nodegraph.errors import Problem

if TYPE_CHECKING:
    from rich.console import Group

Status = Literal["hit", "run", "lazy", "skip"]
"""``hit``: nothing to compute. ``run``: it will, or may, run. ``lazy``: whether it is asked for
can't be told. ``skip``: it isn't asked for, or an input is blocked."""

_PLACES: Sequence[FoundIn] = ("memory", "shared", "blocked", "files", "disk", "digest")


@dataclass(frozen=True, slots=True)
class NodePlan:
    """What one node would do.

    Attributes:
        certain: False if it may be cut off early, as what it waits for may turn out the same; and
            for a hit that may not be asked for. Of nodes whose type has never run here it is
            false too, as two of them may turn out equal.
        place: Where a hit's result is.
        calls: How often its function would be called; None if the lists' lengths aren't known.
        cached: How many of these calls are answered without running.
        seconds, memory: Expected, of all its calls and at the peak; None if unknown. Loading
            weights isn't in it.
        load_seconds: What loading weights is expected to add, if it comes first of those that need
            them.
        weights: Bytes of the weights that it computes with, shared ones included; None if unknown.
        fit: How it has room for them on its device; see `nodegraph.engine.planning.device_memory`.
        transfer_seconds: What bringing weights in parts takes at least, where they have no room; in
            `seconds` already.
        needs: Nodes linked to it that run, or may run, before it.
        key: Of its call; empty where it has several, or an input isn't known.
        files: Digests of the bytes of the files of a hit that wrote some, as they lie there.
    """

    name: str
    type: str
    status: Status
    reason: Reason
    certain: bool
    device: str
    place: FoundIn | None = None
    calls: int | None = 1
    cached: int = 0
    seconds: float | None = None
    load_seconds: float = 0.0
    memory: int | None = None
    basis: Basis = ""
    weights: int | None = None
    fit: Fit = ""
    transfer_seconds: float = 0.0
    needs: tuple[str, ...] = ()
    key: str = ""
    is_sink: bool = False
    files: tuple[Digest, ...] = ()

    @property
    def is_new(self) -> bool:
        """Whether no node of its type has ever run here."""
        return self.reason == "first"


@dataclass(frozen=True, slots=True)
class Totals:
    """What the whole run is expected to take.

    Attributes:
        counts: Nodes by status.
        perhaps: How many of those that run may be cut off early.
        seconds: Of what runs or may run, as far as it is known, loading weights included.
        load_seconds: Of these, for loading weights.
        sure_seconds: Of what runs in any case.
        unknown_seconds: How many nodes that run have no expected time.
        memory: Peak in bytes by device, weights included; as far as it is known.
        unknown_memory: How many nodes that run have no expected memory, by device.
        load: Bytes of weights to load, by device.
        unknown_load: Names of nodes whose weights' size isn't known.
        room: Bytes that there are for all of it, by device; as far as it is known.
    """

    counts: Mapping[Status, int]
    perhaps: int
    seconds: float
    load_seconds: float
    sure_seconds: float
    unknown_seconds: int
    memory: Mapping[str, int]
    unknown_memory: Mapping[str, int]
    load: Mapping[str, int]
    unknown_load: tuple[str, ...]
    room: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Missing:
    """Names of the models and packs that a workflow needs and that aren't there."""

    models: tuple[str, ...] = ()
    packs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What a run of a workflow would do.

    Attributes:
        nodes: By name, in an order in which they can run.
        targets: Nodes that a run would compute. Of a workflow that something is wrong with, those
            that it leaves alone; the nodes are then what they need. Without any, the nodes are
            those that can be told.
        problems: What keeps the workflow, or the rest of it, from running.
        warnings: What doesn't, but is worth knowing.
        predicted: What the plan was made from, for `why`; a copy or a pickle of the plan has none
            of it, as it leads to values and to the store.
    """

    nodes: Mapping[str, NodePlan]
    totals: Totals
    targets: tuple[str, ...] = ()
    problems: Sequence[Problem] = ()
    missing: Missing = Missing()
    predicted: Mapping[str, PlannedNode] = field(default_factory=dict, compare=False)
    warnings: Sequence[Problem] = ()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "predicted": {}}

    def __repr__(self) -> str:
        counts = ", ".join(f"{status}: {n}" for status, n in self.totals.counts.items() if n)
        wrong = f"; {len(self.problems)} problems" if self.problems else ""
        return f"<Plan of {len(self.nodes)} nodes: {counts}{wrong}>"

    def _repr_html_(self) -> str:
        """The plan as a table, in notebooks."""
        return plan_html(self)

    def __rich__(self) -> Group:
        """The plan as Rich prints it."""
        return plan_table(self)

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        totals = asdict(self.totals)
        return {
            "nodes": {name: asdict(node) for name, node in self.nodes.items()},
            "totals": totals,
            "targets": list(self.targets),
            "missing": asdict(self.missing),
            "problems": [problem.as_dict() for problem in self.problems],
            "warnings": [warning.as_dict() for warning in self.warnings],
        }


def plan(
    graph: CheckedGraph,
    shared: EngineState,
    *,
    is_resident: Residency | None = None,
    needs_targets: bool = False,
    is_known: Callable[[str], bool] | None = None,
    targets: Sequence[str] | None = None,
    problems: Sequence[Problem] = (),
    missing: Missing = Missing(),
    room_of: RoomOf = lambda device: None,
) -> Plan:
    """What a run of a graph would do. No node runs and no value of any size is loaded.

    Args:
        is_resident: Asked of weights that are known; without it none is in memory.
        needs_targets: The values of the targets' outputs are wanted, not only their digests.
        is_known: Tells whether a node of a type has ever run here.
        targets: See `Plan`; the graph's own if not given.
        problems, missing: What is wrong with the workflow that the graph is a part of.
        room_of: Tells the memory of devices.
    """
    state = sink_state(shared)
    predicted = predict(graph, shared, sink_state=state, needs_targets=needs_targets)
    expectations = CostEstimator(graph.nodes, shared)
    nodes: dict[str, NodePlan] = {}
    for name, planned in predicted.items():
        if name in graph.values:
            continue
        made = _node_plan(planned, predicted, expectations, shared)
        nodes[name] = replace(made, reason="first") if _is_first(made, nodes, is_known) else made
    loads = WeightLoads(graph.nodes, predicted, expectations, is_resident or _none, shared)
    for name, behind in loads.behind.items():
        made = replace(nodes[name], load_seconds=loads.seconds.get(name, 0.0))
        nodes[name] = _fitted(made, behind, expectations.estimate(graph.nodes[name]), room_of)
    named = graph.targets if targets is None else tuple(targets)
    return Plan(nodes, _totals(nodes, loads, room_of), named, tuple(problems), missing, predicted)


def _fitted(
    made: NodePlan, behind: Sequence[WeightSource], own: Estimate, room_of: RoomOf
) -> NodePlan:
    """With what is known of its room; the node's own estimate counts, as it does in the run."""
    sizes = [item.size for item in behind if item.size is not None]
    if not behind or len(sizes) < len(behind):
        return made
    made = replace(made, weights=sum(sizes))
    room = room_of(made.device)
    if room is None or own.memory is None:
        return made
    least = own.memory if own.least is None else own.least
    parts = sum(item.parts for item in behind)
    fit = fit_of(MemoryNeed(sum(sizes), parts, own.memory, least), room)
    seconds = 0.0
    if fit in ("parts", "small") and room.rate is not None:
        seconds = sum(sizes) * (own.passes or 1) / room.rate
    expected = made.seconds
    if expected is not None and made.basis != "measured":
        # What was measured had to wait for them, too.
        expected += seconds
    return replace(made, seconds=expected, fit=fit, transfer_seconds=seconds)


def _is_first(
    made: NodePlan, before: Mapping[str, NodePlan], is_known: Callable[[str], bool] | None
) -> bool:
    """Whether a node has nothing of before that could spare it."""
    if is_known is None or made.status != "run" or made.certain or made.reason != "upstream":
        return False
    if not made.is_sink:
        return not is_known(made.type)
    # Of sinks no results are kept: they are as new as what they show.
    return any(before[name].is_new or not is_known(before[name].type) for name in made.needs)


def sink_state(shared: EngineState) -> SinkState | None:
    """Tells of a sink's files that lie there as it wrote them; see `Calls.begin`."""
    written = shared.written
    if written is None:
        return None

    def files_of(call: PlannedCall) -> tuple[Digest, ...] | None:
        node = call.node
        if node.always or not node.spec.output_files or call.key is None:
            return None
        files = find_unchanged_files(written, call.key, shared.environment, call.name)
        return None if files is None else tuple(file.digest for file in files)

    return files_of


def _node_plan(
    planned: PlannedNode,
    predicted: Mapping[str, PlannedNode],
    expectations: CostEstimator,
    shared: EngineState,
) -> NodePlan:
    node = planned.node
    calls = list(planned.each_call())
    hits = [call for call in calls if call.verdict == "hit"]
    status, certain = _status(planned, calls, len(hits))
    running = None if planned.calls is None else len(calls) - len(hits)
    seconds = memory = None
    basis: Basis = ""
    if status in ("run", "lazy"):
        expected = expectations.of(node, _weights(calls))
        memory, basis = expected.memory, expected.basis
        items = expectations.length(node) if running is None else running
        if items is not None and expected.seconds is not None:
            seconds = expected.seconds * items
        elif running == 0:
            seconds = 0.0
        if memory is None:
            memory = _known_size(planned)
    return NodePlan(
        node.name,
        node.spec.type,
        status,
        _reason(planned, calls, status),
        certain,
        shared.device_of(node.spec),
        _slowest_tier(hits) if status == "hit" else None,
        None if planned.calls is None else len(calls),
        len(hits),
        seconds,
        0.0,
        memory,
        basis,
        None,
        "",
        0.0,
        tuple(
            dict.fromkeys(
                source.node
                for source in node.links.values()
                if status != "skip" and may_run(predicted[source.node])
            )
        ),
        calls[0].key or "" if len(calls) == 1 else "",
        node.spec.output,
        tuple(digest for call in hits for digest in call.files),
    )


def _weights(calls: Sequence[PlannedCall]) -> Mapping[str, Digest]:
    """Digests of the recipes that a node computes with, by input, where all calls have the same."""
    if not calls:
        return {}
    types = calls[0].node.spec.inputs_by_name
    return {
        port: value.digest
        for port, value in calls[0].inputs.items()
        if types[port].type in RECIPES and isinstance(value, Product)
    }


def _status(planned: PlannedNode, calls: Sequence[PlannedCall], hits: int) -> tuple[Status, bool]:
    is_asked = planned.demand is Demand.YES
    if planned.demand is Demand.NO or planned.is_skipped:
        return "skip", True
    if calls and hits == len(calls):
        return "hit", is_asked
    if not is_asked:
        return "lazy", False
    # A node that is mapped over an empty list ends at once, and counts as run.
    is_sure = not calls if planned.calls is not None else False
    return "run", is_sure or any(call.verdict == "run" for call in calls)


def _reason(planned: PlannedNode, calls: Sequence[PlannedCall], status: Status) -> Reason:
    if planned.is_skipped:
        return "blocked"
    if status == "skip":
        return "unasked"
    if planned.fault:
        return "fault"
    if planned.calls is None:
        return "upstream"
    wanted = [call for call in calls if (call.verdict == "hit") == (status == "hit")] or calls
    # What runs for sure tells more than what waits.
    order = [*(call.reason for call in wanted if call.verdict != "perhaps")]
    order += [call.reason for call in wanted]
    return order[0] if order else "new"


def _slowest_tier(hits: Sequence[PlannedCall]) -> FoundIn | None:
    """The least handy of the places where the results are."""
    places = [location for call in hits if (location := call.found_in) is not None]
    return max(places, key=_PLACES.index, default=None)


def _known_size(planned: PlannedNode) -> int | None:
    sizes = [
        leaf.size
        for call in planned.each_call()
        for value in call.outputs
        for leaf in known_leaves(value)
    ]
    return sum(sizes) if sizes else None


def _none(recipe: Recipe, device: str) -> bool:
    return False


def _totals(nodes: Mapping[str, NodePlan], loads: WeightLoads, room_of: RoomOf) -> Totals:
    counts: dict[Status, int] = {"hit": 0, "run": 0, "lazy": 0, "skip": 0}
    seconds = load_seconds = sure = 0.0
    perhaps = unknown = 0
    peak = dict(loads.held)
    unknown_memory: dict[str, int] = {}
    highest: dict[str, int] = {}
    for node in nodes.values():
        counts[node.status] += 1
        if node.status != "run":
            continue
        is_sure = node.certain or node.is_new
        perhaps += not is_sure
        if node.seconds is None:
            unknown += 1
        else:
            seconds += node.seconds
            sure += node.seconds if is_sure else 0.0
        load_seconds += node.load_seconds
        sure += node.load_seconds if is_sure else 0.0
        if node.memory is None:
            unknown_memory[node.device] = unknown_memory.get(node.device, 0) + 1
        else:
            highest[node.device] = max(highest.get(node.device, 0), node.memory)
    for device, size in highest.items():
        peak[device] = peak.get(device, 0) + size
    rooms = {device: room for device in peak if (room := room_of(device)) is not None}
    for device, room in rooms.items():
        # Weights that nobody uses go rather than that there is more.
        peak[device] = min(peak[device], max(room.free, highest.get(device, 0)))
    return Totals(
        counts,
        perhaps,
        seconds + load_seconds,
        load_seconds,
        sure,
        unknown,
        peak,
        unknown_memory,
        loads.load,
        tuple(dict.fromkeys(loads.unknown)),
        {device: room.free for device, room in rooms.items()},
    )


HEADS = ("node", "type", "time", "memory", "plan")
_PLACE_WORDS = {
    "memory": "cached in memory",
    "disk": "cached on disk",
    "digest": "cached; its bytes are not kept and not needed",
    "files": "its files exist, unchanged",
    "shared": "an identical node runs instead",
    "blocked": "no value this time",
}
_REASONS = {
    "gone": "runs again, because its bytes are not kept",
    "sink": "runs",
    "always": "runs each time",
    "random": "runs each time",
    "fault": "its cache key cannot be computed",
}


def row(node: NodePlan) -> tuple[str, str, str, str, str]:
    """What is told of a node, under `HEADS`."""
    time = memory = ""
    if node.status in ("run", "lazy"):
        sign = "≈ " if node.basis in ("similar", "estimated") else ""
        time = "?" if node.seconds is None else f"{sign}{format_seconds(node.seconds)}"
        memory = "?" if node.memory is None else format_size(node.memory)
    return node.name, node.type, time, memory, verdict(node)


def verdict(node: NodePlan) -> str:
    """What a node would do, in words."""
    if node.status == "skip":
        return "left out" if node.reason == "blocked" else "not needed"
    if node.status == "hit":
        return _PLACE_WORDS.get(node.place or "", "cached") + (
            "" if node.certain else ", if it is needed"
        )
    text = _REASONS.get(node.reason, "runs")
    if node.status == "lazy":
        text = "runs if it is needed"
    elif not node.certain and node.reason in ("upstream", "state"):
        text = "may run"
    return text + _items(node)


def _items(node: NodePlan) -> str:
    if node.calls is None:
        return "; a list of unknown length"
    if node.calls == 1 and not node.cached:
        return ""
    if not node.calls:
        return "; an empty list"
    return f"; {node.cached} of {pluralize(node.calls, 'item')} cached"


def total_lines(totals: Totals) -> Iterator[str]:
    """What is told of the whole."""
    counts = totals.counts
    yield f"{_running(totals)}, {counts['hit']} cached{_others(totals)}."
    if totals.perhaps:
        yield "A node that may run is skipped if its inputs turn out the same as before."
    if counts["run"]:
        yield f"Expected time: {_time(totals)}."
    for device in sorted({*totals.memory, *totals.unknown_memory, *totals.load}):
        known = totals.memory.get(device)
        least = "at least " if totals.unknown_memory.get(device) or totals.unknown_load else ""
        text = "unknown" if known is None else f"{least}{format_size(known)}"
        load = totals.load.get(device)
        weights = f"; {format_size(load)} of weights to load" if load else ""
        room = totals.room.get(device)
        there = (
            f", of {format_size(room)} that is free for it" if room is not None and known else ""
        )
        yield f"Peak memory on {device}: {text}{there}{weights}."
    if totals.unknown_load:
        yield (
            f"The size of the weights to load for {', '.join(totals.unknown_load)} is not known "
            "yet."
        )


def _running(totals: Totals) -> str:
    sure = totals.counts["run"] - totals.perhaps
    words = "1 node runs" if sure == 1 else f"{sure} nodes run"
    return f"{words}, {totals.perhaps} may run" if totals.perhaps else words


def _others(totals: Totals) -> str:
    lazy, skipped = totals.counts["lazy"], totals.counts["skip"]
    words = [f", {lazy} only if needed"] if lazy else []
    words += [f", {skipped} not needed"] if skipped else []
    return "".join(words)


def _time(totals: Totals) -> str:
    if not totals.seconds and totals.unknown_seconds:
        return "unknown, because none of this has been run here before"
    least = "at least " if totals.unknown_seconds else ""
    text = f"{least}{format_seconds(totals.seconds)}"
    perhaps = totals.seconds - totals.sure_seconds
    parts = []
    if totals.load_seconds > 0:
        parts.append(f"{format_seconds(totals.load_seconds)} to load weights")
    if perhaps > 0:
        parts.append(f"{format_seconds(perhaps)} may be skipped")
    return f"{text}, of which {' and '.join(parts)}" if parts else text


def plan_html(plan: Plan) -> str:
    """The plan as a table, with what is told of the whole and what is wrong below it."""
    heads = "".join(f"<th>{head}</th>" for head in HEADS)
    rows = "".join(f"<tr>{_cells(node)}</tr>" for node in plan.nodes.values())
    notes = "<br>".join(escape(strip_control_characters(line)) for line in _below(plan))
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table><p>{notes}</p>"


def _cells(node: NodePlan) -> str:
    return "".join(f"<td>{escape(strip_control_characters(cell))}</td>" for cell in row(node))


def plan_table(plan: Plan) -> Group:
    """The same for Rich."""
    return rich_table("plan", HEADS, map(row, plan.nodes.values()), _below(plan))


def _below(plan: Plan) -> list[str]:
    lines = list(total_lines(plan.totals)) if plan.nodes else []
    return [*lines, "This cannot run:", *map(str, plan.problems)] if plan.problems else lines
