"""One graph of a UI file as written, with links traced through virtual nodes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nodegraph.interop.comfyui.foreign_workflow import BLOCK, Source
from nodegraph.interop.comfyui.reading.document_check import DocumentCheck, printable, text_of

NOTES = frozenset(("Note", "MarkdownNote", "Label (rgthree)", "Note Plus (mtb)"))
PRIMITIVE = "PrimitiveNode"
REROUTE = "Reroute"
_REROUTES = frozenset((REROUTE, "Reroute (rgthree)"))
_SETTERS = frozenset(("SetNode", "easy setNode"))
_GETTERS = frozenset(("GetNode", "easy getNode"))
_SENDERS = frozenset(
    ("Anything Everywhere", "Anything Everywhere3", "Anything Everywhere?", "Prompts Everywhere")
)
"""Of cg-use-everywhere: they connect inputs unseen, and the file tells which."""
_SWITCHES = frozenset(
    f"{name} (rgthree)"
    for name in (
        "Bookmark",
        "Fast Actions Button",
        "Fast Bypasser",
        "Fast Groups Bypasser",
        "Fast Groups Muter",
        "Fast Muter",
        "Mute / Bypass Relay",
        "Mute / Bypass Repeater",
        "Node Collector",
        "Random Unmuter",
    )
)
"""They work on the canvas: what they muted or bypassed is so in the file."""
_SILENT = NOTES | _SENDERS | _SWITCHES
_DRAWN_THROUGH = _REROUTES | _SETTERS | _GETTERS | _SILENT


def is_virtual_node(node_type: str) -> bool:
    """Whether a type of nodes is nothing but links, a note, or a switch of the canvas."""
    return node_type in _DRAWN_THROUGH


class Tracer:
    """Finds where links of one graph begin."""

    def __init__(self, level: Level, check: DocumentCheck) -> None:
        self._level = level
        self._check = check
        self._found: dict[tuple[str, int], Source | None] = {}

    def inputs(self, name: str) -> Iterator[tuple[Socket, Source]]:
        """A node's inputs that are connected, with what they get."""
        unseen = self._unseen.get(name, {})
        for slot, socket in enumerate(sockets(self._level.nodes[name], self._check)):
            if socket.link is not None:
                source = self._of_link(socket.link, name, socket.name)
            elif slot in unseen:
                source = self._origin(*unseen[slot])
            else:
                continue
            if source is not None:
                yield socket, source

    def warn_lost(self) -> None:
        """Say what can't be drawn through, or isn't drawn at all."""
        for name, entry in self._level.nodes.items():
            if entry["type"] in _SENDERS and not self._unseen:
                self._check.warn(
                    f"{self._location(name)}: the file does not say what it is linked to"
                )
            elif entry["type"] in _SWITCHES:
                self._check.warn(f"{self._location(name)}: skipped, it only switches other nodes")

    def outputs(self) -> dict[int, Source | None]:
        """What leads to the slots of a block's end."""
        ends: dict[int, Source | None] = {}
        for wire in self._level.wires.values():
            if wire.target == self._level.outputs and wire.target_slot not in ends:
                ends[wire.target_slot] = self._origin(wire.origin, wire.origin_slot)
        return ends

    def _of_link(self, link: str, node: str, port: str) -> Source | None:
        wire = self._level.wires.get(link)
        if wire is None:
            what = f"the link `{printable(link)}`, which does not exist"
        elif wire.origin not in self._level.nodes and not self._is_input(wire.origin):
            what = f"the node `{printable(wire.origin)}`, which does not exist"
        else:
            return self._origin(wire.origin, wire.origin_slot)
        self._check.warn(
            f"{self._location(node)}: `{printable(port)}` was connected to {what}; it stays "
            "unconnected"
        )
        return None

    def _location(self, node: str) -> str:
        inside = f"block `{printable(self._level.block)}`, " if self._level.block else ""
        return f"{inside}node `{printable(node)}` ({printable(self._level.nodes[node]['type'])})"

    def _is_input(self, node: str) -> bool:
        return bool(self._level.block) and node == self._level.inputs

    def _origin(self, node: str, slot: int) -> Source | None:
        """Where a value comes from that seems to come from a node.

        Chains of reroutes can be long and shared, so that each step's answer is remembered.
        """
        way: dict[tuple[str, int], None] = {}
        at: tuple[str, int] | Source | None = (node, slot)
        while isinstance(at, tuple):
            if at in self._found:
                at = self._found[at]
                break
            if at in way:
                ring = ", ".join(f"`{printable(name)}`" for name, _ in list(way)[:5])
                raise self._check.invalid_file(f"links form a circle, through nodes {ring}")
            way[at] = None
            at = self._before(*at)
        self._found.update(dict.fromkeys(way, at))
        return at

    def _before(self, node: str, slot: int) -> tuple[str, int] | Source | None:
        if self._is_input(node):
            return Source(BLOCK, slot)
        entry = self._level.nodes.get(node)
        if entry is None:
            return None
        if entry["type"] in _REROUTES | _SETTERS:
            return self._into(node)
        if entry["type"] in _GETTERS:
            return self._set_for(node)
        outputs = entry.get("outputs")
        count = len(outputs) if isinstance(outputs, list) else 0
        if entry["type"] in _SILENT or 0 < count <= slot:
            self._check.warn(
                f"{self._location(node)} has no output {slot}; inputs linked to it stay unconnected"
            )
            return None
        return Source(node, slot)

    def _into(self, node: str) -> tuple[str, int] | None:
        """What is connected to a node with one input."""
        for socket in sockets(self._level.nodes[node], self._check):
            wire = self._level.wires.get(socket.link) if socket.link is not None else None
            if wire is not None:
                return wire.origin, wire.origin_slot
        return None

    def _set_for(self, node: str) -> tuple[str, int] | None:
        key = _key(self._level.nodes[node])
        setter = self._setters.get(key)
        if setter is None:
            self._check.warn(f"{self._location(node)}: nothing sets `{printable(key)}`")
            return None
        return self._into(setter)

    @cached_property
    def _setters(self) -> Mapping[str, str]:
        nodes = self._level.nodes.items()
        return {_key(entry): name for name, entry in nodes if entry["type"] in _SETTERS}

    @cached_property
    def _unseen(self) -> Mapping[str, Mapping[int, tuple[str, int]]]:
        """What unseen links bring, by node and slot."""
        extra = self._level.entry.get("extra")
        links = extra.get("ue_links") if isinstance(extra, dict) else None
        sources: dict[str, dict[int, tuple[str, int]]] = {}
        for link in links if isinstance(links, list) else ():
            if not isinstance(link, dict):
                continue
            slot, origin_slot = link.get("downstream_slot"), link.get("upstream_slot")
            if isinstance(slot, int) and isinstance(origin_slot, int):
                into = sources.setdefault(str(link.get("downstream")), {})
                into[slot] = (str(link.get("upstream")), origin_slot)
        return sources


def _key(entry: Mapping[str, Any]) -> str:
    """The name that a setter or getter goes by."""
    values = entry.get("widgets_values")
    if isinstance(values, dict):
        values = list(values.values())
    return str(values[0]) if isinstance(values, list) and values else ""


INPUTS = "-10"
"""What links inside a block name for the block's inputs, if it doesn't say otherwise."""
OUTPUTS = "-20"


@dataclass(frozen=True, slots=True)
class Wire:
    """A link between two slots."""

    origin: str
    origin_slot: int
    target: str
    target_slot: int


@dataclass(frozen=True, slots=True)
class Socket:
    """An input of a node as its entry lists it.

    Attributes:
        name: By which values of it go: that of its widget, if it has one.
        link: Id of what leads there; None if nothing does.
    """

    name: str
    type: str
    link: str | None
    is_widget: bool


@dataclass(frozen=True)
class Level:
    """The parts of one graph, none read further than needed to find them.

    Attributes:
        block: Id of the block; empty for the file's own graph.
        nodes: Entries by id.
        wires: By id.
        inputs: Node that links name for the block's inputs.
        outputs: Likewise.
    """

    block: str
    nodes: Mapping[str, Mapping[str, Any]]
    wires: Mapping[str, Wire]
    entry: Mapping[str, Any]
    inputs: str = INPUTS
    outputs: str = OUTPUTS


def level_of(entry: Mapping[str, Any], check: DocumentCheck, block: str = "") -> Level:
    """Find the parts of a graph.

    Raises:
        InvalidFile: One of them has the wrong form, or there are too many.
    """
    check.count(entry.get("nodes"), entry.get("links"))
    inside = f"block `{printable(block)}`: " if block else ""
    return Level(
        block,
        dict(_nodes(entry, check, inside)),
        dict(_wires(entry, check, inside)),
        entry,
        _end(entry, "inputNode", INPUTS, check),
        _end(entry, "outputNode", OUTPUTS, check),
    )


def sockets(node: Mapping[str, Any], check: DocumentCheck) -> Iterator[Socket]:
    """A node's inputs, in the order of their slots."""
    where = f"node `{printable(str(node.get('id')))}`"
    for at, item in enumerate(check.items(node.get("inputs"), f"`inputs` of {where}")):
        entry = check.fields(item, f"input {at} of {where}")
        widget = entry.get("widget")
        named = text_of(widget.get("name")) if isinstance(widget, dict) else ""
        link = entry.get("link")
        yield Socket(
            named or text_of(entry.get("name")),
            type_of(entry.get("type")),
            None if link is None else check.identity(link, f"`link` of input {at} of {where}"),
            isinstance(widget, dict),
        )


def type_of(value: Any) -> str:
    """A port's type as text: old files list the values of a choice, and write 0 for any type."""
    if isinstance(value, list):
        return "COMBO"
    if isinstance(value, int):
        return "*"
    return text_of(value)


def _end(entry: Mapping[str, Any], key: str, usual: str, check: DocumentCheck) -> str:
    node_id = check.fields(entry.get(key), f"`{key}`").get("id")
    return usual if node_id is None else check.identity(node_id, f"`{key}.id`")


def _nodes(
    entry: Mapping[str, Any], check: DocumentCheck, inside: str
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    names: set[str] = set()
    for at, item in enumerate(check.items(entry.get("nodes"), f"{inside}`nodes`")):
        node = check.fields(item, f"{inside}entry {at} of `nodes`")
        name = check.identity(node.get("id"), f"{inside}`id` of entry {at} of `nodes`")
        if not isinstance(node.get("type"), str):
            raise check.invalid_file(
                f"{inside}node `{printable(name)}` has no type", node.get("type")
            )
        if name in names:
            check.warn(f"{inside}two nodes have the id `{printable(name)}`; links use the first")
            name = f"{name}#{at}"
        names.add(name)
        yield name, node


def _wires(
    entry: Mapping[str, Any], check: DocumentCheck, inside: str
) -> Iterator[tuple[str, Wire]]:
    for at, item in enumerate(check.items(entry.get("links"), f"{inside}`links`")):
        if item is None:  # left by deleted links
            continue
        what = f"{inside}entry {at} of `links`"
        yield (
            _of_list(item, what, check)
            if isinstance(item, list)
            else _of_object(check.fields(item, what), what, check)
        )


def _of_list(link: list[Any], what: str, check: DocumentCheck) -> tuple[str, Wire]:
    if len(link) < 5:
        raise check.invalid_file(f"{what} must have at least five members", link)
    return _wire(link[0], link[1], link[2], link[3], link[4], what, check)


def _of_object(link: Mapping[str, Any], what: str, check: DocumentCheck) -> tuple[str, Wire]:
    origin, slot = link.get("origin_id"), link.get("origin_slot")
    target, into = link.get("target_id"), link.get("target_slot")
    return _wire(link.get("id"), origin, slot, target, into, what, check)


def _wire(
    link: Any, origin: Any, slot: Any, target: Any, into: Any, what: str, check: DocumentCheck
) -> tuple[str, Wire]:
    # What a target is written as matters nowhere but at a block's end: its inputs name the link.
    return check.identity(link, f"the id of {what}"), Wire(
        check.identity(origin, f"the origin of {what}"),
        check.whole(slot, f"the origin's slot of {what}"),
        "" if target is None else check.identity(target, f"the target of {what}"),
        into if isinstance(into, int) else -1,
    )
