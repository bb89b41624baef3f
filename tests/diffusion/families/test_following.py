"""Models made to follow an image give what diffusers' pipelines give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers as d
import pytest
import torch

from nodegraph.core.values import Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.image_conditioning import CONTROL_IMAGE
from nodegraph.families.patches import pack_latents
from nodegraph.sampling.composed_schedules import named_schedule
from nodegraph.sampling.controls.control_conditioning import with_control_image
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.guiders.methods import Dual
from nodegraph.sampling.inpainting import with_tensors
from nodegraph.sampling.sampling_parts import (
    GuiderChoice,
    SamplerChoice,
    SamplingNoise,
    SamplingParts,
)
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, assert_same, picture, stock
from .image_to_image import as_tensor
from .parts import clip_text, ddim, dynamic_flow, flux_vae, t5_text, unet, vae
from .test_flux import flux, flux_net, unpack
from .words import clip_words, t5_words

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")

ModelOf = Callable[[Callable[[], Any]], Pair]
WIDTH, HEIGHT = 96, 64


def sd1_edit() -> Any:
    words = clip_words()
    parts = (vae(), clip_text(words), words, unet(32, 4, in_channels=8), ddim(), None, None)
    return d.StableDiffusionInstructPix2PixPipeline(*parts, requires_safety_checker=False)


def flux_canny() -> Any:
    one, two = clip_words(), t5_words()
    parts = (dynamic_flow(), flux_vae(), clip_text(one), one, t5_text(two), two)
    return d.FluxControlPipeline(*parts, flux_net(128))


def test_instructions_and_a_picture_lead_as_in_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(sd1_edit)
    given = picture(WIDTH, HEIGHT)

    def shown(text: str, *, seen: bool = True) -> Any:
        return with_control_image(
            model.part("vae"), model.encode(text), as_tensor(given), shown=seen
        )  # type: ignore[arg-type]

    method = Dual(shown(NEGATIVE), 1.5)
    guider = GuiderChoice(shown(PROMPT), shown(NEGATIVE, seen=False), 7.5, method=method)
    parts = SamplingParts(
        SamplingNoise(SEED), guider, SamplerChoice("ddim"), named_schedule("normal", 2)
    )
    denoising = Denoising(model.part("model"), Latent(None, WIDTH, HEIGHT), parts)
    list(denoising)
    expected = stock(
        pipeline, image=given, negative=NEGATIVE, guidance_scale=7.5, image_guidance_scale=1.5
    )
    found = denoising.result().samples
    # one batch of three there, and the VAE's factor is put on and taken off again here
    torch.testing.assert_close(found, expected.latents, rtol=1e-4, atol=1e-4)


def test_flux_canny_is_diffusers(model_of: ModelOf) -> None:
    """The stock pipeline draws the image's latent, so it is handed on from there."""
    pipeline, model = model_of(flux_canny)
    given = picture(WIDTH, HEIGHT)
    pixels = pipeline.image_processor.preprocess(given, height=HEIGHT, width=WIDTH)
    with torch.no_grad():
        posterior = model.part("vae").module.encode(pixels.contiguous()).latent_dist
    drawn = posterior.sample(torch.Generator().manual_seed(SEED))
    seen = (drawn - pipeline.vae.config.shift_factor) * pipeline.vae.config.scaling_factor
    noise = torch.randn(1, 16, *seen.shape[2:], generator=torch.Generator().manual_seed(SEED))
    change: Any = lambda prompts: with_tensors(prompts, {CONTROL_IMAGE: seen})  # noqa: E731
    found = model.make(WIDTH, HEIGHT, change=change, cfg=1.0)
    expected = stock(
        pipeline,
        control_image=given,
        latents=pack_latents(noise),
        guidance_scale=3.5,
        width=WIDTH,
        height=HEIGHT,
    )
    assert_same(found, expected, unpack(WIDTH, HEIGHT))
    prompts = with_control_image(model.part("vae"), model.encode(PROMPT), as_tensor(given))  # type: ignore[arg-type]
    assert prompts.entries[0].tensors[CONTROL_IMAGE].shape == seen.shape


@pytest.mark.parametrize("build", [sd1_edit, flux_canny])
def test_without_a_picture_they_are_refused(model_of: ModelOf, build: Callable[[], Any]) -> None:
    _, model = model_of(build)
    with raises(InvalidValue, port="positive"):
        model.make(WIDTH, HEIGHT, cfg=1.0)
    image = as_tensor(picture(WIDTH, HEIGHT))
    with raises(InvalidValue, port="positive", given="(8, 12) in latent cells"):
        model.make(
            HEIGHT,
            HEIGHT,
            cfg=1.0,
            change=lambda it: with_control_image(model.part("vae"), it, image),
        )
    with raises(InvalidValue, port="image", given="2 images"):
        with_control_image(model.part("vae"), model.encode(PROMPT), image.repeat(2, 1, 1, 1))  # type: ignore[arg-type]


def test_other_models_are_shown_none(model_of: ModelOf) -> None:
    _, model = model_of(flux)
    image = as_tensor(picture(WIDTH, HEIGHT))
    with raises(InvalidValue, port="positive"):
        model.make(
            WIDTH,
            HEIGHT,
            cfg=1.0,
            change=lambda it: with_control_image(model.part("vae"), it, image),
        )


@pytest.mark.parametrize("count", [2, 4])
def test_as_many_control_images_as_items_are_needed(model_of: ModelOf, count: int) -> None:
    _, model = model_of(flux_canny)
    shown = torch.randn(count, 16, 8, 8)
    with raises(InvalidValue, port="positive", given=f"{count} images for a batch of 3"):
        model.make(
            64, 64, batch=3, cfg=1.0, change=lambda p: with_tensors(p, {CONTROL_IMAGE: shown})
        )
