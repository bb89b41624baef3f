"""Build native graphs: nodes, unique names and layout."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from math import isfinite
from typing import Any

from nodegraph.core.links import Link, write_input, write_literal
from nodegraph.core.parts import Mode, NodeEntry
from nodegraph.interop.comfyui.foreign_workflow import BLOCK, Frame, Rectangle
from nodegraph.interop.comfyui.literal_tags import strip_tags, tag_of
from nodegraph.interop.comfyui.round_trip import apply_corrections, remove_idle_nodes
from nodegraph.interop.comfyui.translating import MadeOutput

_LONGEST = 40

_PARTED = re.compile(r"(?<=[A-Z]{2})(?=[A-Z][a-z])|(?<=[a-z\d])(?=[A-Z])")
_NO_WORD = re.compile(r"[^\w]+", re.UNICODE)


class Names:
    """Names of one graph that are taken."""

    def __init__(self, taken: set[str] | None = None) -> None:
        self._taken = set(taken or ())
        self._last: dict[str, int] = {}

    def reserve(self, wanted: str, *, between: str = "_") -> str:
        """The wanted name, or the next one of its kind: "blur", "blur_2"; it is taken then."""
        name = wanted
        number = self._last.get(wanted, 1)
        while name in self._taken:
            number += 1
            name = f"{wanted}{between}{number}"
        self._last[wanted] = number
        self._taken.add(name)
        return name

    def release(self, name: str) -> None:
        """Take a name back that nothing is called by."""
        self._taken.discard(name)
        self._last.pop(name, None)


def to_snake_case(text: str, otherwise: str) -> str:
    """A text as a name: "vae_decode" of "VAE Decode" or "VAEDecode".

    Args:
        otherwise: Where nothing of it can stand in a name.
    """
    plain = unicodedata.normalize("NFC", text).replace("LoRA", "Lora")
    words = _NO_WORD.sub("_", _PARTED.sub("_", plain)).strip("_").lower()
    if len(words) > _LONGEST:
        words = words[:_LONGEST].rpartition("_")[0] or words[:_LONGEST]
    return re.sub("_{2,}", "_", words) or otherwise


def subgraph_name(text: str) -> str:
    """A sub-graph's name as it can stand for a type of node."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text)
    return " ".join(re.sub(r"[./:]", " ", plain).split())[:_LONGEST].strip() or "Block"


WIDTH, HEIGHT = 248.0, 140.0
"""Of a card whose size nobody tells."""
_GAP = 24.0
_CELL = 256.0
_FARTHEST = 1e6


@dataclass(frozen=True, slots=True)
class _Look:
    spot: Rectangle
    color: str
    is_collapsed: bool


class Canvas:
    """What stands where in one graph."""

    def __init__(self) -> None:
        self._looks: dict[str, _Look] = {}
        self._cells: dict[tuple[int, int], list[Rectangle]] = {}
        self._beside: dict[str, list[str]] = {}
        self._groups: list[Frame] = []
        self._notes: list[Frame] = []
        self.ends: dict[str, Rectangle] = {}

    def put(
        self, name: str, spot: Rectangle, color: str = "", *, is_collapsed: bool = False
    ) -> None:
        """Say where a node stands."""
        self._looks[name] = _Look(_bounded(spot), color, is_collapsed)
        self._fill(_sized(_bounded(spot)))

    def put_beside(self, name: str, first: str) -> None:
        """Have a node stand near another one, wherever there is room in the end."""
        self._beside.setdefault(first, []).append(name)

    def take_over(self, name: str, before: str) -> None:
        """Have a node stand where another one stood that goes."""
        if before in self._looks:
            self._looks[name] = self._looks.pop(before)
        self._beside.setdefault(name, []).extend(self._beside.pop(before, ()))

    def move(self, names: Collection[str], canvas: Canvas) -> None:
        """Have nodes stand on another canvas as they stood here."""
        for name in names:
            if name in self._looks:
                look = self._looks.pop(name)
                canvas.put(name, look.spot, look.color, is_collapsed=look.is_collapsed)
            for other in self._beside.pop(name, ()):
                canvas.put_beside(other, name)

    def frame(self, groups: Iterable[Frame], notes: Iterable[Frame] = ()) -> None:
        """Say what stands behind nodes, and between them."""
        self._groups += groups
        for note in notes:
            self._notes.append(note)
            self._fill(_sized(_bounded(note.bounds)))

    def layout(self, names: Collection[str]) -> dict[str, Any]:
        """As the editor reads it: `ui` of a workflow, or of one of its subgraphs."""
        for first, others in self._beside.items():
            self._stack_below(first, others)
        self._beside.clear()
        looks = {name: self._looks[name] for name in names if name in self._looks}
        ui_layout: dict[str, Any] = {
            "positions": {name: _point(look.spot) for name, look in looks.items()},
            "sizes": {
                name: [round(look.spot.width)]
                for name, look in looks.items()
                if look.spot.width > 0 and not look.is_collapsed
            },
            "colors": {name: look.color for name, look in looks.items() if look.color},
            "collapsed": [name for name, look in looks.items() if look.is_collapsed],
            "groups": [_box(frame, "title", at) for at, frame in enumerate(self._groups)],
            "notes": [_box(frame, "text", at) for at, frame in enumerate(self._notes)],
            "ends": {end: _point(_bounded(spot)) for end, spot in self.ends.items()},
        }
        return {key: value for key, value in ui_layout.items() if value}

    def bottom(self) -> tuple[float, float]:
        """Left and lower edge of all there is."""
        spots = [_sized(look.spot) for look in self._looks.values()]
        if not spots:
            return 0.0, 0.0
        return min(spot.x for spot in spots), max(spot.y + spot.height for spot in spots)

    def _stack_below(self, first: str, others: Iterable[str]) -> None:
        """Put nodes below the first one, one under the other, each where nothing stands."""
        look = self._looks.get(first)
        if look is None:
            return
        above = _sized(look.spot)
        for name in others:
            spot = Rectangle(above.x, above.y + above.height + _GAP, above.width, HEIGHT)
            while (taken := self._taken(spot)) is not None:
                spot = replace(spot, y=taken.y + taken.height + _GAP)
            self.put(name, replace(spot, height=0.0))
            above = spot

    def _fill(self, spot: Rectangle) -> None:
        for cell in _cells(spot):
            self._cells.setdefault(cell, []).append(spot)

    def _taken(self, spot: Rectangle) -> Rectangle | None:
        """What stands there already."""
        for cell in _cells(spot):
            for other in self._cells.get(cell, ()):
                if _overlap(spot, other):
                    return other
        return None


def _cells(spot: Rectangle) -> Iterable[tuple[int, int]]:
    # Huge things fill the cells at their corner only: a limit for hostile files.
    columns = range(int(spot.x // _CELL), int((spot.x + min(spot.width, 4096)) // _CELL) + 1)
    rows = range(int(spot.y // _CELL), int((spot.y + min(spot.height, 4096)) // _CELL) + 1)
    return [(column, row) for column in columns for row in rows]


def _overlap(spot: Rectangle, other: Rectangle) -> bool:
    return (
        spot.x < other.x + other.width
        and other.x < spot.x + spot.width
        and spot.y < other.y + other.height
        and other.y < spot.y + spot.height
    )


def _sized(spot: Rectangle) -> Rectangle:
    return replace(spot, width=spot.width or WIDTH, height=spot.height or HEIGHT)


def _bounded(spot: Rectangle) -> Rectangle:
    values = (spot.x, spot.y, spot.width, spot.height)
    x, y, width, height = (
        max(-_FARTHEST, min(value, _FARTHEST)) if isfinite(value) else 0.0 for value in values
    )
    return Rectangle(x, y, max(width, 0.0), max(height, 0.0))


def _point(spot: Rectangle) -> list[int]:
    return [round(spot.x), round(spot.y)]


def _box(frame: Frame, key: str, at: int) -> dict[str, Any]:
    spot = _sized(_bounded(frame.bounds))
    box: dict[str, Any] = {"id": str(at + 1), key: frame.text}
    if frame.color:
        box["color"] = frame.color
    return box | {"box": [*_point(spot), round(spot.width), round(spot.height)]}


@dataclass
class MadeNode:
    """A node that was made.

    Attributes:
        inputs: `MadeOutput`s, of which those of the node `BLOCK` are the block's own inputs, and
            literals, tagged if they are as they were written.
        pack: What brings its type, of one that isn't native.
        extra_fields: Further fields of its entry.
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
    extra_fields: Mapping[str, Any] = field(default_factory=dict)
    corrections: Any = None
    is_implied: bool = False
    origin: dict[str, Any] = field(default_factory=dict)

    def entry(self) -> NodeEntry:
        """As the file says it."""
        written = {port: _written(value) for port, value in self.inputs.items()}
        fields = {"label": self.label, "mode": self.mode, "pack": self.pack, **self.extra_fields}
        unread = [port for port, value in self.inputs.items() if tag_of(value).unread]
        if unread:
            fields["unread"] = list(dict.fromkeys((*self.extra_fields.get("unread", ()), *unread)))
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

    def extract(self, names: Collection[str]) -> GraphBuilder:
        """Move nodes to a graph of their own, with where they stand."""
        inner = GraphBuilder()
        for name in [name for name in self.nodes if name in names]:
            inner.nodes[name] = self.nodes[name]
            inner._places[name] = self._places[name]
            inner._names.reserve(name)
            self.remove(name)
        inner.file_position = self.file_position
        self.canvas.move(inner.nodes, inner.canvas)
        return inner

    def relink(self, outputs: Mapping[MadeOutput, MadeOutput]) -> None:
        """Have nodes take other outputs in place of some."""
        for node in self.nodes.values():
            for port, value in node.inputs.items():
                if isinstance(value, MadeOutput) and value in outputs:
                    node.inputs[port] = outputs[value]

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
