"""Nodes of two graphs that are equal in all but their names, by color refinement.

The color of a node says what it is, and with each round more of what it is linked with (Weisfeiler
and Leman). Nodes whose color is unique in both graphs are pairs. From a pair, more are found along
its links, so the time grows with the size of the graphs, not with its square.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

_ROUNDS = 6
"""Rounds of refinement at most; pairs further away are reached along links."""


class NodeShape(NamedTuple):
    """A node without its name.

    Attributes:
        content: What it is: its type, its values, and links that are known to be the same.
        links: The label and the name of each node that it is linked with, in both directions.
    """

    content: Hashable
    links: Sequence[tuple[Hashable, str]]


Shapes = Mapping[str, NodeShape]
_Colors = dict[str, int]


def pair_equal_nodes(
    first: Shapes, second: Shapes, pairs: dict[str, str], *, only_unique: bool
) -> None:
    """Add pairs of equal nodes.

    Args:
        first, second: The nodes to pair. Links to others are ignored.
        pairs: Names in the second graph by those in the first; the pairs are added to it.
        only_unique: Leave out nodes that are equal to several others.
    """
    pairing = _Pairing(first, second, pairs)
    pairing.add_unique()
    if not only_unique:
        pairing.add_alike()


class _Pairing:
    """Pairs that grow along links."""

    def __init__(self, first: Shapes, second: Shapes, pairs: dict[str, str]) -> None:
        self._sides = first, second
        self._pairs = pairs
        self._partners = {new: old for old, new in pairs.items()}
        self._depths = _colors(first, second, pairs)

    def add_unique(self) -> None:
        """Pair the nodes whose color no other one has."""
        for depth in reversed(self._depths):
            for olds, news in self._classes(depth):
                if len(olds) == len(news) == 1:
                    self._add(olds[0], news[0])

    def add_alike(self) -> None:
        """Pair nodes of one color in their order; of equal names first."""
        for olds, news in self._classes(self._depths[-1]):
            common = {*olds} & {*news}
            for name in olds:
                if name in common and self._is_free(name, name):
                    self._add(name, name)
            others = iter(news)
            for old in olds:
                if old not in self._pairs:
                    new = next((each for each in others if each not in self._partners), None)
                    if new is None:
                        break
                    self._add(old, new)

    def _classes(self, depth: tuple[_Colors, _Colors]) -> Iterator[tuple[list[str], list[str]]]:
        """The nodes without a partner by color, of colors that both graphs have."""
        classes: dict[int, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
        for side, (colors, known) in enumerate(zip(depth, self._known(), strict=True)):
            for name, color in colors.items():
                if name not in known:
                    classes[color][side].append(name)
        yield from ((olds, news) for olds, news in classes.values() if olds and news)

    def _known(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        return self._pairs, self._partners

    def _is_free(self, old: str, new: str) -> bool:
        return old not in self._pairs and new not in self._partners

    def _add(self, old: str, new: str) -> None:
        """Pair two nodes, and those that can only be pairs because these are."""
        if not self._is_free(old, new):
            return
        self._pairs[old], self._partners[new] = new, old
        grown = [(old, new)]
        while grown:
            for pair in self._linked(*grown.pop()):
                if self._is_free(*pair):
                    self._pairs[pair[0]], self._partners[pair[1]] = pair[1], pair[0]
                    grown.append(pair)

    def _linked(self, old: str, new: str) -> Iterable[tuple[str, str]]:
        """Nodes of equal content at equal links of a pair, where there is only one each."""
        groups: dict[Hashable, tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
        for side, (name, known) in enumerate(zip((old, new), self._known(), strict=True)):
            colors = self._depths[0][side]
            for label, other in self._sides[side][name].links:
                if other in colors and other not in known:
                    groups[label, colors[other]][side].add(other)
        for olds, news in groups.values():
            if len(olds) == len(news) == 1:
                yield olds.pop(), news.pop()


def _colors(
    first: Shapes, second: Shapes, pairs: Mapping[str, str]
) -> list[tuple[_Colors, _Colors]]:
    """The colors of all nodes by round; a color is the same number in both graphs."""
    numbers: dict[Hashable, int] = {}

    def number(key: Hashable) -> int:
        return numbers.setdefault(key, len(numbers))

    partners = {new: old for old, new in pairs.items()}
    colors = (
        {name: number((pairs.get(name), shape.content)) for name, shape in first.items()},
        {
            name: number((name if name in partners else None, shape.content))
            for name, shape in second.items()
        },
    )
    links = [
        {
            name: [(number(label), other) for label, other in shape.links if other in shapes]
            for name, shape in shapes.items()
        }
        for shapes in (first, second)
    ]
    depths = [colors]
    for _ in range(_ROUNDS):
        before = depths[-1]
        after = tuple(
            {
                name: number((own[name], tuple(sorted((at, own[other]) for at, other in inner))))
                for name, inner in linked.items()
            }
            for own, linked in zip(before, links, strict=True)
        )
        if all(
            len({*a.values()}) == len({*b.values()}) for a, b in zip(before, after, strict=True)
        ):
            break  # further rounds tell no more nodes apart
        depths.append((after[0], after[1]))
    return depths
