"""What calls are expected to take: as measured before, else as the node itself estimates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nodegraph.core.graph import GraphNode
from nodegraph.core.hooks import Estimate, HookInputs
from nodegraph.engine.shapes import linked_facts, shape_of
from nodegraph.engine.shared import Shared

Basis = Literal["measured", "similar", "estimated", ""]
"""Where a figure comes from: calls of this shape, of other shapes, the node's own estimate."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What one call is expected to take.

    Attributes:
        seconds, memory: None where unknown; memory in bytes, on its device.
    """

    seconds: float | None = None
    memory: int | None = None
    basis: Basis = ""


class Expectations:
    """Asks what calls of a graph's nodes take.

    Args:
        nodes: Those of the graph, by name.
    """

    def __init__(self, nodes: Mapping[str, GraphNode], shared: Shared) -> None:
        self._nodes = nodes
        self._shared = shared
        self._estimates: dict[str, Estimate] = {}

    def of(self, node: GraphNode) -> Expected:
        """What one call of a node takes."""
        costs = self._shared.costs
        cost = None
        if costs is not None:
            device = self._shared.device_of(node.spec)
            cost = costs.expected(node.spec.type, self._shape(node), device)
        if cost is None:
            own = self.estimate(node)
            return Expected(own.seconds, own.memory, "estimated" if own.seconds is not None else "")
        memory = cost.memory if cost.memory is not None else self.estimate(node).memory
        return Expected(cost.seconds, memory, "measured" if cost.exact else "similar")

    def _shape(self, node: GraphNode) -> str:
        known: str | None = node.memo.get("shape")
        if known is None:
            known = node.memo["shape"] = shape_of(node, linked_facts(node, self._nodes))
        return known

    def estimate(self, node: GraphNode) -> Estimate:
        """What the node's own estimate hook says; nothing if it has none, or fails."""
        known = self._estimates.get(node.name)
        if known is None:
            known = self._estimates[node.name] = self._asked(node)
        return known

    def _asked(self, node: GraphNode) -> Estimate:
        if "estimate" not in node.spec.hooks:
            return Estimate()
        facts = linked_facts(node, self._nodes)
        given = HookInputs(node.literals, facts, self._shared.environment)
        try:
            hook = self._shared.registry.hook(node.spec.type, "estimate")
            found: Any = hook(given) if hook is not None else None
        except Exception:  # noqa: BLE001 - the pack's code may raise anything; a plan needs no estimate
            return Estimate()
        return found if isinstance(found, Estimate) else Estimate()
