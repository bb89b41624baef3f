"""Tone mapping and sharpening, of latents and of guidance, by their formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.sampling.latents.transforms import sharpen_lengths, tone_map
from tests.nodes.conftest import Bench, link

Nodes = dict[str, Any]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"type": kind, "inputs": inputs}


def tone_mapped(samples: Tensor, multiplier: float) -> Tensor:
    """Written out for one item after the other, in float64."""
    made = []
    for item in samples.double().numpy():
        lengths = np.sqrt((item**2).sum(0))
        top = multiplier * (5 * lengths.std(ddof=1) + lengths.mean())
        made.append(item / lengths * (lengths / top / (lengths / top + 1) * top))
    return torch.from_numpy(np.stack(made))


def sharpened(samples: Tensor, radius: int, sigma: float, amount: float) -> Tensor:
    """Written out cell by cell, in float64."""
    steps = np.linspace(-1, 1, 2 * radius + 1)
    weights = np.exp(-(steps[:, None] ** 2 + steps[None] ** 2) / (2 * sigma**2))
    kernel = -10 * amount * weights / weights.sum()
    kernel[radius, radius] += 1 + 10 * amount
    made = []
    for item in samples.double().numpy():
        lengths = np.sqrt((item**2).sum(0))
        padded = np.pad(lengths, radius, mode="reflect")
        height, width = lengths.shape
        sharp = np.empty_like(lengths)
        for row in range(height):
            for column in range(width):
                window = padded[row : row + 2 * radius + 1, column : column + 2 * radius + 1]
                sharp[row, column] = (window * kernel).sum()
        made.append(item / lengths * sharp)
    return torch.from_numpy(np.stack(made))


def test_the_formulas() -> None:
    samples = torch.randn(2, 4, 12, 16, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        tone_map(samples, 0.7).double(), tone_mapped(samples, 0.7), rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(
        sharpen_lengths(samples, 3, 0.8, 0.2).double(),
        sharpened(samples, 3, 0.8, 0.2),
        rtol=1e-4,
        atol=1e-5,
    )


def test_frames_of_a_video_are_sharpened_one_by_one() -> None:
    samples = torch.randn(1, 4, 3, 12, 16, generator=torch.Generator().manual_seed(1))
    whole = sharpen_lengths(samples, 3, 0.8, 0.2)
    for frame in range(3):
        alone = sharpen_lengths(samples[:, :, frame], 3, 0.8, 0.2)
        torch.testing.assert_close(whole[:, :, frame], alone)


def test_a_radius_beyond_the_latent_is_refused() -> None:
    with pytest.raises(InvalidValue, match="too large"):
        sharpen_lengths(torch.ones(1, 4, 8, 8), 8, 1.0, 0.1)


def sampled(bench: Bench, guide: dict[str, Any] | None, **cfg: Any) -> Tensor:
    """The clean latent that one guided step predicts."""
    encoder = link("load.text_encoder")
    graph: Nodes = {
        "load": node("LoadModel", model="tiny"),
        "yes": node("EncodePrompt", encoder=encoder, text="a red apple"),
        "no": node("EncodePrompt", encoder=encoder, text="a blue ball"),
        "size": node("EmptyLatent", width=64, height=64),
        "cfg": node("CFGGuider", **{"positive": link("yes"), "negative": link("no"), **cfg}),
        "noise": node("RandomNoise", seed=3),
        "method": node("SelectSampler", sampler="euler"),
        "levels": node("BasicSchedule", schedule="karras", steps=1),
        "sample": node(
            "SampleCustom",
            model=link("load.model"),
            noise=link("noise"),
            guider=link("guide" if guide else "cfg"),
            sampler=link("method"),
            schedule=link("levels"),
            latent=link("size"),
        ),
    }
    graph |= {"guide": guide} if guide else {}
    samples: Tensor = bench.value(graph, "sample.denoised").samples
    return samples


@pytest.mark.parametrize("kind", ["ToneMapGuidance", "SharpenGuidance"])
def test_guidance_operates_on_the_difference_of_the_predictions(bench: Bench, kind: str) -> None:
    options = {"multiplier": 0.7} if kind == "ToneMapGuidance" else {"radius": 3, "amount": 0.2}
    towards, away = (
        sampled(bench, None, cfg=1.0),
        sampled(bench, None, positive=link("no"), cfg=1.0),
    )
    made = sampled(bench, node(kind, guider=link("cfg"), **options), cfg=4.0)
    if kind == "ToneMapGuidance":
        difference = tone_mapped(towards - away, 0.7)
    else:
        difference = sharpened(towards - away, 3, 1.0, 0.2)
    expected = away + 4 * difference
    torch.testing.assert_close(made.double(), expected, rtol=1e-3, atol=2e-3)


def test_without_a_negative_prompt_it_operates_on_the_prediction(bench: Bench) -> None:
    plain = sampled(bench, None, cfg=1.0)
    made = sampled(bench, node("ToneMapGuidance", guider=link("cfg"), multiplier=0.7), cfg=1.0)
    torch.testing.assert_close(made.double(), tone_mapped(plain, 0.7), rtol=1e-3, atol=2e-3)
