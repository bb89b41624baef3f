"""Expected time, memory and weight loads of calls, as measured or estimated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from typing import Literal, NamedTuple

from nodegraph.core.digests import Digest
from nodegraph.core.graph import GraphNode
from nodegraph.core.hooks import Estimate
from nodegraph.core.values import Recipe
from nodegraph.engine.call_records import (
    CARRIERS,
    LENGTH,
    LOADING,
    MACHINE,
    RECIPES,
    Work,
    estimate_of,
    length_shape,
    loading_work,
    work_of,
)
from nodegraph.engine.planning.prediction import Demand, PlannedNode, may_run
from nodegraph.engine.product import Product
from nodegraph.engine.runtime import EngineState
from nodegraph.store.costs import Cost

Residency = Callable[[Recipe, str], bool]
"""Whether a recipe's weights are in a device's memory."""

_SMALL = 1 << 16
"""Bytes; a larger value is no recipe."""


class WeightSource(NamedTuple):
    """What one node brings of the weights behind an input.

    Attributes:
        which: Names them, alike wherever they are used.
        recipe: None if it isn't known yet.
        size: Bytes; None if unknown.
        parts: Of these, the most that is on a device at once if they are brought in parts.
    """

    which: str
    recipe: Recipe | None
    kind: str
    size: int | None
    parts: int


class WeightLoads:
    """The weights behind what runs."""

    def __init__(
        self,
        nodes: Mapping[str, GraphNode],
        predicted: Mapping[str, PlannedNode],
        expectations: CostEstimator,
        is_resident: Residency,
        shared: EngineState,
    ) -> None:
        self.load: dict[str, int] = {}
        self.held: dict[str, int] = {}
        self.seconds: dict[str, float] = {}
        self.unknown: list[str] = []
        self.behind: dict[str, list[WeightSource]] = {}
        self._predicted = predicted
        self._nodes = nodes
        self._expectations = expectations
        self._is_resident = is_resident
        counted: set[tuple[str, str]] = set()
        for name, planned in predicted.items():
            # Who hands a recipe on with something put on it loads nothing.
            hands_on = any(output.type in RECIPES for output in planned.node.spec.outputs)
            if planned.demand is Demand.YES and may_run(planned) and not hands_on:
                self._add(name, planned.node, shared.device_of(planned.node.spec), counted)

    def _add(self, name: str, node: GraphNode, device: str, counted: set[tuple[str, str]]) -> None:
        own = self.behind[name] = list(dict.fromkeys(self._behind(node)))
        for which, recipe, kind, size, _ in own:
            if (which, device) in counted:
                continue
            counted.add((which, device))
            if size is None:
                self.unknown.append(name)
                continue
            self.held[device] = self.held.get(device, 0) + size
            if recipe is None or not self._is_resident(recipe, device):
                self.load[device] = self.load.get(device, 0) + size
                seconds = self._expectations.loading(recipe, kind, size, device) or 0.0
                self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def _behind(self, node: GraphNode) -> Iterator[WeightSource]:
        carried = self._expectations.estimate(node).carries.values()
        handed_on = {port for ports in carried for port in ports}
        hands_on = any(output.type in CARRIERS for output in node.spec.outputs)
        for port, source in node.links.items():
            kind = node.spec.inputs_by_name[port].type
            if kind in RECIPES and port not in handed_on:
                yield from self._brought(kind, source.node, source.port)
            elif kind in CARRIERS and not hands_on:
                for recipe_output in self._expectations.carried(source.node, source.port):
                    yield from self._brought(*recipe_output)

    def _brought(self, kind: str, node: str, port: str) -> Iterator[WeightSource]:
        for name, output, size, parts in self._expectations.weights(node, port):
            recipe, which = self._recipe(name, output), f"{name}.{output}"
            if recipe is not None:
                which = f"{kind} {recipe.digest} {recipe.dtype} {recipe.options}"
                which += "".join(
                    f" {item.kind} {item.digest} {item.strength}" for item in recipe.adapters
                )
            yield WeightSource(which, recipe, kind, size, parts)

    def _recipe(self, source: str, port: str) -> Recipe | None:
        upstream = self._predicted[source]
        names = [output.name for output in upstream.node.spec.outputs]
        value = upstream.outputs[names.index(port)]
        if not isinstance(value, Product) or value.size > _SMALL or not value.is_there:
            return None
        try:
            recipe = value.value
        except Exception:  # noqa: BLE001 - the store may have lost it just now; then it isn't known
            return None
        return recipe if isinstance(recipe, Recipe) else None


_MOST = 16
"""Points that a line is laid through: those that were seen most often."""
_BASE = 0.2
"""What a share of the time that doesn't grow with the amount is charged with, so that two points
that lie near each other don't make one up out of noise."""


@dataclass(frozen=True, slots=True)
class Timing:
    """What an amount of work took.

    Attributes:
        amount: In any unit, more than 0.
        seconds: On average.
        count: How often it was done.
    """

    amount: float
    seconds: float
    count: int = 1


@dataclass(frozen=True, slots=True)
class Line:
    """Seconds by the amount of work: a base, and so many for each unit; neither is negative."""

    base: float
    each: float

    def at(self, amount: float) -> float:
        """Seconds that an amount takes."""
        return self.base + self.each * amount


def fit_line(timings: Sequence[Timing]) -> Line | None:
    """The line that lies nearest to what was seen; None if nothing was.

    Distances are shares of the time seen, added up and not squared, so that a few calls that were
    held up change little. Such a line goes through two of the points, or through one of them with
    either no base or nothing but a base.
    """
    points = sorted(
        [point for point in timings if point.amount > 0 and point.seconds > 0],
        key=lambda point: -point.count,
    )[:_MOST]
    return min(_candidates(points), key=lambda line: _distance(line, points), default=None)


def _candidates(points: Sequence[Timing]) -> Iterator[Line]:
    for point in points:
        yield Line(0.0, point.seconds / point.amount)
    for first, other in combinations(points, 2):
        if first.amount == other.amount:
            continue
        each = (other.seconds - first.seconds) / (other.amount - first.amount)
        base = first.seconds - each * first.amount
        if each >= 0 and base >= 0:
            yield Line(base, each)
    if len(points) > 1:
        for point in points:
            yield Line(point.seconds, 0.0)


def _distance(line: Line, points: Sequence[Timing]) -> float:
    distance = 0.0
    for point in points:
        off = abs(line.at(point.amount) - point.seconds)
        charge = _BASE * line.base / len(points)
        distance += (sqrt(point.count) * off + charge) / point.seconds
    return distance


_ITEM = 4
"""Bytes of a parameter, mostly."""
_EFFICIENCY = 0.4
"""Of what a large product of matrices reaches, what a whole network does."""

Basis = Literal["measured", "similar", "estimated", ""]
"""Where a figure comes from: calls of this shape, of other shapes, the node's own estimate."""


@dataclass(frozen=True, slots=True)
class CostEstimate:
    """What one call is expected to take.

    Attributes:
        seconds, memory: None where unknown; memory in bytes, on its device.
    """

    seconds: float | None = None
    memory: int | None = None
    basis: Basis = ""


class CostEstimator:
    """Asks what calls of a graph's nodes take.

    Args:
        nodes: Those of the graph, by name.
    """

    def __init__(self, nodes: Mapping[str, GraphNode], shared: EngineState) -> None:
        self._nodes = nodes
        self._shared = shared
        self._lines: dict[tuple[str, str, str], Line | None] = {}

    def of(self, node: GraphNode, weights: Mapping[str, Digest]) -> CostEstimate:
        """What one call of a node takes, besides loading weights.

        Args:
            weights: Digests of the recipes that it computes with, by input, as far as known.
        """
        own = self.estimate(node)
        device = self._shared.device_of(node.spec)
        work = work_of(node, self._nodes, self._shared).by(weights)
        cost = self._cost(node.spec.type, work, device)
        if cost is None:
            seconds = self._by_machine(node, own, device) if own.seconds is None else own.seconds
            return CostEstimate(seconds, own.memory, "estimated" if seconds is not None else "")
        memory = own.memory if cost.memory is None else cost.memory
        if cost.exact:
            return CostEstimate(cost.seconds, memory, "measured")
        seconds = self._scaled(node.spec.type, work, device)
        if own.memory is not None and seconds is not None:
            # That of other sizes would tell less.
            memory = own.memory
        return CostEstimate(cost.seconds if seconds is None else seconds, memory, "similar")

    def _by_machine(self, node: GraphNode, own: Estimate, device: str) -> float | None:
        """Seconds of what never ran here, by how fast the machine multiplies."""
        speed = self._cost(MACHINE, Work("", "", None), device)
        size = sum(
            weight_size or 0
            for port, source in node.links.items()
            if node.spec.inputs_by_name[port].type in RECIPES
            for _, _, weight_size, _ in self.weights(source.node, source.port)
        )
        if own.work is None or speed is None or not size:
            return None
        return own.work * size / _ITEM / 1e9 * speed.seconds / _EFFICIENCY

    def length(self, node: GraphNode) -> float | None:
        """Over how many items a node is mapped, by earlier runs; None if unknown."""
        costs = self._shared.costs
        cost = None if costs is None else costs.expected(LENGTH, length_shape(node), "")
        return cost.seconds if cost is not None and cost.exact else None

    def loading(self, recipe: Recipe | None, kind: str, size: int, device: str) -> float | None:
        """Seconds that loading weights takes; None if unknown.

        Args:
            recipe: None if it isn't known yet.
            kind: Of recipe.
            size: Bytes.
        """
        work = Work("", kind, size) if recipe is None else loading_work(recipe, size)
        cost = self._cost(LOADING, work, device)
        if cost is None or cost.exact:
            return None if cost is None else cost.seconds
        return self._scaled(LOADING, work, device)

    def _cost(self, node_type: str, work: Work, device: str) -> Cost | None:
        costs = self._shared.costs
        return None if costs is None else costs.expected(node_type, work.shape, device)

    def _scaled(self, node_type: str, work: Work, device: str) -> float | None:
        """From other amounts of work of this kind, else of any."""
        if work.amount is None:
            return None
        line = self._line(node_type, work.kind, device) or self._line(node_type, "", device)
        return None if line is None else line.at(work.amount)

    def _line(self, node_type: str, kind: str, device: str) -> Line | None:
        which = node_type, kind, device
        if which not in self._lines:
            assert self._shared.costs is not None
            costs = self._shared.costs.costs_by_shape(node_type, device)
            of_kind = [cost for cost in costs if not kind or cost.kind == kind]
            points = [Timing(cost.amount or 0, cost.seconds, cost.count) for cost in of_kind]
            self._lines[which] = fit_line(points)
        return self._lines[which]

    def weights(self, name: str, port: str) -> Iterator[tuple[str, str, int | None, int]]:
        """The weights behind an output, and those that it shares them with, one below the other.

        Yields:
            Node and output that bring some, their bytes, None if unknown, and how many of these
            are on a device at once if they are brought in parts.
        """
        node = self._nodes[name]
        own = self.estimate(node)
        size = own.weights.get(port)
        yield name, port, size, own.parts.get(port, size or 0)
        below = node.links.get(own.shares.get(port, ""))
        if below is not None:
            yield from self.weights(below.node, below.port)

    def carried(self, name: str, port: str) -> Iterator[tuple[str, str, str]]:
        """The recipes that a value brings along which is none itself.

        Yields:
            Type, and the node and output that give it, each once.
        """
        recipes: dict[tuple[str, str, str], None] = {}
        visited, waiting = {(name, port)}, [(name, port)]
        while waiting:
            name, port = waiting.pop()
            node = self._nodes[name]
            carried = self.estimate(node).carries.get(port, ())
            for input_name, source in node.links.items():
                kind = node.spec.inputs_by_name[input_name].type
                output = source.node, source.port
                if kind in RECIPES and input_name in carried:
                    recipes[kind, source.node, source.port] = None
                elif kind in CARRIERS and output not in visited:
                    visited.add(output)
                    waiting.append(output)
        yield from recipes

    def estimate(self, node: GraphNode) -> Estimate:
        """What the node's own estimate hook says; nothing if it has none, or fails."""
        return estimate_of(node, self._nodes, self._shared)
