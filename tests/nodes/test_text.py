"""Prompts are encoded as the pipelines do, also beside pictures, and faults in them are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline

from tests.diffusion.conftest import sd1_pipeline  # noqa: F401 - a fixture
from tests.diffusion.families.equality import picture, random_pipeline
from tests.diffusion.families.test_qwen_image_edit import edit_plus
from tests.nodes.conftest import Bench, link


def encode(model: Path, text: Any) -> dict[str, Any]:
    return {
        "load": {"type": "LoadModel", "inputs": {"model": str(model)}},
        "text": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": text},
        },
    }


def test_it_gives_the_pipelines_embeddings(
    bench: Bench,
    sd1_folder: Path,
    sd1_pipeline: StableDiffusionPipeline,  # noqa: F811
) -> None:
    expected, empty = sd1_pipeline.encode_prompt("a red apple", "cpu", 1, True)

    found = bench.value(encode(sd1_folder, "a red apple"), "text.conditioning")

    assert torch.equal(found.entries[0].embeddings, expected)
    assert torch.equal(found.unconditional.embeddings, empty)
    assert bench.told("log") == []


def test_a_long_prompt_is_logged(bench: Bench, sd1_folder: Path) -> None:
    found = bench.value(encode(sd1_folder, "red " * 100), "text.conditioning")

    assert found.entries[0].embeddings.shape == (1, 2 * 77, 32)
    [event] = bench.told("log")
    assert event.data["level"] == "warning"
    assert "2 parts" in event.data["message"]


def test_absurd_weights_are_told_before_running(bench: Bench, sd1_folder: Path) -> None:
    [problem] = bench.problems(encode(sd1_folder, "(red:1e) (apple:5000)"), "text")

    assert (problem.node, problem.port) == ("text", "text")
    assert "too large" in str(problem)


def test_the_same_text_is_not_encoded_twice(bench: Bench, sd1_folder: Path) -> None:
    bench.run(encode(sd1_folder, "fox"), "text")

    assert bench.run(encode(sd1_folder, "fox"), "text").nodes["text"].status == "cached"
    assert bench.run(encode(sd1_folder, "a fox"), "text").nodes["text"].status == "ran"


@pytest.fixture(scope="module")
def edit_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("models") / "edit"
    random_pipeline(edit_plus).save_pretrained(folder)
    picture(64, 48).save(folder / "seen.png")
    return folder


def test_where_brackets_are_text_no_weight_is_absurd(bench: Bench, edit_folder: Path) -> None:
    assert bench.problems(encode(edit_folder, "(apple:5000)"), "text") == []


def edited(folder: Path) -> dict[str, Any]:
    size = {"width": 64, "height": 64}
    few = {"steps": 2, "sampler": "euler", "schedule": "normal", "cfg": 1.0}
    given = {
        "load": ("LoadModel", {"model": str(folder)}),
        "seen": ("LoadImage", {"path": str(folder / "seen.png")}),
        "latent": ("VAEEncode", {"vae": link("load.vae"), "image": link("seen.image")}),
        "text": (
            "EncodeEditPrompt",
            {"encoder": link("load.text_encoder"), "images": link("seen.image"), "text": "red"},
        ),
        "shown": (
            "ReferenceLatents",
            {"conditioning": link("text.conditioning"), "latent": link("latent.latent")},
        ),
        "empty": ("EmptyLatent", size),
        "sample": (
            "KSampler",
            {
                "model": link("load.model"),
                "positive": link("shown.conditioning"),
                "latent": link("empty.latent"),
                **few,
            },
        ),
    }
    return {name: {"type": kind, "inputs": inputs} for name, (kind, inputs) in given.items()}


def test_pictures_are_edited(bench: Bench, edit_folder: Path) -> None:
    graph = edited(edit_folder)
    found = bench.value(graph, "shown.conditioning")
    latent = bench.value(graph, "latent.latent")

    [entry] = found.entries
    assert found.family == "qwen-image-edit-plus"
    assert torch.equal(entry.references[0], latent.samples)
    made = bench.value(graph, "sample.latent").samples
    graph["sample"]["inputs"]["positive"] = link("text.conditioning")
    assert not torch.equal(made, bench.value(graph, "sample.latent").samples)


def test_the_encoder_sees_pictures(bench: Bench, edit_folder: Path) -> None:
    graph = edited(edit_folder)
    beside = bench.value(graph, "text.conditioning").entries[0].embeddings
    plain = {"encoder": link("load.text_encoder"), "text": "red"}
    graph["text"] = {"type": "EncodePrompt", "inputs": plain}
    alone = bench.value(graph, "text.conditioning").entries[0].embeddings

    # a token for each 28 x 28 pixels of about 384 x 384, and words around them
    assert beside.shape[1] > alone.shape[1] + 150
