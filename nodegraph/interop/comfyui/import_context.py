"""Import of one ComfyUI node: context for table entries, and placeholders."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import fields, is_dataclass
from itertools import chain
from typing import Any

from nodegraph.core.parts import PLACEHOLDER, Mode
from nodegraph.interop.comfyui.entries import Signature, TableEntry
from nodegraph.interop.comfyui.foreign_workflow import BLOCK, ForeignNode
from nodegraph.interop.comfyui.graph_builder import GraphBuilder, MadeNode, Names, to_snake_case
from nodegraph.interop.comfyui.known_packs import pack_of
from nodegraph.interop.comfyui.literal_tags import Tag, with_tag
from nodegraph.interop.comfyui.round_trip import read_native_notes
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_ANY = ("", "*")


def match_bypass_outputs(
    outputs: Sequence[str], inputs: Sequence[tuple[str, Signal | None]]
) -> list[Signal | None]:
    """The first linked input of an output's type, for each; None where there is none.

    Args:
        outputs: Types.
        inputs: Of those that are linked, type and what they are given.
    """
    return [_first(kind, inputs) for kind in outputs]


def _first(kind: str, inputs: Sequence[tuple[str, Signal | None]]) -> Signal | None:
    linked = [(input_type, signal) for input_type, signal in inputs if signal is not None]
    same = [signal for input_type, signal in linked if input_type == kind]
    likely = [signal for input_type, signal in linked if kind in _ANY or input_type in _ANY]
    return next(iter([*same, *likely]), None)


_MOST_OUTPUTS = 256
"""More than any node has; a file may name a millionth output of a node that nobody knows."""


def add_placeholder(
    node: ForeignNode, inputs: Mapping[str, Signal], into: GraphBuilder, mode: Mode | None
) -> MadeNode:
    """Make a node that keeps another with its inputs, by name."""
    names = Names()
    # Targets part node and input by a dot.
    ports = {name: names.reserve(name.replace(".", "_")) for name in inputs}
    made = into.add(
        node.title or node.type,
        PLACEHOLDER + node.type,
        {ports[name]: signal.content for name, signal in inputs.items()},
    )
    made.label = node.title
    made.pack = node.pack or pack_of(node.type)
    # Links lead past a bypassed one, as nobody knows which input would stand for an output.
    made.mode = "mute" if mode == "bypass" else mode
    made.origin = {"type": node.type, "entry": dict(node.raw)}
    renamed = {port: name for name, port in ports.items() if port != name}
    if renamed:
        made.origin["inputs"] = renamed
    if mode == "bypass":
        made.origin["mode"] = mode
    return made


def output_ports(outputs: Sequence[tuple[str, str]], used: Collection[int]) -> dict[int, str]:
    """Names of a placeholder's outputs, by slot.

    Args:
        outputs: Name and type of those that the file tells.
        used: Slots that something is linked to, of which there may be more.
    """
    names = Names()
    usual = [slot for slot in used if slot < _MOST_OUTPUTS]
    count = max([len(outputs), *(slot + 1 for slot in usual)])
    port_names: dict[int, str] = {}
    for slot in sorted({*range(count), *used}):
        known, kind = outputs[slot] if slot < len(outputs) else ("", "")
        port_names[slot] = names.reserve(to_snake_case(known or kind, f"output_{slot + 1}"))
    return port_names


CONSTANTS = {"Boolean": "value", "Integer": "value", "Number": "value", "Text": "text"}
"""Native nodes that give what they are given."""

FindBlockValue = Callable[[str], Any]
"""Gives the value that a block's input has, and notes that somebody had to know it."""


class RequiredInputs(dict[str, Signal]):
    """A node's inputs; one that isn't connected can't be translated where it has to be known."""

    def __missing__(self, name: str) -> Signal:
        raise Untranslatable(f"its input `{name}` is not connected")


class CarriedValues(Mapping[str, Any]):
    """What goes along with an output, and whether anybody has looked at it."""

    def __init__(self, held: Mapping[str, Any]) -> None:
        self.held = held
        self.was_read = False

    def __getitem__(self, key: str) -> Any:
        self.was_read = True
        return self.held[key]

    def __iter__(self) -> Iterator[str]:
        self.was_read = True
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)


class OptionalInputs(RequiredInputs):
    """A node's inputs, of which those that aren't connected give nothing: so do they natively.

    Attributes:
        missing: Those that were asked for all the same.
    """

    def __init__(self, signals: Mapping[str, Signal]) -> None:
        super().__init__(signals)
        self.missing: list[str] = []

    def __missing__(self, name: str) -> Signal:
        self.missing.append(name)
        return Signal(None)


class ImportContext:
    """A node of ComfyUI that becomes native ones; a `Passage`.

    Attributes:
        node_names: Names of the native nodes that it became.
        given: What stands for its outputs, by name.
        told: What people are to know.
        open_inputs: Inputs that the entry asked for and that aren't connected.
    """

    def __init__(
        self,
        node: ForeignNode,
        signature: Signature,
        inputs: Mapping[str, Signal],
        into: GraphBuilder,
        ask_block: FindBlockValue,
    ) -> None:
        self.type = node.type
        self.defaults: Mapping[str, Any] = _defaults(signature)
        open_inputs = OptionalInputs(_with_defaults(signature, inputs, node))
        self.inputs: Mapping[str, Signal] = open_inputs
        self.open_inputs = open_inputs.missing
        self.kept: Mapping[str, Any] = {}
        self.node_names: list[str] = []
        self.output_signals: dict[str, Signal] = {}
        self.messages: list[str] = []
        self._kept: dict[str, Any] = {}
        self._node = node
        self._signature = signature
        self._into = into
        self._start = len(into.nodes)
        self._ask_block = ask_block

    def literal(self, name: str) -> Any:
        if name not in self.inputs:
            raise Untranslatable(f"its input `{name}` is not connected")
        value = self.inputs[name].content
        if not isinstance(value, MadeOutput):
            return value
        known = self._constant(value)
        if known is None:
            raise Untranslatable(f"its input `{name}` is linked, and the import needs its value")
        if value.node != BLOCK:
            self.tell(f"`{name}` stays {known!r}: in nodegraph it cannot follow `{value.node}`")
        return known

    def behind(self, name: str) -> tuple[str, Mapping[str, Any]]:
        value = self.inputs[name].content if name in self.inputs else None
        node = self._into.nodes.get(value.node) if isinstance(value, MadeOutput) else None
        if node is None:
            raise Untranslatable(f"the import needs to know the node linked to its input `{name}`")
        return node.type, node.inputs

    def _constant(self, value: Any) -> Any:
        """The value behind a link that always gives the same one; None if there is none."""
        if not isinstance(value, MadeOutput):
            return value
        if value.node == BLOCK:
            return self._ask_block(value.port)
        node = self._into.nodes.get(value.node)
        if node is None or node.mode is not None or node.type not in CONSTANTS:
            return None
        return self._constant(node.inputs.get(CONSTANTS[node.type]))

    def add(self, node_type: str, /, **inputs: Any) -> str:
        values = {name: _bare(value) for name, value in inputs.items()}
        present = {name: value for name, value in values.items() if value is not None}
        short = node_type.rpartition(":")[2]
        noted = read_native_notes(self._node)
        if self.node_names:
            node = self._into.add(short, node_type, present)
        else:
            node = self._into.add(self._node.title or short, node_type, present, noted.name)
            node.label, node.extra_fields = self._node.title, noted.extra_fields
            node.corrections = noted.corrections
        node.is_implied = noted.is_implied
        self.node_names.append(node.name)
        return node.name

    def imply(self, node_type: str, /, **inputs: Any) -> str:
        return self.add(node_type, **inputs)

    def give(self, output: str, value: Signal | MadeOutput) -> None:
        if isinstance(value, Signal):
            self.output_signals[output] = Signal(value.content, dict(value.carried))
            return
        self.output_signals[output] = Signal(value, self._carried(output))

    def _carried(self, output: str) -> Mapping[str, Any]:
        """What goes along with an output of which nothing is said: what came with such an input."""
        types = dict(self._signature.outputs)
        carried: dict[str, Any] = {}
        for name, signal in self.inputs.items():
            taken = self._signature.by_name.get(name)
            if taken is None or taken.type != types.get(output):
                continue
            for key, value in signal.carried.items():
                if key in carried and carried[key] != value:
                    raise Untranslatable(
                        f"its inputs have different settings for the output ({key})"
                    )
                carried[key] = value
        return carried

    def inner(self, signature: Signature, inputs: Mapping[str, Signal]) -> ImportContext:
        """The same node as one of another type: what that becomes, this one does."""
        part = copy(self)
        part.type, part._signature = signature.type, signature
        part.defaults = _defaults(signature)
        values = {name: signal.content for name, signal in inputs.items()}
        usual = {
            taken.name: Signal(taken.default)
            for taken in signature.active_widgets(values)
            if taken.name not in inputs and taken.default is not None and not taken.is_autogrow
        }
        taken_inputs = OptionalInputs({**inputs, **usual})
        taken_inputs.missing = self.open_inputs
        part.inputs = taken_inputs
        part.output_signals, part._kept = {}, {}
        return part

    def keep(self, **values: Any) -> None:
        # A link is drawn again from where it is linked.
        literals = {key: each for key, each in values.items() if not isinstance(each, MadeOutput)}
        self._kept.update(literals)

    def tell(self, message: str) -> None:
        self.messages.append(message)

    def undo(self) -> None:
        """Remove what was made, of a node that can't be translated after all."""
        for name in reversed(self.node_names):
            self._into.remove(name)
        self.node_names.clear()

    def leave_out_unused(self, used: Collection[str]) -> None:
        """Take back nodes that only give what nobody takes, beside others that do something.

        Args:
            used: Outputs that something is linked to.
        """
        giving = {output: _node_of(signal) for output, signal in self.output_signals.items()}
        wanted = {name for output, name in giving.items() if output in used}
        for output, signal in self.output_signals.items():
            if output in used:
                wanted |= set(_carried_nodes(signal.carried))
        if not wanted & set(self.node_names):
            ends = set(self.node_names) - self._taken() - set(giving.values())
            wanted |= set(self.node_names[:1]) if ends else set(self.node_names)
        idle = [name for output, name in giving.items() if output not in used]
        while idle:
            name = idle.pop()
            if name not in self.node_names or name in wanted | self._taken():
                continue
            sources = [_node_of(Signal(value)) for value in self._into.nodes[name].inputs.values()]
            self._into.remove(name)
            self.node_names.remove(name)
            idle += sources

    def _taken(self) -> set[str]:
        """Nodes that those which were made are linked to, by this one or by others for it."""
        later = (self._into.nodes[name] for name in self._into.since(self._start))
        values = (value for node in later for value in node.inputs.values())
        return {value.node for value in values if isinstance(value, MadeOutput)}

    @property
    def main(self) -> str:
        """The node that gives what the original gave, or the first; empty if none was made."""
        givers = [_node_of(signal) for signal in self.output_signals.values()]
        return next((name for name in (*givers, *self.node_names) if name in self.node_names), "")

    def nodes(self) -> list[MadeNode]:
        return [self._into.nodes[name] for name in self.node_names]

    @property
    def to_keep(self) -> Mapping[str, Any]:
        """What the entry wants to be kept."""
        return self._kept


def compose(
    node: Passage, entry: TableEntry, /, inputs: Mapping[str, Signal | Any]
) -> Mapping[str, Signal]:
    """Translate a part of a node as another type of node; returns what its outputs give.

    Many nodes of packs do what several nodes do one after the other. So do their translations.

    Args:
        inputs: Of the other type, links or literals; those that are None are left out.
    Raises:
        Untranslatable: That type can't be translated with these inputs.
        TypeError: The node isn't one of ComfyUI on its way here.
    """
    if not isinstance(node, ImportContext):
        raise TypeError(f"{node.type} is not imported")
    signals = {
        name: value if isinstance(value, Signal) else Signal(value)
        for name, value in inputs.items()
        if _bare(value) is not None or (isinstance(value, Signal) and value.carried)
    }
    part = node.inner(entry.signature, signals)
    entry.forward(part)
    return part.output_signals


def _defaults(signature: Signature) -> dict[str, Any]:
    return {taken.name: taken.default for taken in signature.inputs if taken.default is not None}


def _with_defaults(
    signature: Signature, inputs: Mapping[str, Signal], node: ForeignNode
) -> dict[str, Signal]:
    """The inputs, and the defaults, or stand-ins, of those that the file leaves out."""
    stand_ins = node.trial_values or {}
    values = {name: signal.content for name, signal in inputs.items() if not signal.is_link}
    signals = dict(inputs)
    for taken in signature.active_widgets(values):
        value = stand_ins.get(taken.name, taken.default)
        if taken.name not in signals and value is not None and not taken.is_autogrow:
            is_unread = node.trial_values is None and node.is_unreadable(taken.name)
            tag = Tag(unread=taken.name)
            signals[taken.name] = Signal(with_tag(value, tag) if is_unread else value)
            values[taken.name] = value
    return signals


def _node_of(signal: Signal) -> str:
    return signal.content.node if isinstance(signal.content, MadeOutput) else ""


def _carried_nodes(value: Any) -> Iterator[str]:
    """Nodes that what goes along with an output comes from."""
    if isinstance(value, MadeOutput):
        yield value.node
    elif isinstance(value, CarriedValues):
        yield from _carried_nodes(value.held)  # without being told that somebody read it
    elif isinstance(value, Mapping):
        yield from chain.from_iterable(map(_carried_nodes, value.values()))
    elif isinstance(value, (list, tuple)):
        yield from chain.from_iterable(map(_carried_nodes, value))
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from _carried_nodes(getattr(value, each.name))


def _bare(value: Any) -> Any:
    return value.content if isinstance(value, Signal) else value
