"""ComfyUI's workflows are read from each of their formats."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.errors import InvalidFile
from nodegraph.interop.comfyui.entries import Signature, parse_signature
from nodegraph.interop.comfyui.foreign_workflow import ForeignWorkflow, ModelFile, Rectangle, Source
from nodegraph.interop.comfyui.reading import is_foreign, read_workflow
from tests.compat.comfyui.drawing import drawn, linked, node, widget
from tests.messages import raises

SAMPLER = parse_signature(
    "KSampler(model: MODEL, seed: INT = 0 @control, steps: INT = 20, cfg: FLOAT = 8.0, "
    'sampler_name: COMBO = "euler") -> LATENT'
)


def read(document: object, *known: Signature) -> ForeignWorkflow:
    return read_workflow(document, {one.type: one for one in known})


def inputs_of(document: object, name: str, *known: Signature) -> dict[str, Any]:
    return dict(read(document, *known).graph.nodes[name].inputs)


def test_an_api_file_tells_links_values_and_own_titles() -> None:
    found = read(
        {
            "3": {"class_type": "VAEDecode", "inputs": {"samples": ["9:1", 0], "tile": 4}},
            "9:1": {"class_type": "KSampler", "inputs": {"sizes": {"__value__": [1, 2]}},
                    "_meta": {"title": "First pass"}},
            "5": {"class_type": "VAELoader", "inputs": {}, "_meta": {"title": "Load VAE"}},
        }
    )  # fmt: skip
    assert found.format == "api"
    assert found.graph.nodes["3"].inputs == {"samples": Source("9:1", 0), "tile": 4}
    assert found.graph.nodes["9:1"].inputs == {"sizes": [1, 2]}
    assert [one.title for one in found.graph.nodes.values()] == ["", "First pass", ""]


@pytest.mark.parametrize("wrap", ["prompt", None])
def test_what_a_server_is_sent_is_unwrapped(wrap: str | None) -> None:
    prompt = {"1": {"class_type": "A", "inputs": {}}}
    document = {wrap: prompt} if wrap else prompt
    assert is_foreign(document)
    assert list(read(document).graph.nodes) == ["1"]


def test_the_drawing_is_taken_where_a_server_is_sent_both() -> None:
    sent = {
        "prompt": {"1": {"class_type": "A", "inputs": {}}},
        "extra_data": {"extra_pnginfo": {"workflow": drawn([node(7, "A")])}},
    }
    assert list(read(sent).graph.nodes) == ["7"]


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        {},
        {"format": "nodegraph/1", "nodes": {}},
        {"format": "x", "nodes": []},
        {"nodes": {}},
        {"a": {"type": "B"}},
    ],
)
def test_other_documents_are_not_comfyuis(document: object) -> None:
    assert not is_foreign(document)
    with raises(InvalidFile):
        read(document)


def test_links_of_both_versions_lead_to_the_same() -> None:
    nodes = [node(1, "A"), node("x", "B", inputs=[linked("image", 5)])]
    newer = {
        "version": 1,
        "nodes": nodes,
        "links": [{"id": 5, "origin_id": 1, "origin_slot": 2, "target_id": "x", "target_slot": 0}],
    }
    found = [read(drawn(nodes, [5, 1, 2, "x", 0])), read(newer)]
    assert [one.format for one in found] == ["0.4", "1.0"]
    assert [one.graph.nodes["x"].inputs for one in found] == [{"image": Source("1", 2)}] * 2


def test_values_take_their_names_from_the_signature() -> None:
    document = drawn([node(1, "KSampler", 5, "randomize", 30, 7, "ddim")])
    found = read(document, SAMPLER).graph.nodes["1"]
    assert found.inputs == {"seed": 5, "steps": 30, "cfg": 7, "sampler_name": "ddim"}
    assert found.control == {"seed": "randomize"}


def test_values_without_a_signature_are_counted() -> None:
    assert inputs_of(drawn([node(1, "Odd", 5, None, "x")]), "1") == {"widget_0": 5, "widget_2": "x"}


def test_a_link_wins_over_the_value_of_a_converted_widget() -> None:
    sampler = node(1, "KSampler", 5, "fixed", 30, 7, "ddim", inputs=[widget("steps", 3)])
    found = inputs_of(drawn([node(2, "A"), sampler], [3, 2, 0, 1, 0]), "1", SAMPLER)
    assert found == {"seed": 5, "steps": Source("2", 0), "cfg": 7, "sampler_name": "ddim"}


def test_what_stands_on_the_canvas_is_kept() -> None:
    decorated = node(
        1, "VAELoader", title="Mine", pos={"0": 10, "1": 20.5}, size=[300, 100], color="#223",
        flags={"collapsed": True}, mode=4,
        outputs=[{"name": "VAE", "type": "VAE", "label": "V"}],
        properties={"cnr_id": "comfy-core",
                    "models": [{"name": "a.safetensors", "url": "u", "directory": "vae"}]},
    )  # fmt: skip
    groups = [{"title": "Box", "bounding": [1, 2, 3, 4], "color": "#abc"}]
    note = node(2, "MarkdownNote", "Read me", pos=[5, 6])
    graph = read(drawn([decorated, note], groups=groups)).graph
    found = graph.nodes["1"]
    assert (found.title, found.bounds, found.color) == (
        "Mine",
        Rectangle(10, 20.5, 300, 100),
        "#223",
    )
    assert (found.is_collapsed, found.mode, found.pack) == (True, "bypass", "comfy-core")
    assert found.models == (ModelFile("a.safetensors", "vae", "u"),)
    assert [(port.name, port.type, port.label) for port in found.ports] == [("VAE", "VAE", "V")]
    assert [(one.text, one.bounds) for one in graph.groups] == [("Box", Rectangle(1, 2, 3, 4))]
    assert [(one.text, one.bounds.x) for one in graph.notes] == [("Read me", 5)]
