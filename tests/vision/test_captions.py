"""Captions are those of a plain call of transformers; tags are those of the network."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as tf
from PIL import Image as Pillow

from nodegraph.perception.vision.captions import TagForm
from tests.nodes.conftest import Bench, link
from tests.nodes.services import running

SIDE = 16
TAGS = [
    ("general", "9"),
    ("explicit", "9"),
    ("long_hair", "0"),
    ("o_o", "0"),
    ("red", "0"),
    ("alice_(wonderland)", "4"),
]


def captioning(name: str, batch: int = 1, **inputs: Any) -> dict[str, Any]:
    known = {"model": link("load"), "image": link("picture"), "max_tokens": 8, **inputs}
    return {
        "picture": {"type": "Picture", "inputs": {"width": 40, "height": 30, "batch": batch}},
        "load": {"type": "LoadVisionModel", "inputs": {"model": name}},
        "caption": {"type": "CaptionImage", "inputs": known},
    }


def pictures(bench: Bench, nodes: dict[str, Any]) -> list[Pillow.Image]:
    levels = (bench.value(nodes, "picture.image") * 255).round().byte()
    return [Pillow.fromarray(item.numpy()) for item in levels]


@torch.inference_mode()
def test_blip_writes_what_a_plain_call_writes(bench: Bench, models: Callable[[str], Any]) -> None:
    model = models("blip")
    folder = bench.folder / "models" / "blip"
    words = tf.AutoTokenizer.from_pretrained(folder)
    processor = tf.BlipImageProcessorPil(size={"height": 64, "width": 64})
    for prompt in ("", "a red"):
        nodes = captioning("blip", 2, prompt=prompt, beams=2)
        found = bench.value(nodes, "caption.captions")
        given = words(prompt, return_tensors="pt") if prompt else {}
        expected = []
        for picture in pictures(bench, nodes):
            pixels = processor(picture, return_tensors="pt")["pixel_values"]
            tokens = model.generate(
                pixel_values=pixels,
                **{name: given[name] for name in ("input_ids", "attention_mask") if given},
                max_new_tokens=8,
                num_beams=2,
                do_sample=False,
            )
            expected.append(words.decode(tokens[0], skip_special_tokens=True).strip())
        assert found == expected
        assert any(found)
        assert bench.value(nodes, "caption.caption") == found[0]


@torch.inference_mode()
def test_florence_writes_what_a_plain_call_writes(
    bench: Bench, models: Callable[[str], Any]
) -> None:
    model = models("florence")
    folder = bench.folder / "models" / "florence"
    words = tf.AutoTokenizer.from_pretrained(folder)
    nodes = captioning("florence", detail="long")
    found = bench.value(nodes, "caption.caption")
    size = {"height": 64, "width": 64}
    processor = tf.CLIPImageProcessorPil(size=size, crop_size=size)
    pixels = processor(pictures(bench, nodes)[0], return_tensors="pt")["pixel_values"]
    count = model.get_image_features(pixels).pooler_output.shape[1]
    text = "<image>" * count + "<s>Describe with a paragraph what is shown in the image.</s>"
    given = words(text, return_tensors="pt", add_special_tokens=False)
    tokens = model.generate(
        pixel_values=pixels,
        input_ids=given["input_ids"],
        attention_mask=given["attention_mask"],
        max_new_tokens=8,
        num_beams=3,
        do_sample=False,
    )
    assert found == words.decode(tokens[0], skip_special_tokens=True).strip()
    failed = bench.failure(captioning("florence", prompt="a"), "caption")
    assert failed.problem.port == "prompt"


def test_models_for_other_tasks_are_told_before_the_run(
    bench: Bench, models: Callable[[str], Any]
) -> None:
    models("yolos")
    [problem] = bench.problems(captioning("yolos"), "caption")
    assert (problem.node, problem.port) == ("caption", "model")


def test_a_model_of_a_server_writes_captions(tmp_path: Path) -> None:
    bench = Bench(tmp_path, service_hosts=("127.0.0.1",))
    with running() as service:
        nodes = captioning("", 2)
        inputs = {"kind": "ollama", "model": "sees", "address": service.url}
        nodes["load"] = {"type": "ConnectLanguageModel", "inputs": inputs}
        found = bench.value(nodes, "caption.captions")
        assert found == ["a quiet forest at dawn"] * 2
        assert all(item.json["messages"][0]["images"] for item in service.seen)
    bench.session.close()


def tagger(folder: Path, channels_last: bool = True, tags: Any = TAGS) -> np.ndarray[Any, Any]:
    """A network of one layer over the mean color, in ONNX, and its table of tags."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True)
    weights = np.random.default_rng(0).normal(0, 0.02, (3, len(TAGS))).astype(np.float32)
    shape = ["batch", SIDE, SIDE, 3] if channels_last else ["batch", 3, SIDE, SIDE]
    axes = numpy_helper.from_array(np.array([1, 2] if channels_last else [2, 3]), "axes")
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["input", "axes"], ["mean"], keepdims=0),
            helper.make_node("MatMul", ["mean", "weights"], ["logits"]),
            helper.make_node("Sigmoid", ["logits"], ["output"]),
        ],
        "tagger",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", len(TAGS)])],
        [axes, numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(folder / "model.onnx"))
    with (folder / "selected_tags.csv").open("w", newline="") as file:
        rows = [(at, name, category, 1) for at, (name, category) in enumerate(tags)]
        csv.writer(file).writerows([("tag_id", "name", "category", "count"), *rows])
    return weights


def tagging(name: str = "tagger", **inputs: Any) -> dict[str, Any]:
    known = {"model": name, "image": link("picture"), "general": 0.0, "character": 0.0, **inputs}
    return {
        "picture": {"type": "Picture", "inputs": {"width": 12, "height": 20, "batch": 2}},
        "tag": {"type": "TagImage", "inputs": known},
    }


@pytest.mark.parametrize("channels_last", [True, False])
def test_tags_are_those_of_the_network(tmp_path: Path, channels_last: bool) -> None:
    pytest.importorskip("onnxruntime")
    bench = Bench(tmp_path)
    weights = tagger(bench.folder / "models" / "tagger", channels_last)
    nodes = tagging(separator="|")
    square = Pillow.new("RGB", (20, 20), (255, 255, 255))
    square.paste(pictures(bench, nodes)[0], (4, 0))
    pixels = np.asarray(square.resize((SIDE, SIDE), Pillow.Resampling.BICUBIC), np.float32)
    chances = 1 / (1 + np.exp(-(pixels.mean((0, 1))[::-1] @ weights)))
    order = [TAGS[at] for at in np.argsort(-chances)]
    found = bench.value(nodes, "tag.tags").split("|")
    characters = [name.replace("_", " ") for name, kind in order if kind == "4"]
    general = [
        name if name == "o_o" else name.replace("_", " ") for name, kind in order if kind == "0"
    ]
    assert found == characters + general
    rating = next(name for name, kind in order if kind == "9")
    assert bench.value(nodes, "tag.rating") == rating
    assert len(bench.value(nodes, "tag.all_tags")) == 2
    least = float(sorted(chances[2:5])[1])
    shown = bench.value(tagging(general=least - 1e-6, character=1.0), "tag.tags").split(", ")
    assert shown == general[:2]
    options = {
        "underscores": True,
        "escape": True,
        "add_rating": True,
        "excluded": "Red, long hair",
    }
    assert bench.value(tagging(**options), "tag.tags") == f"{rating}, alice_\\(wonderland\\), o_o"
    bench.session.close()


def test_faces_keep_their_underscores() -> None:
    form = TagForm()
    words = {"^_^": "^_^", "long_hair": "long hair", "(o)_(o)": "(o)_(o)", "1girl": "1girl"}
    assert {name: form.word(name) for name in words} == words


def test_incomplete_taggers_are_told_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    bench = Bench(tmp_path)
    [problem] = bench.problems(tagging("taggers/none"), "tag")
    assert problem.port == "model"
    folder = bench.folder / "models" / "tagger"
    tagger(folder, tags=TAGS[:-1])
    assert "does not fit" in bench.failure(tagging(), "tag").problem.message
    (folder / "model.onnx").write_bytes(b"nothing")
    assert "cannot read" in bench.failure(tagging(), "tag").problem.message
    (folder / "selected_tags.csv").unlink()
    [problem] = bench.problems(tagging(), "tag")
    assert "has no selected_tags.csv" in problem.message
    (folder / "selected_tags.csv").write_text("")
    monkeypatch.setattr("nodegraph.perception.vision.vision_model.find_spec", lambda name: None)
    [problem] = bench.problems(tagging(), "tag")
    assert problem.hint is not None
    assert "nodegraph[tag]" in problem.hint
    bench.session.close()
