"""Workflows on which a node type is tried: its example, or itself with inputs that are given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodegraph.core.digests import LEAVES
from nodegraph.core.links import to_live, write_literal
from nodegraph.core.parts import NodeEntry
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.core.workflow import Workflow
from nodegraph.session.examples import NodeExample

_NODE = "node"


@dataclass(frozen=True)
class Trial:
    """A workflow that uses a node type.

    Attributes:
        nodes: Names of the nodes of that type in it.
        source: ``example``, ``generated`` or ``given``.
        inputs: Folder that relative paths start from.
    """

    workflow: Workflow
    nodes: tuple[str, ...]
    source: str
    inputs: Path | None = None


def example_trial(spec: NodeSpec, example: NodeExample) -> Trial:
    """A node type's example.

    Raises:
        InvalidFile, InvalidWorkflow: It can't be read.
    """
    workflow = Workflow.from_json(example.text.decode("utf-8", "replace"), name=example.file.name)
    nodes = [name for name, node in workflow.nodes.items() if node.type == spec.type]
    return Trial(workflow, tuple(nodes), "example", example.inputs)


def build_trial(spec: NodeSpec, given: Mapping[str, Any], source: str = "given") -> Trial:
    """A node type alone, with values for inputs: those that a file could hold, and any others."""
    inputs: dict[str, Any] = {}
    for name, value in given.items():
        port = spec.inputs_by_name.get(name) or InputSpec(name=name, type="Any", json_schema={})
        literal = write_literal(value)
        is_literal = port.json_schema is not None and _is_plain(literal)
        inputs[name] = literal if is_literal else to_live(value)
    return Trial(
        Workflow(nodes={_NODE: NodeEntry(type=spec.type, inputs=inputs)}), (_NODE,), source
    )


def _is_plain(value: Any) -> bool:
    if type(value) is list:
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, (*value, *value.values())))
    return type(value) in LEAVES - {bytes}
