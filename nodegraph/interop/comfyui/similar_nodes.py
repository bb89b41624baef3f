"""Group nodes with unreadable values by type and neighborhood."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nodegraph.interop.comfyui.entries import InputSignature, Signature, TableEntry
from nodegraph.interop.comfyui.foreign_workflow import (
    ForeignGraph,
    ForeignNode,
    ForeignWorkflow,
    Source,
)

_LONGEST_TEXT = 40
"""Longer ones are prompts and the like, which the table doesn't tell apart."""


@dataclass
class SimilarNodes:
    """Nodes of a type that lack the same values, and whose surroundings are alike.

    Attributes:
        members: By their ids, with the ids of all that each is linked to, each in the same order.
        scopes: The blocks that they stand in; empty for those that stand in none.
        unreadable: The widgets whose values are left out, and those that may be there instead.
    """

    type: str
    unreadable: tuple[InputSignature, ...]
    members: list[tuple[str, ...]] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    around: tuple[str, ...] = ()

    def places(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        yield from zip(self.scopes or [""] * len(self.members), self.members, strict=True)

    def tried(self) -> set[tuple[str, str]]:
        if not self.scopes:
            return {("", self.members[0][0])}
        return {(scope, member[0]) for scope, member in self.places()}

    def kept(self) -> set[str]:
        return set(self.around if self.scopes else self.members[0])

    def is_near(self, nodes: Collection[tuple[str, str]]) -> bool:
        """Whether some nodes, each with its block, are among those that these are linked to."""
        if self.scopes and any(scope for scope, _ in nodes):
            return True
        near = {*self.around, *(name for member in self.members for name in member)}
        return any(not scope and name in near for scope, name in nodes)


def unreadable_widgets(node: ForeignNode, signature: Signature) -> list[InputSignature]:
    """Widgets of a node that the file has values for which couldn't be read."""
    return [
        each
        for each in signature.active_widgets(node.inputs)
        if not each.is_autogrow and each.name not in node.inputs and node.is_unreadable(each.name)
    ]


def group_similar_nodes(
    foreign: ForeignWorkflow, entries: Mapping[str, TableEntry]
) -> Iterator[SimilarNodes]:
    surroundings = _Neighbourhoods(foreign.graph, entries)
    outer: dict[Any, SimilarNodes] = {}
    inner: dict[Any, SimilarNodes] = {}
    for name, node in foreign.graph.nodes.items():
        lost = _lost(node, entries)
        if lost:
            around, description = surroundings.of(name)
            known = (node.type, tuple(each.name for each in lost), description)
            outer.setdefault(known, SimilarNodes(node.type, lost)).members.append(around)
    bearing = {  # something that lacks values
        scope
        for scope, block in foreign.blocks.items()
        if any(_lost(node, entries) for node in block.graph.nodes.values())
    }
    more = True
    while more:
        holders = {
            scope
            for scope, block in foreign.blocks.items()
            if any(node.type in bearing for node in block.graph.nodes.values())
        }
        more = not holders <= bearing
        bearing |= holders
    uses = [name for name, node in foreign.graph.nodes.items() if node.type in bearing]
    near = dict.fromkeys(each for name in uses for each in surroundings.of(name)[0])
    for scope, block in foreign.blocks.items():
        for name, node in block.graph.nodes.items():
            lost = _lost(node, entries)
            if lost:
                key = (node.type, tuple(each.name for each in lost))
                group = inner.setdefault(key, SimilarNodes(node.type, lost, around=tuple(near)))
                group.members.append((name,))
                group.scopes.append(scope)
    yield from outer.values()
    yield from inner.values()


def _lost(node: ForeignNode, entries: Mapping[str, TableEntry]) -> tuple[InputSignature, ...]:
    entry = (
        entries.get(node.type) if node.has_unreadable_values and not node.is_undetermined else None
    )
    if entry is None:
        return ()
    widgets = {each.name: each for each in unreadable_widgets(node, entry.signature)}
    for each in entry.signature.widgets:
        if each.when and each.parent in widgets and not each.is_autogrow:
            widgets.setdefault(each.name, each)
    return tuple(widgets.values())


class _Neighbourhoods:
    """What nodes are linked to: all behind each, and all that these and it need."""

    def __init__(self, graph: ForeignGraph, entries: Mapping[str, TableEntry]) -> None:
        self._nodes = graph.nodes
        self._entries = entries
        self._taking: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
        for name, node in graph.nodes.items():
            for port, value in node.inputs.items():
                if isinstance(value, Source):
                    self._taking[value.node].append((value.slot, port, name))
        self._left = 4 * len(graph.nodes) + 1000

    def of(self, start: str) -> tuple[tuple[str, ...], Any]:
        """Ids, the node's first, and what has to be equal for two nodes to stand alike."""
        if self._left < 0:
            return (start, *(name for name in self._nodes if name != start)), start
        order = {start: 0}
        waiting = [start]
        for name in waiting:
            for _, _, taker in sorted(self._taking[name], key=lambda each: each[:2]):
                if taker not in order:
                    order[taker] = len(order)
                    waiting.append(taker)
        for name in waiting:
            for value in self._nodes[name].inputs.values():
                source = value.node if isinstance(value, Source) else ""
                if source in self._nodes and source not in order:
                    order[source] = len(order)
                    waiting.append(source)
        self._left -= len(order)
        return tuple(order), tuple(self._described(name, order) for name in order)

    def _described(self, name: str, order: Mapping[str, int]) -> Any:
        node = self._nodes[name]
        entry = self._entries.get(node.type)
        seeds = {each.name for each in entry.signature.widgets if each.extra} if entry else ()
        inputs = tuple(
            (port, (order.get(value.node), value.slot))
            if isinstance(value, Source)
            else (port, "" if port in seeds else _kind(value))
            for port, value in node.inputs.items()
        )
        return (
            node.type,
            node.mode,
            node.unreadable_from,
            node.unreadable_inputs,
            node.is_undetermined,
            inputs,
        )


def _kind(value: Any) -> Any:
    """What a value has in common with others that are translated in the same way."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return repr(value)
    if isinstance(value, str):
        return value if len(value) < _LONGEST_TEXT and "\n" not in value else "text"
    return sum(value < limit for limit in (0, 1, 2, 10_000)), value in (0, 1)
