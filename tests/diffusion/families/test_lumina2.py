"""Lumina 2 gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers as d
import pytest
import torch

from nodegraph.families.lumina2 import INSTRUCTION

from .checks import assert_like_stock, assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import picture
from .image_to_image import as_tensor
from .language import gemma2_text
from .parts import dynamic_flow, flow, flux_vae
from .words import gemma_words

ModelOf = Callable[[Callable[[], Any]], Pair]


def lumina2(schedule: Callable[..., Any] = flow) -> Any:
    words = gemma_words()
    net = d.Lumina2Transformer2DModel(
        sample_size=8,
        patch_size=2,
        in_channels=16,
        hidden_size=32,
        num_layers=2,
        num_refiner_layers=1,
        num_attention_heads=2,
        num_kv_heads=1,
        multiple_of=16,
        axes_dim_rope=(4, 6, 6),
        axes_lens=(600, 64, 64),
        cap_feat_dim=32,
    )
    return d.Lumina2Pipeline(net, schedule(shift=6.0), flux_vae(), gemma2_text(words), words)


def lumina2_dynamic() -> Any:
    return lumina2(dynamic_flow)


@pytest.mark.parametrize("build", [pytest.param(lumina2, marks=pytest.mark.slow), lumina2_dynamic])
def test_lumina2_is_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    assert_like_stock(model_of(build))


def test_the_instruction_is_the_pipelines(model_of: ModelOf) -> None:
    pipeline, _ = model_of(lumina2)
    assert f"{pipeline.system_prompt} <Prompt Start> " == INSTRUCTION


def test_pictures_of_pictures_start_from_them(model_of: ModelOf) -> None:
    from nodegraph.diffusion import encode_image

    _, model = model_of(lumina2)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    made = model.make(96, 64, latent=latent, denoise=0.25, steps=4, cfg=4.0)
    assert latent.samples is not None
    near = (made.latents - latent.samples).abs().mean()
    far = (model.make(96, 64, steps=4, cfg=4.0).latents - latent.samples).abs().mean()
    assert near < far


def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    found, expected = in_bfloat16(model_of(lumina2))
    assert torch.equal(found.latents, expected.latents.float())


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(lumina2)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")
