"""Export of one native node: context for table entries, and the graph it adds to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nodegraph.core.links import is_link, read_link
from nodegraph.core.parts import NodeEntry
from nodegraph.core.spec import NodeSpec
from nodegraph.interop.comfyui.entries import InputSignature, Signature
from nodegraph.interop.comfyui.foreign_workflow import (
    BLOCK,
    ForeignNode,
    ForeignPort,
    Rectangle,
    Source,
)
from nodegraph.interop.comfyui.import_context import CONSTANTS, RequiredInputs
from nodegraph.interop.comfyui.reading.nodes import own_title
from nodegraph.interop.comfyui.round_trip import NATIVE_PREFIX
from nodegraph.interop.comfyui.translating import MadeOutput, Signal, Untranslatable

_KINDS: Mapping[str, tuple[type, ...]] = {
    "BOOLEAN": (bool,),
    "INT": (int,),
    "FLOAT": (int, float),
    "STRING": (str,),
}


def _check_literal(taken: InputSignature, value: Any) -> None:
    # What shows no widget holds no value in a file; of several types, one may show one.
    if not taken.is_widget and "|" not in taken.type:
        raise Untranslatable(f"`{taken.name}` needs a link in ComfyUI")
    kinds = _KINDS.get(taken.type)
    if kinds and (not isinstance(value, kinds) or (type(value) is bool and bool not in kinds)):
        raise Untranslatable(f"`{taken.name}` cannot be {value!r} in ComfyUI")


class ExportGraph:
    """Nodes of ComfyUI while they are made.

    Attributes:
        nodes: By id, in the order in which they were made.
        entries: The native nodes that are translated.
        block_inputs: Names of the block's own inputs, if it is one's graph.
    """

    def __init__(
        self,
        entries: Mapping[str, NodeEntry],
        signatures: Mapping[str, Signature],
        block_inputs: Iterable[str] = (),
        taken: Iterable[str] = (),
    ) -> None:
        self.nodes: dict[str, ForeignNode] = {}
        self.entries = entries
        self.block_inputs = list(block_inputs)
        self._signatures = signatures
        self._wanted = set(taken)
        self._ports: dict[str, list[str]] = {}
        self._last = 0

    def add(
        self,
        node_type: str,
        inputs: Mapping[str, Any],
        wanted: str,
        ports: Iterable[str] | None = None,
    ) -> str:
        """Make a node; returns its id.

        Args:
            wanted: Its id, if that is free; empty for any.
            ports: Its outputs, of one that stays what it is; None: those of its signature.
        Raises:
            Untranslatable: An input can't be given such a value.
        """
        # Ids of nodes in blocks that were put in place have several parts, which no file takes.
        is_free = wanted.isdecimal() and wanted not in self.nodes
        name = wanted if is_free else self._next()
        signature = self._signatures.get(node_type) if ports is None else None
        for port, value in inputs.items() if signature else ():
            taken = signature.find_input(port) if signature else None
            if taken is not None and not isinstance(value, MadeOutput):
                _check_literal(taken, value)
        outputs = signature.outputs if signature else [(port, "*") for port in ports or ()]
        self._ports[name] = [port for port, _ in outputs]
        self.nodes[name] = ForeignNode(
            name,
            node_type,
            {port: self._input(value) for port, value in inputs.items()},
            tuple(ForeignPort(*output) for output in outputs),
        )
        return name

    def _next(self) -> str:
        self._last += 1
        while str(self._last) in self.nodes or str(self._last) in self._wanted:
            self._last += 1
        return str(self._last)

    def source(self, output: MadeOutput) -> Source:
        """An output as links name it.

        Raises:
            Untranslatable: There is no such output.
        """
        if output.node == BLOCK:
            return Source(BLOCK, self.block_inputs.index(output.port))
        names = self._ports[output.node]
        if output.port not in names:
            raise Untranslatable(f"`{self.nodes[output.node].type}` gives no `{output.port}`")
        return Source(output.node, names.index(output.port))

    def _input(self, value: Any) -> Any:
        return self.source(value) if isinstance(value, MadeOutput) else value

    def remove(self, name: str) -> None:
        """Take back a node that nothing is linked to."""
        del self.nodes[name]


class ExportContext:
    """A native node that becomes ones of ComfyUI; a `Passage`.

    Attributes:
        implied: Ids of nodes that are there for these only.
        made: Ids of the nodes that it became. An entry that is asked later, for a guider that
            becomes a node only where a model is known, adds to them.
        given: What stands for its outputs, by name.
        messages: What people are to know.
    """

    def __init__(
        self,
        name: str,
        spec: NodeSpec | None,
        inputs: Mapping[str, Signal],
        into: ExportGraph,
        origin: Mapping[str, Any],
    ) -> None:
        entry = into.entries[name]
        self.type = entry.type
        self.name = name
        self.defaults: Mapping[str, Any] = (
            {port.name: port.default for port in spec.inputs if not port.required} if spec else {}
        )
        filled = {
            port: Signal(value)
            for port, value in self.defaults.items()
            if value is not None and port not in inputs
        }
        self.inputs: Mapping[str, Signal] = RequiredInputs({**inputs, **filled})
        values = origin.get("values")
        self.kept: Mapping[str, Any] = values if isinstance(values, dict) else {}
        self.node_ids: list[str] = []
        self.implied: list[str] = []
        self.output_signals: dict[str, Signal] = {}
        self.messages: list[str] = []
        self._entry = entry
        self._spec = spec
        self._into = into
        self._origin = origin

    def literal(self, name: str) -> Any:
        value = self.inputs[name].content
        if not isinstance(value, MadeOutput):
            return value
        written = self._into.entries[self.name].inputs.get(name)
        source = written.get("from") if isinstance(written, dict) else None
        node = self._into.entries.get(source.partition(".")[0]) if source else None
        if node is None or node.mode is not None or node.type not in CONSTANTS:
            raise Untranslatable(f"`{name}` is linked, and has to be known there")
        known = node.inputs.get(CONSTANTS[node.type])
        if known is None or isinstance(known, dict):
            raise Untranslatable(f"`{name}` is linked, and has to be known there")
        return known

    def behind(self, name: str) -> tuple[str, Mapping[str, Any]]:
        value = self.inputs[name].content
        node = self._into.nodes.get(value.node) if isinstance(value, MadeOutput) else None
        if node is None:
            raise Untranslatable(f"what gives its input `{name}` has to be known there")
        return node.type, node.inputs

    def add(self, node_type: str, /, **inputs: Any) -> str:
        wanted = "" if self.node_ids else str(self._origin.get("id", ""))
        name = self._into.add(
            node_type,
            _bare(inputs),
            wanted,
        )
        self._tell_of(name)
        return name

    def imply(self, node_type: str, /, **inputs: Any) -> str:
        name = self._into.add(node_type, _bare(inputs), "")
        implied = {"nodegraph": {"implied": True}}
        self._into.nodes[name] = replace(self._into.nodes[name], raw=implied)
        self.implied.append(name)
        return name

    @property
    def is_off(self) -> bool:
        """Whether the native node is muted or bypassed."""
        return self._entry.mode is not None

    @property
    def outputs(self) -> Sequence[str]:
        """Names of the native node's outputs; of an unknown type, of those that are linked."""
        if self._spec is not None:
            return [port.name for port in self._spec.outputs]
        links = [
            read_link(value)
            for entry in self._into.entries.values()
            for value in entry.inputs.values()
            if is_link(value)
        ]
        return sorted({link.port for link in links if link.node == self.name})

    def add_as(self, node_type: str, inputs: Mapping[str, Any], outputs: Iterable[str]) -> None:
        """Make one node that has the native one's inputs and outputs: a block's, or a stranger.

        Args:
            outputs: Their names.
        """
        ports = list(outputs)
        made = self._into.add(node_type, inputs, "", ports)
        self._tell_of(made, outputs=ports if node_type.startswith(NATIVE_PREFIX) else ())
        self.output_signals = {port: Signal(MadeOutput(made, port)) for port in ports}

    def add_placeholder(self, node_type: str, inputs: Mapping[str, Any]) -> None:
        """Make the node again that a placeholder stands for, as it was written."""
        entry = self._origin.get("entry")
        written = entry if isinstance(entry, dict) else {}
        names, outputs = self._origin.get("inputs"), self._origin.get("outputs")
        known = names if isinstance(names, dict) else {}
        ports = outputs if isinstance(outputs, list) else self.outputs
        wanted = str(self._origin.get("id", ""))
        foreign_inputs = {known.get(port, port): value for port, value in inputs.items()}
        made = self._into.add(node_type, foreign_inputs, wanted, ports)
        self._tell_of(made)
        node = self._into.nodes[made]
        verbatim = {key: written[key] for key in ("properties", "widgets_values") if key in written}
        self._into.nodes[made] = replace(
            node,
            ports=tuple(_ports(written.get("outputs"), ports)),
            mode="bypass" if self._origin.get("mode") == "bypass" else node.mode,
            raw={**node.raw, "verbatim": verbatim},
        )
        self.output_signals = {port: Signal(MadeOutput(made, port)) for port in ports}

    def _tell_of(self, made: str, outputs: Sequence[str] = ()) -> None:
        node = replace(self._into.nodes[made], mode=self._entry.mode)
        if self.node_ids:
            node = replace(node, raw={"nodegraph": {"implied": True}})
        else:
            noted = self._facts() | ({"outputs": list(outputs)} if outputs else {})
            if own_title(self._entry.label, node.type) != self._entry.label:
                noted["label"] = self._entry.label  # there, it would be the type's usual title
            node = replace(node, title=self._entry.label, raw={"nodegraph": noted})
        self._into.nodes[made] = node
        self.node_ids.append(made)

    def _facts(self) -> dict[str, Any]:
        """What ComfyUI has no place for, for when the node comes back."""
        entry = self._entry
        facts = {
            "note": entry.note,
            "always": entry.always,
            "version": entry.version,
            "unread": entry.unread,
            "unread_as": entry.unread_as,
        }
        return {"name": self.name} | {key: of for key, of in facts.items() if of}

    @property
    def entry(self) -> NodeEntry:
        """The native node."""
        return self._entry

    def leave_open(self, names: Iterable[str]) -> None:
        """Note inputs of what was made that nobody has given a value."""
        open_inputs = tuple(dict.fromkeys(names))
        for name in self.node_ids:
            self._into.nodes[name] = replace(self._into.nodes[name], unset_inputs=open_inputs)

    def give(self, output: str, value: Signal | MadeOutput) -> None:
        # Entries need no name for an only output; links may name it.
        output = output or next(iter(self.outputs), "")
        if isinstance(value, Signal):
            self.output_signals[output] = value
        else:
            self.output_signals[output] = Signal(value, self._carried(output))

    def _carried(self, output: str) -> Mapping[str, Any]:
        """What goes along with an output of which nothing is said: what came with such an input."""
        types = {port.name: port.type for port in self._spec.outputs} if self._spec else {}
        for port in self._spec.inputs if self._spec else ():
            signal = self.inputs.get(port.name)
            if signal is not None and signal.carried and port.type == types.get(output):
                return signal.carried
        return {}

    def keep(self, **values: Any) -> None:
        """Nothing: what ComfyUI can't say is refused, so that nothing is lost unseen."""
        if values:
            raise Untranslatable(f"{', '.join(values)} has no counterpart in ComfyUI")

    def tell(self, message: str) -> None:
        self.messages.append(message)

    def undo(self) -> None:
        """Remove what was made, of a node that can't be translated so."""
        for name in (*self.node_ids, *self.implied):
            self._into.remove(name)
        self.node_ids.clear()
        self.implied.clear()
        self.output_signals.clear()
        self.messages.clear()

    def put(self, spot: Rectangle | None, color: str, *, is_collapsed: bool) -> None:
        """Place what was made: the first where the node stood, others below it."""
        for at, name in enumerate((*self.node_ids, *self.implied)):
            node = self._into.nodes[name]
            node_spot = replace(spot, y=spot.y + 160.0 * at) if spot else None
            self._into.nodes[name] = replace(
                node, bounds=node_spot, color=color, is_collapsed=is_collapsed
            )


def _bare(inputs: Mapping[str, Any]) -> dict[str, Any]:
    values = {
        name: value.content if isinstance(value, Signal) else value
        for name, value in inputs.items()
    }
    return {name: value for name, value in values.items() if value is not None}


def _ports(written: Any, names: Sequence[str]) -> Iterable[ForeignPort]:
    """Outputs as a file lists them, and names of those that it doesn't."""
    listed = written if isinstance(written, list) else []
    for at, name in enumerate(names):
        entry = listed[at] if at < len(listed) and isinstance(listed[at], dict) else {}
        yield ForeignPort(str(entry.get("name", name)), str(entry.get("type", "*")))
