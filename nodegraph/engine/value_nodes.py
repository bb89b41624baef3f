"""Nodes that stand for values in memory: of a workflow's inputs, and of an expansion's.

Each gives one value, which is known before anything runs, and has a type of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nodegraph.core.catalog import ExtendedCatalog
from nodegraph.core.digests import is_tensor
from nodegraph.core.flat import VALUE
from nodegraph.core.hooks import Facts
from nodegraph.core.links import Value
from nodegraph.core.spec import HookName, HookRef, NodeSpec, OutputSpec
from nodegraph.core.types import TypeExpr
from nodegraph.core.value_types import type_of_value
from nodegraph.core.values import Recipe
from nodegraph.packs.registry import Registry

OUTPUT = "value"
"""Name of their output."""


class ValueNodes:
    """The nodes that stand for the values of one workflow.

    Attributes:
        values: By the node's name, which is its type's, too.
    """

    def __init__(self) -> None:
        self.values: dict[str, Value] = {}
        self._specs: dict[str, NodeSpec] = {}
        self._facts: dict[str, Facts] = {}

    def link(self, name: str, value: Value, expr: TypeExpr, facts: Facts) -> dict[str, str]:
        """Have a node of a name give a value; returns a link to it, as a file writes it.

        Args:
            expr: The type of what it gives.
            facts: What is known of the value.
        """
        self.values[name] = value
        self._specs[name] = _value_type(name, expr, facts)
        self._facts[name] = facts
        return {"from": f"{name}.{OUTPUT}"}

    def catalog(self, registry: Registry) -> ExtendedCatalog:
        """The node types of a registry, and those of these nodes."""
        return _WithValues(registry, self._specs, self._facts)


class _WithValues(ExtendedCatalog):
    """The node types of a registry, and those that stand for values."""

    def __init__(
        self, registry: Registry, specs: Mapping[str, NodeSpec], facts: Mapping[str, Facts]
    ) -> None:
        super().__init__(registry, specs)
        self._registry = registry
        self._facts = facts

    def hook(self, node_type: str, name: HookName) -> Callable[..., Any] | None:
        facts = self._facts.get(node_type)
        if facts is None:
            return super().hook(node_type, name)
        return (lambda inputs: {OUTPUT: facts}) if name == "infer" else None

    def faults(self, pack: str) -> Sequence[str]:
        return self._registry.faults(pack)

    def pack_versions(self) -> Mapping[str, str]:
        return self._registry.pack_versions()


def _value_type(name: str, expr: TypeExpr, facts: Facts) -> NodeSpec:
    hooks: dict[HookName, HookRef] = {"infer": HookRef(module="", name="")} if facts else {}
    outputs = (OutputSpec(name=OUTPUT, type=str(expr)),)
    return NodeSpec(type=name, category=VALUE, outputs=outputs, hooks=hooks)


def value_facts(value: Any) -> Facts:
    """What is known of a value, as the node types that give such ones tell of it.

    Of a list it is what holds for each of its items.
    """
    if isinstance(value, (list, tuple)):
        each = [value_facts(item) for item in value]
        first = each[0] if each else {}
        return {
            name: fact
            for name, fact in first.items()
            if all(other.get(name) == fact for other in each)
        }
    if is_tensor(value) and value.ndim in (3, 4):
        shape = tuple(value.shape)
        facts: dict[str, Any] = {"width": shape[2], "height": shape[1], "batch": shape[0]}
        return {**facts, "channels": shape[3]} if len(shape) == 4 else facts
    kind = type_of_value(value)
    if kind == "Latent":
        size = {"width": value.width, "height": value.height, "batch": value.batch_size}
        facts = {**size, "frames": value.frames, "format": value.format}
    elif kind == "Video":
        _, height, width, channels = value.frames.shape
        facts = {"width": width, "height": height, "frames": len(value.frames)}
        facts["channels"] = channels
    elif isinstance(value, Recipe) or kind == "Conditioning":
        facts = {"family": value.family}
    else:
        facts = {}
    return {name: fact for name, fact in facts.items() if fact is not None}
