"""Native workflows, written for ComfyUI and read again."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.core.parts import NodeEntry
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.core.types import fit
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.document_writer import write_api, write_ui
from nodegraph.interop.comfyui.exporter import export, export_documents, inline_subgraphs
from nodegraph.interop.comfyui.importer import (
    entries_by_type,
    import_document,
    node_table,
    translate,
)
from nodegraph.interop.comfyui.reading import read_workflow
from nodegraph.interop.comfyui.table import built_in
from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry
from tests.compat.comfyui import drawing
from tests.properties import examples

GALLERY = sorted((Path(__file__).parents[3] / "workflows").glob("*.json"))
TABLE = built_in()
SIGNATURES = {name: found.signature for name, found in entries_by_type(TABLE).items()}


@cache
def catalog() -> Registry:
    return Registry([pack for pack in installed_packs() if not pack.name])


def there_and_back(workflow: Workflow, *, api: bool = False) -> Workflow:
    exported = export(workflow, TABLE, catalog(), flat=api)
    document = (
        write_api(exported.foreign, SIGNATURES) if api else write_ui(exported.foreign, SIGNATURES)
    )
    foreign = read_workflow(json.loads(json.dumps(document)), SIGNATURES)
    return translate(foreign, TABLE).workflow


def meaning(workflow: Workflow, *, inner: bool = True) -> dict[str, Any]:
    """What nodes are given, defaults and the ports of links included."""
    blocks = {
        name: {
            "nodes": _nodes(block.nodes, workflow),
            "inputs": {port: sorted(taken.to) for port, taken in block.inputs.items()},
            "outputs": dict(block.outputs),
        }
        for name, block in workflow.subgraphs.items()
    }
    return {"nodes": _nodes(workflow.nodes, workflow)} | ({"blocks": blocks} if inner else {})


def _nodes(nodes: Any, workflow: Workflow) -> dict[str, Any]:
    return {name: _node(entry, nodes, workflow) for name, entry in sorted(nodes.items())}


def _node(entry: Any, nodes: Any, workflow: Workflow) -> dict[str, Any]:
    spec = catalog().spec(entry.type)
    defaults = {
        port.name: port.default
        for port in (spec.inputs if spec else ())
        if not port.required and port.default is not None
    }
    written = {port: _value(value, nodes) for port, value in entry.inputs.items()}
    return {
        "type": entry.type,
        "inputs": {
            **defaults,
            **{port: value for port, value in written.items() if value is not None},
        },
        "label": entry.label,
        "note": entry.note,
        "always": entry.always,
        "mode": entry.mode,
    }


def _value(value: Any, nodes: Any) -> Any:
    if not (isinstance(value, dict) and "from" in value):
        return value
    node, _, port = value["from"].partition(".")
    spec = catalog().spec(nodes[node].type) if node in nodes else None
    return {"from": f"{node}.{port or (spec.outputs[0].name if spec else '')}"}


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_the_gallery_comes_back_as_it_was(path: Path) -> None:
    workflow = Workflow.load(path)
    back = there_and_back(workflow)
    assert meaning(back) == meaning(workflow)
    assert (back.title, back.description) == (workflow.title, workflow.description)
    assert back.parameters == workflow.parameters


@pytest.mark.parametrize("path", GALLERY, ids=lambda path: path.stem)
def test_the_gallery_comes_back_from_what_a_server_is_sent(path: Path) -> None:
    workflow = inline_subgraphs(Workflow.load(path), catalog())
    back = there_and_back(workflow, api=True)
    assert meaning(back, inner=False) == meaning(workflow, inner=False)


def _literal(port: InputSpec) -> st.SearchStrategy[Any]:
    schema = port.json_schema or {}
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    low, high = schema.get("minimum"), schema.get("maximum")
    match schema.get("type"):
        case "integer":
            return st.integers(low if low is not None else -99, high if high is not None else 99)
        case "number":
            return st.floats(
                low if low is not None else -9, high if high is not None else 9, allow_nan=False
            )
        case "boolean":
            return st.booleans()
        case "string":
            return st.text(max_size=8)
        case _:
            return st.just(port.default)


@st.composite
def workflows(draw: st.DrawFn) -> Workflow:
    """Some nodes of any types, each linked to what fits of those before it."""
    types = [name for name in catalog().node_types() if not _names_a_block(name)]
    workflow = Workflow(title=draw(st.text(max_size=5)))
    outputs: list[tuple[str, NodeSpec]] = []
    for at in range(draw(st.integers(1, 5))):
        spec = catalog().spec(draw(st.sampled_from(types)))
        assert spec is not None
        inputs: dict[str, Any] = {}
        for port in spec.inputs:
            found = [
                {"from": f"{name}.{output.name}"}
                for name, other in outputs
                for output in other.outputs
                if fit(output.expr, port.expr, catalog().types) is not None
            ]
            ways = [st.sampled_from(found)] if found else []
            if port.json_schema is not None:
                ways.append(_literal(port))
            if ways and (port.required or draw(st.booleans())):
                value = draw(st.one_of(ways))
                if value is not None:
                    inputs[port.name] = value
        name = f"node {at}"
        entry = workflow.nodes[name] = NodeEntry(type=spec.type, inputs=inputs)
        entry.label = draw(st.sampled_from(["", "A label", spec.type]))
        entry.note = draw(st.sampled_from(["", "Why not?"]))
        entry.always = draw(st.booleans())
        outputs.append((name, spec))
    return workflow


@cache
def _names_a_block(name: str) -> bool:
    spec = catalog().spec(name)
    return spec is None or any(port.body or port.type == "Subgraph" for port in spec.inputs)


@given(workflows(), st.booleans())
@settings(max_examples=examples(60), deadline=None)
def test_random_workflows_come_back_equal(workflow: Workflow, api: bool) -> None:
    assert meaning(there_and_back(workflow, api=api)) == meaning(workflow)


def test_a_placeholder_of_a_known_type_goes_back_as_it_was() -> None:
    """Of a type that has an entry, which can't say this one."""
    link = {"type": "MODEL", "link": 1, "name": "model"}
    document = {
        "version": 0.4,
        "links": [[1, 1, 0, 2, 0, "MODEL"], [2, 2, 0, 3, 0, "MODEL"]],
        "nodes": [
            {
                "id": 1,
                "type": "UNETLoader",
                "outputs": [{"name": "MODEL", "type": "MODEL", "links": [1]}],
                "widgets_values": ["a.safetensors", "default"],
            },
            {
                "id": 2,
                "type": "ModelSamplingAuraFlow",
                "inputs": [link],
                "outputs": [{"name": "MODEL", "type": "MODEL", "links": [2]}],
                "widgets_values": [1.0, "img_to_img_noise"],
            },
            {"id": 3, "type": "SparkleModel", "inputs": [{**link, "link": 2}], "outputs": []},
        ],
    }
    workflow = translate(read_workflow(document, SIGNATURES), TABLE).workflow
    assert [entry.type for entry in workflow.nodes.values()][1:] == [
        "comfyui:ModelSamplingAuraFlow",
        "comfyui:SparkleModel",
    ]
    exported = export(workflow, TABLE, catalog())
    written = write_ui(exported.foreign, SIGNATURES)
    kept = next(node for node in written["nodes"] if node["type"] == "ModelSamplingAuraFlow")
    assert kept["widgets_values"] == [1.0, "img_to_img_noise"]
    assert [link[1:5] for link in written["links"]] == [[1, 0, 2, 0], [2, 0, 3, 0]]
    assert meaning(there_and_back(workflow)) == meaning(workflow)


def test_a_node_that_would_come_back_with_others_stays_as_it_is() -> None:
    scaled = {"image": {"from": "mask.mask"}, "by": "longer side"}
    nodes = {
        "mask": NodeEntry(type="ThresholdMask"),
        "scaled": NodeEntry(type="ScaleImage", inputs=scaled),
        "after": NodeEntry(type="InvertImage", inputs={"image": {"from": "scaled"}}),
    }
    workflow = Workflow(nodes=nodes)
    assert meaning(there_and_back(workflow)) == meaning(workflow)


@pytest.mark.parametrize("link", ["inverted", "inverted.image"])
def test_a_link_may_name_an_only_output(link: str) -> None:
    nodes = {
        "load": NodeEntry(type="LoadImage", inputs={"path": "a.png"}),
        "inverted": NodeEntry(type="InvertImage", inputs={"image": {"from": "load.image"}}),
        "save": NodeEntry(type="SaveImage", inputs={"image": {"from": link}}),
    }
    workflow = Workflow(nodes=nodes)
    document = write_api(export(workflow, TABLE, catalog(), flat=True).foreign, SIGNATURES)
    saved = next(entry for entry in document.values() if entry["class_type"] == "SaveImage")
    assert document[saved["inputs"]["images"][0]]["class_type"] == "ImageInvert"


@pytest.mark.parametrize(
    ("node_type", "inputs"),
    [
        ("Switch", {"condition": True, "on_true": 3, "on_false": "a"}),
        ("List", {"item_1": 1, "item_2": [2]}),
        ("ShowValue", {"value": 0.5}),
    ],
)
def test_values_where_comfyui_takes_links_alone_are_kept(
    node_type: str, inputs: dict[str, Any]
) -> None:
    workflow = Workflow(nodes={"it": NodeEntry(type=node_type, inputs=inputs)})
    assert meaning(there_and_back(workflow)) == meaning(workflow)


def test_what_was_not_read_of_a_file_is_told_and_not_forgotten() -> None:
    loader = NodeEntry(type="LoadImage", inputs={"path": "a.png"})
    blurred = NodeEntry(type="BlurImage", inputs={"image": {"from": "load.image"}})
    blurred.unread, blurred.unread_as = ["radius"], {"radius": "sigma"}
    workflow = Workflow(nodes={"load": loader, "blurred": blurred})
    exported = export(workflow, TABLE, catalog())
    assert any("`radius` could not be read" in told for told in exported.messages)
    back = there_and_back(workflow).nodes["blurred"]
    assert (back.unread, back.inputs.get("radius")) == (["radius"], None)
    assert back.unread_as == {"radius": "sigma"}


def _unread_sampler() -> Workflow:
    sampler = drawing.node(3, "KSampler", 1, "fixed", "many", 8.0, "euler", "normal", 1.0)
    names = ("model", "positive", "negative", "latent_image")
    sampler["inputs"] = [drawing.linked(name, at) for at, name in enumerate(names, 1)]
    nodes = [
        sampler,
        drawing.node(4, "CheckpointLoaderSimple", "a"),
        drawing.node(5, "CLIPTextEncode", "x", inputs=[drawing.linked("clip", 5)]),
        drawing.node(6, "EmptyLatentImage", 64, 64, 1),
    ]
    links = [[1, 4, 0, 3, 0], [2, 5, 0, 3, 1], [3, 5, 0, 3, 2], [4, 6, 0, 3, 3], [5, 4, 1, 5, 0]]
    document = drawing.drawn(nodes, *links, extra={"marker": "kept"})
    return import_document(document, node_table()).workflow


@pytest.mark.slow
def test_what_was_not_read_is_left_out_of_what_a_server_is_sent() -> None:
    read = _unread_sampler().with_inputs({"ksampler.cfg": 7.5})
    exported, written = export_documents(read, TABLE, catalog())
    (entry,) = (each for each in written["api"].values() if each["class_type"] == "KSampler")
    sent = {name: each for name, each in entry["inputs"].items() if not isinstance(each, list)}
    assert sent == {"seed": 1, "cfg": 7.5}
    told = " ".join(exported.messages)
    assert "`steps` could not be read" in told
    assert "`cfg`" not in told
    assert "`steps` of KSampler" not in told
    back = import_document(json.loads(json.dumps(written["api"])), node_table()).workflow
    (again,) = (each for each in back.nodes.values() if each.type == "KSampler")
    missing = set(again.unread) - again.inputs.keys()
    assert missing == {"steps", "sampler", "schedule", "denoise"}


@pytest.mark.slow
def test_a_file_with_values_that_were_not_read_goes_back_with_those_that_were_given() -> None:
    given = {"steps": 30, "cfg": 7.5, "sampler": "heun", "schedule": "karras", "denoise": 0.5}
    read = _unread_sampler().with_inputs({f"ksampler.{port}": each for port, each in given.items()})
    _, written = export_documents(read, TABLE, catalog())
    ui = written["ui"]
    assert ui["extra"]["marker"] == "kept"
    assert ui["nodes"][0]["widgets_values"] == [1, "fixed", 30, 7.5, "heun", "karras", 0.5]


@pytest.mark.slow
def test_a_file_goes_back_with_the_values_behind_the_only_one_that_was_given() -> None:
    _, written = export_documents(
        _unread_sampler().with_inputs({"ksampler.steps": 30}), TABLE, catalog()
    )
    values = written["ui"]["nodes"][0]["widgets_values"]
    assert values == [1, "fixed", 30, 8.0, "euler", "normal", 1.0]


def _unknown() -> dict[str, Any]:
    """A file in which a node of a pack that isn't known stands between two that are."""
    return {
        "version": 0.4,
        "nodes": [
            {
                "id": 4,
                "type": "VAEDecode",
                "inputs": [{"name": "samples", "type": "LATENT", "link": None}],
                "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}],
                "mode": 0,
                "pos": [10, 20],
                "size": [200, 50],
            },
            {
                "id": 7,
                "type": "SparkleImage",
                "inputs": [{"name": "the.image", "type": "IMAGE", "link": 1}],
                "outputs": [
                    {"name": "A B", "type": "IMAGE", "links": []},
                    {"name": "A B", "type": "IMAGE", "links": [2]},
                ],
                "mode": 0,
                "pos": [300, 20],
                "size": [200, 50],
                "properties": {"cnr_id": "sparkles", "odd": [1, {"two": 3}]},
                "widgets_values": ["soft", 0.5, None],
            },
            {
                "id": 9,
                "type": "VAEEncode",
                "inputs": [
                    {"name": "pixels", "type": "IMAGE", "link": 2},
                    {"name": "vae", "type": "VAE", "link": None},
                ],
                "outputs": [{"name": "LATENT", "type": "LATENT", "links": []}],
                "mode": 4,
                "pos": [600, 20],
                "size": [200, 50],
            },
        ],
        "links": [[1, 4, 0, 7, 0, "IMAGE"], [2, 7, 1, 9, 0, "IMAGE"]],
    }


def test_a_node_of_an_unknown_pack_comes_back_to_comfyui_as_it_was() -> None:
    there = read_workflow(_unknown(), SIGNATURES)
    native = translate(there, TABLE).workflow
    back = write_ui(export(native, TABLE, catalog()).foreign, SIGNATURES)
    again = read_workflow(json.loads(json.dumps(back)), SIGNATURES)
    assert {name: (node.type, node.mode) for name, node in again.graph.nodes.items()} == {
        name: (node.type, node.mode) for name, node in there.graph.nodes.items()
    }
    for name, node in there.graph.nodes.items():
        assert again.graph.nodes[name].inputs == node.inputs
    entry = next(node for node in back["nodes"] if node["type"] == "SparkleImage")
    assert entry["widgets_values"] == ["soft", 0.5, None]
    assert entry["properties"]["odd"] == [1, {"two": 3}]
    assert [port["name"] for port in entry["outputs"]] == ["A B", "A B"]


def test_what_does_not_run_is_left_out_of_what_a_server_is_sent() -> None:
    nodes = {
        "load": NodeEntry(type="LoadImage", inputs={"path": "a.png"}),
        "one": NodeEntry(type="VAEEncode", inputs={"image": {"from": "load.image"}}),
        "two": NodeEntry(type="VAEDecode", inputs={"latent": {"from": "one"}}),
        "save": NodeEntry(type="SaveImage", inputs={"image": {"from": "two"}}),
    }
    muted = Workflow(nodes=nodes).with_modes({"one": "mute"})
    document = write_api(export(muted, TABLE, catalog(), flat=True).foreign, SIGNATURES)
    names = {entry["_meta"]["nodegraph"]["name"]: entry for entry in document.values()}
    assert list(names) == ["load", "two", "save"]
    assert names["two"]["inputs"] == {}


def _styled(mode: str | None, model: str) -> Workflow:
    """A sampling in a sub-graph, of a model that comes through another one.

    Args:
        model: What that one gives.
    """
    style = {
        "inputs": {
            "text_encoder": {"to": ["lora.text_encoder"]},
            "model": {"to": ["lora.model"]},
        },
        "outputs": {"encoder": "lora.text_encoder", "model": model},
        "nodes": {
            "other": {"type": "LoadModel", "inputs": {"model": "b"}},
            "lora": {"type": "LoadLora", "inputs": {"lora": "c"}},
        },
    }
    links = {"positive": {"from": "prompt"}, "negative": {"from": "prompt"}}
    sampling = {
        "inputs": {
            "model": {"to": ["style.model"]},
            "encoder": {"to": ["style.text_encoder"]},
            "vae": {"to": ["decode.vae"]},
        },
        "outputs": {"image": "decode.image"},
        "nodes": {
            "style": {"type": "Style", "inputs": {}, **({"mode": mode} if mode else {})},
            "prompt": {"type": "EncodePrompt", "inputs": {"encoder": {"from": "style.encoder"}}},
            "empty": {"type": "EmptyLatent", "inputs": {}},
            "sample": {
                "type": "KSampler",
                "inputs": {"model": {"from": "style.model"}, "latent": {"from": "empty"}, **links},
            },
            "decode": {"type": "VAEDecode", "inputs": {"latent": {"from": "sample"}}},
        },
    }
    load = {port: {"from": f"load.{port}"} for port in ("model", "vae")}
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "a"}},
        "sampling": {
            "type": "Sampling",
            "inputs": {**load, "encoder": {"from": "load.text_encoder"}},
        },
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "sampling"}}},
    }
    blocks = {"Style": style, "Sampling": sampling}
    document = {"format": "nodegraph/1", "nodes": nodes, "subgraphs": blocks}
    return Workflow.from_dict(document)


@pytest.mark.parametrize("model", ["lora.model", "other.model"])
def test_what_a_server_is_sent_leads_past_bypassed_sub_graphs_within_others(model: str) -> None:
    _, written = export_documents(_styled("bypass", model), TABLE, catalog())
    api = {entry["class_type"]: entry["inputs"] for entry in written["api"].values()}
    loaders = [
        name for name, entry in written["api"].items()
        if entry["class_type"] == "CheckpointLoaderSimple"
    ]  # fmt: skip
    (loader,) = loaders
    assert "LoraLoader" not in api
    assert api["KSampler"]["model"] == [loader, 0]
    assert api["CLIPTextEncode"]["clip"] == [loader, 1]
    assert api["VAEDecode"]["vae"] == [loader, 2]


def test_what_a_server_is_sent_leads_past_bypassed_nodes() -> None:
    workflow = _styled(None, "lora.model")
    block = workflow.subgraphs["Style"]
    block.nodes["lora"] = replace(block.nodes["lora"], mode="bypass")
    _, written = export_documents(workflow, TABLE, catalog())
    api = {entry["class_type"]: entry["inputs"] for entry in written["api"].values()}
    loader = api["KSampler"]["model"]
    assert "LoraLoader" not in api
    assert written["api"][loader[0]]["inputs"] == {"ckpt_name": "a"}
    assert api["CLIPTextEncode"]["clip"] == [loader[0], 1]


@given(workflows(), st.data())
@settings(max_examples=examples(60), deadline=None)
def test_links_of_what_a_server_is_sent_lead_to_nodes_that_run(
    workflow: Workflow, data: st.DataObject
) -> None:
    modes = {name: data.draw(st.sampled_from(("", "bypass", "mute"))) for name in workflow.nodes}
    changed = workflow.with_modes({name: mode for name, mode in modes.items() if mode})
    _, written = export_documents(changed, TABLE, catalog())
    linked = {
        value[0]
        for entry in written["api"].values()
        for value in entry["inputs"].values()
        if isinstance(value, list)
    }
    assert linked <= written["api"].keys()


def test_the_upload_button_is_written_behind_all_that_a_loader_needs() -> None:
    mask = NodeEntry(type="LoadMask", inputs={"path": "a.png", "channel": "red"})
    _, written = export_documents(Workflow(nodes={"mask": mask}), TABLE, catalog())
    (entry,) = written["ui"]["nodes"]
    assert entry["widgets_values"] == ["a.png", "red", "image"]


def asking(model: str) -> Workflow:
    nodes = {
        "load": NodeEntry(type="LoadLanguageModel", inputs={"model": model}),
        "hear": NodeEntry(type="LoadAudio", inputs={"path": "talk.wav"}),
        "see": NodeEntry(type="LoadImage", inputs={"path": "cat.png"}),
        "ask": NodeEntry(
            type="GenerateText",
            inputs={
                "encoder": {"from": "load.language_model"},
                "prompt": "transcribe",
                "images": {"from": "see.image"},
                "audio": {"from": "hear.audio"},
            },
        ),
        "show": NodeEntry(type="ShowValue", inputs={"value": {"from": "ask.text"}}),
    }
    return Workflow(nodes=nodes)


def test_language_models_that_see_and_hear_go_there_and_back() -> None:
    file = "gemma4_e4b_it_fp8_scaled.safetensors"
    found = there_and_back(asking(file)).nodes
    by_type = {node.type: name for name, node in found.items()}
    assert found[by_type["LoadLanguageModel"]].inputs["model"] == file
    asked = found[by_type["GenerateText"]].inputs
    ports = {"encoder": "LoadLanguageModel", "images": "LoadImage", "audio": "LoadAudio"}
    assert all(asked[port]["from"].split(".")[0] == by_type[of] for port, of in ports.items())


def test_folders_of_language_models_are_not_exported() -> None:
    exported = export(asking("language/qwen3-4b"), TABLE, catalog())
    assert any("from one file, not from a folder" in told for told in exported.messages)
