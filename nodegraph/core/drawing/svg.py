"""Lay out a drawing's boxes in columns, and render it as a standalone SVG.

Sugiyama's method: each box gets the layer of its longest path from a source, links that cross
layers get routing points, and boxes are ordered and placed by the mean of their neighbors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nodegraph.core.drawing.boxes import Arrow, Box, Drawing
from nodegraph.core.graph import topological_order
from nodegraph.core.text_format import display_width, strip_control_characters

if TYPE_CHECKING:
    from networkx import DiGraph

Vertex = str | tuple[str, str, int]
"""A box by its name; or where the links from one box to another pass a layer."""

_SWEEPS = 12
_COLUMN_GAP = 72.0
_ROW_GAP = 26.0
_PASSING = 8.0
"""Height that a passing link takes."""


@dataclass
class Layout:
    """Places of everything in a drawing, in pixels.

    Attributes:
        boxes: Left upper corner of each box.
        passages: Where a link passes layers between its ends, by source and target.
    """

    boxes: dict[str, tuple[float, float]] = field(default_factory=dict)
    routing_points: dict[tuple[str, str], list[tuple[float, float]]] = field(default_factory=dict)
    width: float = 0.0
    height: float = 0.0


def compute_layout(drawing: Drawing, sizes: Mapping[str, tuple[float, float]]) -> Layout:
    """Find a place for each box.

    Args:
        sizes: Width and height of the boxes.
    """
    if not drawing.boxes:
        return Layout()
    graph = _acyclic(drawing)
    layers = _with_routing_points(graph, _layers(graph))
    _order(graph, layers)
    return _coordinates(graph, layers, sizes)


def _acyclic(drawing: Drawing) -> DiGraph[Any]:
    """The links between boxes without those that close a cycle."""
    from networkx import DiGraph

    graph: DiGraph[Any] = DiGraph()
    graph.add_nodes_from(drawing.boxes)
    graph.add_edges_from(
        (arrow.source, arrow.target) for arrow in drawing.arrows if arrow.source != arrow.target
    )
    while True:
        needs = {name: list(graph.predecessors(name)) for name in graph}
        _, cycles = topological_order(needs)
        if not cycles:
            return graph
        for cycle in cycles:
            graph.remove_edge(*_closing(graph, cycle))


def _closing(graph: DiGraph[Any], cycle: Sequence[str]) -> tuple[str, str]:
    """One link of a cycle; which way round the cycle is told doesn't matter."""
    first, second = cycle[0], cycle[1]
    return (second, first) if graph.has_edge(second, first) else (first, second)


def _layers(graph: DiGraph[Any]) -> dict[str, int]:
    from networkx import topological_generations

    generations = [list(members) for members in topological_generations(graph)]
    layer = {name: at for at, members in enumerate(generations) for name in members}
    for name in layer:
        # What needs nothing stands right before its first user instead of far to the left.
        users = [layer[user] for user in graph.successors(name)]
        if users and not graph.in_degree(name):
            layer[name] = min(users) - 1
    return layer


def _with_routing_points(graph: DiGraph[Any], layer: Mapping[str, int]) -> list[list[Vertex]]:
    """The layers, points for passing links included; such links are split in the graph."""
    layers: list[list[Vertex]] = [[] for _ in range(max(layer.values()) + 1)]
    for name in layer:
        layers[layer[name]].append(name)
    for source, target in list(graph.edges):
        passed: list[Vertex] = [
            (source, target, at) for at in range(layer[source] + 1, layer[target])
        ]
        if passed:
            graph.remove_edge(source, target)
            for at, vertex in enumerate(passed, layer[source] + 1):
                layers[at].append(vertex)
            graph.add_edges_from(zip([source, *passed], [*passed, target], strict=True))
    return layers


def _order(graph: DiGraph[Any], layers: list[list[Vertex]]) -> None:
    """Sort each layer so that few links cross."""
    best, fewest = [list(layer) for layer in layers], _crossings(graph, layers)
    for sweep in range(_SWEEPS):
        forwards = sweep % 2 == 0
        neighbours = graph.predecessors if forwards else graph.successors
        for at in range(1, len(layers)) if forwards else range(len(layers) - 2, -1, -1):
            adjacent_layer = layers[at - 1 if forwards else at + 1]
            _sort(
                layers[at],
                {vertex: position for position, vertex in enumerate(adjacent_layer)},
                neighbours,
            )
        crossings = _crossings(graph, layers)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    layers[:] = best


def _sort(
    layer: list[Vertex], positions: Mapping[Vertex, int], neighbours: Callable[[Vertex], object]
) -> None:
    now = {vertex: float(at) for at, vertex in enumerate(layer)}
    for vertex in layer:
        places = [positions[other] for other in neighbours(vertex) if other in positions]  # type: ignore[attr-defined]
        if places:
            now[vertex] = sum(places) / len(places)
    layer.sort(key=now.__getitem__)


def _crossings(graph: DiGraph[Any], layers: Sequence[Sequence[Vertex]]) -> int:
    total = 0
    for left, right in pairwise(layers):
        positions = {vertex: at for at, vertex in enumerate(right)}
        ends = [
            end
            for vertex in left
            for end in sorted(positions[other] for other in graph.successors(vertex))
        ]
        total += _inversions(ends)
    return total


def _inversions(values: Sequence[int]) -> int:
    from bisect import bisect_right, insort

    earlier: list[int] = []
    total = 0
    for value in values:
        total += len(earlier) - bisect_right(earlier, value)
        insort(earlier, value)
    return total


def _coordinates(
    graph: DiGraph[Any],
    layers: Sequence[Sequence[Vertex]],
    sizes: Mapping[str, tuple[float, float]],
) -> Layout:
    heights = {
        vertex: sizes[vertex][1] if isinstance(vertex, str) else _PASSING
        for layer in layers
        for vertex in layer
    }
    middles = _middles(graph, layers, heights)
    highest = min(middles[vertex] - heights[vertex] / 2 for vertex in heights)
    placed = Layout()
    left = 0.0
    for layer in layers:
        width = max((sizes[vertex][0] for vertex in layer if isinstance(vertex, str)), default=0.0)
        for vertex in layer:
            middle = middles[vertex] - highest
            if isinstance(vertex, str):
                indent = (width - sizes[vertex][0]) / 2
                placed.boxes[vertex] = left + indent, middle - heights[vertex] / 2
            else:
                ends = placed.routing_points.setdefault(vertex[:2], [])
                ends += [(left, middle), (left + width, middle)]
            placed.height = max(placed.height, middle + heights[vertex] / 2)
        left += width + _COLUMN_GAP
    placed.width = left - _COLUMN_GAP
    return placed


def _middles(
    graph: DiGraph[Any], layers: Sequence[Sequence[Vertex]], heights: Mapping[Vertex, float]
) -> dict[Vertex, float]:
    """The vertical middle of everything: near the neighbors', without overlap."""
    middles: dict[Vertex, float] = {}
    for layer in layers:
        top = -sum(heights[vertex] + _ROW_GAP for vertex in layer) / 2
        for vertex in layer:
            middles[vertex] = top + heights[vertex] / 2
            top += heights[vertex] + _ROW_GAP
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 else reversed(layers):
            wanted = [_mean(graph, vertex, middles) for vertex in layer]
            _settle(layer, wanted, middles, heights)
    return middles


def _mean(graph: DiGraph[Any], vertex: Vertex, middles: Mapping[Vertex, float]) -> float:
    around = [*graph.predecessors(vertex), *graph.successors(vertex)]
    if not around:
        return middles[vertex]
    return sum(middles[other] for other in around) / len(around)


def _settle(
    layer: Sequence[Vertex],
    wanted: Sequence[float],
    middles: dict[Vertex, float],
    heights: Mapping[Vertex, float],
) -> None:
    """Move a layer's members to where they want to be, as far as they don't overlap.

    Members that push each other move as one block, whose place is the mean of their wishes.
    """
    blocks: list[tuple[float, int, list[Vertex]]] = []  # sum of wished tops, count, members
    offsets: dict[Vertex, float] = {}
    lengths: list[float] = []
    for vertex, middle in zip(layer, wanted, strict=True):
        blocks.append((middle - heights[vertex] / 2, 1, [vertex]))
        lengths.append(heights[vertex] + _ROW_GAP)
        offsets[vertex] = 0.0
        while len(blocks) > 1 and _top(blocks[-2]) + lengths[-2] > _top(blocks[-1]):
            total, count, members = blocks.pop()
            length = lengths.pop()
            before, number, others = blocks.pop()
            for member in members:
                offsets[member] += lengths[-1]
            blocks.append((before + total - count * lengths[-1], number + count, others + members))
            lengths[-1] += length
    for block in blocks:
        for vertex in block[2]:
            middles[vertex] = _top(block) + offsets[vertex] + heights[vertex] / 2


def _top(block: tuple[float, int, list[Vertex]]) -> float:
    return block[0] / block[1]


_MARGIN = 28.0
_HEAD = 44.0
_ROW = 20.0
_PADDING = 12.0
_LETTER = 7.1
"""Mean width of a letter at 12 pixels; what is wider is cut by the box."""
_NARROWEST, _WIDEST = 132.0, 320.0
_TITLE = 44.0

_STYLE = """
svg { font: 12px system-ui, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
.paper { fill: #f6f7f9; } .box { fill: #ffffff; stroke: #c3c8d0; } .head { fill: #e8ebf0; }
.title { font-weight: 600; fill: #1d2430; } .type { font-size: 11px; fill: #697386; }
.port { fill: #303a4a; } .value { fill: #0b5fad; } .heading { font-size: 16px; }
.block { stroke-dasharray: 5 3; } .link { fill: none; stroke-width: 2; stroke-opacity: .85; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #16181d; } .box { fill: #22262e; stroke: #3d4450; } .head { fill: #2d323c; }
  .title { fill: #eef1f6; } .type { fill: #98a2b3; } .port { fill: #ccd3de; }
  .value { fill: #7cc0ff; }
}
"""


def svg(drawings: Sequence[Drawing]) -> str:
    """The image; drawings stand one below the other, each with its title."""
    panels = []
    width = top = 0.0
    for drawing in drawings:
        sizes = {name: _size(box) for name, box in drawing.boxes.items()}
        placed = compute_layout(drawing, sizes)
        panels.append(_panel(drawing, placed, sizes, top))
        width = max(width, placed.width, _LETTER * 1.5 * display_width(drawing.title))
        top += _TITLE + placed.height + _MARGIN
    width, height = width + 2 * _MARGIN, top + _MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
            f' viewBox="0 0 {width:.0f} {height:.0f}">',
            f"<style>{_STYLE}</style>",
            f'<rect class="paper" width="{width:.0f}" height="{height:.0f}"/>',
            *panels,
            "</svg>",
            "",
        ]
    )


def picture_html(drawings: Sequence[Drawing]) -> str:
    """The image for a page of others', which its style must not reach; as `<img>`."""
    from base64 import b64encode

    data = b64encode(svg(drawings).encode()).decode()
    title = escape(strip_control_characters(drawings[0].title)) if drawings else ""
    return f'<img alt="{title}" style="max-width: 100%" src="data:image/svg+xml;base64,{data}">'


def _size(box: Box) -> tuple[float, float]:
    inputs = max((display_width(port.name) for port in box.inputs), default=0)
    outputs = max((display_width(port.name) for port in box.outputs), default=0)
    texts = [display_width(f"{name}: {value}") for name, value in box.literals.items()]
    letters = max(
        display_width(box.title) * 1.1, display_width(box.kind), inputs + outputs + 3, *texts, 0
    )
    width = min(max(letters * _LETTER + 2 * _PADDING, _NARROWEST), _WIDEST)
    return width, _HEAD + _ROW * _rows(box) + _PADDING / 2


def _rows(box: Box) -> int:
    return max(len(box.inputs), len(box.outputs)) + len(box.literals)


def _panel(
    drawing: Drawing, placed: Layout, sizes: dict[str, tuple[float, float]], top: float
) -> str:
    parts = [
        f'<g transform="translate({_MARGIN:.0f} {_MARGIN + top:.0f})">',
        f'<text class="title heading" y="14">{_text(drawing.title)}</text>',
        f'<g transform="translate(0 {_TITLE:.0f})">',
    ]
    parts += [_link(arrow, drawing, placed, sizes) for arrow in drawing.arrows]
    for name, box in drawing.boxes.items():
        parts += _box(box, placed.boxes[name], sizes[name])
    return "\n".join([*parts, "</g>", "</g>"])


def _link(
    arrow: Arrow, drawing: Drawing, placed: Layout, sizes: dict[str, tuple[float, float]]
) -> str:
    """A link as a smooth line from port to port, through the places where it passes columns."""
    source, target = drawing.boxes[arrow.source], drawing.boxes[arrow.target]
    x, y = placed.boxes[arrow.source]
    start = x + sizes[arrow.source][0], y + _port_height(source.outputs, arrow.output)
    x, y = placed.boxes[arrow.target]
    end = x, y + _port_height(target.inputs, arrow.input)
    points = [start, *placed.routing_points.get((arrow.source, arrow.target), []), end]
    path = f"M{start[0]:.1f} {start[1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        bend = max(abs(x1 - x0) * 0.5, 28.0 if x1 < x0 else 0.0)
        path += f" C{x0 + bend:.1f} {y0:.1f} {x1 - bend:.1f} {y1:.1f} {x1:.1f} {y1:.1f}"
    about = _text(f"{arrow.source}.{arrow.output} → {arrow.target}.{arrow.input}")
    return (
        f'<path class="link" d="{path}" stroke="{_color(arrow.color)}">'
        f"<title>{about}</title></path>"
    )


def _port_height(ports: Sequence[object], name: str) -> float:
    names = [port.name for port in ports]  # type: ignore[attr-defined]
    row = names.index(name) if name in names else 0
    return _HEAD + _ROW * (row + 0.5)


def _box(box: Box, corner: tuple[float, float], size: tuple[float, float]) -> Iterator[str]:
    width, height = size
    dashed = " block" if box.is_block else ""
    yield f'<g transform="translate({corner[0]:.1f} {corner[1]:.1f})">'
    yield f"<title>{_text(f'{box.name} ({box.kind})')}</title>"
    yield f'<rect class="box{dashed}" width="{width:.1f}" height="{height:.1f}" rx="7"/>'
    yield (
        f'<path class="head" d="M.5 {_HEAD - 4:.0f}V7Q.5 .5 7 .5H{width - 7:.1f}'
        f'Q{width - 0.5:.1f} .5 {width - 0.5:.1f} 7V{_HEAD - 4:.0f}Z"/>'
    )
    yield f'<text class="title" x="{_PADDING}" y="17">{_cut(box.title, width, 1.1)}</text>'
    yield f'<text class="type" x="{_PADDING}" y="33">{_cut(box.kind, width)}</text>'
    yield from _ports(box, width)
    yield from _values(box, width)
    yield "</g>"


def _ports(box: Box, width: float) -> Iterator[str]:
    for row, port in enumerate(box.inputs):
        y = _HEAD + _ROW * (row + 0.5)
        yield f'<circle cx="0" cy="{y:.1f}" r="4.5" fill="{_color(port.color)}"/>'
        yield f'<text class="port" x="{_PADDING}" y="{y + 4:.1f}">{_text(port.name)}</text>'
    for row, port in enumerate(box.outputs):
        y = _HEAD + _ROW * (row + 0.5)
        yield f'<circle cx="{width:.1f}" cy="{y:.1f}" r="4.5" fill="{_color(port.color)}"/>'
        yield (
            f'<text class="port" x="{width - _PADDING:.1f}" y="{y + 4:.1f}" text-anchor="end">'
            f"{_text(port.name)}</text>"
        )


def _values(box: Box, width: float) -> Iterator[str]:
    start = max(len(box.inputs), len(box.outputs))
    for row, (name, value) in enumerate(box.literals.items(), start):
        y = _HEAD + _ROW * (row + 0.5) + 4
        room = width - _LETTER * display_width(f"{name}: ")
        yield (
            f'<text class="port" x="{_PADDING}" y="{y:.1f}">{_text(name)}: '
            f'<tspan class="value">{_cut(value, room)}</tspan></text>'
        )


def _cut(text: str, width: float, letter: float = 1.0) -> str:
    """A text that fits into a box; what is cut off is told by its end."""
    room = int((width - 2 * _PADDING) / (_LETTER * letter))
    return _text(text if display_width(text) <= room else f"{text[: max(room - 1, 1)]}…")


def _text(text: str) -> str:
    return escape(strip_control_characters(text))


def _color(color: str) -> str:
    """A pack chooses its colors, but may not write into the file."""
    return escape(color)
