"""Workflows on which a node type is tried: its example, or itself with inputs that are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from nodegraph.core.digests import LEAVES
from nodegraph.core.links import write_literal
from nodegraph.core.node import NODE_ATTRIBUTE, NodeDefinition
from nodegraph.core.spec import InputSpec, NodeSpec, OutputSpec
from nodegraph.core.workflow import Workflow
from nodegraph.session.examples import NodeExample

_NODE = "node"
_NUMBERS = count(1)
"""A registry takes each name once."""


@dataclass(frozen=True)
class Trial:
    """A workflow that uses a node type.

    Attributes:
        nodes: Names of the nodes of that type in it.
        source: ``example``, ``generated`` or ``given``.
        inputs: Folder that relative paths start from.
        functions: Nodes that the workflow needs besides those of packs.
    """

    workflow: Workflow
    nodes: tuple[str, ...]
    source: str
    inputs: Path | None = None
    functions: tuple[Callable[..., Any], ...] = ()


def example_trial(spec: NodeSpec, example: NodeExample) -> Trial:
    """A node type's example.

    Raises:
        InvalidFile, InvalidWorkflow: It can't be read.
    """
    workflow = Workflow.from_json(example.text.decode("utf-8", "replace"), name=example.file.name)
    nodes = [name for name, node in workflow.nodes.items() if node.type == spec.type]
    return Trial(workflow, tuple(nodes), "example", example.inputs)


def trial_of(spec: NodeSpec, given: Mapping[str, Any], source: str = "given") -> Trial:
    """A node type alone, with values for inputs: those that a file could hold, and any others."""
    inputs: dict[str, Any] = {}
    nodes: dict[str, Any] = {_NODE: {"type": spec.type, "inputs": inputs}}
    functions = []
    for name, value in given.items():
        port = spec.inputs_by_name.get(name) or InputSpec(name=name, type="Any", json_schema={})
        literal = write_literal(value)
        if port.json_schema is not None and _is_plain(literal):
            inputs[name] = literal
        else:
            function = _giver(port, value)
            functions.append(function)
            nodes[f"given_{name}"] = {"type": function.__name__}
            inputs[name] = {"from": f"given_{name}.value"}
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    return Trial(workflow, (_NODE,), source, functions=tuple(functions))


def _is_plain(value: Any) -> bool:
    if type(value) is list:
        return all(map(_is_plain, value))
    if type(value) is dict:
        return all(map(_is_plain, (*value, *value.values())))
    return type(value) in LEAVES - {bytes}


def _giver(port: InputSpec, value: Any) -> Callable[..., Any]:
    """A node that gives a value, as of a link."""

    def give() -> Any:
        return value

    name = give.__name__ = f"Given_{port.name}_{next(_NUMBERS)}"
    spec = NodeSpec(
        type=name,
        outputs=(OutputSpec(name="value", type=port.type, nullable=True),),
        module=give.__module__,
        qualname=give.__qualname__,
    )
    setattr(give, NODE_ATTRIBUTE, NodeDefinition(spec, give, None, {}, (), {}, {}))
    return give
