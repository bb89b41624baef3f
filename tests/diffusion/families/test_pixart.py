"""PixArt-Σ gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers as d
import torch

from .checks import assert_like_stock, assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import assert_same, stock
from .parts import t5_text, vae
from .words import t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]

AS_ASKED = {"use_resolution_binning": False, "clean_caption": False}
"""The pipeline brings images to sizes of a table, and cleans prompts by packages that may be
missing; nodegraph does neither."""


def pixart_sigma(channels: int = 8) -> Any:
    words = t5_words()
    net = d.PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=channels,
        num_layers=2,
        cross_attention_dim=32,
        sample_size=32,
        patch_size=2,
        caption_channels=32,
        interpolation_scale=1,
        use_additional_conditions=False,
    )
    scheduler = d.DPMSolverMultistepScheduler(
        beta_schedule="linear", beta_start=0.0001, beta_end=0.02
    )
    return d.PixArtSigmaPipeline(words, t5_text(words), vae(scale=0.13025), net, scheduler)


def pixart_without_variance() -> Any:
    return pixart_sigma(4)


def test_pixart_is_diffusers(model_of: ModelOf) -> None:
    assert_like_stock(model_of(pixart_sigma), sampler="dpmpp_2m", **AS_ASKED)


def test_a_transformer_that_says_no_variance_is_diffusers(model_of: ModelOf) -> None:
    cases = ((64, 64, 1, None, 4.5),)
    assert_like_stock(model_of(pixart_without_variance), cases, sampler="dpmpp_2m", **AS_ASKED)


def test_prompts_are_read_in_small_letters(model_of: ModelOf) -> None:
    pipeline, model = model_of(pixart_sigma)
    found = model.make(64, 64, prompt=" A Red CAT ", sampler="dpmpp_2m", cfg=4.5)
    options = {"width": 64, "height": 64, "guidance_scale": 4.5, **AS_ASKED}
    assert_same(found, stock(pipeline, prompt="a red cat", **options))


def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    found, expected = in_bfloat16(model_of(pixart_sigma), sampler="dpmpp_2m", **AS_ASKED)
    assert torch.equal(found.latents, expected.latents.float())


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(pixart_sigma)
    assert_samples_by(model, {"euler": "normal", "ddim": "normal", "dpmpp_2m_sde": "karras"})
    assert_refuses(model, near="64 x 64")


def test_it_is_told_by_its_folder(model_of: ModelOf) -> None:
    _, model = model_of(pixart_sigma)
    denoiser = model.part("model")
    assert denoiser.family == "pixart-sigma"
    assert model.part("vae").family == "sdxl"
    assert denoiser.dtype == torch.float32
