"""From a call's inputs to the arguments of the function behind the node."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from nodegraph.core.context import Context
from nodegraph.core.node import NodeDefinition


def arguments(
    definition: NodeDefinition,
    literals: Mapping[str, Any],
    linked: Mapping[str, Any],
    context: Context,
) -> dict[str, Any]:
    """Keyword arguments: literals in their Python types, linked values, the context."""
    given = {port: _literal(definition, port, value) for port, value in literals.items()}
    given.update(linked)
    for port, enum in definition.enums.items():
        given[port] = _members(enum, given.get(port))
    if definition.context is not None:
        given[definition.context] = context
    return given


def _literal(definition: NodeDefinition, port: str, value: Any) -> Any:
    wanted = definition.spec.inputs_by_name[port].type
    return Path(value) if wanted == "Path" and isinstance(value, str) else value


def _members(enum: type[Enum], value: Any) -> Any:
    """A choice as the Enum's member; each item of a list."""
    if isinstance(value, (list, tuple)):
        return [_members(enum, item) for item in value]
    return value if value is None or isinstance(value, Enum) else enum(value)
