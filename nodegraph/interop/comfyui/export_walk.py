"""Export a native graph node by node, in topological order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from nodegraph.core.graph import topological_order
from nodegraph.core.links import is_link, parse_link, parse_target, read_link, read_literal
from nodegraph.core.parts import PLACEHOLDER, NodeEntry, Subgraph
from nodegraph.core.spec import NodeSpec
from nodegraph.interop.comfyui.entries import Signature, TableEntry
from nodegraph.interop.comfyui.export_context import ExportContext, ExportGraph
from nodegraph.interop.comfyui.foreign_workflow import (
    BLOCK,
    DrawnText,
    ForeignGraph,
    ForeignNode,
    Frame,
    Rectangle,
    Source,
)
from nodegraph.interop.comfyui.literal_tags import (
    Tag,
    iter_references,
    reference_name,
    replace_references,
    strip_tags,
    tag_of,
    with_tag,
)
from nodegraph.interop.comfyui.reading.dynamic_prompts import drawing_note, prompts
from nodegraph.interop.comfyui.round_trip import NATIVE_PREFIX
from nodegraph.interop.comfyui.translating import MadeOutput, Signal, Untranslatable
from nodegraph.sampling.comfyui_prompts import can_be_escaped

_CONTROLS = {"random": "randomize", "increment": "increment", "decrement": "decrement"}
_IN_PROMPTS = "ComfyUI's page replaces dynamic prompts only in its own nodes"
_UNREAD = (
    "could not be read from the file that this was imported from, and has no value yet. "
    "ComfyUI's server refuses the workflow without it"
)
_NO_END = "ComfyUI's page takes no such prompt, so a space stands behind it in the file for it"


class NeedsInlining(Exception):
    """A sub-graph's inside can't be said by itself."""


class ExportableWorkflow(Protocol):
    """The workflow that graphs are of."""

    @property
    def signatures(self) -> Mapping[str, Signature]:
        """Of ComfyUI's types."""

    def spec(self, entry: NodeEntry) -> NodeSpec | None:
        """What a node's type declares."""

    def block_outputs(self, node_type: str) -> Iterable[str] | None:
        """Names of the outputs of a block; None if a type isn't one."""

    def candidates(self, node_type: str, was: str) -> Sequence[TableEntry]:
        """Entries that may say a native type, first the one that the node is known to have been."""

    def stays_native(self, node: str) -> bool:
        """Whether a node has to stay as it is, as it wouldn't come back otherwise."""

    def add_message(self, node: str, message: str) -> None:
        """Say what is lost or differs."""

    def add_untranslated(self, node: str) -> None:
        """Say that nothing there stands for a node."""


class ExportWalk:
    """One graph on its way."""

    def __init__(
        self,
        leaving: ExportableWorkflow,
        nodes: Mapping[str, NodeEntry],
        ui: Mapping[str, Any],
        block: Subgraph | None,
        prefix: str,
    ) -> None:
        self._workflow = leaving
        self._nodes = nodes
        self._ui = ui
        self._prefix = prefix
        known = ui.get("comfyui")
        origins = known.get("nodes") if isinstance(known, dict) else None
        self._origins = origins if isinstance(origins, dict) else {}
        ids = [str(each.get("id")) for each in self._origins.values() if isinstance(each, dict)]
        inputs = list(block.inputs) if block else []
        self._into = ExportGraph(nodes, leaving.signatures, inputs, ids)
        self._fed = {
            parse_target(target): Signal(MadeOutput(BLOCK, port))
            for port, taken in (block.inputs if block else {}).items()
            for target in taken.to
        }
        self._contexts: dict[str, ExportContext] = {}
        self._said = {word for entry in nodes.values() for word in iter_references(entry.inputs)}

    def run(self) -> None:
        needs = {
            name: [
                link.node
                for value in entry.inputs.values()
                if is_link(value) and (link := read_link(value)).node in self._nodes
            ]
            for name, entry in self._nodes.items()
        }
        for name in topological_order(needs)[0]:
            self._export_node(name)
        positions, sizes = points(self._ui.get("positions")), self._ui.get("sizes", {})
        colors, collapsed = self._ui.get("colors", {}), self._ui.get("collapsed", [])
        for name, departure in self._contexts.items():
            spot = Rectangle(*positions[name], _width(sizes, name)) if name in positions else None
            departure.put(spot, colors.get(name, ""), is_collapsed=name in collapsed)

    def graph(self) -> ForeignGraph:
        controls = self._controls()
        nodes = {
            name: replace(node, control=controls.get(name, {}))
            for name, node in self._with_drawing().items()
        }
        return ForeignGraph(
            self._reworded(nodes) if self._said else nodes,
            tuple(_frames(self._ui.get("groups"), "title")),
            tuple(_frames(self._ui.get("notes"), "text")),
        )

    def _reworded(self, nodes: Mapping[str, ForeignNode]) -> dict[str, ForeignNode]:
        """Names of files say inputs as ComfyUI calls the nodes."""
        places = {
            tag_of(value).referenced_at: (name, port)
            for name, node in nodes.items()
            for port, value in node.inputs.items()
        }

        def put(node: str, port: str) -> str:
            made, its = places.get((node, port), ("", ""))
            word = reference_name(made, nodes) if made else ""
            return f"{word}.{its}" if word else ""

        reworded_nodes: dict[str, ForeignNode] = {}
        for name, node in nodes.items():
            inputs = strip_tags(dict(node.inputs))
            prefix = inputs.get("filename_prefix")
            if isinstance(prefix, str):
                inputs["filename_prefix"] = replace_references(prefix, put)
            reworded_nodes[name] = replace(node, inputs=inputs)
        return reworded_nodes

    def _with_drawing(self) -> dict[str, ForeignNode]:
        """All nodes that were made, and at those with prompts notes of what draws them here."""
        natives = {made: name for name, each in self._contexts.items() for made in each.node_ids}
        sources: dict[int, str] = {}
        for name, departure in self._contexts.items():
            for signal in departure.output_signals.values():
                if isinstance(signal.content, DrawnText):
                    sources.setdefault(id(signal.content), name)
        nodes = dict(self._into.nodes)
        uses = Counter[str]()
        for made, node in self._into.nodes.items():
            native = self._prefix + natives.get(made, "")
            read = dict(prompts(node, self._workflow.signatures.get(node.type)))
            notes: dict[str, Any] = {}
            for port, value in node.inputs.items():
                if isinstance(value, DrawnText) and port in read:
                    source = sources[id(value)]
                    uses[source] += 1
                    notes[port] = self._drawing_note(source, value.prompt)
                elif isinstance(value, DrawnText):
                    self._workflow.add_message(
                        native, f"`{port}` is what its seed draws: {_IN_PROMPTS}"
                    )
                elif port in read and not can_be_escaped(value):
                    self._workflow.add_message(native, f"`{port}` ends in a backslash: {_NO_END}")
            if notes:
                noted = {**node.raw.get("nodegraph", {}), "drawing": notes}
                nodes[made] = replace(node, raw={**node.raw, "nodegraph": noted})
        for source, count in uses.items():
            if count > 1:
                many = f"ComfyUI's page draws for each of the {count} prompts that it leads to"
                self._workflow.add_message(self._prefix + source, many)
        return nodes

    def _drawing_note(self, name: str, prompt: str) -> dict[str, Any]:
        control = _CONTROLS.get(self._ui.get("seeds", {}).get(f"{name}.seed"), "")
        position = points(self._ui.get("positions")).get(name)
        return drawing_note(name, self._nodes[name], prompt, control, position)

    def _controls(self) -> dict[str, dict[str, str]]:
        """What happens to seeds, by node made and input there."""
        controls: dict[str, dict[str, str]] = {}
        seeds = self._ui.get("seeds", {})
        for name, departure in self._contexts.items():
            for made in departure.node_ids:
                signature = self._workflow.signatures.get(self._into.nodes[made].type)
                for taken in signature.inputs if signature else ():
                    modes = {seeds.get(f"{name}.{port}") for port in ("seed", taken.name)}
                    control = next((_CONTROLS[mode] for mode in modes if mode in _CONTROLS), "")
                    if taken.extra == "control" and control:
                        controls.setdefault(made, {})[taken.name] = control
        return controls

    def end(self, text: str) -> Source | None:
        """What a block's output gives."""
        signal = self._signal(parse_link(text).node, parse_link(text).port)
        if signal is None or not isinstance(signal.content, MadeOutput):
            raise NeedsInlining
        return self._into.source(signal.content)

    def type_of(self, source: Source | None) -> str:
        """ComfyUI's type of an output."""
        if source is None or source.node == BLOCK:
            return "*"
        kind: str = self._into.nodes[source.node].ports[source.slot].type
        return kind

    def type_fed(self, slot: int) -> str:
        """ComfyUI's type of a block's input: that of the first that it leads to."""
        for node in self._into.nodes.values():
            signature = self._workflow.signatures.get(node.type)
            for name, value in node.inputs.items():
                if value == Source(BLOCK, slot) and signature and name in signature.by_name:
                    return signature.by_name[name].type
        return "*"

    def _signal(self, node: str, port: str) -> Signal | None:
        departure = self._contexts.get(node)
        if departure is None:
            return None
        if not port:
            return next(iter(departure.output_signals.values()), None)
        return departure.output_signals.get(port)

    def _inputs(self, name: str) -> dict[str, Signal]:
        signals: dict[str, Signal] = {}
        for port, written in self._nodes[name].inputs.items():
            if not is_link(written):
                value = read_literal(written)
                is_said = (name, port) in self._said
                signals[port] = Signal(
                    with_tag(value, Tag(referenced_at=(name, port))) if is_said else value
                )
                continue
            link = read_link(written)
            signal = self._signal(link.node, link.port)
            if signal is not None:
                signals[port] = signal
        signals |= {port: signal for (node, port), signal in self._fed.items() if node == name}
        return {
            port: signal
            for port, signal in signals.items()
            if signal.content is not None or signal.carried
        }

    def _export_node(self, name: str) -> None:
        entry = self._nodes[name]
        known = self._origins.get(name)
        origin = known if isinstance(known, dict) else {}
        spec = self._workflow.spec(entry)
        departure = ExportContext(name, spec, self._inputs(name), self._into, origin)
        self._contexts[name] = departure
        for port in _open(entry):
            self._workflow.add_message(self._prefix + name, f"`{port}` {_UNREAD}")
        outputs = self._workflow.block_outputs(entry.type)
        if outputs is not None:
            self._use(departure, outputs)
            return
        if entry.type.startswith(PLACEHOLDER):
            inputs = self._native_inputs(departure)
            departure.add_placeholder(entry.type.removeprefix(PLACEHOLDER), inputs)
            return
        if self._workflow.stays_native(self._prefix + name):
            why = "ComfyUI needs more of it than is said here"
        else:
            why = self._translate(departure, str(origin.get("type", "")))
        if why:
            self._keep_native(departure)
            self._workflow.add_untranslated(self._prefix + name)
            self._workflow.add_message(self._prefix + name, why)

    def _translate(self, departure: ExportContext, was: str) -> str:
        """Have a node said by an entry of the table; returns why none can."""
        reasons: list[str] = []
        for candidate in self._workflow.candidates(departure.type, was):
            assert candidate.backward is not None
            try:
                candidate.backward(departure)
            except Untranslatable as reason:
                departure.undo()
                reasons.append(str(reason))
            except Exception as error:  # noqa: BLE001 - a pack's entry may raise anything
                departure.undo()
                reasons.append(f"its entry of the table fails: {error!r}")
            else:
                if departure.is_off and _draws(departure):
                    departure.undo()
                    return "a muted or bypassed node that draws has no place in a prompt"
                departure.leave_open(
                    name
                    for port in _open(departure.entry)
                    for name in departure.entry.unread_as.get(port, port).split(", ")
                )
                for message in departure.messages:
                    self._workflow.add_message(self._prefix + departure.name, message)
                return ""
        nothing = f"ComfyUI has nothing like {departure.type}"
        return "; ".join(dict.fromkeys(reasons)) or nothing

    def _use(self, departure: ExportContext, outputs: Iterable[str]) -> None:
        """A use of a block: a node of its type."""
        values = {port: signal.content for port, signal in departure.inputs.items()}
        if any(value is None for value in values.values()):
            raise NeedsInlining
        departure.add_as(departure.type, values, outputs)

    def _keep_native(self, departure: ExportContext) -> None:
        """Keep a node as it is, and with it those that wait for somebody who can say them."""
        inputs = self._native_inputs(departure)
        departure.add_as(NATIVE_PREFIX + departure.type, inputs, departure.outputs)

    def _native_inputs(self, departure: ExportContext) -> dict[str, Any]:
        inputs: dict[str, Any] = {}
        for port, signal in self._inputs(departure.name).items():
            if signal.content is None:
                link = read_link(self._nodes[departure.name].inputs[port])
                inputs[port] = self._native_signal(link.node, link.port).content
            else:
                inputs[port] = signal.content
        return inputs

    def _native_signal(self, node: str, port: str) -> Signal:
        departure = self._contexts[node]
        is_there = any(
            self._into.nodes[each].type.startswith(NATIVE_PREFIX) for each in departure.node_ids
        )
        if not is_there:
            self._keep_native(departure)
            self._workflow.add_untranslated(self._prefix + node)
        signal = self._signal(node, port)
        assert signal is not None
        return signal


def _open(entry: NodeEntry) -> list[str]:
    """Inputs that couldn't be read and haven't been given."""
    return [port for port in entry.unread if port not in entry.inputs]


def _draws(departure: ExportContext) -> bool:
    return any(
        isinstance(signal.content, DrawnText) for signal in departure.output_signals.values()
    )


def points(written: Any) -> dict[str, tuple[float, float]]:
    """Where things stand, by name, as `ui` says it."""
    positions = written if isinstance(written, dict) else {}
    return {
        name: (float(at[0]), float(at[1]))
        for name, at in positions.items()
        if isinstance(at, list) and len(at) >= 2
    }


def _width(sizes: Any, name: str) -> float:
    size = sizes.get(name) if isinstance(sizes, dict) else None
    return float(size[0]) if isinstance(size, list) and size else 0.0


def _frames(written: Any, key: str) -> Iterable[Frame]:
    for each in written if isinstance(written, list) else ():
        box = each.get("box") if isinstance(each, dict) else None
        if isinstance(box, list) and len(box) == 4:
            spot = Rectangle(*(float(side) for side in box))
            yield Frame(str(each.get(key, "")), spot, str(each.get("color", "")))
