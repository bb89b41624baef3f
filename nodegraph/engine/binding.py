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
        value = given.get(port)
        if value is not None and not isinstance(value, Enum):
            given[port] = enum(value)
    if definition.context is not None:
        given[definition.context] = context
    return given


def _literal(definition: NodeDefinition, port: str, value: Any) -> Any:
    wanted = definition.spec.inputs_by_name[port].type
    return Path(value) if wanted == "Path" and isinstance(value, str) else value
