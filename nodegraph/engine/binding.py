"""From a call's inputs to the arguments of the function behind the node."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from nodegraph.core.context import Context
from nodegraph.core.copies import lent_copy
from nodegraph.core.node import NodeDefinition
from nodegraph.core.ports import Lazy
from nodegraph.core.spec import NodeSpec
from nodegraph.core.types import TypeExpr


def arguments(
    definition: NodeDefinition,
    spec: NodeSpec,
    literals: Mapping[str, Any],
    linked: Mapping[str, Any],
    lazy: Mapping[str, Lazy[Any]],
    context: Context | None,
) -> dict[str, Any]:
    """Keyword arguments: literals in their Python types, linked values, the context.

    Args:
        spec: Of the node: its type's, or that with the inputs of the subgraph that it runs.
        lazy: Linked inputs that the function may ask for.
        context: None if the function takes none.
    """
    ports = spec.inputs_by_name
    given = {port: _paths(ports[port].expr, lent_copy(value)) for port, value in literals.items()}
    given.update(linked)
    for port, enum in definition.enums.items():
        given[port] = members(enum, given.get(port))
    for name in definition.lazy:
        asked = lazy.get(name)
        choices = definition.enums.get(name)
        given[name] = _members(asked, choices) if asked else _ready(given[name])
    if definition.context is not None:
        given[definition.context] = context
    return given


def _members(lazy: Lazy[Any], enum: type[Enum] | None) -> Lazy[Any]:
    """A lazy input whose value becomes a member of an Enum, as an eager one's does."""
    if enum is None:
        return lazy

    async def evaluate() -> Any:
        return members(enum, await lazy())

    return Lazy(evaluate)


def _ready(value: Any) -> Lazy[Any]:
    """A lazy input that was given as a literal: nothing is left to evaluate."""

    async def evaluate() -> Any:
        return value

    return Lazy(evaluate)


def _paths(expr: TypeExpr, value: Any) -> Any:
    """Text as a `Path` where the type has paths and no text; in lists too."""
    if expr.is_list and isinstance(value, (list, tuple)):
        return [_paths(expr.item, item) for item in value]
    names = set(expr.named())
    is_path = isinstance(value, str) and "Path" in names and "str" not in names
    return Path(value) if is_path else value


def members(enum: type[Enum], value: Any) -> Any:
    """A choice as the Enum's member; each item of a list."""
    if isinstance(value, (list, tuple)):
        return [members(enum, item) for item in value]
    return value if value is None or isinstance(value, Enum) else enum(value)
