"""Families without a test of their own for it give what diffusers gives in bfloat16, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers as d
import pytest
import torch

from nodegraph.core.values import Latent

from .checks import in_bfloat16
from .conftest import Pair
from .equality import NEGATIVE, Model, stock
from .test_flux import chroma, flux, sd3, unpack
from .test_flux2 import denormalised, flux2_klein
from .test_stable_diffusion import refiner, sd1, sd2, sdxl
from .video_models import wan, wan22_5b

ModelOf = Callable[[Callable[[], Any]], Pair]

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")


@pytest.mark.parametrize(
    ("build", "sampler"),
    [
        (sd1, "ddim"),
        pytest.param(sd2, "ddim", marks=pytest.mark.slow),
        pytest.param(sdxl, "euler", marks=pytest.mark.slow),
        pytest.param(sd3, "euler", marks=pytest.mark.slow),
    ],
)
def test_pictures_are_diffusers(model_of: ModelOf, build: Callable[[], Any], sampler: str) -> None:
    found, expected = in_bfloat16(model_of(build), sampler=sampler)
    assert torch.equal(found.latents, expected.latents.float())
    assert torch.equal(found.pixels, expected.pixels.float())


@pytest.mark.parametrize(
    ("build", "cfg"), [(flux, None), pytest.param(chroma, 4.5, marks=pytest.mark.slow)]
)
def test_patches_are_diffusers(
    model_of: ModelOf, build: Callable[[], Any], cfg: float | None
) -> None:
    found, expected = in_bfloat16(model_of(build), cfg=cfg)
    assert torch.equal(found.latents, unpack(64, 64)(expected.latents).float())
    assert torch.equal(found.pixels, expected.pixels.float())


@pytest.mark.slow
def test_klein_is_diffusers(model_of: ModelOf) -> None:
    pair = model_of(flux2_klein)
    found, expected = in_bfloat16(pair)
    assert torch.equal(found.pixels, expected.pixels.float())
    # the pipeline's were brought to the autoencoder's scale in bfloat16, which has 8 bits
    latents = denormalised(pair[0].vae)(found.latents)
    torch.testing.assert_close(latents, expected.latents.float(), rtol=2**-7, atol=2**-6)


@pytest.mark.slow
def test_the_refiner_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(refiner)
    loaded = type(pipeline).from_pretrained(model.folder, dtype=torch.bfloat16)
    loaded.set_progress_bar_config(disable=True)
    loaded.watermark = None
    start = torch.randn(1, 4, 8, 12, generator=torch.Generator().manual_seed(1))
    both, latent = {"negative": NEGATIVE, "steps": 4}, Latent(start, 96, 64)
    half = Model(model.folder, "bfloat16")
    found = half.make(96, 64, latent=latent, denoise=0.5, cfg=5.0, **both)
    expected = stock(loaded, image=start, strength=0.5, guidance_scale=5.0, **both)
    assert torch.equal(found.latents, expected.latents.float())


@pytest.mark.parametrize(
    ("build", "side"), [(wan, 64), pytest.param(wan22_5b, 128, marks=pytest.mark.slow)]
)
def test_videos_are_diffusers(model_of: ModelOf, build: Callable[[], Any], side: int) -> None:
    _, model = model_of(build)
    pipeline = d.WanPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    size = {"width": side, "height": side}
    half = Model(model.folder, "bfloat16")
    found = half.make(**size, frames=5, cfg=5.0, sampler="uni_pc")
    expected = stock(pipeline, out="frames", num_frames=5, guidance_scale=5.0, **size)
    assert torch.equal(found.latents, expected.latents.float())
    assert torch.equal(found.pixels, expected.pixels.float())
