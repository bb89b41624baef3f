"""Sana gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffusers as d
import pytest
import torch

from nodegraph.diffusion import decode_latent, encode_image
from nodegraph.families.sana import INSTRUCTION

from .checks import assert_like_stock, assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .language import gemma2_text
from .words import gemma_words

ModelOf = Callable[[Callable[[], Any]], Pair]

AS_ASKED = {"use_resolution_binning": False}
"""The pipeline brings images to sizes of a table; nodegraph makes the size that is asked for."""


def deep_vae() -> Any:
    blocks = ("ResBlock",) * 3 + ("EfficientViTBlock",) * 3
    widths = (8, 8, 16, 16, 32, 64)
    scales = ((), (), (), (5,), (5,), (5,))
    return d.AutoencoderDC(
        latent_channels=32,
        attention_head_dim=8,
        scaling_factor=0.41407,
        encoder_block_types=blocks,
        decoder_block_types=blocks,
        encoder_block_out_channels=widths,
        decoder_block_out_channels=widths,
        encoder_layers_per_block=(1,) * 6,
        decoder_layers_per_block=(1,) * 6,
        encoder_qkv_multiscales=scales,
        decoder_qkv_multiscales=scales,
        downsample_block_type="Conv",
        upsample_block_type="interpolate",
    )


def sana() -> Any:
    words = gemma_words()
    net = d.SanaTransformer2DModel(
        in_channels=32,
        out_channels=32,
        num_attention_heads=4,
        attention_head_dim=8,
        num_layers=2,
        num_cross_attention_heads=2,
        cross_attention_head_dim=16,
        cross_attention_dim=32,
        caption_channels=32,
        sample_size=32,
        patch_size=1,
        timestep_scale=0.5,
    )
    scheduler = d.DPMSolverMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    return d.SanaPipeline(words, gemma2_text(words), deep_vae(), net, scheduler)


@pytest.mark.slow
def test_sana_is_diffusers(model_of: ModelOf) -> None:
    assert_like_stock(model_of(sana), sampler="dpmpp_2m", **AS_ASKED)


def test_the_instruction_is_the_pipelines() -> None:
    call = inspect.signature(d.SanaPipeline.__call__).parameters
    assert "\n".join(call["complex_human_instruction"].default) == INSTRUCTION


def test_pictures_become_the_autoencoders_latents(model_of: ModelOf) -> None:
    pipeline, model = model_of(sana)
    picture = torch.rand(1, 96, 64, 3, generator=torch.Generator().manual_seed(1))
    latent = encode_image(model.part("vae"), picture)
    with torch.no_grad():
        scaled = (picture.movedim(-1, 1) * 2 - 1).contiguous()
        expected = pipeline.vae.encode(scaled).latent * pipeline.vae.config.scaling_factor
    assert latent.samples is not None
    assert torch.equal(latent.samples, expected)
    assert latent.format == "sana"
    made = model.make(64, 96, latent=latent, denoise=0.5, steps=4, cfg=1.0, sampler="dpmpp_2m")
    assert torch.isfinite(made.pixels).all()


def test_large_pictures_are_decoded_in_tiles(model_of: ModelOf) -> None:
    _, model = model_of(sana)
    found = model.make(640, 64, sampler="dpmpp_2m", cfg=1.0, steps=1)
    latent = encode_image(model.part("vae"), found.pixels.movedim(1, -1))
    tiled = decode_latent(replace(model.part("vae"), tiled=True), latent)
    assert tiled.shape == (1, 64, 640, 3)


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    found, expected = in_bfloat16(model_of(sana), sampler="dpmpp_2m", **AS_ASKED)
    assert torch.equal(found.latents, expected.latents.float())


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(sana)
    assert_samples_by(model, {"euler": "normal", "uni_pc": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")
