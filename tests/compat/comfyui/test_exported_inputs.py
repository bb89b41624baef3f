"""What ComfyUI's server is sent of each native node type has all inputs that it asks for."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from nodegraph.core.parts import NodeEntry
from nodegraph.core.spec import InputSpec
from nodegraph.core.types import fit
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.document_writer import missing_inputs, write_api
from nodegraph.interop.comfyui.exporter import export
from tests.compat.comfyui.test_exporting import SIGNATURES, TABLE, catalog

REQUIRED = Path(__file__).parent / "required_inputs.csv"
"""Of ComfyUI 0.33.0: types, and the inputs that its server refuses to do without."""
LOADED = {"model": "a.safetensors"}
PROVIDERS: dict[str, dict[str, Any]] = {
    "load": LOADED,
    "prompt": {"encoder": {"from": "load.text_encoder"}, "text": "a cat"},
    "picture": {"path": "a.png"},
    "latent": {},
    "noise": {},
    "method": {},
    "levels": {},
    "guide": {"positive": {"from": "prompt"}, "negative": {"from": "prompt"}},
    "sound": {"path": "a.wav"},
    "film": {"path": "a.mp4"},
    "larger": LOADED,
    "led": LOADED,
    "whole": {"value": 3},
    "words": {"text": "a"},
    "truth": {"value": True},
    "number": {"value": 0.5},
    "list": {"item_1": {"from": "picture.image"}},
}
TYPES = {
    "load": "LoadModel", "prompt": "EncodePrompt", "picture": "LoadImage", "latent": "EmptyLatent",
    "noise": "RandomNoise", "method": "SelectSampler", "levels": "BasicSchedule",
    "guide": "CFGGuider", "sound": "LoadAudio", "film": "LoadVideo", "larger": "LoadUpscaleModel",
    "led": "LoadControlNet", "whole": "Integer", "words": "Text", "truth": "Boolean",
    "number": "Number", "list": "List",
}  # fmt: skip
"""What gives something of each type of port that nodes are linked to."""
SAMPLING = {"model": "load.model", "noise": "noise", "guider": "guide", "sampler": "method",
            "schedule": "levels", "latent": "latent"}  # fmt: skip


@cache
def required() -> dict[str, set[str]]:
    with REQUIRED.open(encoding="utf-8") as file:
        return {row["type"]: set(row["required"].split()) for row in csv.DictReader(file)}


def given(port: InputSpec, *, links: bool) -> Any:
    """Something for an input: a link or a literal; None to leave it as it is."""
    is_linked = port.required or (links and port.json_schema is None)
    for name in TYPES if is_linked and port.type != "Any" else ():
        spec = catalog().spec(TYPES[name])
        assert spec is not None
        for output in spec.outputs:
            if fit(output.expr, port.expr, catalog().types) is not None:
                return {"from": f"{name}.{output.name}"}
    if not port.required:
        return None
    schema = port.json_schema or {}
    kinds = {"integer": 1, "number": 0.5, "boolean": True, "string": "a"}
    return next(iter(schema.get("enum", ())), kinds.get(schema.get("type", "")))


def workflow(natives: list[str], *, links: bool) -> Workflow:
    """A node of each type with what it needs, and a sampling for those that are for one."""
    nodes = {name: NodeEntry(type=TYPES[name], inputs=PROVIDERS[name]) for name in TYPES}
    sampled = catalog().spec("SampleCustom")
    assert sampled is not None
    for native in natives:
        spec = catalog().spec(native)
        assert spec is not None, native
        found = {port.name: given(port, links=links) for port in spec.inputs}
        inputs = {name: value for name, value in found.items() if value is not None}
        nodes[f"the {native}"] = NodeEntry(type=native, inputs=inputs)
        sampling = {port: {"from": source} for port, source in SAMPLING.items()}
        fed = {
            port.name: {"from": f"the {native}.{output.name}"}
            for output in spec.outputs
            for port in sampled.inputs
            if port.type == output.type and port.name in SAMPLING
        }
        if fed:
            nodes[f"of {native}"] = NodeEntry(type="SampleCustom", inputs=sampling | fed)
    return Workflow(nodes=nodes)


@pytest.mark.parametrize("links", [False, True])
def test_each_node_type_is_sent_with_all_that_the_server_asks_for(links: bool) -> None:
    natives = sorted({entry.native for entry in TABLE if entry.backward})
    exported = export(workflow(natives, links=links), TABLE, catalog(), flat=True)
    document = write_api(exported.foreign, SIGNATURES)
    known = required()
    lacking = {
        (entry["class_type"], name)
        for entry in document.values()
        for name in known.get(entry["class_type"], set()) - entry["inputs"].keys()
    }
    assert lacking == set()
    assert missing_inputs(document, SIGNATURES) == {}
    sent = {entry["class_type"] for entry in document.values()}
    assert len(sent & known.keys()) > 90
