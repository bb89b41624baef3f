"""The API format: what ComfyUI's server is sent. It tells names, and neither ports nor places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nodegraph.interop.comfyui.foreign import ForeignGraph, ForeignNode, ForeignWorkflow, Source
from nodegraph.interop.comfyui.reading.checked import DocumentCheck, printable, text_of
from nodegraph.interop.comfyui.reading.titles import own_title
from nodegraph.interop.comfyui.reading.widgets import typed_values
from nodegraph.interop.comfyui.returning import read_native_notes
from nodegraph.interop.comfyui.signatures import Signature


def read_api(
    document: Mapping[str, Any], signatures: Mapping[str, Signature], check: DocumentCheck
) -> ForeignWorkflow:
    """A workflow of the API format, by node.

    Args:
        signatures: Of the node types that are known, by type.
    Raises:
        InvalidFile: It holds no node, or too many.
    """
    entries = {name: entry for name, entry in document.items() if is_api_node(entry)}
    for name in document:
        if name not in entries:
            check.warn(f"`{printable(name)}` is no node, and left out")
    if not entries:
        raise check.invalid_file("it holds no node")
    check.count(entries)
    nodes = {
        name: _node(name, entry, entries, signatures.get(entry["class_type"]), check)
        for name, entry in entries.items()
    }
    return ForeignWorkflow(ForeignGraph(nodes), "api", warnings=check.warnings)


def is_api_node(entry: Any) -> bool:
    """Whether something looks like a node of this format."""
    return isinstance(entry, dict) and isinstance(entry.get("class_type"), str)


def literal_of(written: Any) -> Any:
    """The value that an input is written with; None of one that may be a link."""
    if isinstance(written, dict) and "__value__" in written:
        return written["__value__"]
    return None if isinstance(written, list) else written


def _node(
    name: str,
    entry: Mapping[str, Any],
    entries: Mapping[str, Any],
    signature: Signature | None,
    check: DocumentCheck,
) -> ForeignNode:
    written = check.fields(entry.get("inputs"), f"`inputs` of node `{printable(name)}`")
    inputs: dict[str, Any] = {}
    nulls: list[str] = []
    for port, value in written.items():
        parsed = _value(value, entries)
        if isinstance(parsed, Source) and parsed.node not in entries:
            check.warn(
                f"node `{printable(name)}` ({printable(entry['class_type'])}): `{printable(port)}` was "
                f"connected to the node `{printable(parsed.node)}`, which there isn't; it is left open"
            )
        elif parsed is None:
            nulls.append(port)
        else:
            inputs[port] = parsed
    meta = entry.get("_meta")
    known = meta if isinstance(meta, dict) else {}
    values, misfits = typed_values(inputs, signature, nulls)
    node = ForeignNode(
        name,
        entry["class_type"],
        values,
        title=own_title(known.get("title"), entry["class_type"]),
        pack=text_of(known.get("cnr_id")) or text_of(known.get("aux_id")),
        raw=entry,
        unreadable_inputs=misfits,
    )
    # What was written here without values that nobody had given has none yet.
    notes = read_native_notes(node).extra_fields.get("unread_as", {}).values()
    names = dict.fromkeys(each for joined in notes for each in joined.split(", "))
    known_names = signature.by_name if signature else {}
    left = [each for each in names if each in known_names and each not in inputs]
    return (
        replace(node, unreadable_inputs=tuple(dict.fromkeys((*misfits, *left)))) if left else node
    )


def _value(written: Any, entries: Mapping[str, Any]) -> Any:
    """A literal, or a source: a list of a node's id and a slot."""
    if not isinstance(written, list) or len(written) != 2:
        return literal_of(written) if isinstance(written, dict) else written
    node, slot = written
    is_slot = isinstance(slot, int) and not isinstance(slot, bool) and slot >= 0
    if is_slot and isinstance(node, str):
        return Source(node, slot)
    if is_slot and isinstance(node, int) and str(node) in entries:
        return Source(str(node), slot)
    return written
