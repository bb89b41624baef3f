"""The work of a call: what decides how long it takes, and how much of it there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from nodegraph.core.digests import Digest
from nodegraph.core.graph import GraphNode
from nodegraph.core.hooks import Estimate, Facts, HookInputs
from nodegraph.core.patience import watch_hook
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.core.values import Recipe
from nodegraph.engine.shared import EngineState

RECIPES = frozenset(
    {"DiffusionModel", "TextEncoder", "Vae", "ControlNet", "ImageEncoder", "Pipeline"}
)
"""Port types whose values stand for weights."""
CARRIERS = frozenset({"Conditioning", "Guider"})
"""Port types whose values may bring recipes along; what they bring stays with what is made of
them."""
LOADING = "(weights)"
"""Stands in place of a node type where it is noted what loading weights took."""
LENGTH = "(calls)"
"""The same of how many calls a node had that was mapped over a list, in place of seconds."""
MACHINE = "(machine)"
"""The same of 1e9 multiplications, as measured once."""

_LONGEST = 200
"""Characters of a shape; the rest of a longer one is left out."""
_SIZES = ("width", "height", "batch", "frames")
_NO_ESTIMATE = Estimate()
_STEPS = "steps"
_HELD = "held_"
"""Before the names of facts that say how much memory a model's work holds."""

_ports: dict[str, tuple[NodeSpec, tuple[str, ...]]] = {}


@dataclass(frozen=True, slots=True)
class Work:
    """What a call has to do.

    Attributes:
        shape: All that decides its time, as text: sizes and families, whole numbers, switches,
            choices, weights. Seeds, free text and numbers with a fraction are left out, as they
            rarely matter and would make each call a shape of its own.
        kind: The same without sizes and whole numbers.
        amount: What the time grows with, in a unit of the node type's own; None if unknown.
    """

    shape: str
    kind: str
    amount: float | None

    def by(self, digests: Mapping[str, Digest]) -> Work:
        """The same, computed with some weights.

        Args:
            digests: Of their recipes, by input.
        """
        if not digests:
            return self
        names = "".join(f" {port}={digest[:16]}" for port, digest in sorted(digests.items()))
        return replace(self, shape=self.shape + names, kind=self.kind + names)


_PLAIN = Work("", "", None)


def work_of(node: GraphNode, nodes: Mapping[str, GraphNode], shared: EngineState) -> Work:
    """The work of a node's call, whatever weights it computes with.

    Args:
        nodes: Those of the graph that it is linked from, by name.
    """
    known: Work | None = node.memo.get("work")
    if known is None:
        known = node.memo["work"] = _looked(node, nodes, shared)
    return known


def length_shape(node: GraphNode) -> str:
    """Under which it is noted how many calls a node had: like-named ones are mostly the same."""
    return f"{node.spec.type} {node.name}"[:_LONGEST]


def loading_work(recipe: Recipe, size: int) -> Work:
    """The work of loading a recipe's weights.

    Args:
        size: Bytes that they take in memory; 0 if unknown.
    """
    kind = type(recipe).__name__
    return Work(f"{kind} {recipe.digest[:32]} {recipe.dtype}", kind, size or None)


def estimate_of(node: GraphNode, nodes: Mapping[str, GraphNode], shared: EngineState) -> Estimate:
    """What the node's own estimate hook says; nothing if it has none, or fails."""
    if "estimate" not in node.spec.hooks:
        return _NO_ESTIMATE
    known: Estimate | None = node.memo.get("estimate")
    if known is None:
        known = node.memo["estimate"] = _hook_estimate(node, nodes, shared)
    return known


def _hook_estimate(
    node: GraphNode, nodes: Mapping[str, GraphNode], shared: EngineState
) -> Estimate:
    hook_inputs = HookInputs(node.literals, _linked_facts(node, nodes), shared.environment)
    try:
        hook = shared.registry.hook(node.spec.type, "estimate")
        with watch_hook(node.name, node.spec.type, "estimate"):
            estimate: Any = hook(hook_inputs) if hook is not None else None
    except Exception:  # noqa: BLE001 - the pack's code may raise anything; nothing depends on it
        return _NO_ESTIMATE
    return estimate if isinstance(estimate, Estimate) else _NO_ESTIMATE


def _looked(node: GraphNode, nodes: Mapping[str, GraphNode], shared: EngineState) -> Work:
    facts: dict[str, Any] = {}
    for known in node.facts.values():
        facts.update(_telling(known))
    for port, linked in _linked_facts(node, nodes).items():
        for fact, value in _telling(linked).items():
            if facts.setdefault(fact, value) != value:
                facts[f"{port}.{fact}"] = value
    node_literals = node.literals
    literals = {
        port: node_literals[port]
        for port in _deciding(node.spec)
        if node_literals.get(port) is not None
    }
    amount = estimate_of(node, nodes, shared).work
    if not facts and not literals:
        # Of most nodes that aren't about pictures, each time they run.
        return _PLAIN if amount is None else Work(_end(amount), "", amount)
    if amount is None:
        amount = _amount(facts, literals)
    shape = {**facts, **literals}
    kind = {name: value for name, value in shape.items() if not _is_amount(name, value, literals)}
    return Work(_text(shape) + _end(amount), _text(kind), amount)


def _telling(facts: Facts) -> dict[str, Any]:
    """Without what only says how much memory is held."""
    return {name: value for name, value in facts.items() if not name.startswith(_HELD)}


def _end(amount: float | None) -> str:
    return "" if amount is None else f" work={amount:.6g}"


def _amount(facts: Facts, literals: Mapping[str, Any]) -> float | None:
    """Pixels × pictures × steps, as far as they are known."""
    sizes = [facts[name] for name in _SIZES if _is_count(facts.get(name))] if facts else []
    steps = literals.get(_STEPS)
    factors = [*sizes, steps] if _is_count(steps) else sizes
    return float(prod(factors)) if factors else None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_amount(name: str, value: Any, literals: Mapping[str, Any]) -> bool:
    if name.rpartition(".")[2] in _SIZES:
        return True
    return name in literals and isinstance(value, int) and not isinstance(value, bool)


def _text(facts: Mapping[str, Any]) -> str:
    if not facts:
        return ""
    return " ".join([f"{name}={facts[name]}" for name in sorted(facts)])[:_LONGEST]


def _linked_facts(node: GraphNode, nodes: Mapping[str, GraphNode]) -> dict[str, Facts]:
    """What is known of a node's linked inputs before anything runs."""
    by_port = {}
    for port, source in node.links.items():
        upstream = nodes.get(source.node)
        facts = None if upstream is None else upstream.facts.get(source.port)
        if facts:
            by_port[port] = facts
    return by_port


def _deciding(spec: NodeSpec) -> tuple[str, ...]:
    known = _ports.get(spec.type)
    if known is None or known[0] is not spec:
        known = spec, tuple(port.name for port in spec.inputs if _decides(port))
        _ports[spec.type] = known
    return known[1]


def _decides(port: InputSpec) -> bool:
    if "enum" in (port.json_schema or ()):
        return True
    return port.type in ("int", "bool") and port.widget != "seed"
