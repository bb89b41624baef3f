"""Models made to fill masked images give what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import replace
from typing import Any

import diffusers as d
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from nodegraph.diffusion import encode_image
from nodegraph.errors import InvalidValue
from nodegraph.families.patches import pack_latents
from nodegraph.sampling.inpainting import masked_picture, with_masked_latent
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, SEED, Made, Model, assert_same, picture, stock
from .image_to_image import MostLikely
from .parts import clip_text, ddim, dynamic_flow, flux_vae, t5_text, unet, vae
from .test_flux import flux_net, unpack
from .test_stable_diffusion import sd2, sdxl
from .words import clip_words, t5_words

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")

ModelOf = Callable[[Callable[[], Any]], Pair]
WIDTH, HEIGHT = 96, 64


def sd1_fill() -> Any:
    words = clip_words()
    parts = (vae(), clip_text(words), words, unet(32, 4, in_channels=9), ddim(), None, None)
    return d.StableDiffusionInpaintPipeline(*parts, requires_safety_checker=False)


def sd2_fill() -> Any:
    return filling(d.StableDiffusionInpaintPipeline, sd2(), requires_safety_checker=False)


def sdxl_fill() -> Any:
    return filling(d.StableDiffusionXLInpaintPipeline, sdxl(), add_watermarker=False)


def filling(kind: Any, usual: Any, **options: Any) -> Any:
    """An inpainting model, with the other parts of a usual one."""
    config = {**usual.unet.config, "in_channels": 9}
    return kind(
        **{**usual.components, "unet": d.UNet2DConditionModel.from_config(config)}, **options
    )


def flux_fill() -> Any:
    one, two = clip_words(), t5_words()
    parts = (dynamic_flow(), flux_vae(), clip_text(one), one, t5_text(two), two)
    return d.FluxFillPipeline(*parts, flux_net(384))


def masked() -> tuple[Tensor, Tensor]:
    """An image (1, height, width, 3) and its mask (1, height, width)."""
    image = torch.from_numpy(np.asarray(picture(WIDTH, HEIGHT)).astype(np.float32) / 255)[None]
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[:, HEIGHT // 4 : HEIGHT // 2, WIDTH // 4 :] = 1
    return image, mask


def filled(model: Model, **options: Any) -> tuple[Made, Tensor]:
    """What nodegraph makes of it, and the latent of what is kept."""
    hole, rest = masked_picture(*masked())
    seen = encode_image(model.part("vae"), rest).samples
    assert seen is not None
    change: Any = lambda given: with_masked_latent(given, seen, hole)  # noqa: E731
    return model.make(WIDTH, HEIGHT, change=change, **options), seen


@pytest.mark.parametrize(
    ("build", "sampler", "batch"),
    [
        (sd1_fill, "ddim", 1),
        (sd1_fill, "ddim", 2),
        pytest.param(sd2_fill, "ddim", 1, marks=pytest.mark.slow),
        (sdxl_fill, "euler", 1),
        pytest.param(sdxl_fill, "euler", 3, marks=pytest.mark.slow),
    ],
)
def test_nine_channels_are_diffusers(
    model_of: ModelOf, build: Callable[[], Any], sampler: str, batch: int
) -> None:
    pipeline, model = model_of(build)
    found, seen = filled(model, batch=batch, sampler=sampler, cfg=7.5, negative=NEGATIVE)
    assert_same(found, stock_fill(pipeline, seen, batch=batch, strength=1.0))


def stock_fill(pipeline: Any, seen: Tensor, **options: Any) -> Made:
    """The pipeline, with the latent of what is kept."""
    image, mask = masked()
    return stock(
        pipeline,
        image=Image.fromarray((image[0].numpy() * 255).round().astype(np.uint8)),
        mask_image=Image.fromarray((mask[0].numpy() * 255).astype(np.uint8)),
        masked_image_latents=seen,
        guidance_scale=7.5,
        negative=NEGATIVE,
        width=WIDTH,
        height=HEIGHT,
        **options,
    )


@pytest.mark.parametrize(
    ("build", "sampler"),
    [(sd1_fill, "ddim"), pytest.param(sdxl_fill, "euler", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    ("denoise", "steps"),
    [(0.5, 4), *(pytest.param(each, 8, marks=pytest.mark.slow) for each in (0.13, 0.99))],
)
def test_nine_channels_go_on_from_a_picture_as_in_diffusers(
    model_of: ModelOf, build: Callable[[], Any], sampler: str, denoise: float, steps: int
) -> None:
    pipeline, model = model_of(build)
    latent = encode_image(model.part("vae"), masked()[0])
    options = {"latent": latent, "denoise": denoise, "steps": steps, "negative": NEGATIVE}
    found, seen = filled(model, sampler=sampler, cfg=7.5, **options)
    other = copy(pipeline)
    other.vae = MostLikely(pipeline.vae)
    assert_same(found, stock_fill(other, seen, strength=denoise, steps=steps))


def test_flux_fill_is_diffusers(model_of: ModelOf) -> None:
    """The stock pipeline draws the latent of what is kept, so it is handed on from there."""
    pipeline, model = model_of(flux_fill)
    image, mask = masked()
    hole, _ = masked_picture(image, mask)
    given, where = picture(WIDTH, HEIGHT), Image.fromarray((mask[0].numpy() * 255).astype(np.uint8))
    pixels = pipeline.image_processor.preprocess(given, height=HEIGHT, width=WIDTH)
    with torch.no_grad():
        posterior = model.part("vae").module.encode(pixels * (1 - hole)).latent_dist
    drawn = posterior.sample(torch.Generator().manual_seed(SEED))
    seen = (drawn - pipeline.vae.config.shift_factor) * pipeline.vae.config.scaling_factor
    noise = torch.randn(1, 16, *seen.shape[2:], generator=torch.Generator().manual_seed(SEED))
    change: Any = lambda prompts: with_masked_latent(prompts, seen, hole)  # noqa: E731
    found = model.make(WIDTH, HEIGHT, change=change, cfg=1.0)
    expected = stock(
        pipeline,
        image=given,
        mask_image=where,
        latents=pack_latents(noise),
        guidance_scale=3.5,
        width=WIDTH,
        height=HEIGHT,
    )
    assert_same(found, expected, unpack(WIDTH, HEIGHT))


@pytest.mark.parametrize("build", [sd1_fill, flux_fill])
@pytest.mark.parametrize("batch", [1, 2])
def test_the_latents_own_mask_does_where_prompts_bring_none(
    model_of: ModelOf, build: Callable[[], Any], batch: int
) -> None:
    _, model = model_of(build)
    hole, rest = masked_picture(*masked())
    latent = encode_image(model.part("vae"), rest.expand(batch, -1, -1, -1))
    assert latent.samples is not None
    seen, latent = latent.samples[:1], replace(latent, noise_mask=masked()[1])
    brought = model.make(
        WIDTH,
        HEIGHT,
        latent=latent,
        change=lambda given: with_masked_latent(given, seen, hole),
        cfg=2.0,
    )
    assert_same(model.make(WIDTH, HEIGHT, latent=latent, cfg=2.0), brought)


@pytest.mark.parametrize("build", [sd1_fill, flux_fill])
def test_without_a_picture_they_are_refused(model_of: ModelOf, build: Callable[[], Any]) -> None:
    _, model = model_of(build)
    with raises(InvalidValue, port="positive"):
        model.make(WIDTH, HEIGHT, cfg=1.0)


def test_a_mask_of_another_size_is_refused() -> None:
    image, mask = masked()
    with raises(InvalidValue, port="mask"):
        masked_picture(image, mask[:, ::2])


@pytest.mark.parametrize("build", [sd1_fill, pytest.param(flux_fill, marks=pytest.mark.slow)])
def test_images_of_items_that_are_evaluated_one_by_one_are_their_own(
    model_of: ModelOf, build: Callable[[], Any]
) -> None:
    """As in a retry with less memory."""
    _, model = model_of(build)
    hole, rest = masked_picture(*masked())
    seen = encode_image(model.part("vae"), rest).samples
    assert seen is not None
    seen, hole = torch.cat([seen, seen.flip(-1)]), torch.cat([hole, hole.flip(-1)])
    change: Any = lambda given: with_masked_latent(given, seen, hole)  # noqa: E731
    options: dict[str, Any] = {"change": change, "batch": 2, "negative": NEGATIVE, "cfg": 4.0}
    expected = model.make(WIDTH, HEIGHT, **options).latents
    denoiser = replace(model.part("model"), one_by_one=True)
    small = replace(model, loaded={**model.loaded, "model": denoiser})
    found = small.make(WIDTH, HEIGHT, **options).latents
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
