"""Wan 2.1 and 2.2 give what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffusers as d
import pytest
import torch

from .conftest import Pair
from .equality import NEGATIVE, Model, assert_same, stock
from .parts import umt5_text, uni_pc_flow, wan_vae
from .words import t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]


def wan_net(taken: int = 16, given: int = 16, **more: Any) -> Any:
    return d.WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=taken,
        out_channels=given,
        text_dim=32,
        freq_dim=32,
        ffn_dim=64,
        num_layers=2,
        rope_max_seq_len=64,
        **more,
    )


def wan() -> Any:
    words = t5_words()
    return d.WanPipeline(words, umt5_text(words), wan_vae(), uni_pc_flow(), wan_net())


def wan22() -> Any:
    words, two = t5_words(), {"transformer_2": wan_net(), "boundary_ratio": 0.875}
    return d.WanPipeline(words, umt5_text(words), wan_vae(), uni_pc_flow(), wan_net(), **two)


def wan22_vae() -> Any:
    return wan_vae(
        48,
        is_residual=True,
        decoder_base_dim=8,
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_spatial=16,
        latents_mean=[0.1] * 48,
        latents_std=[0.7] * 48,
    )


def wan22_5b() -> Any:
    words = t5_words()
    parts = (words, umt5_text(words), wan22_vae(), uni_pc_flow(5.0), wan_net(48, 48))
    return d.WanPipeline(*parts, expand_timesteps=True)


@pytest.mark.parametrize(("build", "side"), [(wan, 16), (wan22, 16), (wan22_5b, 32)])
def test_videos_are_those_of_diffusers(
    model_of: ModelOf, build: Callable[[], Any], side: int
) -> None:
    pipeline, model = model_of(build)
    for width, frames, batch, negative, cfg in (
        (4, 5, 1, None, 5.0),
        (6, 9, 2, NEGATIVE, 5.0),
        (4, 1, 1, None, 1.0),
    ):
        options = {"batch": batch, "negative": negative, "steps": 3}
        size = {"width": width * side, "height": 4 * side}
        found = model.make(**size, frames=frames, cfg=cfg, sampler="uni_pc", **options)
        options |= {**size, "num_frames": frames, "guidance_scale": cfg}
        assert_same(found, stock(pipeline, out="frames", **options))


def test_in_bfloat16_as_diffusers(model_of: ModelOf) -> None:
    # Some layers are float32 then, in both, and so are latents between the steps.
    _, model = model_of(wan22)
    pipeline = d.WanPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    half, size = Model(model.folder, "bfloat16"), {"width": 64, "height": 64}
    found = half.make(**size, frames=5, cfg=5.0, steps=3, sampler="uni_pc")
    options = {**size, "num_frames": 5, "guidance_scale": 5.0, "steps": 3}
    expected = stock(pipeline, out="frames", **options)
    assert_same(found, replace(expected, pixels=expected.pixels.float()))
