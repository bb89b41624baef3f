"""Where the boxes of a drawing go: columns from left to right, with few crossings.

Sugiyama's method: layers by the longest way from a source, points in between for links that pass
layers, the order within a layer by the mean of the neighbours' places, heights by the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from nodegraph.core.drawing.boxes import Drawing
from nodegraph.core.graph import topological_order

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
    """The vertical middle of everything: near the neighbours', without overlap."""
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
