"""Values of widgets, which files write by position or by name, under their inputs' names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nodegraph.compat.comfyui.reading.levels import Socket
from nodegraph.compat.comfyui.signatures import Signature, TakenInput

CONTROL = "control_after_generate"
_CONTROLS = frozenset(("fixed", "increment", "decrement", "randomize", "increment-wrap"))
_UPLOADS = frozenset(("upload", "image", "video", "audio", ""))
_BUTTONS = frozenset(("IMAGEUPLOAD", "VIDEOUPLOAD", "AUDIOUPLOAD", "FILEUPLOAD", "AUDIO_UI"))
_UPLOADED = frozenset(("image", "video", "audio", "file", "mask", "model_file"))
_KINDS: Mapping[str, tuple[type, ...]] = {
    "INT": (int, float),
    "FLOAT": (int, float),
    "STRING": (str,),
    "BOOLEAN": (bool,),
}


@dataclass
class WidgetValues:
    """What a node's widgets say.

    Attributes:
        values: By input.
        control: What happens to seeds after a run, by input.
    """

    values: dict[str, Any] = field(default_factory=dict)
    control: dict[str, str] = field(default_factory=dict)

    def take(self, name: str, value: Any) -> None:
        if value is not None:
            self.values[name] = value


def widget_values(
    entry: Mapping[str, Any], inputs: Sequence[Socket], signature: Signature | None
) -> WidgetValues:
    """The values of a node's widgets.

    Where a file tells no names and the signature isn't known, they are ``widget_0`` and so on.

    Args:
        entry: The node as it is written.
        inputs: All that it lists.
    """
    named, written = entry.get("widgets_values_named"), entry.get("widgets_values")
    if isinstance(named, dict) and named:
        return _by_name(named, signature)
    if isinstance(written, dict):
        return _by_name(written, signature)
    if not isinstance(written, list) or not written:
        return WidgetValues()
    listed = [one for one in inputs if one.is_widget and one.type not in _BUTTONS]
    # Newer files list every widget, older ones only those that were made inputs, by turns in any
    # order; one that isn't connected is a sign of the former.
    ways = [_by_listed(written, listed), _by_signature(written, signature)]
    if all(one.link is not None for one in listed):
        ways.reverse()
    found = next((way for way in ways if way is not None), None)
    if found is None and signature is not None:
        found = _by_signature(written, signature, is_strict=False)
    return found or _unnamed(written)


def _by_name(named: Mapping[str, Any], signature: Signature | None) -> WidgetValues:
    """Names that a file gives; doubled ones have ``#1`` and so on behind them."""
    found = WidgetValues()
    last = ""
    for name, value in named.items():
        if name.partition("#")[0] == CONTROL:
            if last and isinstance(value, str):
                found.control.setdefault(last, value)
        elif "#" not in name and not _is_button(name, value, signature):
            found.take(name, value)
            last = name
    return found


def _is_button(name: str, value: Any, signature: Signature | None) -> bool:
    if signature is not None and name in signature.by_name:
        return False
    return name == "upload" and _says_upload(value)


def _by_signature(
    written: Sequence[Any], signature: Signature | None, *, is_strict: bool = True
) -> WidgetValues | None:
    """By the signature's order; None if the values don't fit it."""
    if signature is None:
        return None
    found, at, is_fit = WidgetValues(), 0, True
    for taken in signature.shown(found.values):
        if at >= len(written):
            is_fit = False
            break
        value, at = written[at], at + 1
        is_fit = is_fit and _fits(taken, value)
        found.take(taken.name, value)
        if taken.extra == "control" and at < len(written) and _is_control(written[at]):
            found.control[taken.name] = written[at]
            at += 1
        elif taken.extra == "upload" and at < len(written):
            at += 1
    is_fit = is_fit and all(_is_surplus(value) for value in written[at:])
    return found if is_fit or not is_strict else None


def _is_surplus(value: Any) -> bool:
    """Whether a value behind those that are known means nothing: some files have more of these."""
    return value is None or value == "" or _is_control(value)


def _fits(taken: TakenInput, value: Any) -> bool:
    kinds = _KINDS.get(taken.type)
    if value is None or kinds is None:
        return not isinstance(value, (dict, list))
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def _says_upload(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value in _UPLOADS)


def _is_control(value: Any) -> bool:
    return isinstance(value, str) and value in _CONTROLS


def _by_listed(written: Sequence[Any], listed: Sequence[Socket]) -> WidgetValues | None:
    """By the order in which a node lists its inputs; None if that lists not all of them."""
    surplus = len(written) - len(listed)
    if surplus < 0 or not listed:
        return None
    found, at = WidgetValues(), 0
    for one in listed:
        if at >= len(written):
            return None
        value, at = written[at], at + 1
        found.take(one.name, value)
        after = written[at] if at < len(written) else None
        if surplus and one.type in ("INT", "COMBO") and _is_control(after):
            found.control[one.name] = str(after)
            at, surplus = at + 1, surplus - 1
        elif surplus and one.name in _UPLOADED and _says_upload(after):
            at, surplus = at + 1, surplus - 1
    return found if all(_is_surplus(value) for value in written[at:]) else None


def _unnamed(written: Iterable[Any]) -> WidgetValues:
    found = WidgetValues()
    for at, value in enumerate(written):
        found.take(f"widget_{at}", value)
    return found
