"""EncodePrompt encodes as the pipeline does, and tells what is wrong with a prompt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import StableDiffusionPipeline

from tests.diffusion.conftest import sd1_pipeline  # noqa: F401 - a fixture
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
