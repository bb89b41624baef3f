"""Graphs of native nodes while they are made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from nodegraph.core.links import Link, write_input, write_literal
from nodegraph.core.parts import Mode, NodeEntry
from nodegraph.interop.comfyui.corrections import apply_corrections, remove_idle_nodes
from nodegraph.interop.comfyui.foreign import BLOCK
from nodegraph.interop.comfyui.naming import Names, to_snake_case
from nodegraph.interop.comfyui.placing import Canvas
from nodegraph.interop.comfyui.tags import strip_tags, tag_of
from nodegraph.interop.comfyui.translating import MadeOutput


@dataclass
class MadeNode:
    """A node that was made.

    Attributes:
        inputs: `MadeOutput`s, of which those of the node `BLOCK` are the block's own inputs, and
            literals, tagged if they are as they were written.
        pack: What brings its type, of one that isn't native.
        rest: Further fields of its entry.
        corrections: Of a node that comes back, see `corrections`.
        is_implied: It is left out if nothing is linked to it.
        origin: What is kept of it for the way back.
    """

    name: str
    type: str
    inputs: dict[str, Any]
    label: str = ""
    mode: Mode | None = None
    pack: str = ""
    rest: Mapping[str, Any] = field(default_factory=dict)
    corrections: Any = None
    is_implied: bool = False
    origin: dict[str, Any] = field(default_factory=dict)

    def entry(self) -> NodeEntry:
        """As the file says it."""
        written = {port: _written(value) for port, value in self.inputs.items()}
        fields = {"label": self.label, "mode": self.mode, "pack": self.pack, **self.rest}
        unread = [port for port, value in self.inputs.items() if tag_of(value).unread]
        if unread:
            fields["unread"] = list(dict.fromkeys((*self.rest.get("unread", ()), *unread)))
        inputs = {
            port: value
            for port, value in written.items()
            if value is not _OF_BLOCK and port not in unread
        }
        return NodeEntry(type=self.type, inputs=inputs, **fields)

    def from_block(self) -> Mapping[str, str]:
        """The block's input that each input takes its value from."""
        block_inputs = {port: _block_input(value) for port, value in self.inputs.items()}
        return {port: name for port, name in block_inputs.items() if name}


_OF_BLOCK = object()


def _block_input(value: Any) -> str:
    if isinstance(value, MadeOutput):
        return value.port if value.node == BLOCK else ""
    return tag_of(value).block_input


def _written(value: Any) -> Any:
    if _block_input(value):
        return _OF_BLOCK
    if isinstance(value, MadeOutput):
        return write_input(Link(value.node, value.port))
    return write_literal(strip_tags(value))


class GraphBuilder:
    """The nodes of a workflow, or of one block.

    Attributes:
        nodes: By name, in the order in which they were made.
        file_position: Where in the file stands what is being made.
        needed: Nodes that a block's outputs lead to.
    """

    def __init__(self) -> None:
        self.nodes: dict[str, MadeNode] = {}
        self.file_position: tuple[int, ...] = ()
        self._places: dict[str, tuple[int, ...]] = {}
        self.canvas = Canvas()
        self._names = Names()
        self.needed: set[str] = set()

    def add(
        self,
        wanted: str,
        node_type: str,
        inputs: dict[str, Any],
        name: str = "",
        *,
        like: str = "",
    ) -> MadeNode:
        """Make a node.

        Args:
            wanted: What it is called after.
            name: Its name, if it is free, of a node that had one here.
            like: A node that stands for the same as it.
        """
        name = self._names.reserve(name or to_snake_case(wanted, "node"))
        node = self.nodes[name] = MadeNode(name, node_type, inputs)
        self._places[name] = self._places[like] if like else self.file_position
        return node

    def file_positions(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Where in the file stands what each node was made of, in the order of their making."""
        for name in self.nodes:
            yield name, self._places[name]

    def remove(self, name: str) -> None:
        """Take back a node that nothing is linked to."""
        del self.nodes[name]
        self._names.release(name)

    def since(self, count: int) -> list[str]:
        """Names of the nodes that were made since there were so many, latest first."""
        return list(islice(reversed(self.nodes), max(0, len(self.nodes) - count)))

    def in_order(self) -> dict[str, MadeNode]:
        """The nodes as their author wrote them down."""
        names = sorted(self.nodes, key=self._places.__getitem__)
        return {name: self.nodes[name] for name in names}

    def entries(self) -> dict[str, NodeEntry]:
        """The nodes as the file says them; those that come back, as they were."""
        nodes = self.in_order()
        restored_entries = apply_corrections(
            {name: node.entry() for name, node in nodes.items()},
            {name: node.corrections for name, node in nodes.items() if node.corrections},
        )
        implied = {name for name, node in nodes.items() if node.is_implied} - self.needed
        return remove_idle_nodes(restored_entries, implied)

    def layout(self) -> dict[str, Any]:
        """Where everything stands, and what is kept for the way back, as `ui` says it."""
        nodes = self.in_order()
        ui_layout = self.canvas.layout(nodes)
        seeds = {
            f"{node.name}.{port}": tag_of(value).control
            for node in nodes.values()
            for port, value in node.inputs.items()
            if tag_of(value).control and not tag_of(value).block_input
        }
        origins = {name: strip_tags(node.origin) for name, node in nodes.items() if node.origin}
        if seeds:
            ui_layout["seeds"] = seeds
        if origins:
            ui_layout["comfyui"] = {"nodes": origins}
        return ui_layout
