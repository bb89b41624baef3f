"""A block's node: which values stand in it, of widgets within the block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from nodegraph.interop.comfyui.reading.widgets import CONTROL, WidgetValues, is_control

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
    """Whether a widget that is shown is an input's, and neither a seed's control nor a picture."""
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
