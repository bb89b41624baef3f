"""Write nodes/other_names.json: what other programs' node types, classes and tabs are here.

ComfyUI's are by the table of imports, diffusers' by the families.

Advice about names of no node type is made of it.

python docs/generate_other_names.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from nodegraph.core.suggestions import OTHER_NAMES
from nodegraph.families.base import Family
from nodegraph.families.family_checks import has_solids
from nodegraph.families.prompt_media import ImagePromptReader
from nodegraph.families.registry import BUILT_IN
from nodegraph.families.scheduler_file import (
    FLOW_MATCHING_CLASSES,
    FLOW_SOLVER_CLASSES,
    SCHEDULER_CLASSES,
)
from nodegraph.interop.comfyui.entries import TableEntry
from nodegraph.interop.comfyui.importer import NodeTable, import_document, node_table

TARGET = Path(__file__).parents[1] / "nodes" / OTHER_NAMES
_MOST = 3
_OF_TYPE = {"INT": 1, "FLOAT": 1.0, "BOOLEAN": False}
"""Values of inputs without a default."""
_STEPS = "`LoadModel`, `{}`, `KSampler` and `{}`"
_IMAGES = _STEPS.format("EncodePrompt", "VAEDecode")
_SCHEDULER = (
    "Schedulers of diffusers are `KSampler`'s inputs `sampler` and `schedule` here, or a "
    "`SelectSampler`."
)
_NOTE = "A note is no node: write it as the `note` of the node that it is about."
_NO_NODES = {
    "Reroute": "Links need no reroute: link the output itself. In the editor, the points of a "
    "link's way can be moved.",
    "Note": _NOTE,
    "MarkdownNote": _NOTE,
}
"""What is a node in ComfyUI and none here."""
_WEB_UI = {
    "txt2img": f"Text to image is {_IMAGES} here.",
    "PNGInfo": "Images carry their workflow: `nodegraph show PICTURE` shows it, and the editor "
    "opens it.",
}
"""Tabs of Stable Diffusion web UI."""


def other_names() -> Mapping[str, Mapping[str, Sequence[str] | str]]:
    """By program and its node type, the node types here that do the same."""
    table = node_table()
    found = {
        name: natives(entry, table)
        for name, entry in sorted(table.entries.items())
        if not name.startswith("@")
    }
    comfyui = {name: types for name, types in found.items() if types}
    return {
        "ComfyUI": {**comfyui, **_NO_NODES},
        "diffusers": diffusers_names(),
        "Stable Diffusion web UI": _WEB_UI,
    }


def diffusers_names() -> Mapping[str, Sequence[str] | str]:
    """What classes of diffusers and transformers are here, of the families that come along."""
    # Networks of families without a pipeline are nodegraph's own.
    families = [family for family in BUILT_IN.values() if family.pipelines]
    parts = {
        "LoadDiffusionModel": (part for family in families for part in family.denoisers),
        "LoadTextEncoder": (part for family in families for part in family.encoders),
        "LoadControlNet": (family.control for family in families if family.control),
    }
    found: dict[str, Sequence[str] | str] = {
        name: [node] for node, several in parts.items() for part in several for name in part.classes
    }
    found |= {name: ["LoadVae"] for family in families for name in family.latent.autoencoders}
    found |= {name: _of_pipeline(name, family) for family in families for name in family.pipelines}
    schedulers = SCHEDULER_CLASSES | FLOW_MATCHING_CLASSES | FLOW_SOLVER_CLASSES
    found |= dict.fromkeys(schedulers, _SCHEDULER)
    return dict(sorted(found.items()))


def _of_pipeline(name: str, family: Family) -> str:
    """What to use for a pipeline class; modular ones have no node that runs them whole."""
    nodes = _STEPS.format(
        "EncodeImagePrompt" if isinstance(family, ImagePromptReader) else "EncodePrompt",
        "VAEDecodeMesh" if has_solids(family.latent) else "VAEDecode",
    )
    steps = f"What {name} of diffusers does is steps here: {nodes}"
    return f"{steps}." if "Modular" in name else f"{steps}; `diffusers:{name}` runs it whole."


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


def text(names: Mapping[str, Mapping[str, Sequence[str] | str]]) -> str:
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
