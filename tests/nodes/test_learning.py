"""Nodes that look into a model: one answer taken apart, attention to words, heat."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch

from nodegraph.media.images.masks import overlay_heatmap

from .conftest import Bench, link


@pytest.fixture
def desk(tmp_path: Path, sd1_folder: Path) -> Any:
    copytree(sd1_folder, tmp_path / "models" / "sd1")
    made = Bench(tmp_path)
    yield made
    made.session.close()


def asked(**inputs: Any) -> dict[str, Any]:
    """An image with noise, and what the model says of it."""
    encoder = {"encoder": link("load.text_encoder")}
    return {
        "load": {"type": "LoadModel", "inputs": {"model": "sd1"}},
        "picture": {"type": "Picture", "inputs": {"width": 64, "height": 32, "batch": 2}},
        "clean": {
            "type": "VAEEncode",
            "inputs": {"vae": link("load.vae"), "image": link("picture")},
        },
        "noisy": {
            "type": "AddNoise",
            "inputs": {"model": link("load.model"), "latent": link("clean"), "timestep": 500},
        },
        "positive": {"type": "EncodePrompt", "inputs": {**encoder, "text": "a red apple"}},
        "ask": {
            "type": "PredictOnce",
            "inputs": {
                "model": link("load.model"),
                "positive": link("positive"),
                "latent": link("noisy"),
                "cfg": 3.0,
                **inputs,
            },
        },
        "maps": {
            "type": "AttentionMaps",
            "inputs": {
                "model": link("load.model"),
                **encoder,
                "latent": link("clean"),
                "text": "red apple",
                "levels": 2,
            },
        },
    }


def test_an_answer_comes_apart_into_what_it_is_made_of(desk: Bench) -> None:
    result = desk.run(asked(), "ask", "noisy")
    assert not result.errors, result.errors
    clean, noise, positive, negative, difference = (
        result[f"ask.{port}"].samples
        for port in ("clean", "noise", "positive", "negative", "difference")
    )
    torch.testing.assert_close(positive - negative, difference)
    torch.testing.assert_close(negative + 3 * difference, clean, rtol=1e-4, atol=1e-4)
    sigma = result["noisy.latent"].leftover.sigma
    # The noisy latent in the form that has a variance of its own.
    exploded = result["noisy.latent"].samples * (1 + sigma**2) ** 0.5
    torch.testing.assert_close(clean + sigma * noise, exploded, rtol=1e-4, atol=1e-4)
    assert result["ask.clean"].leftover is None


def test_a_latent_without_noise_is_refused(desk: Bench) -> None:
    found = desk.failure(asked(latent=link("clean")), "ask")
    assert "no noise" in str(found)
    assert found.problem.port == "latent"


def test_each_word_has_a_map_of_the_picture(desk: Bench) -> None:
    result = desk.run(asked(), "maps")
    assert not result.errors, result.errors
    words, maps = result["maps.words"], result["maps.maps"]
    assert "".join(words) == "redapple"
    assert [tuple(each.shape) for each in maps] == [(2, 32, 64)] * len(words)
    for each in maps:
        assert each.min() >= 0
        torch.testing.assert_close(each.amax((1, 2)), torch.ones(2))


def test_heat_is_dark_at_0_and_bright_at_1() -> None:
    image = torch.rand((1, 4, 6, 1))
    found = overlay_heatmap(image, torch.tensor([[[0.0, 1.0]]]), 1.0)
    assert found.shape == (1, 4, 6, 3)
    assert found[..., 0, :].max() < 0.02
    assert found[..., -1, :2].min() > 0.95
    torch.testing.assert_close(
        overlay_heatmap(image, torch.zeros(2, 4, 6), 0.0), image.expand(2, 4, 6, 3)
    )
