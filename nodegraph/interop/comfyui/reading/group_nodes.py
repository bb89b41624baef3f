"""Group nodes of old files, rewritten as subgraphs.

A file defines them under `extra.groupNodes`, by name: nodes, links between them by position, and
outputs that are shown although they are linked inside. A group node has values of its own for all
widgets inside, so that each one becomes a sub-graph of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from nodegraph.interop.comfyui.reading.document_check import (
    MAX_NODES,
    DocumentCheck,
    printable,
    text_of,
)
from nodegraph.interop.comfyui.reading.ui_graph import INPUTS, OUTPUTS, REROUTE, type_of

MISFIT = "nodegraph_misfit"
"""The key that marks nodes of a group whose own values don't fit it: nobody knows theirs."""
_PREFIXES = ("workflow>", "workflow/")
_DEEPEST = 100


def with_groups_as_blocks(document: Mapping[str, Any], check: DocumentCheck) -> Mapping[str, Any]:
    """The document with sub-graphs in the place of group nodes; the same one if it has none.

    Raises:
        InvalidFile: One holds itself, or they hold too many nodes.
    """
    extra = document.get("extra")
    groups = extra.get("groupNodes") if isinstance(extra, dict) else None
    if not isinstance(groups, dict) or not groups or not isinstance(document.get("nodes"), list):
        return document
    writer = _Writer(groups, check)
    nodes = [writer.written(node, str(_id(node)), ()) for node in document["nodes"]]
    defined = check.fields(document.get("definitions"), "`definitions`")
    blocks = check.items(defined.get("subgraphs"), "`definitions.subgraphs`")
    definitions = {**defined, "subgraphs": [*blocks, *writer.blocks]}
    return {**document, "nodes": nodes, "definitions": definitions}


def _id(node: Any) -> Any:
    return node.get("id") if isinstance(node, dict) else None


class _Writer:
    """Writes the sub-graphs, those within groups included."""

    def __init__(self, groups: Mapping[str, Any], check: DocumentCheck) -> None:
        self.blocks: list[Mapping[str, Any]] = []
        self._groups = groups
        self._check = check
        self._count = 0

    def written(self, node: Any, path: str, outer: tuple[str, ...]) -> Any:
        """A node as it is, or that of the sub-graph which stands for it."""
        kind = node.get("type") if isinstance(node, dict) else None
        if not isinstance(kind, str) or not kind.startswith(_PREFIXES):
            return node
        name = kind[len(_PREFIXES[0]) :]
        if not isinstance(self._groups.get(name), dict):
            return node
        if name in outer:
            raise self._check.invalid_file(f"the group node `{printable(name)}` contains itself")
        data = self._groups[name]
        self._count += len(_list(data.get("nodes"))) + len(_list(data.get("links")))
        # Each has a copy of its group's parts, so that a small file can hold a great many.
        if self._count > MAX_NODES or len(outer) > _DEEPEST:
            raise self._check.invalid_file(
                f"group nodes hold more than {MAX_NODES} nodes and links"
            )
        group = _Group(data, node)
        block = f"{kind} ({path})"
        nodes = [
            self.written(inner, f"{path}:{at}", (*outer, name))
            for at, inner in enumerate(group.written_nodes())
        ]
        self.blocks.append({**group.ends(), "id": block, "name": name, "nodes": nodes})
        return {**node, "type": block, "widgets_values": None, "widgets_values_named": None}


@dataclass(frozen=True, slots=True)
class _Open:
    """An input or output inside, by the node's position and its slot."""

    node: int
    slot: int
    names: tuple[str, ...]
    type: str


class _Group:
    """A group node together with its definition."""

    def __init__(self, data: Mapping[str, Any], node: Mapping[str, Any]) -> None:
        self.nodes = [inner for inner in _list(data.get("nodes")) if isinstance(inner, dict)]
        self._node = node
        self._links = [link[:4] for link in _list(data.get("links")) if self._is_link(link)]
        external = [out for out in _list(data.get("external")) if isinstance(out, list)]
        self._external = {(out[0], out[1]) for out in external if _are_whole(out[:2])}
        self._shown = {
            out[0]: type_of(out[2]) for out in external if _are_whole(out[:2]) and len(out) > 2
        }
        self.values = self._shared_out()

    def _is_link(self, link: Any) -> bool:
        if not isinstance(link, list) or len(link) < 4 or not _are_whole(link[:4]):
            return False
        return bool(link[0] < len(self.nodes) > link[2])

    def _shared_out(self) -> Sequence[Any] | None:
        """The group node's values by inner node; None if there are too many or too few, or it is
        in a group of which that is so."""
        if self._node.get(MISFIT):
            return None
        values = _list(self._node.get("widgets_values"))
        own = [_list(inner.get("widgets_values")) for inner in self.nodes]
        if len(values) != sum(map(len, own)):
            return None if values else own
        ends = accumulate(map(len, own))
        return [
            values[end - len(node_values) : end] for node_values, end in zip(own, ends, strict=True)
        ]

    def written_nodes(self) -> Iterator[dict[str, Any]]:
        """The inner nodes, with the links that lead to them."""
        link_index = {(link[2], link[3]): at for at, link in enumerate(self._all_links())}
        for at, inner in enumerate(self.nodes):
            inputs = [
                {**entry, "link": link_index.get((at, slot))} if isinstance(entry, dict) else entry
                for slot, entry in enumerate(_list(inner.get("inputs")))
            ]
            values = inner.get("widgets_values")
            lost = {MISFIT: True} if self.values is None and values else {}
            if self.values is not None and isinstance(values, list):
                values = self.values[at]
            yield {**inner, "id": at, "inputs": inputs, "widgets_values": values, **lost}

    def ends(self) -> dict[str, Any]:
        """The sub-graph's inputs, outputs and links."""
        return {
            "inputs": [_port(entry) for entry, _ in self._inputs()],
            "outputs": [_port(entry) for entry, _ in self._outputs()],
            "links": [[at, *link, "*"] for at, link in enumerate(self._all_links())],
        }

    def _all_links(self) -> list[list[Any]]:
        into = [[INPUTS, at, end.node, end.slot] for at, (_, end) in enumerate(self._inputs())]
        out = [
            [end.node, end.slot, OUTPUTS, at]
            for at, (_, end) in enumerate(self._outputs())
            if end is not None
        ]
        return [*self._links, *into, *out]

    def _inputs(self) -> list[tuple[Mapping[str, Any], _Open]]:
        """The group node's inputs that are connected, each with the one inside that it is."""
        fed = {(link[2], link[3]) for link in self._links}
        ends = [end for end in self._sockets("inputs") if (end.node, end.slot) not in fed]
        entries = [entry for entry in self._listed("inputs") if entry.get("link") is not None]
        pairs = _matched(entries, ends)
        return [(entry, end) for entry, end in pairs if end is not None]

    def _outputs(self) -> list[tuple[Mapping[str, Any], _Open | None]]:
        linked = {(link[0], link[1]) for link in self._links} - self._external
        ends = [end for end in self._sockets("outputs") if (end.node, end.slot) not in linked]
        entries = list(self._listed("outputs"))
        if len(entries) == len(ends):
            return list(zip(entries, ends, strict=True))
        return _matched(entries, ends)

    def _listed(self, key: str) -> Iterator[Mapping[str, Any]]:
        yield from (entry for entry in _list(self._node.get(key)) if isinstance(entry, dict))

    def _sockets(self, key: str) -> Iterator[_Open]:
        for at, inner in enumerate(self.nodes):
            title = text_of(inner.get("title")) or text_of(inner.get("type"))
            for slot, entry in enumerate(_list(inner.get(key))):
                if not isinstance(entry, dict):
                    continue
                name, label = text_of(entry.get("name")), text_of(entry.get("label"))
                kind = type_of(entry.get("type"))
                if inner.get("type") == REROUTE:
                    # Shown outside, its ports are called after the type of what it hands on.
                    name, label = self._type_through(at), ""
                    kind = name
                names = (name, label or name, f"{title} {name}")
                yield _Open(at, slot, names, kind)

    def _type_through(self, reroute: int) -> str:
        """The type of what a reroute hands on; ``*`` if neither links nor ports tell it."""
        visited: set[int] = set()
        waiting = [reroute]
        while waiting:
            at = waiting.pop()
            if at in visited:
                continue
            visited.add(at)
            after = [link for link in self._links if link[0] == at]
            before = [link for link in self._links if link[2] == at]
            kinds = [self._port_type(link[2], "inputs", link[3]) for link in after]
            kinds += [self._port_type(link[0], "outputs", link[1]) for link in before]
            kinds += [self._shown.get(at, "*"), self._port_type(at, "outputs", 0)]
            known = next((kind for kind in kinds if kind not in ("", "*")), None)
            if known is not None:
                return known
            neighbours = [*(link[2] for link in after), *(link[0] for link in before)]
            waiting += [each for each in neighbours if self.nodes[each].get("type") == REROUTE]
        return "*"

    def _port_type(self, node: int, key: str, slot: int) -> str:
        ports = _list(self.nodes[node].get(key))
        entry = ports[slot] if slot < len(ports) and isinstance(ports[slot], dict) else {}
        return type_of(entry.get("type"))


def _matched(
    entries: Sequence[Mapping[str, Any]], ends: Sequence[_Open]
) -> list[tuple[Mapping[str, Any], _Open | None]]:
    """Each of a group node's ports with one inside: the first of its name, else of its type.

    Names that occur twice have the inner node's title before them.
    """
    waiting: dict[str, list[_Open]] = {}
    for end in ends:
        for name in dict.fromkeys((*end.names, f"type {end.type}")):
            waiting.setdefault(name, []).append(end)
    for known in waiting.values():
        known.reverse()
    used: set[tuple[int, int]] = set()
    matched_ends: dict[int, _Open] = {}
    for key in (lambda entry: text_of(entry.get("name")), _type_key):
        for at, entry in enumerate(entries):
            known = waiting.get(key(entry), [])
            while at not in matched_ends and known:
                end = known.pop()
                if (end.node, end.slot) not in used:
                    matched_ends[at] = end
                    used.add((end.node, end.slot))
    return [(entry, matched_ends.get(at)) for at, entry in enumerate(entries)]


def _type_key(entry: Mapping[str, Any]) -> str:
    return f"type {type_of(entry.get('type'))}"


def _port(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": entry.get("name"), "type": entry.get("type"), "label": entry.get("label")}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _are_whole(values: Sequence[Any]) -> bool:
    return len(values) > 1 and all(type(value) is int and value >= 0 for value in values)
