"""Write ComfyUI documents in the UI format (version 0.4) and the API format."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from nodegraph.interop.comfyui.entries import WIDGETS, InputSignature, Signature
from nodegraph.interop.comfyui.foreign_workflow import (
    BLOCK,
    DrawnText,
    ForeignBlock,
    ForeignGraph,
    ForeignNode,
    ForeignPort,
    ForeignWorkflow,
    Frame,
    Rectangle,
    Source,
)
from nodegraph.interop.comfyui.reading.dynamic_prompts import written_prompt


def write_api(workflow: ForeignWorkflow, signatures: Mapping[str, Signature]) -> dict[str, Any]:
    """The document of a workflow without blocks.

    Widgets that nodes leave at their defaults are written: the server refuses a node that lacks an
    input which has to be there, and fills in none.

    Nodes that are muted or bypassed have no place in this format: what led to the former is left
    open, and what led to the latter to what they pass on.

    Args:
        signatures: Of ComfyUI's node types, as far as they are known.
    """
    live = _Live(workflow.graph.nodes)
    return {
        name: _entry(node, live, signatures.get(node.type))
        for name, node in workflow.graph.nodes.items()
        if node.mode is None
    }


def missing_inputs(
    document: Mapping[str, Any], signatures: Mapping[str, Signature]
) -> dict[str, list[str]]:
    """Inputs that a document's nodes lack and the server asks for, by node."""
    missing: dict[str, list[str]] = {}
    for name, entry in document.items():
        signature, inputs = signatures.get(entry["class_type"]), entry["inputs"]
        shown = {taken.name for taken in signature.active_widgets(inputs)} if signature else set()
        lacking = [
            taken.name
            for taken in (signature.inputs if signature else ())
            if not (taken.is_optional or taken.is_autogrow or taken.name in inputs)
            and (taken.name in shown or not taken.is_widget)
        ]
        if lacking:
            missing[name] = lacking
    return missing


def _entry(node: ForeignNode, live: _Live, signature: Signature | None) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for name, value in node.inputs.items():
        if name in node.unset_inputs and not isinstance(value, Source):
            continue  # the server refuses what lacks it, and a default would be made up
        if isinstance(value, Source):
            source = live.behind(value)
            if source is not None:
                inputs[name] = [source.node, source.slot]
        elif isinstance(value, DrawnText):
            inputs[name] = str(value)
        else:
            # A list would be taken for a link.
            inputs[name] = {"__value__": value} if isinstance(value, list) else value
    for taken in signature.active_widgets(inputs) if signature else ():
        is_left = taken.name not in node.inputs and not (taken.is_autogrow or taken.is_optional)
        is_left = is_left and taken.name not in node.unset_inputs
        if is_left and taken.default is not None:
            inputs[taken.name] = taken.default
    noted = {key: value for key, value in node.raw.items() if key != "verbatim"}
    meta = {"title": node.title or node.type} | noted
    return {"class_type": node.type, "inputs": inputs, "_meta": meta}


class _Live:
    """Finds the nodes that run behind those that don't."""

    def __init__(self, nodes: Mapping[str, ForeignNode]) -> None:
        self._nodes = nodes

    def behind(self, source: Source) -> Source | None:
        """Where a link's value comes from; None if nothing that runs gives it."""
        origin: Source | None = source
        while origin is not None and self._nodes[origin.node].mode is not None:
            node = self._nodes[origin.node]
            origin = self._passed(node, origin.slot) if node.mode == "bypass" else None
        return origin

    def _passed(self, node: ForeignNode, slot: int) -> Source | None:
        """The first input that is linked and of an output's type."""
        kind = self._kind(Source(node.id, slot))
        linked = [value for value in node.inputs.values() if isinstance(value, Source)]
        return next((each for each in linked if self._kind(each) == kind), None)

    def _kind(self, source: Source) -> str:
        ports = self._nodes[source.node].ports
        return ports[source.slot].type if source.slot < len(ports) else ""


_MODES = {"mute": 2, "bypass": 4}
_INPUTS, _OUTPUTS = -10, -20
_WIDTH, _HEIGHT = 270.0, 160.0
_NAMESPACE = uuid.UUID("6f2f2d1a-6f0e-5a7b-9d43-0d8f6a1c7a55")


def write_ui(workflow: ForeignWorkflow, signatures: Mapping[str, Signature]) -> dict[str, Any]:
    """The document of a workflow.

    Args:
        signatures: Of ComfyUI's node types. Those without one are written with their values by
            name.
    """
    ids = {name: str(uuid.uuid5(_NAMESPACE, name)) for name in workflow.blocks}
    level = _Level(workflow.graph, workflow.blocks, ids, signatures)
    document: dict[str, Any] = level.document()
    document |= {"config": {}, "extra": dict(workflow.kept.get("extra", {})), "version": 0.4}
    blocks = [_definition(block, workflow, ids, signatures) for block in workflow.blocks.values()]
    if blocks:
        document["definitions"] = {"subgraphs": blocks}
    return document


def _definition(
    block: ForeignBlock,
    workflow: ForeignWorkflow,
    ids: Mapping[str, str],
    signatures: Mapping[str, Signature],
) -> dict[str, Any]:
    level = _Level(block.graph, workflow.blocks, ids, signatures)
    for slot, (port, source) in enumerate(block.outputs):
        if source is not None:
            level.link(source, str(_OUTPUTS), slot, port.type)
    document = level.document(as_objects=True)
    return {
        "id": ids[block.id],
        "version": 1,
        "name": block.name,
        "inputNode": {"id": _INPUTS, "bounding": _bounding(block.ends.get("inputs"), -400.0)},
        "outputNode": {"id": _OUTPUTS, "bounding": _bounding(block.ends.get("outputs"), 800.0)},
        "inputs": [
            _end(block, "in", port, level.from_slot(str(_INPUTS), slot))
            for slot, port in enumerate(block.inputs)
        ],
        "outputs": [
            _end(block, "out", port, level.to_slot(str(_OUTPUTS), slot))
            for slot, (port, _) in enumerate(block.outputs)
        ],
        "widgets": [],
        **document,
    }


def _end(block: ForeignBlock, way: str, port: ForeignPort, links: list[int]) -> dict[str, Any]:
    name = str(uuid.uuid5(_NAMESPACE, f"{block.id}/{way}/{port.name}"))
    return {"id": name, "name": port.name, "type": port.type or "*", "linkIds": links}


def _bounding(spot: Rectangle | None, x: float) -> list[float]:
    return [spot.x, spot.y, 120.0, 60.0] if spot else [x, 0.0, 120.0, 60.0]


class _Level:
    """The nodes and links of one graph."""

    def __init__(
        self,
        graph: ForeignGraph,
        blocks: Mapping[str, ForeignBlock],
        ids: Mapping[str, str],
        signatures: Mapping[str, Signature],
    ) -> None:
        self._graph = graph
        self._blocks = blocks
        self._ids = ids
        self._signatures = signatures
        self._links: list[tuple[int, str, int, str, int, str]] = []
        self._from: dict[tuple[str, int], list[int]] = {}
        self._to: dict[tuple[str, int], list[int]] = {}
        self._taken = {name: self._inputs(node) for name, node in graph.nodes.items()}
        for name, node in graph.nodes.items():
            for slot, taken in enumerate(self._shown(node)):
                source = node.inputs.get(taken.name)
                if isinstance(source, Source):
                    self.link(source, name, slot, self._kind(source) or taken.type)

    def link(self, source: Source, target: str, slot: int, kind: str) -> None:
        """Draw a link."""
        start = str(_INPUTS) if source.node == BLOCK else source.node
        number = len(self._links) + 1
        self._links.append((number, start, source.slot, target, slot, kind or "*"))
        self._from.setdefault((start, source.slot), []).append(number)
        self._to.setdefault((target, slot), []).append(number)

    def from_slot(self, node: str, slot: int) -> list[int]:
        """Links that an output feeds."""
        return self._from.get((node, slot), [])

    def to_slot(self, node: str, slot: int) -> list[int]:
        """The link that feeds an input, if there is one."""
        return self._to.get((node, slot), [])

    def document(self, *, as_objects: bool = False) -> dict[str, Any]:
        nodes = [self._node(at, node) for at, node in enumerate(self._placed())]
        links = [_link(link, as_objects=as_objects) for link in self._links]
        notes = [_note(frame, len(nodes) + at) for at, frame in enumerate(self._graph.notes)]
        free = max((int(name) for name in self._graph.nodes), default=0)
        for at, note in enumerate(notes):
            note["id"] = free + at + 1
        groups = [_group(frame, at) for at, frame in enumerate(self._graph.groups)]
        last: dict[str, Any] = {"last_node_id": free + len(notes), "last_link_id": len(links)}
        if as_objects:
            state = {"lastNodeId": free + len(notes), "lastLinkId": len(links)}
            last = {"state": state | {"lastGroupId": len(groups), "lastRerouteId": 0}}
        return {**last, "nodes": [*nodes, *notes], "links": links, "groups": groups}

    def _placed(self) -> Iterable[ForeignNode]:
        """The nodes, with a place each: those that have none stand in rows below the others."""
        nodes = list(self._graph.nodes.values())
        bottom = max((node.bounds.y + 400.0 for node in nodes if node.bounds), default=0.0)
        free = 0
        for node in nodes:
            if node.bounds is None:
                spot = Rectangle(320.0 * (free % 6), bottom + 400.0 * (free // 6))
                free += 1
                yield replace(node, bounds=spot)
            else:
                yield node

    def _inputs(self, node: ForeignNode) -> list[InputSignature]:
        """All inputs of a node in order, sockets first."""
        block = self._blocks.get(node.type)
        signature = self._signatures.get(node.type)
        if block is not None:
            return [InputSignature(port.name, port.type or "*") for port in block.inputs]
        if signature is None:
            return [InputSignature(name, "*") for name in node.inputs]
        known = [taken for taken in signature.inputs if not taken.is_autogrow]
        names = {taken.name for taken in known}
        grown = [InputSignature(name, "*") for name in node.inputs if name not in names]
        return sorted([*known, *grown], key=lambda taken: taken.is_widget)

    def _kind(self, source: Source) -> str:
        node = self._graph.nodes.get(source.node)
        ports = self._ports(node) if node else ()
        return ports[source.slot].type if source.slot < len(ports) else ""

    def _ports(self, node: ForeignNode) -> tuple[ForeignPort, ...]:
        block = self._blocks.get(node.type)
        return tuple(port for port, _ in block.outputs) if block else node.ports

    def _node(self, order: int, node: ForeignNode) -> dict[str, Any]:
        assert node.bounds is not None
        spot = node.bounds
        number = int(node.id)
        verbatim = node.raw.get("verbatim", {})
        noted = {key: value for key, value in node.raw.items() if key != "verbatim"}
        properties = {"Node name for S&R": node.type, **verbatim.get("properties", {}), **noted}
        if node.pack:
            properties["cnr_id"] = node.pack
        if node.type in self._blocks:
            properties["proxyWidgets"] = self._proxies(node)
        written: dict[str, Any] = {
            "id": number,
            "type": self._ids.get(node.type, node.type),
            "pos": [spot.x, spot.y],
            "size": [spot.width or _WIDTH, spot.height or _HEIGHT],
            "flags": {"collapsed": True} if node.is_collapsed else {},
            "order": order,
            "mode": _MODES.get(node.mode or "", 0),
            "inputs": self._sockets(node),
            "outputs": [
                {
                    "name": port.name,
                    "type": port.type or "*",
                    "links": self.from_slot(node.id, slot),
                    "slot_index": slot,
                }
                for slot, port in enumerate(self._ports(node))
            ],
            "properties": properties,
            "widgets_values": verbatim.get("widgets_values", self._values(node)),
        }
        if node.title:
            written["title"] = node.title
        if node.color:
            written["color"] = node.color
        return written

    def _shown(self, node: ForeignNode) -> list[InputSignature]:
        """The inputs that have a socket: those that can only be linked, and linked widgets."""
        return [
            taken
            for taken in self._taken[node.id]
            if isinstance(node.inputs.get(taken.name), Source)
            or not (taken.is_widget or taken.name in node.inputs)
        ]

    def _sockets(self, node: ForeignNode) -> list[dict[str, Any]]:
        sockets: list[dict[str, Any]] = []
        for slot, taken in enumerate(self._shown(node)):
            link = next(iter(self.to_slot(node.id, slot)), None)
            widget = {"widget": {"name": taken.name}} if taken.is_widget else {}
            sockets.append({"name": taken.name, "type": taken.type, "link": link, **widget})
        return sockets

    def _proxies(self, node: ForeignNode) -> list[list[str]]:
        """Inputs of a block's node that have values of their own."""
        ports = self._blocks[node.type].inputs
        return [
            ["-1", port.name]
            for port in ports
            if port.type in WIDGETS
            or (port.name in node.inputs and not isinstance(node.inputs[port.name], Source))
        ]

    def _values(self, node: ForeignNode) -> Any:
        """Values of all widgets: by position, or by name of types whose order isn't known."""
        signature = self._signatures.get(node.type)
        literals = {
            name: value for name, value in node.inputs.items() if not isinstance(value, Source)
        }
        if node.type in self._blocks:
            return [literals.get(name) for _, name in self._proxies(node)]
        if signature is None:
            return literals
        values: list[Any] = []
        buttons: list[Any] = []
        for taken in signature.active_widgets(literals):
            if taken.is_optional:
                values, buttons = values + buttons, []
            value = literals.get(taken.name, taken.default)
            is_prompt = taken.extra == "prompt" and isinstance(value, str)
            values.append(written_prompt(value) if is_prompt else value)
            if taken.extra == "control":
                values.append(node.control.get(taken.name, "fixed"))
            elif taken.extra == "upload":
                # The page puts the button behind all inputs that have to be there.
                buttons.append("image")
        return values + buttons


def _link(link: tuple[int, str, int, str, int, str], *, as_objects: bool) -> Any:
    number, start, slot, target, at, kind = link
    if not as_objects:
        return [number, int(start), slot, int(target), at, kind]
    return {
        "id": number,
        "origin_id": int(start),
        "origin_slot": slot,
        "target_id": int(target),
        "target_slot": at,
        "type": kind,
    }


def _note(frame: Frame, order: int) -> dict[str, Any]:
    spot = frame.bounds
    return {
        "type": "Note",
        "pos": [spot.x, spot.y],
        "size": [spot.width, spot.height],
        "flags": {},
        "order": order,
        "mode": 0,
        "properties": {},
        "widgets_values": [frame.text],
        **({"color": frame.color} if frame.color else {}),
    }


def _group(frame: Frame, at: int) -> dict[str, Any]:
    spot = frame.bounds
    bounding = [spot.x, spot.y, spot.width, spot.height]
    written = {"id": at + 1, "title": frame.text, "bounding": bounding, "font_size": 24}
    return written | ({"color": frame.color} if frame.color else {})
