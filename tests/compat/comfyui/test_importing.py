"""Documents of ComfyUI become native workflows, with the values that they were run with."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import nodegraph.interop.comfyui.table
from nodegraph import Session
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.entries import InputSignature, Signature
from nodegraph.interop.comfyui.importer import (
    ImportedWorkflow,
    NodeTable,
    import_document,
    node_table,
    translate,
)
from nodegraph.interop.comfyui.reading import read_workflow
from nodegraph.interop.comfyui.table import easy_use, efficiency, pipes
from nodegraph.interop.comfyui.translating import Passage
from tests.compat.comfyui.drawing import block, drawn, linked, node, widget, with_blocks
from tests.compat.comfyui.supplied import problems

SAMPLED = {"steps": 9, "cfg": 4.5, "sampler": "dpmpp_2m", "schedule": "karras", "denoise": 0.75}


@pytest.fixture(scope="module")
def table() -> NodeTable:
    return node_table()


@pytest.fixture(scope="module")
def session() -> Session:
    return Session()


def sampler(*values: Any, **more: Any) -> dict[str, Any]:
    return drawn([node(3, "KSampler", *values, **more)])


def run_with(**inputs: Any) -> dict[str, Any]:
    return {"3": {"class_type": "KSampler", "inputs": inputs}}


def settings(found: ImportedWorkflow) -> dict[str, Any]:
    (made,) = (each for each in found.workflow.nodes.values() if each.type == "KSampler")
    return {name: made.inputs.get(name) for name in ("seed", *SAMPLED)}


def unread(found: ImportedWorkflow) -> dict[str, set[str]]:
    """Inputs whose values couldn't be read, by node."""
    nodes = found.workflow.nodes
    return {name: set(entry.unread) for name, entry in nodes.items() if entry.unread}


@pytest.mark.parametrize("prefix", ["", "sample_"])
@pytest.mark.parametrize("control", [True, False])
def test_a_file_of_spring_2023_keeps_all_of_its_settings(
    table: NodeTable, prefix: str, control: bool
) -> None:
    document = sampler(7, control, 9, 4.5, f"{prefix}dpmpp_2m", "karras", 0.75)
    found = import_document(document, table)
    assert settings(found) == {"seed": 7, **SAMPLED}
    assert not found.differences
    assert found.workflow.ui.get("seeds") == ({"ksampler.seed": "random"} if control else None)
    assert not unread(found)


def test_numbers_that_a_server_was_sent_as_texts_are_numbers(table: NodeTable) -> None:
    texts = {"seed": "7", "steps": "9", "cfg": "4.5", "denoise": "0.75"}
    names = {"sampler_name": "dpmpp_2m", "scheduler": "karras"}
    assert settings(import_document(run_with(**texts, **names), table)) == {"seed": 7, **SAMPLED}


@pytest.mark.parametrize(
    ("node_type", "inputs", "said"),
    [
        ("CLIPTextEncode", {"text": 5}, {"text": "5"}),
        ("CLIPTextEncode", {"text": 0.5}, {"text": "0.5"}),
        ("PrimitiveBoolean", {"value": 1}, {"value": True}),
        ("PrimitiveBoolean", {"value": "false"}, {"value": True}),
        ("PrimitiveInt", {"value": 7.9}, {"value": 7}),
        ("PrimitiveInt", {"value": True}, {"value": 1}),
        ("PrimitiveFloat", {"value": "7"}, {"value": 7}),
    ],
)
def test_values_are_of_the_kind_that_a_server_makes_of_them(
    table: NodeTable, node_type: str, inputs: dict[str, Any], said: dict[str, Any]
) -> None:
    sent = {"1": {"class_type": node_type, "inputs": inputs}}
    (entry,) = import_document(sent, table).workflow.nodes.values()
    found = {port: entry.inputs[port] for port in said}
    assert [(value, type(value)) for value in found.values()] == [
        (value, type(value)) for value in said.values()
    ]


@pytest.mark.parametrize("number", [5, 0.5])
@pytest.mark.parametrize(
    ("node_type", "values", "port"),
    [
        ("CLIPTextEncode", [], "text"),
        ("SaveImage", [], "name"),
        ("StringConcatenate", ["b", ""], "a"),
    ],
)
def test_a_number_that_a_drawing_has_for_a_text_is_its_text(
    table: NodeTable, node_type: str, values: list[Any], port: str, number: float
) -> None:
    found = import_document(drawn([node(1, node_type, number, *values)]), table)
    (entry,) = found.workflow.nodes.values()
    assert (entry.inputs.get(port), entry.unread) == (str(number), [])


@pytest.mark.parametrize(
    ("number", "drawing", "sent"),
    [
        (5.0, "5", "5.0"),
        (-0.0, "0", "-0.0"),
        (1e16, "10000000000000000", "1e+16"),
        (1e-7, "1e-7", "1e-07"),
        (0.00001, "0.00001", "1e-05"),
        (1e21, "1e+21", "1e+21"),
        (12345678901234567890, "12345678901234567000", "12345678901234567890"),
    ],
)
def test_a_number_for_a_text_is_written_as_the_page_or_the_server_does(
    table: NodeTable, number: float, drawing: str, sent: str
) -> None:
    documents = [
        drawn([node(1, "CLIPTextEncode", number)]),
        {"1": {"class_type": "CLIPTextEncode", "inputs": {"text": number}}},
    ]
    found = [import_document(each, table).workflow.nodes.values() for each in documents]
    assert [entry.inputs["text"] for (entry,) in found] == [drawing, sent]


@pytest.mark.parametrize(
    ("config", "types", "told"),
    [
        ("v1-inference.yaml", [], False),
        ("v2-inference-v_fp32.yaml", ["SetPrediction"], False),
        ("v1-inference_clip_skip_2_fp16.yaml", ["ClipSkip"], False),
        ("my own.yaml", [], True),
    ],
)
def test_what_a_known_configuration_says_of_a_checkpoint_is_said_by_nodes(
    table: NodeTable, config: str, types: list[str], told: bool
) -> None:
    loader = node(1, "CheckpointLoader", config, "a.safetensors", outputs=[
        {"name": name, "type": name} for name in ("MODEL", "CLIP", "VAE")
    ])  # fmt: skip
    reader = node(2, "CLIPTextEncode", "x", inputs=[linked("clip", 1, "CLIP")])
    scale = node(3, "RescaleCFG", 0.7, inputs=[linked("model", 2, "MODEL")])
    found = import_document(drawn([loader, reader, scale], [1, 1, 1, 2, 0], [2, 1, 0, 3, 0]), table)
    made = [entry.type for entry in found.workflow.nodes.values()]
    assert [name for name in made if name in ("SetPrediction", "ClipSkip")] == types
    assert any(config in message for _, message in found.differences) is told


def test_an_embedding_with_a_weight_that_is_none_there_is_told(table: NodeTable) -> None:
    def differs(text: str) -> bool:
        loader = node(1, "CheckpointLoaderSimple", "a.safetensors", outputs=[
            {"name": name, "type": name} for name in ("MODEL", "CLIP", "VAE")
        ])  # fmt: skip
        reader = node(2, "CLIPTextEncode", text, inputs=[linked("clip", 1, "CLIP")])
        found = import_document(drawn([loader, reader], [1, 1, 1, 2, 0]), table)
        return any("as a file name" in message for _, message in found.differences)

    assert differs("embedding:ink:1.2, a cat")
    assert not differs("(embedding:ink:1.2), (a, embedding:ink:0.5)")


def test_what_was_run_tells_the_values_of_a_drawing_by_name(table: NodeTable) -> None:
    names = {"sampler_name": "dpmpp_2m", "scheduler": "karras"}
    run = run_with(seed=7, steps=9, cfg=4.5, denoise=0.75, model=["4", 0], **names)
    drawing = sampler(1, "fixed", "of another version", 20, 8.0, "euler", "normal", 1.0)
    alone = import_document(drawing, table)
    assert unread(alone) == {"ksampler": {"steps", "cfg", "sampler", "schedule", "denoise"}}
    assert alone.workflow.nodes["ksampler"].inputs["seed"] == 1
    both = import_document({"workflow": drawing, "prompt": run}, table)
    assert settings(both) == {"seed": 7, **SAMPLED}
    assert not unread(both)


def test_values_that_were_not_read_keep_the_workflow_from_running_until_they_are_given(
    table: NodeTable, session: Session, tmp_path: Path
) -> None:
    found = import_document(sampler(1, "fixed", "of another version", 20), table).workflow
    again = Workflow.from_json(found.to_json())
    codes = {
        problem.port
        for problem in problems(session, again, tmp_path)
        if problem.code == "values-not-read"
    }
    assert codes == {"steps", "cfg", "sampler", "schedule", "denoise"}
    given = again.with_inputs({"ksampler.steps": 20, "ksampler.cfg": 8.0})
    hints = {problem.port: problem.hint for problem in problems(session, given, tmp_path)}
    assert "`sampler_name`" in (hints["sampler"] or "")
    left = {
        problem.port
        for problem in problems(session, given, tmp_path)
        if problem.code == "values-not-read"
    }
    assert left == {"sampler", "schedule", "denoise"}


@pytest.mark.parametrize(
    ("node_type", "name", "value", "ports"),
    [
        pytest.param("EmptyLatentImage", "width", None, {"width", "any_size"}, id="nothing"),
        pytest.param(
            "EmptyLatentImage", "width", float("nan"), {"width", "any_size"}, id="no number"
        ),
        pytest.param(
            "EmptyLatentImage", "width", {"a": 1}, {"width", "any_size"}, id="several values"
        ),
        pytest.param("PrimitiveFloat", "value", "NaN", {"value"}, id="a text of no number"),
        pytest.param("CLIPTextEncode", "text", None, {"text"}, id="no text"),
        pytest.param("KSampler", "sampler_name", None, {"sampler"}, id="no choice"),
        pytest.param("KSampler", "sampler_name", {"a": 1}, {"sampler"}, id="no word"),
        pytest.param("KSampler", "sampler_name", ["euler"], {"sampler"}, id="words"),
    ],
)
@pytest.mark.parametrize("form", ["sent", "drawn with names", "drawn"])
def test_a_value_that_is_none_is_not_read_and_others_are(
    table: NodeTable, form: str, node_type: str, name: str, value: Any, ports: set[str]
) -> None:
    signature = table.signatures[node_type]
    values = {each.name: each.default for each in signature.widgets} | {name: value}
    if form == "sent":
        document: Any = {"1": {"class_type": node_type, "inputs": values}}
    else:
        entry = node(1, node_type)
        entry["widgets_values"] = values if "names" in form else written(signature, **values)
        document = drawn([entry])
    found = import_document(document, table)
    (lacking,) = unread(found).values()
    if form != "drawn" or value is None or isinstance(value, list):
        assert lacking == ports
        assert any(f"`{name}`" in told for _, told in found.differences)
    else:
        assert lacking >= ports  # what stands behind it has lost its place
    assert not found.placeholders


def test_where_nothing_depends_on_what_was_not_read_nothing_has_to_be_given(
    table: NodeTable,
) -> None:
    found = with_values(table, "SaveWEBM", crf={"no": "value"})
    (told,) = (told for _, told in found.differences if "`crf`" in told)
    assert "nothing in nodegraph depends on them" in told
    assert not unread(found)


def test_a_choice_that_nothing_here_depends_on_makes_no_placeholder(table: NodeTable) -> None:
    found = with_values(table, "SamplerDPMPP_SDE", eta={"no": "value"})
    assert not found.placeholders
    made = found.workflow.nodes["select_sampler"]
    assert {"eta", "s_noise"} <= set(made.unread_as.values())


def test_no_value_for_an_input_that_may_be_missing_is_none(table: NodeTable) -> None:
    optional = [
        (signature, each.name)
        for signature in table.signatures.values()
        for each in signature.widgets
        if each.is_optional
    ]
    for signature, name in optional[:5]:
        sent = {"1": {"class_type": signature.type, "inputs": {name: None}}}
        found = import_document(sent, table)
        assert not any("do not match" in told for _, told in found.differences)


def test_a_patch_of_nothing_says_that_it_is_not_connected(table: NodeTable) -> None:
    sent = {"1": {"class_type": "HyperTile", "inputs": {"tile_size": 256}}}
    (fate,) = import_document(sent, table).placeholders
    assert "is not connected" in fate.untranslated_reason
    assert "fails" not in fate.untranslated_reason


@pytest.mark.parametrize(
    ("patch", "inputs", "message"),
    [
        ("HyperTile", {"tile_size": 256}, "does not tile attention"),
        ("QwenImage21Cache", {"device": "off"}, None),
        ("ModelAttentionBackend", {"attention": "sage attention"}, "attention with torch"),
        ("ModelAttentionBackend", {"attention": "pytorch attention"}, None),
    ],
)
def test_a_patch_that_is_left_out_is_reported_unless_it_changes_nothing(
    table: NodeTable, patch: str, inputs: dict[str, Any], message: str | None
) -> None:
    loader = {"class_type": "UNETLoader", "inputs": {"unet_name": "a.safetensors"}}
    patched = {"class_type": patch, "inputs": {"model": ["1", 0], **inputs}}
    found = import_document({"1": loader, "2": patched}, table)
    assert not found.placeholders
    messages = [text for _, text in found.differences]
    assert [message in text for text in messages] == [True] if message else messages == []


def test_flags_that_were_not_read_have_to_be_given(table: NodeTable) -> None:
    found = import_document(drawn([node(1, "PrimitiveBoolean", "perhaps")]), table)
    (entry,) = found.workflow.nodes.values()
    assert (entry.type, entry.inputs, entry.unread) == ("Boolean", {}, ["value"])


def test_what_was_not_read_of_a_picture_of_one_color_is_its_color_too(table: NodeTable) -> None:
    picture = linked("images", 1, "IMAGE")
    nodes = [node(1, "EmptyImage", 64, "big", 1, 255), node(2, "SaveImage", "a", inputs=[picture])]
    entry = import_document(drawn(nodes, [1, 1, 0, 2, 0]), table).workflow.nodes["empty_image"]
    assert set(entry.unread) == {"height", "batch", "color"}
    assert entry.inputs == {"width": 64}
    assert entry.unread_as == {"height": "height", "batch": "batch_size", "color": "color"}


def test_a_node_stays_a_placeholder_where_no_input_shows_what_was_not_read(
    table: NodeTable,
) -> None:
    found = import_document(drawn([node(1, "ConditioningSetArea", "wide")]), table)
    (entry,) = found.workflow.nodes.values()
    assert entry.type == "comfyui:ConditioningSetArea"
    assert "`width`" in found.placeholders[0].untranslated_reason


SOURCES = {
    "MODEL": (101, 0),
    "CLIP": (101, 1),
    "VAE": (101, 2),
    "IMAGE": (102, 0),
    "LATENT": (103, 0),
    "CONDITIONING": (104, 0),
    "MASK": (105, 0),
}


def around(signature: Signature, values: Sequence[Any]) -> dict[str, Any]:
    """A workflow in which a node is given and gives what it can, and that is sampled and saved."""

    def outputs(*types: str) -> list[dict[str, Any]]:
        return [{"name": each, "type": each} for each in types]

    links: list[list[Any]] = []

    def link(name: str, source: tuple[int, int], target: int, slot: int) -> dict[str, Any]:
        links.append([len(links) + 1, *source, target, slot])
        return linked(name, len(links))

    taken = [each for each in signature.inputs if not each.is_widget and not each.is_autogrow]
    inputs = [
        link(each.name, SOURCES[each.type], 1, slot)
        if each.type in SOURCES
        else linked(each.name, None, each.type)
        for slot, each in enumerate(taken)
    ]
    given = [{"name": name, "type": kind} for name, kind in signature.outputs]
    made = {kind: (1, slot) for slot, (_, kind) in enumerate(signature.outputs)}
    sources = {"negative": SOURCES["CONDITIONING"]}
    sampled = {"model": "MODEL", "positive": "CONDITIONING", "latent_image": "LATENT"}
    sources |= {name: made.get(kind, SOURCES[kind]) for name, kind in sampled.items()}
    sampling = [
        link(name, source, 200, slot) for slot, (name, source) in enumerate(sources.items())
    ]
    decoding = [link("samples", (200, 0), 201, 0), link("vae", SOURCES["VAE"], 201, 1)]
    pictures = [(201, 0), made.get("IMAGE", (201, 0))]
    encoded = [link("clip", SOURCES["CLIP"], 104, 0)]
    nodes = [
        node(101, "CheckpointLoaderSimple", "a", outputs=outputs("MODEL", "CLIP", "VAE")),
        node(102, "EmptyImage", 64, 64, 1, 0, outputs=outputs("IMAGE")),
        node(103, "EmptyLatentImage", 64, 64, 1, outputs=outputs("LATENT")),
        node(104, "CLIPTextEncode", "x", inputs=encoded, outputs=outputs("CONDITIONING")),
        node(105, "SolidMask", 1.0, 64, 64, outputs=outputs("MASK")),
        node(1, signature.type, *values, inputs=inputs, outputs=given),
        node(200, "KSampler", 1, "fixed", 20, 8.0, "euler", "normal", 1.0, inputs=sampling,
             outputs=outputs("LATENT")),
        node(201, "VAEDecode", inputs=decoding, outputs=outputs("IMAGE")),
        *(
            node(300 + at, "SaveImage", f"a{at}", inputs=[link("images", source, 300 + at, 0)])
            for at, source in enumerate(pictures)
        ),
    ]  # fmt: skip
    return drawn(nodes, *links)


def written(signature: Signature, **changed: Any) -> list[Any]:
    """Values of a node's widgets as a file lists them."""
    values: list[Any] = []
    for each in signature.active_widgets({}):
        values.append(changed.get(each.name, each.default))
        values += {"control": ["fixed"], "upload": ["image"]}.get(each.extra, [])
    return values


def others(taken: InputSignature, words: Sequence[str]) -> list[Any]:
    """Values other than the default.

    Args:
        words: What choices are tried with.
    """
    match taken.type:
        case "BOOLEAN":
            return [not taken.default]
        case "INT":
            return [int(taken.default) + 8, 16]
        case "FLOAT":
            return [taken.default + (0.25 if taken.default <= 0.75 else -0.25)]
        case "COMBO":
            return [word for word in words if word != taken.default]
    return ["words"] if taken.type == "STRING" else []


TABLE = Path(nodegraph.interop.comfyui.table.__file__).parent


def words_beside(node_type: str) -> list[str]:
    """Words in the part of the table that tells of a type: options of its choices, too."""
    found: dict[str, None] = {}
    for path in sorted(TABLE.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if f"{node_type}(" in text:
            found |= dict.fromkeys(re.findall(r'"([\w .+:/-]{1,30})"', text))
    return list(found)


def said(found: ImportedWorkflow) -> dict[tuple[str, str], str]:
    nodes = found.workflow.nodes.items()
    inputs = {
        (name, port): json.dumps(value)
        for name, entry in nodes
        for port, value in entry.inputs.items()
    }
    return inputs | {(name, ""): entry.type for name, entry in nodes}


def silent(
    table: NodeTable, signature: Signature, words: Sequence[str] = (), **earlier: Any
) -> dict[tuple[str, Any], set[tuple[str, str]]]:
    """Values of widgets that aren't read when none is, with what no input says of each.

    Args:
        words: What choices are tried with.
        earlier: Values that are read before them.
    """
    widgets = [each for each in signature.active_widgets(earlier) if each.name not in earlier]
    if not widgets or any(each.default is None for each in widgets):
        return {}
    usual = written(signature, **earlier)
    base = import_document(around(signature, usual), table)
    bad = written(signature, **earlier, **{widgets[0].name: {"no": "value"}})
    lost = import_document(around(signature, bad), table)
    if signature.type in [fate.type for fate in (*base.placeholders, *lost.placeholders)]:
        return {}
    missing = {(name, port) for name, ports in unread(lost).items() for port in ports}
    found: dict[tuple[str, Any], set[tuple[str, str]]] = {}
    for each in widgets:
        for value in others(each, words):
            values = written(signature, **earlier, **{each.name: value})
            changed = import_document(around(signature, values), table)
            if len(changed.placeholders) > len(base.placeholders):
                continue  # it, or what takes what it gives
            left, right = said(base), said(changed)
            ports = {at for at in left.keys() | right if left.get(at) != right.get(at)}
            if ports - missing:
                found[each.name, value] = ports - missing
    return found


@pytest.mark.parametrize(
    "node_type",
    ["PerpNegGuider", "SaveText", "RegexReplace", "ConditioningSetArea", "StringConcatenate"],
)
def test_what_was_not_read_is_said_whatever_it_becomes(table: NodeTable, node_type: str) -> None:
    assert not silent(table, table.signatures[node_type])


@pytest.mark.parametrize(
    ("node_type", "earlier", "words"),
    [
        pytest.param("ColorTransfer", {}, ["mkl_lab", "histogram"], id="a choice of methods"),
        pytest.param("SaveImageAdvanced", {"filename_prefix": "x", "format": "png"}, ["16-bit"],
                     id="a choice of bits"),
        pytest.param("UNETLoader", {"unet_name": "f"}, ["fp8_e4m3fn", "fp8_e5m2"],
                     id="a choice of types of numbers"),
    ],
)  # fmt: skip
def test_a_choice_that_was_not_read_is_said(
    table: NodeTable, node_type: str, earlier: dict[str, Any], words: list[str]
) -> None:
    assert not silent(table, table.signatures[node_type], words, **earlier)


def with_values(table: NodeTable, node_type: str, **values: Any) -> ImportedWorkflow:
    signature = table.signatures[node_type]
    return import_document(around(signature, written(signature, **values)), table)


def test_a_step_that_was_not_read_does_not_become_the_last(table: NodeTable) -> None:
    found = with_values(table, "KSamplerAdvanced", steps="twenty", end_at_step=10)
    assert "end_step" in unread(found)["ksampler_advanced"]


def test_what_counts_with_another_value_alone_is_said(table: NodeTable) -> None:
    found = with_values(table, "RegexExtract", mode={"no": "value"}, group_index=2)
    assert {"group", "most"} <= unread(found)["find_text"]


def test_a_choice_that_decides_about_nodes_and_is_not_read_leaves_a_placeholder(
    table: NodeTable,
) -> None:
    result = with_values(table, "ImageResizeKJv2", width={"no": "value"}, pad_color="255, 0, 0")
    assert [fate.type for fate in result.placeholders] == ["ImageResizeKJv2"]


@pytest.mark.parametrize("node_type", ["TextEncodeMageFlowEdit", "TextEncodeFibo2"])
def test_what_counts_together_alone_is_said(table: NodeTable, node_type: str) -> None:
    found = with_values(table, node_type, width={"no": "value"}, height=512)
    made = found.workflow.nodes["empty_latent_2"]
    assert made.unread_as["width"] == made.unread_as["height"] == "width, height"


def test_nodes_far_from_one_that_stays_a_placeholder_say_what_was_not_read(
    table: NodeTable,
) -> None:
    nodes = [node(at, "EmptyLatentImage", 64, "high", 1) for at in range(1, 4)]
    nodes += [node(9, "ConditioningSetArea", "wide"), node(10, "KSampler", 1, "fixed", "many")]
    found = import_document(drawn(nodes), table)
    assert [fate.type for fate in found.placeholders] == ["ConditioningSetArea"]
    assert unread(found) == {
        "empty_latent": {"height", "batch_size", "any_size"},
        "empty_latent_2": {"height", "batch_size", "any_size"},
        "empty_latent_3": {"height", "batch_size", "any_size"},
        "ksampler": {"steps", "cfg", "sampler", "schedule", "denoise"},
    }


def test_of_nodes_that_stand_alike_one_is_translated_again_alone(table: NodeTable) -> None:
    count = 200
    sampler, calls = table.entries["KSampler"], []

    def counted(passage: Passage) -> None:
        calls.append(passage)
        sampler.forward(passage)

    nodes = [node(at, "KSampler", at, "fixed", "many") for at in range(count)]
    entries = {**table.entries, "KSampler": replace(sampler, forward=counted)}
    found = translate(read_workflow(drawn(nodes), table.signatures), entries)
    assert all(set(SAMPLED) <= ports for ports in unread(found).values())
    assert len(unread(found)) == count
    once = len(calls) - count
    calls.clear()
    translate(read_workflow(drawn(nodes[:1]), table.signatures), entries)
    assert once < len(calls)


@pytest.mark.slow
def test_however_many_kinds_of_values_were_not_read_those_of_a_sampler_are_said(
    table: NodeTable,
) -> None:
    nodes = [node(1, "KSampler", 1, "fixed", "many", 8.0, "euler", "normal", 1.0)]
    for name, signature in table.signatures.items():
        widgets = list(signature.active_widgets({}))
        if len(widgets) > 2 and widgets[0].type in ("INT", "FLOAT") and len(nodes) < 40:
            nodes.append(node(len(nodes) + 1, name, *written(signature, **{widgets[0].name: {}})))
    found = import_document(drawn(nodes), table)
    assert unread(found)["ksampler"] == {"steps", "cfg", "sampler", "schedule", "denoise"}


MANY = 40
"""Widgets of stacks of rows, which are all alike."""


@pytest.mark.slow
def test_what_was_not_read_is_said_of_every_type(table: NodeTable) -> None:
    found = {
        name: silent(table, each, words_beside(name))
        for name, each in table.signatures.items()
        if len(each.widgets) < MANY
    }
    assert not {name: widgets for name, widgets in found.items() if widgets}
    assert len(found) > 200


SECOND = {"sub_bbox_expansion", "sam_mask_hint_threshold", "sub_threshold", "sub_dilation"}
"""Of a second detector."""
SEAMS = {f"seam_fix_{name}" for name in ("denoise", "mask_blur", "padding", "width")}
"""Of a way to mend seams."""
_SONG_PLAN = {"seed", "top_k", "temperature", "cfg_scale", "min_p", "top_p"}
_WINDOWS = {
    *("context_length", "context_overlap", "context_stride", "closed_loop", "freenoise"),
    *("cond_retain_index_list", "latent_retain_index_list"),
    *("causal_window_fix", "split_conds_to_windows"),
}
SIDES = {"width", "height"}
WITH_OTHERS = {
    "AIO_Preprocessor": {"resolution"},  # with a preprocessor
    "BuildJsonPromptIdeogram": {"aesthetics", "lighting", "medium"},  # with a style
    "ColorToRGBInt": {"color"},  # where an output is used
    "ContextWindowsManual": _WINDOWS,  # over frames
    "CreateBoundingBoxes": SIDES,  # without an image
    "CustomCombo": {"index"},  # what is chosen says it, too
    "GrowMaskWithBlur": {"tapered_corners"},  # where it grows
    "Image Resize": {"resize_width", "resize_height"},  # of the other mode
    "ImageResizeKJ": SIDES,  # without linked ones
    "ImageResizeKJv2": {"pad_color"},  # where it pads
    "ImpactSEGSRangeFilter": {"mode"},  # where an output is used
    **dict.fromkeys(("ImpactSimpleDetectorSEGS", "ImpactSimpleDetectorSEGSPipe"), SECOND),
    "ImpactStringSelector": {"multiline"},  # of several lines
    "ImpactSwitch": {"select"},  # where inputs are linked
    "ImpactWildcardProcessor": {"seed", "populated_text"},  # of wildcards, or of what was drawn
    "Kandinsky5ImageToVideo": {"length"},  # where the latent to sample is used
    "KSampler Config (rgthree)": {"sampler_name", "scheduler"},  # where a sampler takes them
    "mxSlider": {"Xf"},  # of fractions
    "mxSlider2D": {"Xf", "Yf"},  # likewise
    **dict.fromkeys(("Save3DAdvanced", "Preview3DAdvanced"), SIDES),  # outputs
    "SetDefaultImageForSEGS": {"override"},  # of regions that have images
    "StableCascade_EmptyLatentImage": {"compression"},  # where the latent of stage C is used
    "StringConstantMultiline": {"strip_newlines"},  # of several lines
    "easy anythingIndexSwitch": {"index"},  # where inputs are linked
    "easy textIndexSwitch": {"index"},  # likewise
    "easy textSwitch": {"input"},  # likewise
    "easy ab": {"A or B"},  # where both outputs are used
    "Painter": {"width", "height", "bg_color"},  # without an image
    "PathchSageAttentionKJ": {"allow_compile"},  # where it is used
    "RegexExtract": {"group_index"},  # of a mode that takes groups
    "LTXVDualCFGGuider": {"audio_cfg"},  # told where it differs from the other
    "VAEDecodeAudioTiled": {"tile_size", "overlap"},  # it says that there are no tiles here
    "TextEncodeAceStepAudio1.5": _SONG_PLAN,  # of audio codes, whose lack is told
    "TextEncodeBooguEdit": {"prompt"},  # where the positive prompt is used
    "TextEncodeFibo2": {"prompt", "width", "height"},  # likewise; width and height together
    "TextEncodeMageFlowEdit": {"prompt", "width", "height"},  # likewise
    "TextEncodeQwenImage21": {"prompt"},  # likewise
    **{f"UltimateSDUpscale{kind}": SEAMS for kind in ("", "NoUpscale", "CustomSample")},
}
"""Widgets that count with others only, or where something is linked otherwise."""
NEUTRAL = {
    **{key: {"multithread"} for key in ("ColorMatch", "ColorMatchV2")},
    **{key: {"inputcount"} for key in ("ImageBatchMulti", "JoinStringMulti")},
    "FrameInterpolate": {"torch_compile"},
    "ImageUpscaleWithModelBatched": {"per_batch"},
    "ImpactInversedSwitch": {"sel_mode"},
    "ImpactSwitch": {"sel_mode"},
    "Load Text File": {"dictionary_name"},  # the name of a list that nothing here gives
    "PreviewBridge": {"image", "restore_mask"},  # a mask that isn't in the file
    "Text to Console": {"label"},
    **{key: {"verbose"} for key in ("EasyCache", "LazyCache")},
    "MoGeInference": {"batch_size"},
    "SDPoseKeypointExtractor": {"batch_size"},
}
"""Widgets that change no result in ComfyUI, either."""


UPSCALERS = {f"Pixel{kind}UpscalerProvider" for kind in ("KSample", "TiledKSample")}
HELD = {
    *("ConditioningTimestepsRange", "CreateHookKeyframe", "CreateHookKeyframesInterpolated"),
    *("CreateHookLora", "CreateHookLoraModelOnly", "SetClipHooks"),
    *("CreateHookModelAsLora", "CreateHookModelAsLoraModelOnly"),
    *("LatentOperationSharpen", "LatentOperationTonemapReinhard"),
    *("CLIPSegDetectorProvider", "ImpactControlNetApplySEGS", "ImpactControlNetApplyAdvancedSEGS"),
    *(f"{name}ScheduleHookProvider" for name in ("Cfg", "Denoise", "Steps")),
    *(name + end for name in UPSCALERS for end in ("", "Pipe")),
}
"""Types that give no value here, but settings of whatever takes what they give."""
BUNDLES = (
    {"PrimitiveNode"}
    | HELD
    | {entry.type for module in (pipes, efficiency, easy_use) for entry in module.ENTRIES}
)
"""Types whose values count where a sampler takes what they give; see test_bundles.py."""


def everything(found: ImportedWorkflow) -> str:
    nodes = {name: each.to_dict() for name, each in found.workflow.nodes.items()}
    return json.dumps([nodes, found.differences, [each.id for each in found.placeholders]])


def quiet(table: NodeTable, signature: Signature) -> set[str]:
    """Widgets of which a value that isn't the default changes nothing, and nothing is told."""
    base = import_document(around(signature, written(signature)), table)
    found: set[str] = set()
    for each in signature.active_widgets({}):
        values: Sequence[Any] = ()
        match each.type:
            case "INT":
                values = (int(each.default or 0) + 8, 3, int(each.default or 0) - 3)
            case "FLOAT":
                values = (float(each.default or 0.0) * 0.5 + 0.1, 2.0, 0.0)
            case "BOOLEAN":
                values = (not each.default,)
            case "STRING":
                values = ("some words", "1")
            case "COLOR":
                values = ("#123456",)
            case "COMBO" if isinstance(each.default, str):
                values = ("no word that is known",)
        changed = (
            import_document(around(signature, written(signature, **{each.name: value})), table)
            for value in values
        )
        if values and all(everything(each) == everything(base) for each in changed):
            found.add(each.name)
    return found


@pytest.mark.parametrize(
    ("node_type", "name", "value"),
    [
        ("SamplerDPMPP_SDE", "r", 0.25),
        ("SaveWEBM", "crf", 5.0),
        ("WanImageToVideo", "batch_size", 4),
        ("VHS_VideoCombine", "loop_count", 3),
        ("ImageStitch", "direction", "askew"),
        ("MaskComposite", "operation", "nand"),
        ("AlignYourStepsScheduler", "model_type", "FLUX"),
        ("ImageResizeKJv2", "keep_proportion", "pad_edge_pixel"),
        ("ImageResizeKJv2", "crop_position", "top"),
    ],
)
def test_a_value_that_nothing_here_stands_for_is_told(
    table: NodeTable, node_type: str, name: str, value: Any
) -> None:
    found = with_values(table, node_type, **{name: value})
    (fate,) = (each for each in found.outcomes if (each.id, each.type) == ("1", node_type))
    assert any(f"`{name}`" in told and repr(value) in told for told in fate.messages)
    usual = with_values(table, node_type)
    assert not any(f"`{name}`" in told for _, told in usual.differences)


@pytest.mark.slow
def test_every_value_counts_or_is_told(table: NodeTable) -> None:
    neutral = {"device", "backend", "attention"}
    found = {
        name: quiet(table, each) - neutral - WITH_OTHERS.get(name, set()) - NEUTRAL.get(name, set())
        for name, each in table.signatures.items()
        if name not in BUNDLES
    }
    assert not {name: widgets for name, widgets in found.items() if widgets}


def test_of_a_group_whose_values_do_not_fit_none_is_taken(table: NodeTable) -> None:
    inner = node(0, "KSampler", 1, "fixed", 20, 8.0, "euler", "normal", 1.0)
    groups = {"G": {"nodes": [inner], "links": [], "external": []}}
    document = drawn([node(9, "workflow>G", 5)], extra={"groupNodes": groups})
    found = import_document(document, table)
    (block,) = found.workflow.subgraphs.values()
    (entry,) = (each for each in block.nodes.values() if each.type == "KSampler")
    assert set(entry.unread) == {"seed", "steps", "cfg", "sampler", "schedule", "denoise"}
    assert any("do not match" in told for _, told in found.differences)


@pytest.mark.parametrize("primitive", ["PrimitiveNode", "PrimitiveInt"])
def test_of_a_group_whose_values_do_not_fit_no_primitive_gives_its_own(
    table: NodeTable, primitive: str
) -> None:
    sampler = node(0, "KSampler", 1, "fixed", 20, 8.0, "euler", "normal", 1.0)
    sampler["inputs"] = [widget("steps")]
    outputs = [{"name": "INT", "type": "INT"}]
    inner = [sampler, node(1, primitive, 33, "fixed", outputs=outputs)]
    groups = {"G": {"nodes": inner, "links": [[1, 0, 0, 0, "INT"]], "external": []}}
    document = drawn([node(9, "workflow>G", 1, "fixed", 20)], extra={"groupNodes": groups})
    (held,) = import_document(document, table).workflow.subgraphs.values()
    values = [value for entry in held.nodes.values() for value in entry.inputs.values()]
    assert 33 not in values
    assert 20 not in values


def test_what_a_primitive_has_no_value_for_has_to_be_given(table: NodeTable) -> None:
    sampler = node(3, "KSampler", 1, "fixed", 20, 8.0, "euler", "normal", 1.0)
    sampler["inputs"] = [widget("steps", 1)]
    outputs = [{"name": "INT", "type": "INT"}]
    nodes = [node(1, "PrimitiveNode", None, outputs=outputs), sampler]
    found = import_document(drawn(nodes, [1, 1, 0, 3, 0]), table)
    assert unread(found) == {"ksampler": {"steps"}}


def test_what_was_run_of_another_type_tells_nothing(table: NodeTable) -> None:
    run = {"3": {"class_type": "KSamplerAdvanced", "inputs": {"steps": 5}}}
    drawing = sampler(7, "fixed", 9, 4.5, "dpmpp_2m", "karras", 0.75)
    both = import_document({"workflow": drawing, "prompt": run}, table)
    assert settings(both) == {"seed": 7, **SAMPLED}


def ended(*more: dict[str, Any]) -> dict[str, Any]:
    picture = {"name": "images", "type": "IMAGE", "link": 1}
    nodes = [node(1, "EmptyImage", 64, 64, 1, 0), node(2, "SaveImage", "a", inputs=[picture])]
    return drawn([*nodes, *more], [1, 1, 0, 2, 0])


def test_a_node_that_leads_to_no_end_keeps_nothing_from_running(
    table: NodeTable, session: Session, tmp_path: Path
) -> None:
    left = node(3, "VAEDecode", inputs=[{"name": "samples", "type": "LATENT", "link": None}])
    found = import_document(ended(left), table)
    modes = {entry.type: entry.mode for entry in found.workflow.nodes.values()}
    assert modes == {"EmptyImage": None, "SaveImage": None, "VAEDecode": "mute"}
    assert not problems(session, found.workflow, tmp_path)
    assert [(name, "it is muted" in told) for name, told in found.differences] == [
        ("vae_decode", True)
    ]


def test_where_nothing_leads_to_an_end_nothing_is_muted(table: NodeTable) -> None:
    found = import_document(drawn([node(1, "EmptyImage", 64, 64, 1, 0)]), table)
    assert [entry.mode for entry in found.workflow.nodes.values()] == [None]


def prompts(found: ImportedWorkflow) -> list[tuple[str, Any]]:
    kinds = ("EncodePrompt", "RandomPrompt")
    return [
        (entry.type, entry.inputs["text"])
        for entry in found.workflow.nodes.values()
        if entry.type in kinds
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("a cat // or a dog\nasleep", "a cat \nasleep"),
        ("a cat /* or\na dog */ asleep", "a cat  asleep"),
        (r"a \{cat\|dog\} \(asleep\)", r"a {cat|dog} \(asleep\)"),
        ("a {cat {asleep}} here}", "a cat asleep here}"),
    ],
)
def test_comments_and_escapes_of_the_page_are_read(
    table: NodeTable, written: str, said: str
) -> None:
    found = import_document(drawn([node(1, "CLIPTextEncode", written)]), table)
    assert prompts(found) == [("EncodePrompt", said)]


def test_choices_of_the_page_are_drawn_by_a_node(table: NodeTable) -> None:
    found = import_document(drawn([node(1, "CLIPTextEncode", "a {red|__b__} cat // old")]), table)
    drawing, encoding = sorted(prompts(found), reverse=True)
    assert drawing == ("RandomPrompt", "a {red|__b__} cat // old")
    assert found.workflow.nodes["random_prompt"].inputs["syntax"] == "comfyui"
    assert encoding == ("EncodePrompt", {"from": "random_prompt.text"})
    assert found.workflow.ui["seeds"] == {"random_prompt.seed": "random"}


def test_what_a_server_was_sent_is_taken_as_it_is(table: NodeTable) -> None:
    written = "a {red|blue} cat // old"
    sent = {"1": {"class_type": "CLIPTextEncode", "inputs": {"text": written}}}
    assert prompts(import_document(sent, table)) == [("EncodePrompt", written)]
    both = {"workflow": drawn([node(1, "CLIPTextEncode", "x")]), "prompt": sent}
    assert prompts(import_document(both, table)) == [("EncodePrompt", written)]


@pytest.mark.parametrize("uses", [1, 2])
def test_what_was_run_tells_the_values_within_a_block_that_is_used_once(
    table: NodeTable, uses: int
) -> None:
    inside = [node(4, "KSampler", 1, "fixed", 20, 8.0, "euler", "normal", 1.0)]
    document = drawn([node(9 + at, "B") for at in range(uses)])
    document["definitions"] = {"subgraphs": [block("B", inside)]}
    names = {"sampler_name": "dpmpp_2m", "scheduler": "karras"}
    run = run_with(seed=7, steps=9, cfg=4.5, denoise=0.75, **names)["3"]
    found = import_document({"workflow": document, "prompt": {"9:4": run}}, table)
    (sub,) = found.workflow.subgraphs.values()
    (made,) = sub.nodes.values()
    assert made.inputs["steps"] == (9 if uses == 1 else 20)


@pytest.mark.parametrize(
    ("node_type", "said", "pack"),
    [
        ("FaceDetailer", "", "comfyui-impact-pack"),
        ("VHS_BatchManager", "", "comfyui-videohelpersuite"),
        ("Fast Anything (rgthree)", "", "rgthree-comfy"),
        ("ImageSomething+", "", "comfyui_essentials"),
        ("FaceDetailer", "of-another-name", "of-another-name"),
        ("NobodysNode", "", ""),
    ],
)
def test_a_placeholder_names_its_pack_where_the_file_does_not(
    table: NodeTable, node_type: str, said: str, pack: str
) -> None:
    entry = node(1, node_type, properties={"cnr_id": said} if said else {})
    (made,) = import_document(drawn([entry]), table).workflow.nodes.values()
    assert (made.type, made.pack) == (f"comfyui:{node_type}", pack)


def sampled_in_a_block(*instances: dict[str, Any], promoted: Sequence[str] = ()) -> dict[str, Any]:
    """Uses of a block in which a sampler has values that can't be read."""
    slots = {name: at for at, name in enumerate(promoted)}
    inner = node(3, "KSampler", 1, "fixed", "many", 8.0, "euler", "normal", 1.0)
    inner["inputs"] = [widget(name, 10 + at) for name, at in slots.items()]
    links = [[10 + at, -10, at, 3, at] for at in slots.values()]
    held = block("b", [inner], *links, inputs=tuple(promoted))
    uses = [node(9 + at, "b", **each) for at, each in enumerate(instances)]
    return with_blocks(drawn(uses), held)


def test_what_a_use_of_a_block_has_for_a_value_that_was_not_read_is_taken(
    table: NodeTable,
) -> None:
    shown = {"proxyWidgets": [["3", "cfg"]]}
    document = sampled_in_a_block({"widgets_values": [5.5], "properties": shown})
    found = import_document(document, table).workflow
    assert found.nodes["b"].inputs == {"cfg": 5.5}
    (inner,) = found.subgraphs["B"].nodes.values()
    assert set(inner.unread) == {"steps", "sampler", "schedule", "denoise"}


def test_a_use_of_a_block_that_has_no_value_for_one_that_was_not_read_has_to_be_given_it(
    table: NodeTable,
) -> None:
    document = sampled_in_a_block({"widgets_values": [12]}, {}, promoted=["steps"])
    found = import_document(document, table).workflow
    given, open_one = (found.subgraphs[each.type].nodes for each in found.nodes.values())
    assert "steps" not in given["ksampler"].unread
    assert "steps" in open_one["ksampler"].unread
    assert "steps" not in open_one["ksampler"].inputs


def test_a_use_of_a_block_takes_what_happens_to_a_seed_for_no_value(table: NodeTable) -> None:
    promoted = ("seed", "steps", "cfg")
    document = sampled_in_a_block({"widgets_values": [1, "randomize", 25, 6.5]}, promoted=promoted)
    (inner,) = document["definitions"]["subgraphs"][0]["nodes"]
    inner["widgets_values"] = [0, "fixed", 20, 8.0, "euler", "normal", 1.0]
    (use,) = import_document(document, table).workflow.nodes.values()
    assert use.inputs == {"seed": 1, "steps": 25, "cfg": 6.5}
