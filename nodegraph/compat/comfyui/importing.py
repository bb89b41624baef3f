"""Translating a workflow of ComfyUI into a native one, by the table of node types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nodegraph.compat.comfyui.blocks import Definition, NativeBlocks
from nodegraph.compat.comfyui.entries import TableEntry
from nodegraph.compat.comfyui.fates import Fate
from nodegraph.compat.comfyui.foreign import ForeignWorkflow
from nodegraph.compat.comfyui.made import MadeGraph
from nodegraph.compat.comfyui.originals import packed
from nodegraph.compat.comfyui.packs import NodeTable
from nodegraph.compat.comfyui.reading import drawing_of, read_workflow
from nodegraph.compat.comfyui.returning import returned
from nodegraph.compat.comfyui.walking import Walk
from nodegraph.core.workflow import Workflow


@dataclass(frozen=True)
class ImportedWorkflow:
    """A workflow that was translated.

    Attributes:
        format: What it was, see `foreign.ForeignWorkflow`.
        fates: What became of each of its nodes, blocks' nodes beside them.
        told: What the reading of the file had to say.
    """

    workflow: Workflow
    format: str
    fates: tuple[Fate, ...] = ()
    told: tuple[str, ...] = ()

    @property
    def placeholders(self) -> tuple[Fate, ...]:
        """Nodes that couldn't be translated."""
        return tuple(fate for fate in self.fates if fate.is_placeholder)

    @property
    def differences(self) -> tuple[tuple[str, str], ...]:
        """What is otherwise here than in ComfyUI: the native node, or nothing, and what."""
        told = [("", message) for message in self.told]
        told += [(fate.name, message) for fate in self.fates for message in fate.told]
        return tuple(dict.fromkeys(told))


def translate(
    foreign: ForeignWorkflow, table: Iterable[TableEntry] | Mapping[str, TableEntry]
) -> ImportedWorkflow:
    """The native workflow that says the same.

    Nodes that can't be translated stay as placeholders, of types that begin with ``comfyui:``.

    Args:
        table: What stands for ComfyUI's node types; of two for one, the first counts.
    Raises:
        InvalidWorkflow: Its nodes need each other's results in a circle, a block contains itself,
            or with blocks in place it is too large.
    """
    entries = table if isinstance(table, Mapping) else by_type(table)
    made = MadeGraph()
    blocks = NativeBlocks(foreign.blocks, entries, _natives(entries))
    walk = Walk(foreign.graph, entries, blocks, made)
    walk.run()
    nodes = made.entries()
    used = blocks.used_by(nodes.values())
    workflow = Workflow(
        title=foreign.title,
        nodes=nodes,
        subgraphs={name: found.subgraph for name, found in used.items()},
        ui=_ui(made, used, foreign),
    )
    inner = [fate.within(name) for name, found in used.items() for fate in found.fates]
    return ImportedWorkflow(
        returned(workflow, foreign), foreign.format, (*walk.fates, *inner), foreign.told
    )


def import_document(document: object, table: NodeTable, *, name: str = "") -> ImportedWorkflow:
    """The native workflow that says the same as a JSON document of ComfyUI's.

    Args:
        name: Where the document comes from, for messages.
    Raises:
        InvalidFile: See `reading.read_workflow`.
        InvalidWorkflow: See `translate`.
    """
    foreign = read_workflow(document, table.signatures, name=name)
    found = translate(foreign, table.entries)
    original = packed(drawing_of(document))
    comfyui = {**found.workflow.ui["comfyui"], "original": original}
    ui = {**found.workflow.ui, "comfyui": comfyui}
    return replace(found, workflow=replace(found.workflow, ui=ui))


def by_type(table: Iterable[TableEntry]) -> dict[str, TableEntry]:
    """Entries by ComfyUI's type; of two for one type, the first."""
    found: dict[str, TableEntry] = {}
    for entry in table:
        found.setdefault(entry.type, entry)
    return found


def _natives(table: Mapping[str, TableEntry]) -> set[str]:
    """Types of native nodes, which no sub-graph may hide."""
    return {entry.native for entry in table.values() if entry.native}


def _ui(
    made: MadeGraph, blocks: Mapping[str, Definition], foreign: ForeignWorkflow
) -> dict[str, Any]:
    found = made.layout()
    layouts = {name: each.layout for name, each in blocks.items() if each.layout}
    if layouts:
        found["subgraphs"] = layouts
    kept = {"format": foreign.format} | ({"kept": dict(foreign.kept)} if foreign.kept else {})
    found["comfyui"] = kept | found.get("comfyui", {})
    return found
