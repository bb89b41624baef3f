"""Z-Image gives what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers as d
import pytest
import torch

from nodegraph.diffusion import encode_prompt

from .checks import assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, assert_same, stock
from .image_to_image import STRENGTHS, assert_starts_like_stock
from .language import qwen3_text
from .parts import dynamic_flow, flow, flux_vae
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]


def z_image(schedule: Callable[..., Any] = flow) -> Any:
    words = qwen_words()
    net = d.ZImageTransformer2DModel(
        in_channels=16,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=32,
        axes_dims=[4, 6, 6],
        axes_lens=[1024, 128, 128],
    )
    return d.ZImagePipeline(schedule(shift=3.0), flux_vae(), qwen3_text(words), words, net)


def z_image_dynamic() -> Any:
    return z_image(dynamic_flow)


@pytest.mark.parametrize("build", [pytest.param(z_image, marks=pytest.mark.slow), z_image_dynamic])
def test_z_image_is_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    pipeline, model = model_of(build)
    for width, height, batch, negative, guidance in (
        (64, 64, 1, None, 4.0),
        (96, 64, 2, NEGATIVE, 3.0),
        (64, 64, 1, None, 0.0),
    ):
        options = {"batch": batch, "negative": negative, "steps": 3}
        # 1 is the positive prompt alone here, 0 there
        found = model.make(width, height, cfg=guidance + 1, **options)
        expected = stock(pipeline, width=width, height=height, guidance_scale=guidance, **options)
        assert_same(found, expected, pixels=guidance == 4.0)


@pytest.mark.parametrize(("denoise", "steps"), STRENGTHS)
def test_pictures_of_pictures_are_diffusers(model_of: ModelOf, denoise: float, steps: int) -> None:
    options = {"cfg": 5.0, "guidance_scale": 4.0, "denoise": denoise, "steps": steps}
    assert_starts_like_stock(model_of(z_image), d.ZImageImg2ImgPipeline, **options)


def test_bfloat16_is_near_diffusers(model_of: ModelOf) -> None:
    # latents are float32 between steps, so what is left is the decoder's precision
    found, expected = in_bfloat16(model_of(z_image), cfg=4.0, guidance_scale=3.0)
    assert torch.equal(found.latents, expected.latents)
    torch.testing.assert_close(found.pixels, expected.pixels.float(), rtol=0, atol=0.02)


def test_a_prompt_that_is_cut_is_told(model_of: ModelOf) -> None:
    _, model = model_of(z_image)
    told: list[str] = []
    encoder = model.part("text_encoder")
    (entry,) = encode_prompt(encoder, "cat " * 400, warn=told.append).entries
    assert entry.embeddings.shape == (1, 512, 32)
    assert "takes 512 and" in told[0]
    encode_prompt(encoder, PROMPT, warn=told.append)
    assert len(told) == 1


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(z_image)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")
