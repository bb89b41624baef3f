"""What came from ComfyUI goes back as it was, with the values that were changed since."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.exporter import export_documents
from nodegraph.interop.comfyui.importer import import_document, node_table
from nodegraph.interop.comfyui.original_document import pack_document, unpack_original
from tests.compat.comfyui.test_exporting import catalog

TABLE = node_table()


def _node(
    number: int, kind: str, inputs: dict[str, int | None], outputs: list[str], values: list[Any]
) -> dict[str, Any]:
    return {
        "id": number,
        "type": kind,
        "pos": [300 * number, 40],
        "size": [240, 100],
        "mode": 0,
        "inputs": [{"name": name, "type": "*", "link": link} for name, link in inputs.items()],
        "outputs": [{"name": name, "type": name, "links": []} for name in outputs],
        "properties": {"cnr_id": "comfy-core"},
        "widgets_values": values,
    }


def _guided() -> dict[str, Any]:
    """A patch of the model, which becomes a guider here and no node of its own."""
    sampled = {"model": 2, "positive": 3, "negative": 4, "latent_image": 5}
    settings = [7, "fixed", 12, 4.5, "euler", "simple", 1.0]
    return {
        "version": 0.4,
        "extra": {"ds": {"scale": 0.5}},
        "nodes": [
            _node(1, "CheckpointLoaderSimple", {}, ["MODEL", "CLIP", "VAE"], ["some.safetensors"]),
            _node(2, "CFGNorm", {"model": 1}, ["MODEL"], [0.75]),
            _node(3, "CLIPTextEncode", {"clip": 6}, ["CONDITIONING"], ["a hat"]),
            _node(4, "CLIPTextEncode", {"clip": 7}, ["CONDITIONING"], ["a cat"]),
            _node(5, "EmptyLatentImage", {}, ["LATENT"], [640, 512, 1]),
            _node(6, "KSampler", sampled, ["LATENT"], settings),
        ],
        "links": [
            [1, 1, 0, 2, 0, "MODEL"],
            [2, 2, 0, 6, 0, "MODEL"],
            [3, 3, 0, 6, 1, "CONDITIONING"],
            [4, 4, 0, 6, 2, "CONDITIONING"],
            [5, 5, 0, 6, 3, "LATENT"],
            [6, 1, 1, 3, 0, "CLIP"],
            [7, 1, 1, 4, 0, "CLIP"],
        ],
    }


def _imported(document: dict[str, Any]) -> Workflow:
    return Workflow.from_json(import_document(document, TABLE).workflow.to_json())


def _back(workflow: Workflow) -> dict[str, Any]:
    _, written = export_documents(workflow, TABLE.entries.values(), catalog())
    found: dict[str, Any] = json.loads(json.dumps(written["ui"]))
    del found["extra"]["nodegraph"]
    return found


def _widgets(document: dict[str, Any], number: int) -> Any:
    return next(node for node in document["nodes"] if node["id"] == number)["widgets_values"]


def test_what_nobody_changed_goes_back_as_it_was() -> None:
    workflow = _imported(_guided())
    assert {node.type for node in workflow.nodes.values()} >= {"NormGuidance", "SampleCustom"}
    assert _back(workflow) == _guided() | {"extra": {"ds": {"scale": 0.5}}}


def test_a_value_that_was_changed_is_changed_there_too_and_nothing_else() -> None:
    workflow = _imported(_guided())
    for node in workflow.nodes.values():
        if node.type == "NormGuidance":
            node.inputs["strength"] = 0.5
        if node.type == "EmptyLatent":
            node.inputs["width"] = 768
        if node.inputs.get("text") == "a cat":
            node.inputs["text"] = "two cats"
    expected = copy.deepcopy(_guided())
    _widgets(expected, 2)[0] = 0.5
    _widgets(expected, 4)[0] = "two cats"
    _widgets(expected, 5)[0] = 768
    assert _back(workflow) == expected


def test_nodes_that_were_moved_are_moved_there() -> None:
    workflow = _imported(_guided())
    latent = next(name for name, node in workflow.nodes.items() if node.type == "EmptyLatent")
    workflow.ui["positions"][latent] = [11, 12]
    moved = _back(workflow)
    assert next(node for node in moved["nodes"] if node["id"] == 5)["pos"] == [11, 12]
    assert _widgets(moved, 5) == [640, 512, 1]


def test_nodes_that_the_editor_moved_apart_go_back_to_their_places() -> None:
    """Groups and notes of the original are made for these."""
    workflow = _imported(_guided())
    latent = next(name for name, node in workflow.nodes.items() if node.type == "EmptyLatent")
    workflow.ui["positions"][latent] = [11, 12]
    workflow.ui["comfyui"]["spread"] = {latent: [11, 12]}
    assert _back(workflow) == _guided()


def test_what_was_rewired_goes_back_by_the_table() -> None:
    workflow = _imported(_guided())
    workflow.nodes["more"] = NodeEntry(type="EmptyLatent", inputs={"width": 64})
    assert "more" in json.dumps(_back(workflow))


@pytest.mark.parametrize("kept", ["", "!", pack_document("x")[:-8], 7, "eJw="])
def test_an_original_that_was_damaged_is_passed_over(kept: Any) -> None:
    workflow = _imported(_guided())
    workflow.ui["comfyui"]["original"] = kept
    assert unpack_original(workflow) is None
    assert _back(workflow)["nodes"]
