"""Write nodes/other_names.json: what ComfyUI's node types are here, by the table of imports.

Advice about names of no node type is made of it.

python docs/generate_other_names.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from nodegraph.compat.comfyui.entries import TableEntry
from nodegraph.compat.comfyui.importing import import_document
from nodegraph.compat.comfyui.packs import NodeTable, node_table
from nodegraph.core.stand_ins import OTHER_NAMES

TARGET = Path(__file__).parents[1] / "nodes" / OTHER_NAMES
_MOST = 3
_OF_TYPE = {"INT": 1, "FLOAT": 1.0, "BOOLEAN": False}
"""Values of inputs without a default."""


def other_names() -> Mapping[str, Mapping[str, Sequence[str]]]:
    """By program and its node type, the node types here that do the same."""
    table = node_table()
    found = {
        name: natives(entry, table)
        for name, entry in sorted(table.entries.items())
        if not name.startswith("@")
    }
    return {"ComfyUI": {name: types for name, types in found.items() if types}}


def natives(entry: TableEntry, table: NodeTable) -> list[str]:
    """The native node types that stand for a node type; none where that depends on its links."""
    if entry.native:
        return [entry.native]
    inputs = {
        each.name: _OF_TYPE.get(each.type, "any") if each.default is None else each.default
        for each in entry.signature.inputs
        if each.is_widget
    }
    node = {"class_type": entry.type, "inputs": inputs}
    nodes = import_document({"1": node}, table).workflow.nodes
    made = list(dict.fromkeys(node.type for node in nodes.values()))
    is_known = len(made) <= _MOST and not any(":" in name for name in made)
    return made if is_known else []


def text(names: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    """The file's text: a line for each node type."""
    programs = (
        f"  {json.dumps(program)}: {{\n"
        + ",\n".join(f"    {json.dumps(name)}: {json.dumps(here)}" for name, here in types.items())
        + "\n  }"
        for program, types in names.items()
    )
    return "{\n" + ",\n".join(programs) + "\n}\n"


if __name__ == "__main__":
    TARGET.write_text(text(other_names()), encoding="utf-8")
