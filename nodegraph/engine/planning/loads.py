"""The weights behind what runs: how many of them have to be loaded, and how many are held."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from nodegraph.core.graph import GraphNode
from nodegraph.core.values import Recipe
from nodegraph.engine.planning.expectation import CostEstimator
from nodegraph.engine.planning.prediction import Demand, PlannedNode, may_run
from nodegraph.engine.product import Product
from nodegraph.engine.shared import EngineState
from nodegraph.engine.work import CARRIERS, RECIPES

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
