"""Samplings put together of parts, with models of several kinds of noise and size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.diffusion import open_model
from nodegraph.errors import InvalidValue
from nodegraph.sampling.composed_schedules import listed_schedule, named_schedule
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.preflight import plan_levels
from nodegraph.sampling.sampling_parts import (
    GuiderChoice,
    SamplerChoice,
    SamplingNoise,
    SamplingParts,
)
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Model, stock
from .test_flux import flux, sd3
from .test_stable_diffusion import sd1, sdxl
from .video_models import wan

ModelOf = Callable[[Callable[[], Any]], Pair]

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")


def parts(model: Model, cfg: float = 3.0, **guided: Any) -> SamplingParts:
    positive, negative = model.encode(PROMPT), model.encode(NEGATIVE)
    assert positive is not None
    return SamplingParts(
        SamplingNoise(SEED),
        GuiderChoice(positive, negative, cfg, **guided),
        SamplerChoice("euler"),
        named_schedule("normal", 4),
    )


def walked(model: Model, latent: Latent, given: SamplingParts) -> Latent:
    recipe = open_model(str(model.folder), [], dtype=model.dtype).model
    denoising = Denoising(model.part("model"), latent, given)
    assert plan_levels(recipe, latent, given).steps == denoising.total
    list(denoising)
    return denoising.result()


def samples(latent: Latent) -> Tensor:
    assert latent.samples is not None
    return latent.samples


@pytest.mark.parametrize(
    "build", [flux, sdxl, *(pytest.param(each, marks=pytest.mark.slow) for each in (sd3, wan))]
)
def test_two_parts_of_a_schedule_are_the_whole(model_of: ModelOf, build: Any) -> None:
    _, model = model_of(build)
    start = Latent(None, 64, 64, frames=5 if build is wan else 1)
    whole = parts(model)
    high, low = whole.schedule.split(2)
    noisy = walked(model, start, replace(whole, schedule=high))
    assert noisy.leftover is not None
    unnoised = SamplingNoise(SEED, added=False)
    found = walked(model, noisy, replace(whole, schedule=low, noise=unnoised))
    assert torch.equal(samples(found), samples(walked(model, start, whole)))
    assert found.leftover is None


@pytest.mark.parametrize("build", [flux, sd3])
def test_a_flow_is_walked_up_to_its_noise(model_of: ModelOf, build: Any) -> None:
    _, model = model_of(build)
    picture = walked(model, Latent(None, 64, 64), parts(model))
    up = replace(
        parts(model, cfg=1.0),
        schedule=named_schedule("normal", 4).flipped(),
        noise=SamplingNoise(added=False),
    )
    noisy = walked(model, picture, up)
    assert noisy.leftover is not None
    assert noisy.leftover.sigma == pytest.approx(1, abs=1e-6)
    assert not torch.equal(samples(noisy), samples(picture))


def test_rescaled_guidance_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(sd1)
    expected = stock(
        pipeline,
        width=64,
        height=64,
        steps=4,
        negative=NEGATIVE,
        guidance_scale=3.0,
        guidance_rescale=0.7,
    )
    given = replace(parts(model, rescale=0.7), sampler=SamplerChoice("ddim"))
    found = walked(model, Latent(None, 64, 64), given)
    assert torch.equal(samples(found), expected.latents)


@pytest.mark.parametrize("build", [flux, sd3])
def test_levels_of_another_kind_of_noise_are_told_before_weights_load(
    model_of: ModelOf, build: Any
) -> None:
    _, model = model_of(build)
    recipe = open_model(str(model.folder), []).model
    given = replace(parts(model), schedule=listed_schedule([14.6, 7.0, 0.0]))
    with raises(InvalidValue, port="sigmas", given="14.6"):
        plan_levels(recipe, Latent(None, 64, 64), given)
