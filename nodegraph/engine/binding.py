"""From a call's inputs to the arguments of the function behind the node."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from nodegraph.core.context import Context
from nodegraph.core.node import NodeDefinition
from nodegraph.core.types import TypeExpr


def arguments(
    definition: NodeDefinition,
    literals: Mapping[str, Any],
    linked: Mapping[str, Any],
    context: Context,
) -> dict[str, Any]:
    """Keyword arguments: literals in their Python types, linked values, the context."""
    ports = definition.spec.inputs_by_name
    given = {port: _paths(ports[port].expr, value) for port, value in literals.items()}
    given.update(linked)
    for port, enum in definition.enums.items():
        given[port] = members(enum, given.get(port))
    if definition.context is not None:
        given[definition.context] = context
    return given


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
