"""A workflow as boxes and arrows: what trees, flowcharts and images are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nodegraph.core.links import Link, is_link, parse_link, parse_target, read_link, read_literal
from nodegraph.core.literals import format_value

if TYPE_CHECKING:
    from nodegraph.core.parts import NodeEntry, Subgraph
    from nodegraph.core.spec import NodeSpec
    from nodegraph.core.types import TypeTable

    FindSpec = Callable[[NodeEntry], NodeSpec | None]

PLAIN = "#9aa0a6"
"""Color of a port whose type isn't known."""


@dataclass(frozen=True)
class Port:
    """An input that is linked, or an output."""

    name: str
    color: str = PLAIN


@dataclass(frozen=True)
class Box:
    """A node, or an input or output of a subgraph.

    Attributes:
        title: Its label, or its name.
        kind: Its type.
        literals: Inputs with a value, as text.
        is_block: It stands for a subgraph.
    """

    name: str
    title: str
    kind: str
    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()
    literals: Mapping[str, str] = field(default_factory=dict)
    is_block: bool = False


@dataclass(frozen=True)
class Arrow:
    """A link, from a port of one box to a port of another."""

    source: str
    output: str
    target: str
    input: str
    color: str = PLAIN


@dataclass(frozen=True)
class Drawing:
    """The nodes of a workflow, or of one of its subgraphs.

    Attributes:
        boxes: By name, in the file's order.
        arrows: Links between boxes; those that lead nowhere are left out.
    """

    title: str
    boxes: Mapping[str, Box]
    arrows: Sequence[Arrow]


def drawings(
    nodes: Mapping[str, NodeEntry],
    subgraphs: Mapping[str, Subgraph],
    title: str,
    find_spec: FindSpec = lambda entry: None,
    types: TypeTable | None = None,
) -> list[Drawing]:
    """A workflow's nodes, then each of its subgraphs.

    Args:
        find_spec: Gives the node type of a node, so that its box has all of its outputs.
        types: Port types, for the colors of links.
    """
    drawer = _Drawer(subgraphs, find_spec, types)
    blocks = [drawer.block(name) for name in subgraphs]
    return [drawer.drawing(title, nodes), *blocks]


class _Drawer:
    def __init__(
        self, subgraphs: Mapping[str, Subgraph], find_spec: FindSpec, types: TypeTable | None
    ) -> None:
        self._subgraphs = subgraphs
        self._find_spec = find_spec
        self._types = types

    def drawing(self, title: str, entries: Mapping[str, NodeEntry]) -> Drawing:
        """Some nodes and the links among them."""
        specs = {name: self._find_spec(entry) for name, entry in entries.items()}
        used = _used_outputs(entries, specs)
        boxes: dict[str, Box] = {}
        arrows: list[Arrow] = []
        for name, entry in entries.items():
            links = dict(_links(entry))
            incoming = [
                Arrow(link.node, link.port, name, port, self._color(link, specs))
                for port, written in links.items()
                if (link := _full(written, specs)).node in entries
            ]
            arrows += incoming
            boxes[name] = self._box(name, entry, specs[name], used[name], incoming)
        return Drawing(title, boxes, arrows)

    def block(self, name: str) -> Drawing:
        """The inside of a subgraph, with its inputs and outputs as boxes of their own."""
        block = self._subgraphs[name]
        inner = self.drawing(f"subgraph {name}", block.nodes)
        boxes, arrows = dict(inner.boxes), list(inner.arrows)
        for port, subgraph_input in block.inputs.items():
            box = f"input {port}"
            boxes[box] = Box(box, port, subgraph_input.type or "input", outputs=(Port(port),))
            for node, target in _targets(subgraph_input.to, boxes):
                arrows.append(Arrow(box, port, node, target))
                boxes[node] = _with_input(boxes[node], target)
        specs = {node: self._find_spec(entry) for node, entry in block.nodes.items()}
        for port, written in block.outputs.items():
            link = _read(written)
            if link is None or link.node not in boxes:
                continue
            full, box = _full(link, specs), f"output {port}"
            boxes[box] = Box(box, port, "output", inputs=(Port(port),))
            boxes[full.node] = _with_output(boxes[full.node], full.port)
            arrows.append(Arrow(full.node, full.port, box, port, self._color(full, specs)))
        return Drawing(inner.title, boxes, arrows)

    def _box(
        self,
        name: str,
        entry: NodeEntry,
        spec: NodeSpec | None,
        used: Sequence[str],
        incoming: Sequence[Arrow],
    ) -> Box:
        outputs = spec.outputs_by_name if spec else {}
        shown = dict.fromkeys([*outputs, *used])
        return Box(
            name,
            entry.label or name,
            entry.type,
            tuple(Port(arrow.input, arrow.color) for arrow in incoming),
            tuple(Port(port, self._type_color(outputs, port)) for port in shown),
            _literals(entry),
            entry.type in self._subgraphs,
        )

    def _color(self, link: Link, specs: Mapping[str, NodeSpec | None]) -> str:
        spec = specs.get(link.node)
        return self._type_color(spec.outputs_by_name if spec else {}, link.port)

    def _type_color(self, outputs: Mapping[str, object], port: str) -> str:
        output = outputs.get(port)
        if self._types is None or output is None:
            return PLAIN
        names = list(output.expr.type_names())  # type: ignore[attr-defined]
        return self._types.info(names[0]).color if names else PLAIN


def _links(entry: NodeEntry) -> Iterator[tuple[str, Link]]:
    for port, written in entry.inputs.items():
        if is_link(written):
            try:
                yield port, read_link(written)
            except ValueError:
                continue


def _read(text: str) -> Link | None:
    try:
        return parse_link(text)
    except ValueError:
        return None


def _full(link: Link, specs: Mapping[str, NodeSpec | None]) -> Link:
    """The link with its output named, where it left out the only one."""
    spec = specs.get(link.node)
    if link.port or spec is None or len(spec.outputs) != 1:
        return link
    return Link(link.node, spec.outputs[0].name)


def _used_outputs(
    entries: Mapping[str, NodeEntry], specs: Mapping[str, NodeSpec | None]
) -> dict[str, list[str]]:
    used: dict[str, list[str]] = {name: [] for name in entries}
    for entry in entries.values():
        for _, written in _links(entry):
            link = _full(written, specs)
            if link.node in used:
                used[link.node].append(link.port)
    return used


def _literals(entry: NodeEntry) -> dict[str, str]:
    return {
        port: format_value(read_literal(written))
        for port, written in entry.inputs.items()
        if not is_link(written)
    }


def _targets(texts: Sequence[str], boxes: Mapping[str, Box]) -> Iterator[tuple[str, str]]:
    for text in texts:
        try:
            node, port = parse_target(text)
        except ValueError:
            continue
        if node in boxes:
            yield node, port


def _with_input(box: Box, port: str) -> Box:
    literals = {name: text for name, text in box.literals.items() if name != port}
    return replace(box, inputs=(*box.inputs, Port(port)), literals=literals)


def _with_output(box: Box, port: str) -> Box:
    if any(known.name == port for known in box.outputs):
        return box
    return replace(box, outputs=(*box.outputs, Port(port)))
