"""What a node's entry in a UI file says of it, apart from its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nodegraph.core.parts import Mode
from nodegraph.interop.comfyui.foreign import ForeignNode, ForeignPort, Frame, ModelFile
from nodegraph.interop.comfyui.reading.checked import (
    DocumentCheck,
    printable,
    read_rectangle,
    text_of,
)
from nodegraph.interop.comfyui.reading.levels import type_of
from nodegraph.interop.comfyui.reading.titles import own_title

_MODES: Mapping[int, Mode] = {2: "mute", 4: "bypass"}


def node_of(
    name: str,
    entry: Mapping[str, Any],
    inputs: Mapping[str, Any],
    control: Mapping[str, str],
    check: DocumentCheck,
    usual_title: str = "",
) -> ForeignNode:
    """A node.

    Args:
        inputs: What was found for it.
        control: Likewise.
        usual_title: What nodes of its type are called, if not after the type.
    """
    where = f"node `{printable(name)}`"
    flags, properties = entry.get("flags"), entry.get("properties")
    known = properties if isinstance(properties, dict) else {}
    title = own_title(entry.get("title"), entry["type"])
    return ForeignNode(
        name,
        entry["type"],
        inputs,
        tuple(ports_of(entry.get("outputs"), f"`outputs` of {where}", check)),
        "" if title == usual_title else title,
        mode_of(entry.get("mode")),
        text_of(known.get("cnr_id")) or text_of(known.get("aux_id")),
        tuple(_models(known.get("models"))),
        control,
        read_rectangle(entry.get("pos"), entry.get("size")),
        text_of(entry.get("color")) or text_of(entry.get("bgcolor")),
        isinstance(flags, dict) and flags.get("collapsed") is True,
        entry,
    )


def ports_of(written: Any, what: str, check: DocumentCheck) -> Iterator[ForeignPort]:
    """Inputs or outputs as a file lists them."""
    for at, item in enumerate(check.items(written, what)):
        entry = check.fields(item, f"entry {at} of {what}")
        name, label = text_of(entry.get("name")), text_of(entry.get("label"))
        yield ForeignPort(name, type_of(entry.get("type")), "" if label == name else label)


def mode_of(written: Any) -> Mode | None:
    """Whether a node runs. Numbers of others than muted and bypassed are of no use anywhere."""
    return _MODES.get(written) if isinstance(written, int) else None


def _models(written: Any) -> Iterator[ModelFile]:
    for entry in written if isinstance(written, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("name"), str):
            yield ModelFile(
                entry["name"], text_of(entry.get("directory")), text_of(entry.get("url"))
            )


def note_of(entry: Mapping[str, Any]) -> Frame | None:
    """A note; None if it stands nowhere or says nothing."""
    spot = read_rectangle(entry.get("pos"), entry.get("size"))
    values = entry.get("widgets_values")
    first = values[0] if isinstance(values, list) and values else None
    text = first if isinstance(first, str) else ""
    title = own_title(entry.get("title"), entry["type"])
    if spot is None or not (text.strip() or title):
        return None
    return Frame(text, spot, text_of(entry.get("color")), title, entry)


def groups_of(written: Any) -> Iterator[Frame]:
    """Boxes behind nodes; what can't be made out of them is of no weight."""
    for entry in written if isinstance(written, list) else ():
        if not isinstance(entry, dict):
            continue
        spot = read_rectangle(entry.get("bounding"))
        if spot is not None:
            title, color = text_of(entry.get("title")), text_of(entry.get("color"))
            yield Frame(title, spot, color, kept=entry)
