"""A base model that hands over to its refiner gives what diffusers' two pipelines give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers as d
import pytest
import torch
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.sampling.composed_schedules import named_schedule
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.sampling_parts import (
    GuiderChoice,
    SamplerChoice,
    SamplingNoise,
    SamplingParts,
)

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Model, stock
from .test_stable_diffusion import refiner, sdxl

ModelOf = Callable[[Callable[[], Any]], Pair]


def sampled(
    model: Model,
    latent: Latent,
    part: tuple[int, int],
    *,
    steps: int,
    cfg: float,
    sampler: str,
    negative: str | None,
) -> Latent:
    """Some steps of a schedule, as `KSamplerAdvanced` samples them.

    Args:
        part: Number of the first step, and of the one after the last.
    """
    positive = model.encode(PROMPT)
    assert positive is not None
    denoising = Denoising(
        model.part("model"),
        latent,
        SamplingParts(
            SamplingNoise(SEED, added=part[0] == 0),
            GuiderChoice(positive, model.encode(negative), cfg),
            SamplerChoice(sampler),
            named_schedule("normal", steps).part(*part),
        ),
    )
    for _ in denoising:
        pass
    return denoising.result()


def with_scheduler(pipeline: Any, sampler: str) -> Any:
    parts = dict(pipeline.components)
    config = pipeline.scheduler.config
    if sampler == "dpmpp_2m":
        parts["scheduler"] = d.DPMSolverMultistepScheduler.from_config(config)
    extra = {"requires_aesthetics_score": True} if "Img2Img" in type(pipeline).__name__ else {}
    other = type(pipeline)(
        **parts,
        **extra,
        add_watermarker=False,
        force_zeros_for_empty_prompt=pipeline.config.force_zeros_for_empty_prompt,
    )
    other.set_progress_bar_config(disable=True)
    return other


@pytest.mark.parametrize(
    ("steps", "share", "taken", "width", "batch", "cfg", "negative", "sampler"),
    [
        (10, 0.8, 8, 96, 1, 5.0, NEGATIVE, "euler"),
        pytest.param(7, 0.5, 3, 72, 3, 7.3, None, "euler", marks=pytest.mark.slow),
        pytest.param(5, 0.25, 1, 64, 1, 1.0, None, "euler", marks=pytest.mark.slow),
        pytest.param(10, 0.8, 8, 64, 2, 5.0, NEGATIVE, "dpmpp_2m", marks=pytest.mark.slow),
    ],
)
def test_the_refiner_takes_over(
    model_of: ModelOf,
    steps: int,
    share: float,
    taken: int,
    width: int,
    batch: int,
    cfg: float,
    negative: str | None,
    sampler: str,
) -> None:
    """The base model samples to a share of the schedule, and the refiner from there.

    Args:
        taken: Steps of the base model, which diffusers finds by their timesteps.
    """
    (base_pipeline, base), (end_pipeline, end) = model_of(sdxl), model_of(refiner)
    options: dict[str, Any] = {"steps": steps, "cfg": cfg, "sampler": sampler, "negative": negative}
    half = sampled(base, Latent(None, width, 64, batch), (0, taken), **options)
    found = sampled(end, half, (taken, steps), **options)
    called = {"steps": steps, "batch": batch, "negative": negative, "guidance_scale": cfg}
    expected_half = stock(
        with_scheduler(base_pipeline, sampler),
        width=width,
        height=64,
        denoising_end=share,
        **called,
    ).latents
    assert is_equal(half, expected_half)
    expected = stock(
        with_scheduler(end_pipeline, sampler), image=expected_half, denoising_start=share, **called
    ).latents
    assert is_equal(found, expected)
    assert not torch.equal(expected, expected_half)


def is_equal(latent: Latent, expected: Tensor) -> bool:
    return latent.samples is not None and torch.equal(latent.samples, expected)
