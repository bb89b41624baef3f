"""The value that several widgets follow in ComfyUI's editor."""

from __future__ import annotations

from nodegraph.compat.comfyui.entries import TableEntry, entry
from nodegraph.compat.comfyui.translating import MadeOutput, Passage, Signal

_NATIVE: dict[type, str] = {bool: "Boolean", int: "Integer", float: "Number"}


def _primitive(node: Passage) -> None:
    value = node.inputs["value"]
    native = next((name for kind, name in _NATIVE.items() if isinstance(value.given, kind)), None)
    if native is None:
        # Of texts, most are one of an input's choices, which a link can't give.
        node.give("value", Signal(value.given))
        return
    node.give("value", MadeOutput(node.add(native, value=value), ""))


ENTRIES: tuple[TableEntry, ...] = (entry("PrimitiveNode(value: *) -> value: *", _primitive),)
