"""Videos from noise, and between frames and latents, in a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.video_models import wan
from tests.nodes.conftest import Bench, link


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("models") / "wan"
    random_pipeline(wan).save_pretrained(folder)
    return folder


def graph(model: Path, frames: int = 5, width: int = 48) -> dict[str, Any]:
    size = {"width": width, "height": 32, "frames": frames}
    options = {"steps": 2, "cfg": 3.0, "sampler": "uni_pc", "schedule": "normal"}
    sampled = {
        "model": link("load.model"),
        "positive": link("prompt"),
        "latent": link("empty"),
    }
    return {
        "load": {"type": "LoadModel", "inputs": {"model": str(model)}},
        "prompt": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": "a red cat"},
        },
        "empty": {"type": "EmptyVideoLatent", "inputs": size},
        "sample": {"type": "KSampler", "inputs": {**sampled, **options}},
        "decode": {
            "type": "VAEDecodeVideo",
            "inputs": {"vae": link("load.vae"), "latent": link("sample"), "rate": 16.0},
        },
        "encode": {
            "type": "VAEEncodeVideo",
            "inputs": {"vae": link("load.vae"), "video": link("decode")},
        },
    }


def test_a_prompt_becomes_a_video_and_a_latent_again(bench: Bench, model: Path) -> None:
    result = bench.run(graph(model), "decode", "encode")

    video, latent = result["decode.video"], result["encode.latent"]
    assert video.frames.shape == (5, 32, 48, 3)
    assert video.rate == 16
    assert float(video.frames.std()) > 0
    assert (latent.width, latent.height, latent.frames, latent.format) == (48, 32, 5, "wan")
    assert latent.samples.shape == (1, 16, 2, 4, 6)
    assert torch.isfinite(latent.samples).all()


def test_a_number_of_frames_that_does_not_fit_is_told_beforehand(bench: Bench, model: Path) -> None:
    [problem] = bench.problems(graph(model, frames=6), "sample")

    assert problem.port == "latent"
    assert problem.expected == "5 or 9"


def test_a_picture_is_decoded_as_one_and_a_video_is_not(bench: Bench, model: Path) -> None:
    nodes = graph(model, frames=1) | {
        "picture": {
            "type": "VAEDecode",
            "inputs": {"vae": link("load.vae"), "latent": link("sample")},
        }
    }
    assert bench.run(nodes, "picture")["picture.image"].shape == (1, 32, 48, 3)

    nodes["empty"]["inputs"]["frames"] = 5
    assert "VAEDecodeVideo" in str(bench.failure(nodes, "picture"))
