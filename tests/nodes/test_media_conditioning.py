"""Keyframes, references and the noise levels of sound, in a graph of MiniMax H3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.h3_models import minimax_h3
from tests.nodes.conftest import Bench, link

FRAMES = 22


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("models") / "h3"
    random_pipeline(minimax_h3).save_pretrained(folder)
    return folder


def graph(model: Path, positive: str, latent: str, **more: Any) -> dict[str, Any]:
    sampled = {"model": link("load.model"), "positive": link(positive), "latent": link(latent)}
    options = {"steps": 2, "cfg": 1.0, "sampler": "euler", "schedule": "normal", "seed": 1}
    words = {"encoder": link("load.text_encoder"), "text": "a red cat"}
    return {
        "load": {"type": "LoadModel", "inputs": {"model": str(model)}},
        "prompt": {"type": "EncodePrompt", "inputs": words},
        "empty": {
            "type": "EmptyVideoLatent",
            "inputs": {"width": 64, "height": 64, "frames": FRAMES},
        },
        "picture": {"type": "Picture", "inputs": {"width": 80, "height": 64}},
        "sample": {"type": "KSampler", "inputs": {**sampled, **options}},
        **more,
    }


def sampled(bench: Bench, nodes: dict[str, Any]) -> Any:
    result = bench.run(nodes, "sample")
    assert not result.errors, result.errors
    return result["sample.latent"]


@pytest.mark.slow
def test_a_graph_makes_a_video_of_a_keyframe_and_of_references(bench: Bench, model: Path) -> None:
    shown = {"vae": link("load.vae"), "image": link("picture.image")}
    keyframe = {"conditioning": link("prompt"), "latent": link("empty"), "frame": -1, **shown}
    size = {"width": 64, "height": 64, "frames": FRAMES}
    refer = {
        "encoder": link("load.text_encoder"),
        "text": "a red cat",
        "vae": link("load.vae"),
        "audio_vae": link("load.vae"),
        "images": link("picture.image"),
        "audios": link("sound"),
        **size,
    }
    tone = {"type": "VAEDecodeAudio", "inputs": {"vae": link("load.vae"), "latent": link("plain")}}
    plain = graph(model, "prompt", "empty")
    latents = [
        sampled(bench, nodes)
        for nodes in (
            plain,
            graph(
                model,
                "keyframe",
                "empty",
                keyframe={"type": "KeyframeConditioning", "inputs": keyframe},
            ),
            graph(
                model,
                "refer.conditioning",
                "refer.latent",
                refer={"type": "ReferenceToVideoConditioning", "inputs": refer},
                sound=tone,
                plain=plain["sample"],
            ),
        )
    ]
    for latent in latents:
        assert (latent.width, latent.height, latent.frames) == (64, 64, FRAMES)
        assert latent.sound.shape == (1, 2, 37, 32)
    assert not torch.allclose(latents[0].samples, latents[1].samples, atol=1e-3)
    assert not torch.allclose(latents[0].samples, latents[2].samples, atol=1e-3)


@pytest.mark.slow
def test_the_shift_of_the_sound_changes_its_steps(bench: Bench, model: Path) -> None:
    shifted = graph(
        model,
        "prompt",
        "empty",
        shift={"type": "SetSoundShift", "inputs": {"model": link("load.model"), "shift": 6.0}},
    )
    shifted["sample"]["inputs"]["model"] = link("shift.model")
    own, other = sampled(bench, graph(model, "prompt", "empty")), sampled(bench, shifted)
    assert not torch.allclose(own.sound, other.sound, atol=1e-3)


def test_models_without_noise_levels_for_sound_refuse_a_shift_of_it(bench: Bench) -> None:
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "shift": {"type": "SetSoundShift", "inputs": {"model": link("load.model"), "shift": 2.0}},
    }
    [problem] = bench.problems(nodes, "shift")
    assert (problem.node, problem.port) == ("shift", "model")
    assert "no noise levels for sound" in problem.message
