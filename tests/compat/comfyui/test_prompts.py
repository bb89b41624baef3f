"""Prompts on their way to ComfyUI and back: its page reads signs in them, its server none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.exporter import ExportedWorkflow, export_documents
from nodegraph.interop.comfyui.importer import import_document, node_table
from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry
from nodegraph.sampling.comfyui_prompts import plain_prompt
from nodegraph.sampling.wildcards import draw_prompt
from tests.compat.comfyui.drawing import drawn, linked, node
from tests.properties import examples

PACKS = [pack for pack in installed_packs() if not pack.name]
CATALOG = Registry(PACKS)
NODES = node_table(PACKS)
TEXTS = st.text(st.sampled_from("\\{|}/* \n_a$:2"), max_size=12)
FIXED = {"syntax": "comfyui"}
READS = {"encoder": {"from": "load.text_encoder"}, **FIXED}


def exported(workflow: Workflow) -> tuple[ExportedWorkflow, Any, Any]:
    found, written = export_documents(workflow, NODES.entries.values(), CATALOG)
    ui, api = (json.loads(json.dumps(written[kind])) for kind in ("ui", "api"))
    return found, ui, api


def read(document: Any) -> Workflow:
    return import_document(document, NODES).workflow


def texts_of(ui: Any) -> list[str]:
    return [each["widgets_values"][0] for each in ui["nodes"] if each["type"] == "CLIPTextEncode"]


def sent(api: Any) -> list[str]:
    texts = (entry["inputs"] for entry in api.values() if entry["class_type"] == "CLIPTextEncode")
    return [inputs["text"] for inputs in texts]


def meant(workflow: Workflow) -> dict[str, Any]:
    return {name: (entry.type, dict(entry.inputs)) for name, entry in workflow.nodes.items()}


def encoded(text: Any, **others: Any) -> Workflow:
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "a.safetensors"}},
        "prompt": {"type": "EncodePrompt", "inputs": {"text": text, **READS}},
        **others,
    }
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})


def page_file(prompt: str) -> Any:
    loader = node(1, "CheckpointLoaderSimple", "a.safetensors")
    loader["outputs"] = [{"name": name, "type": name} for name in ("MODEL", "CLIP", "VAE")]
    reader = node(2, "CLIPTextEncode", prompt, inputs=[linked("clip", 1, "CLIP")])
    return drawn([loader, reader], [1, 1, 1, 2, 0])


def drawing(text: str, **inputs: Any) -> Workflow:
    draw = {"type": "RandomPrompt", "inputs": {"text": text, **inputs}}
    return encoded({"from": "draw.text"}, draw=draw)


@given(TEXTS)
@example("{a|b} http://x /* not */ said")
@example("one backslash \\")
@settings(max_examples=examples(150), deadline=None)
def test_a_text_is_the_same_where_comfyui_reads_it(text: str) -> None:
    workflow = encoded(text)
    found, ui, api = exported(workflow)
    ends = len(text) - len(text.rstrip("\\"))
    can_be_said = ends % 2 == 0
    assert [plain_prompt(prompt) for prompt in texts_of(ui)] == [
        text if can_be_said else f"{text} "
    ]
    assert sent(api) == [text]
    assert meant(read(ui)) == meant(read(api)) == meant(workflow)
    assert any("backslash" in told for told in found.messages) is not can_be_said


@pytest.mark.parametrize(
    ("inputs", "prompt"),
    [
        ({"text": "a {red|green} cat"}, "a {red|green} cat"),
        ({"text": "a {2::red|green|0::blue} cat"}, "a {red|red|green} cat"),
        ({"text": r"\{a\} {b\|c|{d/*e|\_\_f\_\_}}//"}, r"\{a\} {b\|c|{d/{}*e|__f__}}/{}/"),
        ({"text": "a {red|2$$green // or", **FIXED}, "a {red|2$$green // or"),
    ],
)
@pytest.mark.parametrize("seed", [0, 7])
def test_choices_stand_in_the_prompt_and_the_server_is_sent_a_drawn_one(
    inputs: dict[str, Any], prompt: str, seed: int
) -> None:
    workflow = drawing(**inputs, seed=seed)
    found, ui, api = exported(workflow)
    assert texts_of(ui) == [prompt]
    if "syntax" not in inputs:
        assert sent(api) == [draw_prompt(inputs["text"], seed, lambda name: ())]
    assert f"drawn with seed {seed}" in " ".join(found.messages)
    assert not found.unknown
    types = {each["type"] for each in ui["nodes"]} | {each["class_type"] for each in api.values()}
    assert types == {"CheckpointLoaderSimple", "CLIPTextEncode"}
    assert meant(read(ui)) == meant(read(api)) == meant(workflow)


def test_a_prompt_that_is_drawn_for_two_is_told() -> None:
    again = {"type": "EncodePrompt", "inputs": {"text": {"from": "draw.text"}, **READS}}
    workflow = drawing("a {b|c}", seed=1)
    workflow.nodes["again"] = Workflow.from_dict(
        {"format": "nodegraph/1", "nodes": {"again": again}}
    ).nodes["again"]
    found, ui, _ = exported(workflow)
    assert any("2 prompts" in told for told in found.messages)
    assert texts_of(ui) == ["a {b|c}"] * 2
    assert meant(read(ui)) == meant(workflow)


@pytest.mark.parametrize("text", ["a __color__ cat", "a {2$$b|c}", "a {1.5::b|c}", "a {b"])
def test_what_the_page_cannot_draw_is_told(text: str) -> None:
    workflow = drawing(text)
    found, ui, api = exported(workflow)
    assert list(found.unknown) == ["draw"]
    assert meant(read(ui)) == meant(read(api)) == meant(workflow)


@pytest.mark.parametrize(
    "written",
    ["a {red|green} cat", "{red|green", "{2.5::a|b} :}", "{2$$a|b}", r"{foo\_bar|b}", "{a|b} // c"],
)
def test_a_file_with_choices_goes_back_with_them_and_can_be_run(written: str) -> None:
    workflow = read(page_file(written))
    found, ui, api = exported(workflow)
    assert texts_of(ui) == [written]
    types = {entry["class_type"] for entry in api.values()}
    assert types == {"CheckpointLoaderSimple", "CLIPTextEncode"}
    assert any("drawn with seed 0" in told for told in found.messages)
    # Changed here, so that it is written anew.
    (encoding,) = (each for each in workflow.nodes.values() if each.type == "EncodePrompt")
    workflow.nodes["more"] = encoding
    _, ui, _ = exported(workflow)
    assert texts_of(ui) == [written] * 2
    assert read(ui).ui["seeds"] == {"random_prompt.seed": "random"}


def test_an_escaped_text_that_is_changed_here_is_changed_in_the_file() -> None:
    workflow = read(page_file(r"a \{b\}"))
    (prompt,) = (each for each in workflow.nodes.values() if each.type == "EncodePrompt")
    assert prompt.inputs["text"] == "a {b}"
    prompt.inputs["text"] = "a {b|c}"
    _, ui, _ = exported(workflow)
    assert texts_of(ui) == [r"a \{b|c\}"]
    assert "nodegraph" not in json.dumps(ui["nodes"])
