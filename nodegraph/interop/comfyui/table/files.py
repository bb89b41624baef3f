"""Names of model files: with `/` between folders, whatever they were written with."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.foreign import BLOCK
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Untranslatable


def file_input(node: Passage, name: str) -> Any:
    """What an input that names a file is given, for a native one."""
    signal = node.inputs[name]
    if isinstance(signal.given, str) and "\\" in signal.given:
        return signal.given.replace("\\", "/")
    return signal


def known_literal(node: Passage, name: str) -> Any:
    """An input's value; None if that isn't known before a run."""
    value = node.inputs[name].given
    if isinstance(value, MadeOutput) and value.node != BLOCK:
        return None
    try:
        return node.literal(name)
    except Untranslatable:
        return None


def model_file_name(node: Passage, name: str) -> str:
    """The file that an input names; empty if that isn't known before a run."""
    return str(known_literal(node, name) or "").replace("\\", "/")
