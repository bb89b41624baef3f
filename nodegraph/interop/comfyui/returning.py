"""Nodes and workflows that come back: what was noted when they were written for ComfyUI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidWorkflow
from nodegraph.interop.comfyui.entries import TableEntry
from nodegraph.interop.comfyui.foreign import ForeignNode, ForeignWorkflow
from nodegraph.interop.comfyui.signatures import InputSignature, Signature
from nodegraph.interop.comfyui.translating import MadeOutput, Passage

NATIVE_PREFIX = "nodegraph."
"""What types begin with of native nodes that nothing in ComfyUI stands for."""
_NOTED = "nodegraph"
_OF_WORKFLOW = ("title", "description", "parameters", "requires", "subgraphs")


@dataclass(frozen=True)
class NativeNotes:
    """What a node of ComfyUI is known to have been here.

    Attributes:
        name: Of the native node; empty if it never was one.
        outputs: Of a native type that nothing there stood for.
        extra_fields: Fields of its entry that ComfyUI has no place for.
        corrections: See `corrections`.
        is_implied: It is there for another node only, and nothing by itself.
        prompt_notes: Notes of the native nodes that draw its prompts, by input.
    """

    name: str = ""
    outputs: tuple[str, ...] = ()
    extra_fields: Mapping[str, Any] = field(default_factory=dict)
    corrections: Any = None
    is_implied: bool = False
    prompt_notes: Mapping[str, Any] = field(default_factory=dict)


def read_native_notes(node: ForeignNode) -> NativeNotes:
    """What was noted of a node, as far as it can be made out: files are edited by hand, too."""
    noted = next((note for note in _places(node.raw) if isinstance(note, dict)), {})
    name, outputs = noted.get("name"), noted.get("outputs")
    version = noted.get("version")
    attributes: dict[str, Any] = {}
    for key in ("label", "note"):
        if isinstance(noted.get(key), str):
            attributes[key] = noted[key]
    if noted.get("always") is True:
        attributes["always"] = True
    unread = noted.get("unread")
    if isinstance(unread, list) and all(isinstance(port, str) for port in unread):
        attributes["unread"] = unread
    unread_as = noted.get("unread_as")
    if isinstance(unread_as, dict) and all(isinstance(name, str) for name in unread_as.values()):
        attributes["unread_as"] = unread_as
    if isinstance(version, int) and not isinstance(version, bool) and version >= 1:
        attributes["version"] = version
    is_name = isinstance(name, str) and name and not set("./") & set(name)
    ports = outputs if isinstance(outputs, list) else []
    drawing = noted.get("drawing")
    return NativeNotes(
        name if isinstance(name, str) and is_name else "",
        tuple(port for port in ports if isinstance(port, str)),
        attributes,
        noted.get("corrections"),
        noted.get("implied") is True,
        drawing if isinstance(drawing, dict) else {},
    )


def _places(kept: Mapping[str, Any]) -> list[Any]:
    properties, meta = kept.get("properties"), kept.get("_meta")
    notes = [each.get(_NOTED) for each in (properties, meta) if isinstance(each, dict)]
    return [*notes, kept.get(_NOTED)]


def native_entry(node: ForeignNode) -> TableEntry | None:
    """What stands for a native node that was written as it is; None for others."""
    if not node.type.startswith(NATIVE_PREFIX):
        return None
    outputs = read_native_notes(node).outputs

    def forward(passage: Passage) -> None:
        name = passage.add(node.type.removeprefix(NATIVE_PREFIX), **dict(passage.inputs))
        for port in outputs:
            passage.give(port, MadeOutput(name, port))

    return TableEntry(
        Signature(
            node.type,
            tuple(InputSignature(name, "*") for name in node.inputs),
            tuple((port, "*") for port in outputs),
        ),
        forward,
    )


def restore_metadata(workflow: Workflow, foreign: ForeignWorkflow) -> Workflow:
    """A translated workflow with what its file says of the native one that it was."""
    extra = foreign.kept.get("extra")
    noted = extra.get(_NOTED) if isinstance(extra, dict) else None
    if not isinstance(noted, dict):
        return workflow
    document = workflow.to_dict()
    for key in _OF_WORKFLOW:
        if key not in noted:
            continue
        if isinstance(noted[key], dict) and isinstance(document.get(key), dict):
            document[key] = {**noted[key], **document[key]}
        else:
            document[key] = noted[key]
    try:
        return Workflow.from_dict(document)
    except InvalidWorkflow:
        return workflow  # what somebody has made of these notes is no reason to refuse the file
