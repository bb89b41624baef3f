"""Read one graph of a UI file, with values of widgets and subgraph instances."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any

from nodegraph.interop.comfyui.entries import Signature
from nodegraph.interop.comfyui.foreign_workflow import (
    BLOCK,
    ForeignGraph,
    ForeignNode,
    Source,
)
from nodegraph.interop.comfyui.reading.document_check import DocumentCheck, printable
from nodegraph.interop.comfyui.reading.dynamic_prompts import read_prompts
from nodegraph.interop.comfyui.reading.group_nodes import MISFIT
from nodegraph.interop.comfyui.reading.nodes import (
    groups_of,
    is_api_node,
    literal_of,
    node_of,
    note_of,
)
from nodegraph.interop.comfyui.reading.ui_graph import (
    NOTES,
    PRIMITIVE,
    Level,
    Socket,
    Tracer,
    is_virtual_node,
    sockets,
)
from nodegraph.interop.comfyui.reading.widgets import (
    CONTROL,
    WidgetValues,
    control_word,
    fits,
    is_control,
    typed_values,
    widget_values,
)

NodeInput = tuple[str, str]
"""A node and its input."""
OWN = "-1"
"""The node that an exposed widget names for an input of the block's own."""


@dataclass(frozen=True)
class BlockFacts:
    """What the nodes of a block have to know of it.

    Attributes:
        names: Of its inputs, by slot.
        widgets: The inputs that lead to widgets, in order, with what those hold inside.
        fed: Inputs inside, with the block's input that leads there.
        exposed: Widgets inside that its nodes show besides, with where their values are.
    """

    name: str
    names: Sequence[str]
    widgets: Mapping[str, Any] = field(default_factory=dict)
    fed: Mapping[NodeInput, str] = field(default_factory=dict)
    exposed: Mapping[NodeInput, NodeInput] = field(default_factory=dict)

    def input(self, node_input: NodeInput) -> str:
        """By which name a node has the value of a widget inside; empty if by none."""
        node, name = node_input
        if node == OWN or node_input in self.fed:
            return name if node == OWN else self.fed[node_input]
        return ".".join(self.exposed[node_input]) if node_input in self.exposed else ""


def proxies(entry: Mapping[str, Any]) -> Iterator[NodeInput]:
    """Widgets that a block's node shows, as (inner node, input)."""
    properties = entry.get("properties")
    written = properties.get("proxyWidgets") if isinstance(properties, dict) else None
    for shown in written if isinstance(written, list) else ():
        if isinstance(shown, list) and len(shown) >= 2 and isinstance(shown[1], str):
            yield str(shown[0]), shown[1]
        else:
            yield "", ""


def shown_values(entry: Mapping[str, Any]) -> Iterator[tuple[NodeInput, Any]]:
    """Those widgets, each with the value that the node has for it, or None."""
    shown, written = list(proxies(entry)), entry.get("widgets_values")
    own = written if isinstance(written, list) and len(written) <= len(shown) else []
    yield from zip_longest(shown, own)


def is_input(name: str) -> bool:
    """Whether a widget that is shown is an input's, and neither a seed's control nor an image."""
    return bool(name) and name != CONTROL and not name.startswith("$$")


def instance_values(entry: Mapping[str, Any], block: BlockFacts) -> WidgetValues:
    """The values of a block's inputs: the node's own, and where it has none those inside."""
    block_values = WidgetValues(
        {name: value for name, value in block.widgets.items() if value is not None}
    )
    known = {*block.names, *map(block.input, block.exposed)}
    for name, value in _own(entry, block):
        if name in known:
            block_values.take(name, value)
    return block_values


def _own(entry: Mapping[str, Any], block: BlockFacts) -> Iterator[tuple[str, Any]]:
    named, written = entry.get("widgets_values_named"), entry.get("widgets_values")
    yield from _failed(entry)
    if isinstance(named, dict):
        yield from named.items()
    elif isinstance(written, dict):
        yield from written.items()
    elif isinstance(written, list) and len(written) > len(list(proxies(entry))):
        if len(written) > len(block.widgets):  # what happens to seeds has no input
            written = [value for value in written if not is_control(value)]
        yield from zip(block.widgets, written, strict=False)
    else:
        for node_input, value in shown_values(entry):
            yield block.input(node_input), value


def _failed(entry: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Values that a newer program couldn't find the input of, and laid aside."""
    properties = entry.get("properties")
    aside = properties.get("proxyWidgetErrorQuarantine") if isinstance(properties, dict) else None
    for failure in aside if isinstance(aside, list) else ():
        shown = failure.get("originalEntry") if isinstance(failure, dict) else None
        if isinstance(shown, list) and len(shown) >= 2 and str(shown[0]) == OWN:
            yield str(shown[1]), failure.get("hostValue")


Wired = Sequence[tuple[Socket, Source]]


@dataclass(frozen=True)
class ReadGraph:
    """A graph, and what its block's ends have to know of it.

    Attributes:
        ends: What leads to the block's outputs, by slot.
        widgets: Slots of the block's inputs that lead to widgets, with what those hold inside.
        inlined: Primitives that became values: the only input that each fed.
    """

    graph: ForeignGraph
    ends: Mapping[int, Source | None] = field(default_factory=dict)
    widgets: Mapping[int, Any] = field(default_factory=dict)
    inlined: Mapping[str, tuple[str, str]] = field(default_factory=dict)


class GraphReader:
    """Reads one graph, once the blocks within it are read.

    Args:
        prompt: What was run of it, in the API format: its values have names.
    """

    def __init__(
        self,
        level: Level,
        signatures: Mapping[str, Signature],
        blocks: Mapping[str, BlockFacts],
        check: DocumentCheck,
        prompt: Mapping[str, Any] | None = None,
    ) -> None:
        self._level = level
        self._prompt = prompt or {}
        self._signatures = signatures
        self._blocks = blocks
        self._check = check
        self._widgets: dict[int, Any] = {}
        self._inlined: dict[str, tuple[str, str]] = {}
        self._drawing: dict[str, ForeignNode] = {}

    def read(self) -> ReadGraph:
        """The graph.

        Raises:
            InvalidFile: A part has the wrong form, or reroutes lead in a circle.
        """
        tracer = Tracer(self._level, self._check)
        entries = self._level.nodes
        names = [name for name, entry in entries.items() if not is_virtual_node(entry["type"])]
        wired = {name: list(tracer.inputs(name)) for name in names}
        ends = tracer.outputs()
        tracer.warn_lost()
        primitives = self._primitives(wired, ends)
        nodes = {
            name: self._node(name, wired[name], primitives)
            for name in names
            if entries[name]["type"] != PRIMITIVE
        }
        feeding = {source.node for fed in wired.values() for _, source in fed}
        feeding |= {source.node for source in ends.values() if source is not None}
        for name in feeding & primitives.keys() - self._inlined.keys():
            nodes[name] = self._primitive(name, primitives[name])
        order = {name: nodes[name] for name in names if name in nodes} | self._drawing
        notes = (note_of(entry) for entry in entries.values() if entry["type"] in NOTES)
        graph = ForeignGraph(
            order,
            tuple(groups_of(self._level.entry.get("groups"))),
            tuple(note for note in notes if note is not None),
        )
        return ReadGraph(graph, ends, self._widgets, self._inlined)

    def _primitives(
        self, wired: Mapping[str, Wired], ends: Mapping[int, Source | None]
    ) -> dict[str, WidgetValues]:
        """Values of all primitives; those that feed one input only are noted to go there."""
        entries = self._level.nodes
        primitives = {
            name: _primitive_values(entry)
            for name, entry in entries.items()
            if entry["type"] == PRIMITIVE
        }
        uses = Counter(source.node for source in ends.values() if source is not None)
        for name, fed in wired.items():
            for socket, source in fed:
                uses[source.node] += 1
                if source.node in primitives:
                    self._inlined[source.node] = (name, socket.name)
        for name in [name for name in self._inlined if uses[name] > 1]:
            del self._inlined[name]
        return primitives

    def _primitive(self, name: str, values: WidgetValues) -> ForeignNode:
        entry = self._level.nodes[name]
        return node_of(name, entry, values.values, values.control, self._check)

    def _node(self, name: str, wired: Wired, primitives: Mapping[str, WidgetValues]) -> ForeignNode:
        entry = self._level.nodes[name]
        block = self._blocks.get(entry["type"])
        listed = list(sockets(entry, self._check))
        signature = None if block else self._signatures.get(entry["type"])
        if block:
            node_values = instance_values(entry, block)
        elif entry.get(MISFIT) and signature is not None:
            first = next((taken.name for taken in signature.widgets if not taken.is_autogrow), "")
            node_values = WidgetValues(fits=False, misfit=first)
        else:
            node_values = widget_values(entry, listed, signature)
        run: set[str] = set()
        if signature is not None:
            run = _take_run(node_values, self._prompt.get(name), signature)
        # Nodes without widgets may keep what they showed.
        if node_values.surplus and signature and signature.widgets:
            self._check.warn(
                f"node `{printable(name)}` ({printable(entry['type'])}): it has "
                f"{node_values.surplus} more values than its type has inputs; they are "
                "skipped"
            )
        open_inside: list[str] = []
        for socket, source in wired:
            if source.node == BLOCK:
                if node_values.misfit and signature and socket.name not in node_values.values:
                    open_inside.append(socket.name)
                self._note_widget(socket, source.slot, node_values, signature, block)
            primitive = primitives.get(source.node)
            if primitive is not None and (primitive.misfit or primitive.nulls):
                node_values.values.pop(socket.name, None)
                node_values.take(socket.name, None)
            elif source.node in self._inlined:
                _put(node_values, socket.name, primitives[source.node])
            elif primitive is None or primitive.values:
                node_values.values[socket.name] = source
                node_values.control.pop(socket.name, None)
        title = block.name if block else ""
        inputs, misfits = typed_values(
            node_values.values, signature, node_values.nulls, is_drawn=True
        )
        node = node_of(name, entry, inputs, node_values.control, self._check, title)
        node, drawing = read_prompts(node, signature, run)
        self._drawing |= drawing
        if not (node_values.misfit or misfits):
            return node
        return replace(
            node, unreadable_from=node_values.misfit, unreadable_inputs=(*misfits, *open_inside)
        )

    def _note_widget(
        self,
        socket: Socket,
        slot: int,
        node_values: WidgetValues,
        signature: Signature | None,
        block: BlockFacts | None,
    ) -> None:
        taken = signature.by_name.get(socket.name) if signature else None
        is_widget = socket.is_widget or bool(taken and taken.is_widget)
        is_widget = is_widget or bool(block and socket.name in block.widgets)
        if is_widget and self._widgets.get(slot) is None:
            self._widgets[slot] = node_values.values.get(socket.name)


def _take_run(node_values: WidgetValues, run: Any, signature: Signature) -> set[str]:
    """Take the values that a node was run with, which have names; returns those that were taken."""
    inputs = run.get("inputs") if is_api_node(run) else None
    if not isinstance(inputs, dict) or run["class_type"] != signature.type:
        return set()
    taken: set[str] = set()
    for name, written in inputs.items():
        value, known = literal_of(written), signature.find_input(name)
        if value is not None and known is not None and fits(known, value):
            node_values.take(name, value)
            taken.add(name)
    if all(
        each.name in inputs
        for each in signature.active_widgets(node_values.values)
        if not each.is_autogrow
    ):
        node_values.misfit, node_values.surplus = "", 0
    return taken


def _put(node_values: WidgetValues, name: str, primitive: WidgetValues) -> None:
    """Put a primitive's value where it leads."""
    if primitive.values:
        node_values.values[name] = primitive.values["value"]
        node_values.control.pop(name, None)
    if "value" in primitive.control:
        node_values.control[name] = primitive.control["value"]


def _primitive_values(entry: Mapping[str, Any]) -> WidgetValues:
    """Its value, called ``value``; what follows it says what happens to it after a run."""
    node_values = WidgetValues()
    if entry.get(MISFIT):
        node_values.misfit = "value"
        return node_values
    written = entry.get("widgets_values")
    values = list(_value_and_control(written))
    if values:
        node_values.take("value", values[0])
    if len(values) > 1 and isinstance(values[1], (str, bool)):
        node_values.control["value"] = control_word(values[1])
    return node_values


def _value_and_control(written: Any) -> Iterator[Any]:
    if isinstance(written, dict):
        written = [written.get("value"), written.get(CONTROL)]
    yield from written[:2] if isinstance(written, list) else ()
