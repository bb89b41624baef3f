"""Original document of an imported workflow, updated with later changes.

Some of ComfyUI's nodes become several native ones, or none, and the table alone would not bring
them back. So a workflow keeps its original, and goes back as that: with every value that was
changed here changed there, too, where translating it again gives just this workflow.
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import replace
from typing import Any

from nodegraph.core.links import is_link
from nodegraph.core.parts import NodeEntry, Subgraph
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.foreign_workflow import TranslationOutcome
from nodegraph.interop.comfyui.reading.widgets import is_control
from nodegraph.sampling.comfyui_prompts import escaped_prompt

_LARGEST = 64 * 2**20
_MOST_TRIALS = 400

Retranslate = Callable[[Any], tuple[Workflow, tuple[TranslationOutcome, ...]]]
"""Reads and translates a document."""

_ItemPath = tuple[Any, Any]
"""A container in a document and a key of it."""


def pack_document(document: object) -> str:
    """A document as it is kept: JSON, compressed, as base64."""
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpack_original(workflow: Workflow) -> Any:
    """The document that a workflow keeps; None if it keeps none, or one that can't be read."""
    kept = workflow.ui.get("comfyui")
    return unpack_document(kept.get("original") if isinstance(kept, dict) else None)


def unpack_document(written: object) -> Any:
    """Return the document that `pack_document` packed; None if it cannot be read."""
    if not isinstance(written, str):
        return None
    try:
        unpacker = zlib.decompressobj()
        text = unpacker.decompress(base64.b64decode(written, validate=True), _LARGEST)
        return json.loads(text) if unpacker.eof else None
    except (binascii.Error, zlib.error, ValueError):
        return None


def update_original(workflow: Workflow, translate: Retranslate) -> Any:
    """The original that would be translated into just this workflow; None if none is found.

    Where things stand is not compared; nodes that were moved are moved there, too.
    """
    document = unpack_original(workflow)
    if document is None:
        return None
    changed = _with_values(document, workflow, translate)
    if changed is None:
        return None
    again, fates = translate(changed)
    _move(changed, workflow, again, fates)
    return changed


def _with_values(document: Any, wanted: Workflow, translate: Retranslate) -> Any:
    """The document with values changed until it is translated into what is wanted."""
    candidate, trials = document, 0
    while True:
        again, fates = translate(candidate)
        differences = _differences(again, wanted)
        if differences is None:
            return None
        if not differences:
            return candidate
        better = None
        for change in _candidates(candidate, differences, wanted, fates):
            trials += 1
            if trials > _MOST_TRIALS:
                return None
            left = _differences(translate(change)[0], wanted)
            if left is not None and len(left) < len(differences):
                better = change
                break
        if better is None:
            return None
        candidate = better


_Differences = Mapping[tuple[str, str], tuple[Any, Any]]


def _differences(again: Workflow, wanted: Workflow) -> _Differences | None:
    """Literals that differ, by node and input; None if more than literals does."""
    if again.subgraphs.keys() != wanted.subgraphs.keys():
        return None
    differences: dict[tuple[str, str], tuple[Any, Any]] = {}
    graphs = [("", again.nodes, wanted.nodes)]
    for name, block in again.subgraphs.items():
        other = wanted.subgraphs[name]
        if not _are_alike(name, block, other, wanted) or block.outputs != other.outputs:
            return None
        graphs.append((f"{name}/", block.nodes, other.nodes))
    for prefix, ours, theirs in graphs:
        if ours.keys() != theirs.keys():
            return None
        for name, entry in ours.items():
            differing = _of_node(entry, theirs[name])
            if differing is None:
                return None
            differences |= {(prefix + name, port): values for port, values in differing.items()}
    return differences


def _are_alike(name: str, subgraph: Subgraph, other: Subgraph, wanted: Workflow) -> bool:
    """Whether inputs are the same, but for defaults that nobody relies on."""
    if subgraph.inputs.keys() != other.inputs.keys():
        return False
    graphs = [wanted.nodes, *(block.nodes for block in wanted.subgraphs.values())]
    uses = [node for nodes in graphs for node in nodes.values() if node.type == name]
    for port, taken in subgraph.inputs.items():
        if all(port in use.inputs for use in uses):
            first, second = (
                {**each.to_dict(), "default": None} for each in (taken, other.inputs[port])
            )
            if first != second:
                return False
        elif taken != other.inputs[port]:
            return False
    return True


def _of_node(entry: NodeEntry, other: NodeEntry) -> dict[str, tuple[Any, Any]] | None:
    stripped = (replace(each, inputs={}, unread=[], unread_as={}) for each in (entry, other))
    if next(stripped) != next(stripped):
        return None
    differences = {}
    for port in {**entry.inputs, **other.inputs}:
        values = entry.inputs.get(port), other.inputs.get(port)
        if values[0] != values[1] or type(values[0]) is not type(values[1]):
            if any(value is not None and is_link(value) for value in values):
                return None
            if values[1] is None and port in other.unread:
                continue  # the document has one of its own for it, as it had before
            if values[1] is None or (values[0] is None and port not in entry.unread):
                return None
            differences[port] = values
    # What a value that couldn't be read was followed by may be known once that can be.
    order = list(other.unread_as)
    return dict(sorted(differences.items(), key=lambda each: _at(each[0], order)))


def _at(port: str, order: Sequence[str]) -> int:
    return order.index(port) if port in order else len(order)


def _candidates(
    document: Any,
    differences: _Differences,
    wanted: Workflow,
    fates: tuple[TranslationOutcome, ...],
) -> Iterator[Any]:
    """Documents with one value changed that may be the one behind a difference."""
    by_name: dict[str, list[TranslationOutcome]] = {}
    for fate in fates:
        by_name.setdefault(fate.name, []).append(fate)
    entries = list(_entries(document))
    for (node, port), (old, new) in differences.items():
        near = {fate.id.rpartition(":")[2] for fate in by_name.get(node, ())}
        first = [entry for entry in entries if str(entry[0]) in near]
        if old is None:
            named = _entry_of(wanted, node).unread_as.get(port, port).split(", ")
            for _, entry in first:
                yield from _with_unread(document, entry, named, new)
            continue
        for _, entry in (*first, *(each for each in entries if each not in first)):
            for was, now in _written(old, new):
                for container, key in _places(entry, was):
                    container[key] = now
                    yield copy.deepcopy(document)
                    container[key] = was


def _entry_of(workflow: Workflow, node: str) -> NodeEntry:
    block, _, name = node.rpartition("/")
    return (workflow.subgraphs[block].nodes if block else workflow.nodes)[name]


def _with_unread(document: Any, entry: Any, named: Sequence[str], new: Any) -> Iterator[Any]:
    """Documents with a value in each place of a node that may be the one of an unread input.

    Args:
        named: What ComfyUI calls it.
    """
    for part in ("widgets_values", "inputs", "widgets_values_named"):
        held: Any = entry.get(part) if isinstance(entry, dict) else None
        keys: Sequence[Any] = [name for name in named if isinstance(held, dict) and name in held]
        if isinstance(held, list) and part == "widgets_values":
            keys = [at for at, each in enumerate(held) if not is_control(each)]
        for key in keys:
            was = held[key]
            held[key] = new
            yield copy.deepcopy(document)
            held[key] = was


def _written(old: Any, new: Any) -> Iterator[tuple[Any, Any]]:
    """How a document may have an old value, and how it says the new one in its place."""
    yield old, new
    if isinstance(old, str) and isinstance(new, str):
        ways = (old, escaped_prompt(new)), (escaped_prompt(old), escaped_prompt(new))
        yield from dict.fromkeys(way for way in ways if way != (old, new))


def _entries(document: Any) -> Iterator[tuple[Any, Any]]:
    """Ids and entries of all nodes, in blocks as well."""
    if not isinstance(document, dict):
        return
    listed = document.get("nodes")
    if isinstance(listed, list):
        yield from ((each.get("id"), each) for each in listed if isinstance(each, dict))
        blocks = document.get("definitions")
        for block in blocks.get("subgraphs", ()) if isinstance(blocks, dict) else ():
            yield from _entries(block)
    else:
        yield from document.items()


def _places(entry: Any, value: Any) -> Iterator[_ItemPath]:
    """Where in a node's entry a value of a widget stands."""
    for part in ("widgets_values", "inputs", "widgets_values_named"):
        held = entry.get(part) if isinstance(entry, dict) else None
        if isinstance(held, dict):
            yield from ((held, key) for key, each in list(held.items()) if _equals(each, value))
        elif isinstance(held, list) and part != "inputs":
            yield from ((held, at) for at, each in enumerate(held) if _equals(each, value))


def _equals(value: Any, other: Any) -> bool:
    is_truth = isinstance(value, bool) or isinstance(other, bool)
    return bool(value == other) and (type(value) is type(other) or not is_truth)


def _move(
    document: Any, workflow: Workflow, again: Workflow, fates: tuple[TranslationOutcome, ...]
) -> None:
    """Let nodes stand where somebody has moved them to.

    The editor moves cards apart that would lie on each other, and notes where to: that moves
    nothing in the original, whose groups and notes are made for its own places.
    """
    ids = {fate.name: fate.id for fate in fates}
    now, then = _positions(workflow.ui), _positions(again.ui)
    kept = workflow.ui.get("comfyui")
    spread = kept.get("spread") if isinstance(kept, dict) else None
    spread = spread if isinstance(spread, dict) else {}
    entries = {
        str(each.get("id")): each
        for each in document.get("nodes", ())
        if isinstance(each, MutableMapping)
    }
    for name, at in now.items():
        entry = entries.get(ids.get(name, ""))
        if entry is not None and at not in (then.get(name, at), spread.get(name)):
            entry["pos"] = list(at)


def _positions(ui: Mapping[str, Any]) -> Mapping[str, Any]:
    positions = ui.get("positions")
    return positions if isinstance(positions, dict) else {}
