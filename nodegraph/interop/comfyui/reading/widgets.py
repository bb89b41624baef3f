"""Match widget values to input names, by position or by name."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from nodegraph.interop.comfyui.entries import InputSignature, Signature
from nodegraph.interop.comfyui.foreign_workflow import Source
from nodegraph.interop.comfyui.reading.ui_graph import Socket

CONTROL = "control_after_generate"
_CONTROLS = frozenset(("fixed", "increment", "decrement", "randomize", "increment-wrap"))
_UPLOADS = frozenset(("upload", "image", "video", "audio", ""))
_BUTTONS = frozenset(("IMAGEUPLOAD", "VIDEOUPLOAD", "AUDIOUPLOAD", "FILEUPLOAD", "AUDIO_UI"))
_UPLOADED = frozenset(("image", "video", "audio", "file", "mask", "model_file"))
_KINDS: Mapping[str, tuple[type, ...]] = {
    "INT": (int, float),
    "FLOAT": (int, float),
    "STRING": (str, int, float),  # a number is its text
    "BOOLEAN": (bool,),
}


@dataclass
class WidgetValues:
    """What a node's widgets say.

    Attributes:
        values: By input.
        control: What happens to seeds after a run, by input.
        nulls: Inputs that are said to have none.
        fits: Whether all values found their input.
        misfit: The input whose value is of another kind: it and those behind it are not taken.
        surplus: How many values stand behind those of the inputs that are known.
    """

    values: dict[str, Any] = field(default_factory=dict)
    control: dict[str, str] = field(default_factory=dict)
    nulls: list[str] = field(default_factory=list)
    fits: bool = True
    misfit: str = ""
    surplus: int = 0

    def take(self, name: str, value: Any) -> None:
        if value is None:
            self.nulls.append(name)
        else:
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
    written, named = entry.get("widgets_values"), _named(entry)
    if isinstance(written, dict):
        return _by_name(written.items(), signature)
    if not isinstance(written, list) or not written:
        return _by_name(named.items(), signature)
    if _have_same_values(named, written):
        return _by_name(named.items(), signature)
    pairs = _paired(named, written)
    if pairs and signature and all(_is_known(name, signature) for name, _ in pairs):
        if _is_in_order(pairs, signature) and _are_of_kind(pairs, signature):
            return _by_name(pairs, signature)
        pairs = list(named.items())
    listed = [each for each in inputs if each.is_widget and each.type not in _BUTTONS]
    sockets = frozenset(each.name for each in inputs if not each.is_widget)
    # Newer files list every widget, older ones only those that were made inputs, by turns in any
    # order; one that isn't connected is a sign of the former.
    by_signature = None
    if signature:
        # Some inputs are never widgets, whatever their type; some files forget to say that one is.
        # A number may stand for a text where all fit so; before that, it may be out of place.
        tried = [
            _by_signature(written, signature, left, are_texts=are_texts)
            for are_texts in (True, False)
            for left in (sockets, frozenset[str]())
        ]
        by_signature = next((each for each in tried if each.fits), tried[0])
    fitting = by_signature if by_signature and by_signature.fits else None
    ways = [_by_listed(written, listed), fitting]
    if all(each.link is not None for each in listed):
        ways.reverse()
    best = next((way for way in ways if way is not None), None)
    if best is None and pairs:
        return _by_name(pairs, signature)
    return best or by_signature or _unnamed(written)


def _named(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    named_values = entry.get("widgets_values_named")
    return named_values if isinstance(named_values, dict) else {}


def _paired(named: Mapping[str, Any], written: Sequence[Any]) -> list[tuple[str, Any]]:
    """A file's names with the values by position; nothing if they don't go together.

    Tools that change values change the list: it holds where both differ.
    """
    if len(named) > len(written) or not all(map(_is_surplus, written[len(named) :])):
        return []
    return list(zip(named, written, strict=False))


def _have_same_values(named: Mapping[str, Any], written: Sequence[Any]) -> bool:
    """Whether a file's names have the values of its list, be it in another order."""
    values = sorted(map(repr, named.values()))
    same = bool(named) and values == sorted(map(repr, written[: len(named)]))
    return same and all(map(_is_surplus, written[len(named) :]))


def _is_in_order(pairs: Iterable[tuple[str, Any]], signature: Signature) -> bool:
    """Whether a file's names stand in the signature's order, as values by position do."""
    order = {taken.name: at for at, taken in enumerate(signature.inputs)}
    places = [order[name] for name, _ in pairs if name in order]
    return places == sorted(places)


def _are_of_kind(pairs: Iterable[tuple[str, Any]], signature: Signature) -> bool:
    return all(
        fits(signature.by_name[name], value) for name, value in pairs if name in signature.by_name
    )


def _is_known(name: str, signature: Signature) -> bool:
    return name in signature.by_name or _is_control_name(name) or name == "upload"


def _is_control_name(name: str) -> bool:
    return name.partition("#")[0] == CONTROL or name in _CONTROLS


def _by_name(named: Iterable[tuple[str, Any]], signature: Signature | None) -> WidgetValues:
    """Names that a file gives; doubled ones have ``#1`` and so on behind them."""
    node_values = WidgetValues()
    last = ""
    for name, value in named:
        if _is_control_name(name) and (name.startswith(CONTROL) or is_control(value)):
            if last and isinstance(value, (str, bool)):
                node_values.control.setdefault(last, control_word(value))
        elif "#" not in name and not _is_button(name, value, signature):
            node_values.take(name, value)
            last = name
    return node_values


def _is_button(name: str, value: Any, signature: Signature | None) -> bool:
    if signature is not None and name in signature.by_name:
        return False
    return name == "upload" and _says_upload(value)


def _by_signature(
    written: Sequence[Any], signature: Signature, sockets: frozenset[str], *, are_texts: bool
) -> WidgetValues:
    """By the signature's order, as far as the values fit it.

    Args:
        sockets: Inputs that the node lists as no widgets.
        are_texts: Whether texts alone fit widgets of texts, not numbers as well.
    """
    node_values, at = WidgetValues(), 0
    seed: InputSignature | None = None
    has_button = False
    for taken in signature.active_widgets(node_values.values):
        if taken.is_autogrow or taken.name in sockets:
            continue
        if has_button and taken.is_optional and _says_upload_at(written, at):
            at, has_button = at + 1, False
        if seed is not None and at < len(written) and _is_old_control(written[at], taken):
            node_values.control[seed.name] = control_word(written[at])
            at += 1
        seed = None
        value = written[at] if at < len(written) else None
        is_wrong = are_texts and taken.type == "STRING" and _is_number(value)
        if at >= len(written) or is_wrong or not fits(taken, value):
            node_values.fits, node_values.misfit = False, taken.name if at < len(written) else ""
            return node_values
        node_values.take(taken.name, written[at])
        at += 1
        if taken.extra == "control" and at < len(written) and is_control(written[at]):
            node_values.control[taken.name] = written[at]
            at += 1
        elif taken.extra == "control" and _is_pack_button(written[at:], taken, signature, sockets):
            at += 1
        elif taken.extra == "control":
            seed = taken
        elif taken.extra == "upload":
            # ComfyUI's page puts the button behind all inputs that have to be there.
            has_button = not _says_upload_at(written, at)
            at += 0 if has_button else 1
    if has_button and at < len(written):
        at += 1
    if seed is not None and at < len(written) and isinstance(written[at], bool):
        node_values.control[seed.name] = control_word(written[at])
        at += 1
    node_values.fits = all(map(_is_surplus, written[at:]))
    node_values.surplus = 0 if node_values.fits else len(written) - at
    return node_values


def _is_pack_button(
    following: Sequence[Any], seed: InputSignature, signature: Signature, sockets: Collection[str]
) -> bool:
    """Whether a pack's page puts a button behind a seed, which has no value."""
    later = signature.widgets[signature.widgets.index(seed) + 1 :]
    count = sum(not (each.is_autogrow or each.name in sockets) for each in later)
    return len(following) > count and following[0] is None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_surplus(value: Any) -> bool:
    """Whether a value behind those that are known means nothing: some files have more of these."""
    return value is None or value == "" or is_control(value)


def fits(taken: InputSignature, value: Any) -> bool:
    """Whether an input's widget may have a value, as far as its type tells."""
    if taken.type in ("INT", "FLOAT") and isinstance(value, str):
        value = _number(value)
    kinds = _KINDS.get(taken.type)
    if taken.type == "COMBO" and isinstance(taken.default, str):
        kinds = (str, list)  # some let several be chosen
    elif taken.type == "COMBO" and isinstance(taken.default, bool):
        kinds = (str, bool, int)  # older files name the two choices
    if value is None or kinds is None:
        return True
    if isinstance(value, float) and not math.isfinite(value):
        return False
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def as_typed(kind: str, value: Any, *, is_drawn: bool = False) -> Any:
    """A value as ComfyUI's server takes it for an input of a type: it makes whole numbers,
    fractions, texts and truths of what isn't. What can't become one stays as it is.

    Args:
        is_drawn: The page has it, which writes numbers in its own way.
    """
    if not isinstance(value, (str, int, float)):
        return value
    match kind:
        case "STRING" if is_drawn and not isinstance(value, (str, bool)):
            return _shown_number(value)
        case "STRING":
            return str(value)
        case "BOOLEAN":
            return bool(value)  # as there, of the text "false", too
        case "INT" | "FLOAT":
            number = _number(value)
            is_part = kind == "INT" and isinstance(number, float) and math.isfinite(number)
            return int(number) if is_part else number
    return value


def _shown_number(value: float) -> str:
    """A number's text as JavaScript writes it, which knows fractions alone."""
    try:
        number = float(value)
    except OverflowError:
        number = math.copysign(math.inf, value)
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    if number == 0:
        return "0"
    if not 1e-6 <= abs(number) < 1e21:
        return re.sub(r"e([+-])0+", r"e\1", repr(number))
    return format(Decimal(repr(number)), "f").removesuffix(".0")


def _number(value: Any) -> Any:
    """The number that some programs write as a text, or that truth is."""
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, str):
        return value
    try:
        return int(value)
    except ValueError:
        pass
    try:
        number = float(value)
    except ValueError:
        return value
    return number if math.isfinite(number) else value


def typed_values(
    values: Mapping[str, Any],
    signature: Signature | None,
    nulls: Collection[str] = (),
    *,
    is_drawn: bool = False,
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """All values of a node, each as its input takes it; links stay.

    Args:
        nulls: Inputs that are said to have none.
        is_drawn: See `as_typed`.
    Returns:
        Widgets, too, whose values can't become what they take, without these.
    """
    typed, misfits = dict(values), dict.fromkeys(nulls)
    for name, value in values.items():
        taken = signature.find_input(name) if signature else None
        misfits.pop(name, None)
        if taken is not None and not isinstance(value, Source):
            typed[name] = as_typed(taken.type, value, is_drawn=is_drawn)
            # Several of a choice are nothing that is known of any type here.
            is_several = isinstance(taken.default, str) and isinstance(value, list)
            if taken.is_widget and (is_several or not fits(taken, typed[name])):
                del typed[name]
                misfits[name] = None
    known = signature.by_name if signature else {}
    required = (name for name in misfits if name in known and not known[name].is_optional)
    return typed, tuple(name for name in required if known[name].default is not None)


def _says_upload_at(written: Sequence[Any], at: int) -> bool:
    return at < len(written) and _says_upload(written[at])


def _says_upload(value: Any) -> bool:
    return value is None or (isinstance(value, str) and value in _UPLOADS)


def is_control(value: Any) -> bool:
    """Whether a value says what happens to a seed after a run."""
    return isinstance(value, str) and value in _CONTROLS


def _is_any_control(value: Any, before: Socket) -> bool:
    is_word = is_control(value) and before.type in ("INT", "COMBO")
    return is_word or (isinstance(value, bool) and before.type == "INT")


def _is_old_control(value: Any, following: InputSignature) -> bool:
    """Whether a value tells what happens to a seed, as files of spring 2023 do: true or false.

    Args:
        following: The input behind the seed, which such a value may be of, too.
    """
    return isinstance(value, bool) and following.type != "BOOLEAN"


def control_word(value: str | bool) -> str:
    """What happens to a seed after a run; of files of spring 2023, whether it is drawn anew."""
    if isinstance(value, bool):
        return "randomize" if value else "fixed"
    return value


def _by_listed(written: Sequence[Any], listed: Sequence[Socket]) -> WidgetValues | None:
    """By the order in which a node lists its inputs; None if that lists not all of them."""
    surplus = len(written) - len(listed)
    if surplus < 0 or not listed:
        return None
    node_values, at = WidgetValues(), 0
    for socket in listed:
        if at >= len(written):
            return None
        value, at = written[at], at + 1
        node_values.take(socket.name, value)
        after = written[at] if at < len(written) else None
        if surplus and after is not None and _is_any_control(after, socket):
            node_values.control[socket.name] = control_word(after)
            at, surplus = at + 1, surplus - 1
        elif surplus and socket.name in _UPLOADED and _says_upload(after):
            at, surplus = at + 1, surplus - 1
    has_button = any(socket.name in _UPLOADED for socket in listed)
    is_whole = all(
        value is None or is_control(value) or (has_button and _says_upload(value))
        for value in written[at:]
    )
    return node_values if is_whole else None


def _unnamed(written: Iterable[Any]) -> WidgetValues:
    node_values = WidgetValues()
    for at, value in enumerate(written):
        node_values.take(f"widget_{at}", value)
    return node_values
