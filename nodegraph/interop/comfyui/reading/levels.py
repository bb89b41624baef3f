"""One graph of a UI file as it is written: the file's own, or that of a block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nodegraph.interop.comfyui.reading.checked import DocumentCheck, printable, text_of

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
            check.warn(
                f"{inside}two nodes have the id `{printable(name)}`; links lead to the first"
            )
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
