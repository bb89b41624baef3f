"""What stands for nodes that aren't translated: bypassed ones, and ones that can't be, of which all
is kept that the file says.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from nodegraph.core.parts import PLACEHOLDER, Mode
from nodegraph.interop.comfyui.foreign import ForeignNode
from nodegraph.interop.comfyui.graph_builder import GraphBuilder, MadeNode
from nodegraph.interop.comfyui.known_packs import pack_of
from nodegraph.interop.comfyui.naming import Names, to_snake_case
from nodegraph.interop.comfyui.translating import Signal

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
        {ports[name]: signal.given for name, signal in inputs.items()},
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
