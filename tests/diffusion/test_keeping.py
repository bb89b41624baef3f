"""Whole samplings with an image, a soft mask and a batch, by ComfyUI's convention."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import Conditioning, ConditioningEntry
from nodegraph.families.components import Denoiser
from nodegraph.families.noise import NoiseSchedule
from nodegraph.sampling.denoise import sample
from tests.diffusion.conftest import SD1_SCHEDULER
from tests.diffusion.test_denoise import EMPTY, model, picture, positive  # noqa: F401 - fixtures

NOISE = NoiseSchedule.from_config(SD1_SCHEDULER)
OPTIONS: dict[str, Any] = {
    "seed": 7,
    "steps": 4,
    "cfg": 1.0,
    "sampler": "euler",
    "schedule": "karras",
    "draw": "per batch",
    "convention": "comfyui",
}


def soft_mask() -> Tensor:
    return torch.linspace(0, 1, 64).expand(1, 64, 64)


def karras(steps: int) -> Tensor:
    low, high = (float(NOISE.sigmas[end]) ** (1 / 7) for end in (0, -1))
    return torch.tensor([*(torch.linspace(high, low, steps).double() ** 7).tolist(), 0.0])


@torch.no_grad()
def formula(
    model: Denoiser,  # noqa: F811
    prompt: Tensor,
    sigmas: Tensor,
    latent: Tensor,
    mask: Tensor | None = None,
) -> Tensor:
    """Euler's steps with the kept part shown to the model, and put into its predictions."""
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(7))
    keep = torch.ones(1, 1, 8, 8)
    if mask is not None:
        keep = functional.interpolate(mask[:, None], size=(8, 8), mode="bilinear")
    scale = sigmas[0] if sigmas[0] < NOISE.sigmas[-1] * 0.999 else (1 + sigmas[0] ** 2).sqrt()
    x = latent + noise * scale
    for here, to in pairwise(sigmas):
        timestep = (NOISE.sigmas.log() - here.log()).abs().argmin()
        shown = keep * x + (1 - keep) * (latent + noise * here)
        told = model.module(
            shown / (here**2 + 1).sqrt(), timestep, prompt.expand(len(x), -1, -1)
        ).sample
        denoised = keep * (shown - here * told) + (1 - keep) * latent
        x = x + (x - denoised) / here * (to - here)
    return x


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("denoise", [1.0, 0.5])
def test_a_sampling_is_what_the_formulas_give(
    model: Denoiser,  # noqa: F811
    positive: Conditioning,  # noqa: F811
    batch: int,
    masked: bool,
    denoise: float,
) -> None:
    latent = picture(batch)
    assert latent.samples is not None
    if masked:
        latent = replace(latent, noise_mask=soft_mask())
    found = sample(
        model, positive, None, latent, **OPTIONS, denoise=denoise, denoise_steps="all"
    ).samples
    sigmas = karras(int(4 / denoise))[-5:]
    assert latent.samples is not None
    expected = formula(
        model, positive.entries[0].embeddings, sigmas, latent.samples, latent.noise_mask
    )
    difference = (found - expected).abs().max() / expected.abs().max()
    assert float(difference) < 1e-4


@torch.no_grad()
def guided_formula(
    model: Denoiser,  # noqa: F811
    prompts: tuple[Tensor, Tensor],
    sigmas: Tensor,
    latent: Tensor,
    mask: Tensor,
    cfg: float,
) -> Tensor:
    """CFG++ by Euler's steps: the unguided prediction is of what the model was shown, too, without
    the kept part put into it."""
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(7))
    keep = functional.interpolate(mask[:, None], size=(8, 8), mode="bilinear")
    x = latent + noise * (1 + sigmas[0] ** 2).sqrt()
    for here, to in pairwise(sigmas):
        timestep = (NOISE.sigmas.log() - here.log()).abs().argmin()
        shown = keep * x + (1 - keep) * (latent + noise * here)
        led, away = (
            shown - here * model.module(shown / (here**2 + 1).sqrt(), timestep, prompt).sample
            for prompt in prompts
        )
        denoised = keep * (away + cfg * (led - away)) + (1 - keep) * latent
        x = denoised + to * (x - away) / here
    return x


def test_unguided_predictions_are_of_what_the_model_was_shown(
    model: Denoiser,  # noqa: F811
    positive: Conditioning,  # noqa: F811
) -> None:
    latent = replace(picture(), noise_mask=soft_mask())
    words = positive.entries[0].embeddings
    entry = ConditioningEntry({"embeddings": words.flip(1).contiguous()})
    negative = replace(positive, entries=(entry,))
    options = OPTIONS | {"sampler": "euler_cfg_pp", "cfg": 0.6}
    found = sample(model, positive, negative, latent, **options).samples
    assert latent.samples is not None
    prompts = words, entry.embeddings
    expected = guided_formula(model, prompts, karras(4), latent.samples, soft_mask(), 0.6)
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-4


def test_noise_alone_is_begun_with_so_that_the_model_sees_unit_variance(
    model: Denoiser,  # noqa: F811
    positive: Conditioning,  # noqa: F811
) -> None:
    found = sample(model, positive, None, replace(EMPTY, batch_size=2), **OPTIONS).samples
    prompt = positive.entries[0].embeddings
    expected = formula(model, prompt, karras(4), torch.zeros(2, 4, 8, 8))
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-4


@pytest.mark.parametrize("sampler", ["heun", "dpmpp_2m", "uni_pc", "lcm", "er_sde"])
def test_what_is_wholly_kept_is_the_picture(
    model: Denoiser,  # noqa: F811
    positive: Conditioning,  # noqa: F811
    sampler: str,
) -> None:
    mask = torch.zeros(1, 64, 64)
    mask[..., 32:] = 1
    latent = replace(picture(), noise_mask=mask)
    options = OPTIONS | {"sampler": sampler, "schedule": "simple"}
    found = sample(model, positive, None, latent, **options).samples
    assert found is not None
    assert latent.samples is not None
    assert torch.equal(found[..., :3], latent.samples[..., :3])
    assert not torch.equal(found[..., 5:], latent.samples[..., 5:])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "least", "most"),
    [
        ({}, 0.0, 0.0),
        ({"convention": "diffusers"}, 0.2, 0.3),
        ({"convention": "diffusers", "sampler": "uni_pc"}, 0.003, 0.01),
        ({"draw": "per item"}, 1.1, 1.5),
        ({"denoise": 0.5, "denoise_steps": "share"}, 0.04, 0.08),
    ],
)
def test_how_far_a_sampling_lies_from_another_convention(
    model: Denoiser,  # noqa: F811
    positive: Conditioning,  # noqa: F811
    changed: dict[str, Any],
    least: float,
    most: float,
) -> None:
    """Of the second item's latent, of 20 steps: deviation of the difference over its own."""
    same = {name: changed[name] for name in ("denoise", "schedule") if name in changed}
    if changed.get("convention"):
        same |= {name: changed[name] for name in ("sampler",) if name in changed}
    options = OPTIONS | {"steps": 20, "denoise_steps": "all"} | same
    expected, found = (
        sample(model, positive, None, picture(2), **given).samples
        for given in (options, options | changed)
    )
    assert expected is not None
    assert found is not None
    difference = float((found - expected)[1].std() / expected[1].std())
    assert least <= difference <= most
