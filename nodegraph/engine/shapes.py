"""The shape of a call: what decides how long it takes, as a short text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.core.graph import GraphNode
from nodegraph.core.hooks import Facts
from nodegraph.core.spec import InputSpec, NodeSpec

LONGEST = 200
"""Characters of a shape; the rest of a longer one is left out."""

_ports: dict[str, tuple[NodeSpec, tuple[str, ...]]] = {}


def shape_of(node: GraphNode, linked: Mapping[str, Facts]) -> str:
    """What decides how long a node takes: sizes and families, whole numbers, switches, choices.

    Seeds, free text and numbers with a fraction are left out, as they rarely matter and would make
    each call a shape of its own.

    Args:
        linked: Facts of the linked inputs; see `linked_facts`.
    """
    found: dict[str, Any] = {}
    for facts in node.facts.values():
        found.update(facts)
    for port, known in linked.items():
        for fact, value in known.items():
            if found.setdefault(fact, value) != value:
                found[f"{port}.{fact}"] = value
    literals = node.literals
    for port in _deciding(node.spec):
        value = literals.get(port)
        if value is not None:
            found[port] = value
    return " ".join([f"{name}={found[name]}" for name in sorted(found)])[:LONGEST]


def linked_facts(node: GraphNode, nodes: Mapping[str, GraphNode]) -> dict[str, Facts]:
    """What is known of a node's linked inputs before anything runs."""
    found = {}
    for port, source in node.links.items():
        facts = nodes[source.node].facts.get(source.port)
        if facts:
            found[port] = facts
    return found


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
