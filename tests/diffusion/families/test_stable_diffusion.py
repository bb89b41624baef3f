"""Stable Diffusion 1.x, 2.x and XL give what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers as d
import pytest
import torch

from nodegraph.core.values import Latent

from .conftest import Pair
from .equality import NEGATIVE, assert_same, stock
from .parts import clip_text, ddim, unet, vae
from .words import clip_words

ModelOf = Callable[[Callable[[], Any]], Pair]


def sd1() -> Any:
    words = clip_words()
    parts = (vae(), clip_text(words), words, unet(32, 4), ddim(), None, None)
    return d.StableDiffusionPipeline(*parts, requires_safety_checker=False)


def sd2(**schedule: Any) -> Any:
    words = clip_words(pad="!")
    net = unet(1024, [2, 4, 8, 8], use_linear_projection=True)
    parts = (vae(), clip_text(words, 1024, act="gelu"), words, net)
    scheduler = ddim(prediction_type="v_prediction", **schedule)
    return d.StableDiffusionPipeline(*parts, scheduler, None, None, requires_safety_checker=False)


def sd2_zero_snr() -> Any:
    return sd2(rescale_betas_zero_snr=True, timestep_spacing="trailing")


def euler() -> Any:
    return d.EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        steps_offset=1,
        timestep_spacing="leading",
    )


def sdxl() -> Any:
    one, two = clip_words(), clip_words(pad="!")
    net = unet(
        32 + 48,
        [2, 4, 8],
        block_out_channels=(32, 32, 64),
        use_linear_projection=True,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[1, 1, 2],
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 48,
    )
    parts = (vae(scale=0.13025), clip_text(one, 32), clip_text(two, 48, 48, "gelu"), one, two)
    return d.StableDiffusionXLPipeline(
        *parts, net, euler(), force_zeros_for_empty_prompt=True, add_watermarker=False
    )


def refiner() -> Any:
    words = clip_words(pad="!")
    net = unet(
        48,
        [2, 4, 8, 8],
        use_linear_projection=True,
        down_block_types=(
            "DownBlock2D",
            "CrossAttnDownBlock2D",
            "CrossAttnDownBlock2D",
            "DownBlock2D",
        ),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=2,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=5 * 8 + 48,
    )
    parts = (vae(scale=0.13025), None, clip_text(words, 48, 48, "gelu"), None, words, net, euler())
    return d.StableDiffusionXLImg2ImgPipeline(
        *parts,
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
        add_watermarker=False,
    )


def name_of(item: Any) -> str:
    return str(getattr(item, "__name__", item))


QUICK = [(sd1, "ddim"), (sdxl, "euler")]
SLOW = pytest.param(sd2, "ddim", marks=pytest.mark.slow)
ZERO_SNR = (sd2_zero_snr, "ddim")


@pytest.mark.parametrize(("build", "sampler"), [*QUICK, SLOW, ZERO_SNR], ids=name_of)
def test_pictures_are_diffusers(model_of: ModelOf, build: Callable[[], Any], sampler: str) -> None:
    pipeline, model = model_of(build)
    for width, height, batch, negative, cfg in (
        (64, 64, 1, None, 7.5),
        (96, 64, 2, NEGATIVE, 5.0),
        (64, 64, 1, None, 1.0),
    ):
        options = {"batch": batch, "negative": negative}
        found = model.make(width, height, sampler=sampler, cfg=cfg, **options)
        expected = stock(pipeline, width=width, height=height, guidance_scale=cfg, **options)
        assert_same(found, expected, pixels=cfg == 7.5)


def image_to_image(pipeline: Any) -> Any:
    kind = {
        d.StableDiffusionPipeline: d.StableDiffusionImg2ImgPipeline,
        d.StableDiffusionXLPipeline: d.StableDiffusionXLImg2ImgPipeline,
    }.get(type(pipeline))
    if kind is None:
        return pipeline
    extra = {"add_watermarker": False} if "text_encoder_2" in pipeline.components else {}
    found = kind(**pipeline.components, **extra)
    found.set_progress_bar_config(disable=True)
    return found


@pytest.mark.parametrize(
    ("build", "sampler"),
    [*QUICK, SLOW, pytest.param(*ZERO_SNR, marks=pytest.mark.slow), (refiner, "euler")],
    ids=name_of,
)
@pytest.mark.parametrize(
    ("negative", "denoise", "steps"),
    [
        (None, 0.5, 4),
        (NEGATIVE, 0.5, 4),
        pytest.param(NEGATIVE, 0.13, 8, marks=pytest.mark.slow),
        pytest.param(NEGATIVE, 0.99, 8, marks=pytest.mark.slow),
    ],
)
def test_pictures_from_pictures_are_diffusers(
    model_of: ModelOf,
    build: Callable[[], Any],
    sampler: str,
    negative: str | None,
    denoise: float,
    steps: int,
) -> None:
    pipeline, model = model_of(build)
    start = torch.randn(1, 4, 8, 12, generator=torch.Generator().manual_seed(1))
    latent = Latent(start, 96, 64)
    options = {"negative": negative, "steps": steps}
    found = model.make(96, 64, latent=latent, sampler=sampler, denoise=denoise, cfg=5.0, **options)
    other = image_to_image(pipeline)
    expected = stock(other, image=start, strength=denoise, guidance_scale=5.0, **options)
    assert_same(found, expected)
