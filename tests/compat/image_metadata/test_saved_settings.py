"""SaveImage's text with its settings, which other tools and the import read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session, Settings, Workflow
from nodegraph.core.version import VERSION
from nodegraph.interop.image_metadata import find_generation
from nodegraph.interop.image_metadata.workflow_settings import format_settings, read_settings
from nodegraph.session.results.files import result_texts

GRAPH: dict[str, Any] = {
    "format": "nodegraph/1",
    "nodes": {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "lora": {
            "type": "LoadLora",
            "inputs": {
                "model": {"from": "load.model"},
                "text_encoder": {"from": "load.text_encoder"},
                "lora": "tiny/style_lora",
                "strength_model": 0.5,
                "strength_encoder": 0.25,
            },
        },
        "skip": {
            "type": "ClipSkip",
            "inputs": {"encoder": {"from": "lora.text_encoder"}, "skip": 1},
        },
        "positive": {
            "type": "EncodePrompt",
            "inputs": {"encoder": {"from": "skip"}, "text": "an apple,\n(red:1.2)"},
        },
        "negative": {
            "type": "EncodePrompt",
            "inputs": {"encoder": {"from": "skip"}, "text": "(plain)", "syntax": "off"},
        },
        "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64, "batch_size": 2}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": {"from": "lora.model"},
                "positive": {"from": "positive"},
                "negative": {"from": "negative"},
                "latent": {"from": "size"},
                "seed": 11,
                "steps": 2,
                "cfg": 4.5,
                "sampler": "euler_ancestral",
                "schedule": "sgm_uniform",
            },
        },
        "larger": {
            "type": "ResizeLatent",
            "inputs": {"latent": {"from": "sample"}, "factor": 1.5, "method": "bilinear"},
        },
        "again": {
            "type": "KSampler",
            "inputs": {
                "model": {"from": "lora.model"},
                "positive": {"from": "positive"},
                "negative": {"from": "negative"},
                "latent": {"from": "larger"},
                "seed": 11,
                "steps": 3,
                "cfg": 4.5,
                "sampler": "euler_ancestral",
                "schedule": "sgm_uniform",
                "denoise": 0.5,
                "denoise_steps": "all",
            },
        },
        "decode": {
            "type": "VAEDecode",
            "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "again"}},
        },
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "decode"}}},
    },
}


def saved(folder: Path, format: str, infotext: str, *, setting: bool = False) -> list[Path]:
    """The files that a graph saves."""
    nodes = {**GRAPH["nodes"]}
    inputs = {**nodes["save"]["inputs"], "format": format, "infotext": infotext}
    nodes["save"] = {**nodes["save"], "inputs": inputs}
    settings = Settings(home=folder / "home", outputs=folder, device="cpu", infotext=setting)
    with Session(settings) as session:
        session.run(Workflow.from_dict({**GRAPH, "nodes": nodes}))
    return sorted(path for path in folder.iterdir() if path.is_file())


@pytest.mark.slow
@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "avif"])
def test_settings_come_back_from_what_was_saved(tmp_path: Path, format: str) -> None:
    first, second = saved(tmp_path, format, "on")

    texts = result_texts(second) or {}
    generation = find_generation(texts)

    assert json.loads(texts["workflow"])["nodes"].keys() == GRAPH["nodes"].keys()
    assert texts["nodegraph"] == VERSION
    assert generation is not None
    assert (generation.prompt, generation.negative) == ("an apple,\n(red:1.2)", r"\(plain\)")
    assert generation.seed == 12  # of the second image of the batch
    assert (generation.sampler, generation.schedule) == ("euler_ancestral", "sgm_uniform")
    assert (generation.steps, generation.cfg, generation.width) == (2, 4.5, 64)
    assert generation.model.name == "tiny"
    assert [(lora.model.name, lora.weight, lora.encoder_weight) for lora in generation.loras] == [
        ("style_lora", 0.5, 0.25)
    ]
    assert generation.hires is not None
    assert (generation.hires.scale, generation.hires.steps, generation.hires.denoise) == (
        1.5,
        3,
        0.5,
    )
    assert find_generation(result_texts(first) or {}) != generation


@pytest.mark.slow
def test_the_text_is_written_only_where_it_is_wanted(tmp_path: Path) -> None:
    for name, infotext_port, setting, is_there in (
        ("a", "auto", False, False),
        ("b", "auto", True, True),
        ("c", "off", True, False),
        ("d", "on", False, True),
    ):
        folder = tmp_path / name
        folder.mkdir()
        files = saved(folder, "png", infotext_port, setting=setting)
        assert all(("parameters" in (result_texts(path) or {})) == is_there for path in files)


def test_an_image_without_a_sampling_has_no_text() -> None:
    nodes = {
        "load": {"type": "LoadImage", "inputs": {"path": "a.png"}},
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "load.image"}}},
    }

    assert read_settings({"format": "nodegraph/1", "nodes": nodes}, "save") is None


def changed(node: str, **inputs: Any) -> dict[str, Any]:
    nodes = {
        name: {**entry, "inputs": {**entry["inputs"]}} for name, entry in GRAPH["nodes"].items()
    }
    nodes[node]["inputs"].update(inputs)
    nodes["number"] = {"type": "Number", "inputs": {"value": 0.5}}
    return {**GRAPH, "nodes": nodes}


@pytest.mark.parametrize(
    ("node", "port"),
    [("lora", "strength_model"), ("lora", "lora"), ("again", "denoise"), ("sample", "cfg")],
)
def test_linked_values_are_left_out(node: str, port: str) -> None:
    settings = read_settings(changed(node, **{port: {"from": "number"}}), "save")
    assert settings is not None
    text = format_settings(settings)
    assert ("<lora:" in text) == (node != "lora")
    assert ("Denoising strength" in text) == (node != "again")
    assert ("CFG scale" in text) == (node != "sample")


def test_an_item_of_a_list_has_the_settings_of_its_node() -> None:
    assert read_settings(GRAPH, "save[3]") == read_settings(GRAPH, "save")


def test_a_seed_after_the_largest_is_not_written() -> None:
    largest = changed("sample", seed=2**64 - 1)
    assert [getattr(read_settings(largest, "save", at), "seed", 0) for at in (0, 1)] == [
        2**64 - 1,
        None,
    ]
