"""Names of nodes, subgraphs, ports and parameters that fields refer to, and their renaming.

A renamed part is one change, however many links, parameters and positions name it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nodegraph.core.comparison.fields import (
    ABSENT,
    NODE_LAYOUT,
    Fields,
    ListStep,
    Path,
    Scope,
    node_path,
    scope_of,
)

Names = Mapping[str, str]
"""New names by old ones."""
NO_NAMES: Names = {}


@dataclass(frozen=True)
class PartNames:
    """New names of parts by old ones. All paths and keys have the old names.

    Attributes:
        nodes: By their subgraph.
        blocks: Of subgraphs.
        parameters: Of the workflow's parameters.
        block_inputs, block_outputs: Of the ports of subgraphs, by subgraph.
        node_inputs, node_outputs: The same names at the nodes that use these subgraphs, by the
            path of the node. A node that does not follow the renaming is absent.
        bodies: Inputs of loops that name a subgraph and follow its renaming, with the old name of
            the subgraph. A text that only looks like the name is absent.
    """

    nodes: Mapping[Scope, Names] = field(default_factory=dict)
    blocks: Names = field(default_factory=dict)
    parameters: Names = field(default_factory=dict)
    block_inputs: Mapping[str, Names] = field(default_factory=dict)
    block_outputs: Mapping[str, Names] = field(default_factory=dict)
    node_inputs: Mapping[Path, Names] = field(default_factory=dict)
    node_outputs: Mapping[Path, Names] = field(default_factory=dict)
    bodies: Mapping[Path, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        tables = (self.nodes, self.block_inputs, self.block_outputs)
        is_any = any(any(table.values()) for table in tables)
        return bool(is_any or self.blocks or self.parameters)

    def input_of(self, scope: Scope, node: str, port: str) -> str:
        """Return the new name of a node's input."""
        return self.node_inputs.get(node_path(scope, node), NO_NAMES).get(port, port)

    def target(self, scope: Scope, text: str) -> str:
        """Return ``node.port`` of an input, or ``node``, with new names."""
        return self._port_text(scope, text, self.node_inputs)

    def source(self, scope: Scope, text: str) -> str:
        """Return ``node.port`` of an output, or ``node``, with new names."""
        return self._port_text(scope, text, self.node_outputs)

    def _port_text(self, scope: Scope, text: str, ports: Mapping[Path, Names]) -> str:
        node, dot, port = text.partition(".")
        if ports:
            port = ports.get(node_path(scope, node), NO_NAMES).get(port, port)
        return self.nodes.get(scope, NO_NAMES).get(node, node) + dot + port


def split_target(text: str) -> tuple[str, str]:
    """Return node and remaining text of ``node.port`` or ``node``."""
    node, dot, port = text.partition(".")
    return node, dot + port


def is_link_value(value: Any) -> bool:
    """Return whether the value of an input is a link with a readable target."""
    return isinstance(value, dict) and isinstance(value.get("from"), str)


def _is_input(path: Path) -> bool:
    inner = path[2:] if path[0] == "subgraphs" else path
    return len(inner) == 4 and inner[0] == "nodes" and inner[2] == "inputs"


def _is_target_text(path: Path) -> bool:
    if path[0] == "parameters":
        return len(path) == 3 and path[2] == "input"
    return path[0] == "subgraphs" and len(path) == 4 and path[2] == "outputs"


def _is_target_list(path: Path) -> bool:
    return path[0] == "subgraphs" and len(path) == 5 and path[2] == "inputs" and path[4] == "to"


def _layout_index(path: Path) -> int | None:
    """Position of the node's name in a path of a layout that belongs to a node."""
    at = 3 if len(path) > 3 and path[1] == "subgraphs" else 1
    is_node = path[0] == "ui" and len(path) > at + 1 and path[at] in NODE_LAYOUT
    return at + 1 if is_node else None


def _is_whole_layout(path: Path) -> bool:
    at = 3 if len(path) > 3 and path[1] == "subgraphs" else 1
    return path[0] == "ui" and len(path) == at + 1 and path[at] in NODE_LAYOUT


def references(path: Path, value: Any) -> list[str]:
    """Return the names of the nodes that a field refers to, in the field's own scope."""
    if _is_input(path) and is_link_value(value):
        return [split_target(value["from"])[0]]
    if _is_target_text(path) and isinstance(value, str):
        return [split_target(value)[0]]
    if _is_target_list(path) and isinstance(value, list):
        return [split_target(text)[0] for text in value if isinstance(text, str)]
    at = _layout_index(path)
    if at is not None:
        step = path[at]
        return [split_target(step if isinstance(step, str) else step.name)[0]]
    return []


def port_references(fields: Mapping[Path, Any]) -> Iterator[tuple[str, Scope, str, str]]:
    """Yield each mention of a node's port: ``inputs`` or ``outputs``, subgraph, node and port."""
    for path, value in fields.items():
        scope = scope_of(path)
        if _is_input(path):
            yield "inputs", scope, str(path[-3]), str(path[-1])
        for side, text in _port_texts(path, value):
            node, dot, port = text.partition(".")
            if dot:
                yield side, scope, node, port


def _port_texts(path: Path, value: Any) -> Iterator[tuple[str, str]]:
    if _is_input(path) and is_link_value(value):
        yield "outputs", value["from"]
    elif _is_target_text(path) and isinstance(value, str):
        yield "inputs" if path[0] == "parameters" else "outputs", value
    elif _is_target_list(path) and isinstance(value, list):
        yield from (("inputs", text) for text in value if isinstance(text, str))
    elif (index := _layout_index(path)) is not None:
        step = path[index]
        yield "inputs", step if isinstance(step, str) else step.name


def body_names(fields: Fields, blocks: Collection[str]) -> Iterator[tuple[Path, str]]:
    """Yield each input whose value is the name of one of some subgraphs, such as a loop's body."""
    for path, value in fields.items():
        if isinstance(value, str) and value in blocks and _is_input(path):
            yield path, value


def without_references(path: Path, value: Any, names: Collection[str]) -> Any:
    """Return a field without its references to nodes: ABSENT, or a shorter list."""
    if _is_target_list(path):
        kept = [text for text in value if split_target(text)[0] not in names]
        return kept or ABSENT
    return ABSENT


def renamed(fields: Mapping[Path, Any], names: PartNames) -> Fields:
    """Return the fields with other names of parts, all at once."""
    if not names:
        return dict(fields)
    return {
        renamed_path(path, names): _renamed_value(path, value, names)
        for path, value in fields.items()
    }


def renamed_path(path: Path, names: PartNames) -> Path:
    """Return a path with other names."""
    scope = scope_of(path)
    inside = names.nodes.get(scope, NO_NAMES)
    steps = list(path)
    if path[0] == "parameters":
        steps[1] = names.parameters.get(str(path[1]), path[1])
    at = 2 if path[0] == "subgraphs" else 0
    if len(path) > at + 1 and path[at] == "nodes":
        node = str(path[at + 1])
        steps[at + 1] = inside.get(node, path[at + 1])
        if len(path) > at + 3 and path[at + 2] == "inputs":
            steps[at + 3] = names.input_of(scope, node, str(path[at + 3]))
    elif at and len(path) > at + 1 and path[at] in ("inputs", "outputs"):
        ports = names.block_inputs if path[at] == "inputs" else names.block_outputs
        steps[at + 1] = ports.get(str(scope), NO_NAMES).get(str(path[at + 1]), path[at + 1])
    index = _layout_index(path)
    if index is not None:
        step = path[index]
        if isinstance(step, ListStep):
            steps[index] = ListStep(step.kind, names.target(scope, step.name))
        else:
            steps[index] = names.target(scope, step)
    if scope in names.blocks:
        steps[2 if path[0] == "ui" else 1] = names.blocks[str(scope)]
    return tuple(steps)


def _renamed_value(path: Path, value: Any, names: PartNames) -> Any:
    scope = scope_of(path)
    if _is_input(path) and is_link_value(value):
        return {**value, "from": names.source(scope, value["from"])}
    if _is_target_text(path) and isinstance(value, str):
        is_input = path[0] == "parameters"
        return names.target(scope, value) if is_input else names.source(scope, value)
    if _is_target_list(path) and isinstance(value, list):
        return [names.target(scope, text) for text in value]
    if _is_type(path):
        return names.blocks.get(value, value)
    if names.bodies.get(path, ABSENT) == value:
        return names.blocks.get(value, value)
    if path[0] == "ui":
        return _renamed_layout(path, value, names)
    return value


def _renamed_layout(path: Path, value: Any, names: PartNames) -> Any:
    scope = scope_of(path)
    if _is_whole_layout(path):
        if isinstance(value, dict):
            return {names.target(scope, name): item for name, item in value.items()}
        if isinstance(value, list):
            return [names.target(scope, item) if isinstance(item, str) else item for item in value]
    index = _layout_index(path)
    if index is not None and path[index - 1] == "shown" and isinstance(value, list):
        node = path[index]
        name = node if isinstance(node, str) else node.name
        return [
            names.input_of(scope, name, port) if isinstance(port, str) else port for port in value
        ]
    if path[-1] == "node" and "comments" in path[:4] and isinstance(value, str):
        return names.nodes.get(scope, NO_NAMES).get(value, value)
    return value


def _is_type(path: Path) -> bool:
    inner = path[2:] if path[0] == "subgraphs" else path
    return len(inner) == 3 and inner[0] == "nodes" and inner[2] == "type"


def used_types(fields: Mapping[Path, Any]) -> Iterator[tuple[Path, str]]:
    """Yield the type of each node with its path."""
    for path, value in fields.items():
        if _is_type(path):
            yield path, value


def used_blocks(
    fields: Mapping[Path, Any], body_ports: Collection[str]
) -> Iterator[tuple[Path, str]]:
    """Yield each type of a node and each body of a loop with its path: names of subgraphs.

    Args:
        body_ports: Names of the inputs of loops that name subgraphs.
    """
    yield from used_types(fields)
    for path, value in fields.items():
        if path[-1] in body_ports and isinstance(value, str) and _is_input(path):
            yield path, value
