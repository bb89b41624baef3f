"""Workflow templates of ComfyUI, run with tiny random weights in place of their models.

    python -m tests.compat.comfyui.templates FOLDER [NAME …]

FOLDER is the one in which the package `comfyui-workflow-templates-json` keeps them. Images become
small ones, sizes and steps are cut down, and each model becomes a tiny one of its family. Prints
what became of each, and how many there are of each outcome:

    runs         to its end
    fails        before or while it runs
    placeholder  a node type lacks
    family       a family of models lacks
    kind         the family is here, but not this kind of model
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from diffusers.utils import logging as diffusers_logging
from PIL import Image
from transformers.utils import logging as transformers_logging

from nodegraph.core.links import is_link, read_link
from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.errors import NodegraphError
from nodegraph.interop.comfyui.exporter import inline_subgraphs
from nodegraph.interop.comfyui.importer import import_document, node_table
from nodegraph.media.audio.codec import encode_audio
from nodegraph.media.videos.encoding import encode_video
from nodegraph.session.session import Session
from nodegraph.session.settings import load_settings
from tests.compat.comfyui.stand_ins import MODELS, Tinies, UnknownKind
from tests.videos.making import tone, video

SIDE, STEPS, SECONDS, FRAMES, TOKENS, LETTERS = 64, 2, 0.4, 17, 16, 2000

_CHECKPOINTS = {
    r"ace.step.1\.5": "ace-step",
    r"stable.audio.3": "stable-audio-3",
    r"stable.audio": "stable-audio",
    "refiner": "sdxl-refiner",
    "sd_?xl|sdxl": "sdxl",
    "sd3|stable.diffusion.3": "sd3",
    "flux": "flux",
    "lumina|netayume": "lumina2",
    "v1-5|sd15|512": "sd1",
    r"ltx-?2(\.3)?-": "ltx2",
    # A loader of all parts gives its model to LoadVisionModel, and nothing else reads it.
    r"sam3": "",
}
"""Families of whole models, by what their names look like."""


def families(nodes: Mapping[str, NodeEntry]) -> set[str]:
    """Families that a workflow names, in words or by files."""
    found = set()
    for entry in nodes.values():
        if entry.type in ("LoadTextEncoder", "LoadDiffusionModel"):
            family = entry.inputs.get("family", "auto")
            if isinstance(family, str) and family != "auto":
                found.add(family)
        elif entry.type == "LoadModel":
            name = str(entry.inputs.get("model", "")).lower()
            found.add(
                next((of for like, of in _CHECKPOINTS.items() if re.search(like, name)), name)
            )
    found.discard("")
    diffusion = [entry for entry in nodes.values() if entry.type == "LoadDiffusionModel"]
    if not found and any("qwen_image" in str(entry.inputs["model"]) for entry in diffusion):
        # Nothing else says so where the prompt comes from a file.
        found.add("qwen-image")
    return found


def writers(nodes: Mapping[str, NodeEntry]) -> set[str]:
    """Families of text encoders that write texts and encode no prompt."""
    readers: dict[str, set[str]] = {}
    for entry in nodes.values():
        for value in entry.inputs.values():
            if is_link(value):
                readers.setdefault(read_link(value).node, set()).add(entry.type)
    loaders = {name: entry for name, entry in nodes.items() if entry.type == "LoadTextEncoder"}
    writing = {name for name in loaders if readers.get(name) == {"GenerateText"}}
    of = {name: str(entry.inputs.get("family")) for name, entry in loaders.items()}
    return {of[name] for name in writing} - {of[name] for name in loaders.keys() - writing}


def family_of(node: NodeEntry, known: set[str]) -> str:
    """That of a node's model, among those of its workflow."""
    own = node.inputs.get("family")
    if isinstance(own, str) and own in known:
        return own
    # Lotus is a Stable Diffusion 2 that tells depths, beside the model that paints.
    name = f"{node.inputs.get('model')} {node.inputs.get('vae')}"
    lotus = "sd2" in known and re.search("lotus|ft-mse", name)
    painting = known - {"sd2"} or known
    return "sd2" if lotus else next(iter(sorted(painting, reverse=True)), "sd1")


def shrunk(nodes: Mapping[str, NodeEntry], files: Mapping[str, str]) -> None:
    """Have nodes make small images, in few steps.

    Args:
        files: What nodes load, by their type.
    """
    links = (entry.inputs.get("frames") for entry in nodes.values())
    lengths = {link["from"].partition(".")[0] for link in links if isinstance(link, dict)}
    for name, entry in nodes.items():
        if entry.type in files:
            entry.inputs["path"] = files[entry.type]
        inputs = entry.inputs
        steps = inputs.get("steps")
        if isinstance(steps, int) and steps > STEPS:
            # A part of a sampling stays the part that it is, of at least one step.
            for port in ("start_step", "end_step"):
                at = inputs.get(port)
                if isinstance(at, int) and 0 < at < steps:
                    inputs[port] = min(STEPS - 1, max(1, at * STEPS // steps))
                elif isinstance(at, int) and at >= steps:
                    inputs.pop(port)
        for port, value in list(inputs.items()):
            if port in ("width", "height") and isinstance(value, int) and value > SIDE:
                inputs[port] = SIDE
            elif port == "seconds" and isinstance(value, (int, float)):
                inputs[port] = min(value, SECONDS)
            elif port == "max_tokens":
                inputs[port] = TOKENS
            elif port == "megapixels" and isinstance(value, (int, float)):
                inputs[port] = 0.01
            elif port == "steps" and isinstance(value, int):
                inputs[port] = min(value, STEPS)
        if entry.type == "Integer" and isinstance(inputs.get("value"), int):
            # Videos have 4k + 1 frames.
            inputs["value"] = min(inputs["value"], SIDE + 1 if name in lengths else SIDE)
        if isinstance(inputs.get("layers"), str):
            # Tiny networks have two.
            inputs["layers"] = re.sub(r"\d+", "1", inputs["layers"])
        text = inputs.get("text")
        if entry.type == "Text" and isinstance(text, str) and not text.lstrip().startswith("["):
            # A tiny language model reads few tokens, each of which is a letter. Lists are no texts
            # for it.
            inputs["text"] = text[:LETTERS]
        if entry.type == "Number" and isinstance(inputs.get("value"), (int, float)):
            inputs["value"] = min(inputs["value"], SIDE)
        if entry.type == "ScaleImage" and inputs.get("by", "factor") != "factor":
            inputs["amount"] = 0.01 if inputs["by"] == "megapixels" else SIDE


def outcome(
    workflow: Workflow, session: Session, tinies: Tinies, files: Mapping[str, str]
) -> tuple[str, str]:
    """What becomes of a workflow, in a word and in detail."""
    workflow = inline_subgraphs(workflow, session.registry)
    # What a bypassed sub-graph gave is gone, and those that took it are bypassed, too.
    kept = {
        name: node
        for name, node in workflow.nodes.items()
        if node.mode is None or not _is_cut(node, workflow)
    }
    workflow = replace(workflow, nodes=kept)
    known = families(workflow.nodes)
    strange = known - MODELS.keys()
    if strange:
        # A whole model of no family is called as its file is.
        lacks = "kind" if all("." in name for name in strange) else "family"
        return lacks, ", ".join(sorted(strange))
    try:
        writing = writers(workflow.nodes)
        for node in workflow.nodes.values():
            is_encoder = node.type == "LoadTextEncoder"
            among = known if is_encoder else known - writing or known
            tinies.stand_in(node, family_of(node, among))
    except UnknownKind as error:
        return "kind", str(error)
    shrunk(workflow.nodes, files)
    try:
        result = session.run(workflow)
    except NodegraphError as error:
        return "fails", str(error)
    faults = [str(error) for error in result.errors]
    return ("fails", "; ".join(faults)) if faults else ("runs", "")


def _is_cut(node: NodeEntry, workflow: Workflow) -> bool:
    """Whether one of its links leads to no node."""
    links = [read_link(value) for value in node.inputs.values() if is_link(value)]
    return any(link.node not in workflow.nodes for link in links)


def written_files(folder: Path) -> dict[str, str]:
    """A small image, video and sound, by the nodes that load them."""
    picture = Image.radial_gradient("L").resize((SIDE, SIDE)).convert("RGB")
    picture.save(folder / "picture.png")
    moving = video(FRAMES, SIDE, SIDE, Fraction(8), channels=2)
    (folder / "video.mkv").write_bytes(encode_video(moving, "mkv"))
    (folder / "sound.wav").write_bytes(encode_audio(tone(Fraction(2), channels=2), "wav"))
    names = {"LoadImage": "picture.png", "LoadVideo": "video.mkv", "LoadAudio": "sound.wav"}
    return {node: str(folder / name) for node, name in names.items()}


def main(folder: Path, names: list[str]) -> None:
    for each in (diffusers_logging, transformers_logging):
        each.disable_progress_bar()
    table = node_table()
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        files = written_files(Path(place))
        tinies = Tinies(Path(place) / "tiny")
        with Session(load_settings({"home": Path(place) / "home"})) as session:
            for name in names or sorted(path.stem for path in folder.glob("*.json")):
                document = json.loads((folder / f"{name}.json").read_text("utf-8"))
                imported = import_document(document, table, name=name)
                # What is bypassed need not run.
                nodes = imported.workflow.nodes
                bypassed = {name for name, node in nodes.items() if node.mode is not None}
                lacking = [fate for fate in imported.placeholders if fate.name not in bypassed]
                if lacking:
                    types = sorted({fate.type for fate in lacking})
                    kind, detail = "placeholder", ", ".join(types)
                else:
                    kind, detail = outcome(imported.workflow, session, tinies, files)
                found[kind] += 1
                _say(f"{kind:12} {name}  {detail}")
    _say(str(dict(found)))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
