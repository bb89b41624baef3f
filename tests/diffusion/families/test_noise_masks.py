"""What is made anew under a mask is what diffusers' inpainting pipelines make, to the last bit."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any

import diffusers as d
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.diffusion import encode_image, encode_video
from nodegraph.families import qwen_image_edit
from nodegraph.families.registry import families_of_pipeline
from nodegraph.models.conditioning import with_references

from .checks import Unpack
from .conftest import Pair
from .equality import NEGATIVE, Model, assert_same, picture, stock
from .image_to_image import HEIGHT, STRENGTHS, WIDTH, MostLikely, as_tensor
from .test_flux import chroma, flux, flux_kontext, sd3, unpack
from .test_flux2 import denormalised, flux2_klein
from .test_qwen_image import qwen_image
from .test_qwen_image_edit import edit, edited
from .test_stable_diffusion import refiner, sd1, sd2, sd2_zero_snr, sdxl
from .test_z_image import z_image
from .video_models import wan

ModelOf = Callable[[Callable[[], Any]], Pair]

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")


@dataclass(frozen=True)
class Case:
    """A model that samples as ever, and the pipeline that puts back what the mask keeps.

    Attributes:
        kind: The pipeline's class, and what it is made of beside the parts.
        cfg: What nodegraph is told; the pipeline's own way to say it is among the options.
    """

    build: Callable[[], Any]
    kind: Any
    sampler: str = "euler"
    cfg: float = 4.0
    options: Mapping[str, Any] = field(default_factory=dict)
    made_with: Mapping[str, Any] = field(default_factory=dict)
    unpack: Unpack | None = None
    batch: int = 1

    def __str__(self) -> str:
        return self.build.__name__


UNCHECKED = {"requires_safety_checker": False}


def scaled(by: float, name: str = "guidance_scale") -> dict[str, Any]:
    return {name: by}


CASES = [
    Case(
        sd1,
        d.StableDiffusionInpaintPipeline,
        "ddim",
        options=scaled(4.0),
        made_with=UNCHECKED,
    ),
    Case(
        sd2,
        d.StableDiffusionInpaintPipeline,
        "ddim",
        options=scaled(4.0),
        made_with=UNCHECKED,
        batch=3,
    ),
    Case(
        sdxl,
        d.StableDiffusionXLInpaintPipeline,
        options=scaled(4.0),
        made_with={"add_watermarker": False},
    ),
    Case(
        refiner,
        d.StableDiffusionXLInpaintPipeline,
        options=scaled(4.0),
        made_with={
            "add_watermarker": False,
            "requires_aesthetics_score": True,
            "force_zeros_for_empty_prompt": False,
        },
    ),
    Case(
        flux,
        d.FluxInpaintPipeline,
        options=scaled(3.5) | scaled(4.0, "true_cfg_scale"),
        unpack=unpack,
        batch=2,
    ),
    Case(
        chroma,
        d.ChromaInpaintPipeline,
        # as many tokens as its other pipelines show the model
        options=scaled(4.0) | {"max_sequence_length": 512},
        unpack=unpack,
    ),
    Case(z_image, d.ZImageInpaintPipeline, cfg=5.0, options=scaled(4.0)),
    Case(
        qwen_image, d.QwenImageInpaintPipeline, options=scaled(4.0, "true_cfg_scale"), unpack=unpack
    ),
    Case(sd3, d.StableDiffusion3InpaintPipeline, options=scaled(4.0)),
]
QUICK = (sd1, flux, qwen_image)


EDITS = [
    Case(
        flux_kontext,
        d.FluxKontextInpaintPipeline,
        options=scaled(3.5) | scaled(4.0, "true_cfg_scale") | {"_auto_resize": False},
        unpack=unpack,
    ),
    Case(flux2_klein, d.Flux2KleinInpaintPipeline, options=scaled(4.0)),
]
"""Models that are shown the image as a reference besides."""


def hole() -> Tensor:
    """A mask whose borders are those of latent cells, (1, height, width)."""
    mask = torch.zeros(1, HEIGHT, WIDTH)
    mask[:, HEIGHT // 4 : HEIGHT // 2, WIDTH // 3 :] = 1
    return mask


def as_picture(mask: Tensor) -> Image.Image:
    return Image.fromarray((mask[0].numpy() * 255).astype(np.uint8))


def start_of(model: Model) -> Latent:
    latent = encode_image(model.part("vae"), as_tensor(picture(WIDTH, HEIGHT)))
    return replace(latent, noise_mask=hole())


def inpainting(pipeline: Any, case: Case, start: Latent) -> Any:
    """A pipeline of the same parts, which takes the most likely latent of an image."""
    other, kind = case.kind(**pipeline.components, **case.made_with), case.kind
    other.set_progress_bar_config(disable=True)
    if kind is d.ChromaInpaintPipeline:
        # it asks for what its transformer's configuration doesn't say
        other.transformer = deepcopy(other.transformer)
        other.transformer.register_to_config(guidance_embeds=False)
    if kind in (d.QwenImageInpaintPipeline, d.QwenImageEditInpaintPipeline):
        # it scales them in another order than those that edit without masks: that rounds otherwise
        assert start.samples is not None
        other._encode_vae_image = lambda image, generator: start.samples.unsqueeze(2)
    else:
        other.vae = MostLikely(pipeline.vae)
    return other


@pytest.mark.parametrize(
    ("case", "denoise", "steps"),
    [
        pytest.param(case, *way, id=f"{case}-{way[0]}", marks=marks)
        for case in CASES
        for way in ((0.5, 4), (0.13, 100), (0.99, 100))
        for marks in [() if case.build in QUICK and way[0] == 0.5 else pytest.mark.slow]
    ],
)
def test_the_rest_stays_as_with_diffusers(
    model_of: ModelOf, case: Case, denoise: float, steps: int
) -> None:
    pipeline, model = model_of(case.build)
    start = start_of(model)
    both = {"negative": NEGATIVE, "steps": steps, "batch": case.batch}
    assert start.samples is not None
    samples = start.samples.expand(case.batch, -1, -1, -1)
    latent = replace(start, samples=samples, batch_size=case.batch)
    options = {"denoise": denoise, "cfg": case.cfg, "sampler": case.sampler}
    found = model.make(WIDTH, HEIGHT, latent=latent, **both, **options)
    other = inpainting(pipeline, case, start)
    called = {"image": picture(WIDTH, HEIGHT), "mask_image": as_picture(hole())}
    called |= {"width": WIDTH, "height": HEIGHT, "strength": denoise, **case.options}
    expected = stock(other, **both, **called)
    assert_same(found, expected, case.unpack(WIDTH, HEIGHT) if case.unpack else None)
    assert_kept(found.latents, samples)


def assert_kept(found: Tensor, given: Tensor) -> None:
    """What isn't masked came back as it was."""
    cell = WIDTH // given.shape[-1]
    kept = hole()[0, ::cell, ::cell] == 0
    assert torch.equal(found[..., kept], given[..., kept])


@pytest.mark.parametrize("kind", [case.kind for case in (*CASES, *EDITS)])
def test_folders_of_these_pipelines_are_recognised(kind: Any) -> None:
    assert families_of_pipeline(kind.__name__)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(
            Case(sd2_zero_snr, d.StableDiffusionInpaintPipeline, "ddim", made_with=UNCHECKED),
            marks=pytest.mark.slow,
        ),
        Case(chroma, d.ChromaInpaintPipeline, options={"max_sequence_length": 512}, unpack=unpack),
    ],
    ids=str,
)
def test_where_noise_hides_all_so_do_whole_samplings(model_of: ModelOf, case: Case) -> None:
    """The pipeline of Stable Diffusion starts from noise alone then, and nodegraph, as the one of
    Chroma and ComfyUI, from an image under the greatest noise. Where that leaves nothing of the
    image, it is the same."""
    pipeline, model = model_of(case.build)
    start = start_of(model)
    found = model.make(WIDTH, HEIGHT, latent=start, sampler=case.sampler, steps=3, cfg=4.0)
    called = {"image": picture(WIDTH, HEIGHT), "mask_image": as_picture(hole()), "steps": 3}
    called |= {"width": WIDTH, "height": HEIGHT, "strength": 1.0, **scaled(4.0), **case.options}
    expected = stock(inpainting(pipeline, case, start), **called)
    assert_same(found, expected, case.unpack(WIDTH, HEIGHT) if case.unpack else None)


@pytest.mark.parametrize(
    "case", [EDITS[0], pytest.param(EDITS[1], marks=pytest.mark.slow)], ids=str
)
@pytest.mark.parametrize(("denoise", "steps"), STRENGTHS)
def test_models_that_edit_see_the_picture_beside(
    model_of: ModelOf, case: Case, denoise: float, steps: int
) -> None:
    """Their pipelines show it to the model as a reference."""
    pipeline, model = model_of(case.build)
    start = start_of(model)
    is_klein = case.build is flux2_klein
    both = {"negative": None if is_klein else NEGATIVE, "steps": steps}
    change: Any = lambda given: with_references(given, start)  # noqa: E731
    options = {"denoise": denoise, "cfg": 4.0, "change": change}
    away = None if is_klein else change(model.encode(NEGATIVE))
    found = model.make(WIDTH, HEIGHT, latent=start, away=away, **both, **options)
    other = inpainting(pipeline, case, start)
    called = {"image": picture(WIDTH, HEIGHT), "mask_image": as_picture(hole())}
    expected = stock(other, strength=denoise, **both, **called, **case.options)
    pack = denormalised(pipeline.vae) if is_klein else lambda latents: latents
    packed = replace(found, latents=pack(found.latents))
    assert_same(packed, expected, case.unpack(WIDTH, HEIGHT) if case.unpack else None)
    assert start.samples is not None
    assert_kept(found.latents, start.samples)


@pytest.mark.parametrize(("denoise", "steps"), STRENGTHS)
def test_so_does_qwen_image_edit(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch, denoise: float, steps: int
) -> None:
    pipeline, model = model_of(edit)
    home = sys.modules[d.QwenImageEditInpaintPipeline.__module__]
    monkeypatch.setattr(home, "calculate_dimensions", lambda area, ratio: (WIDTH, HEIGHT, None))
    monkeypatch.setattr(qwen_image_edit, "seen_size", lambda width, height, area: (WIDTH, HEIGHT))
    start, drawn = start_of(model), picture(WIDTH, HEIGHT)
    both = {"denoise": denoise, "steps": steps}
    found = edited(model, [drawn], [drawn], NEGATIVE, latent=start, **both)
    other = inpainting(pipeline, Case(edit, d.QwenImageEditInpaintPipeline), start)
    called = {"image": drawn, "mask_image": as_picture(hole()), "width": WIDTH, "height": HEIGHT}
    called |= {"strength": denoise, **scaled(4.0, "true_cfg_scale")}
    expected = stock(other, negative=NEGATIVE, steps=steps, **called)
    assert_same(found, expected, unpack(WIDTH, HEIGHT))


def test_every_frame_of_a_video_keeps_the_rest(model_of: ModelOf) -> None:
    _, model = model_of(wan)
    frames = as_tensor(picture(WIDTH, HEIGHT)).expand(5, -1, -1, -1)
    start = replace(encode_video(model.part("vae"), frames), noise_mask=hole())
    options = {"denoise": 0.5, "cfg": 1.0, "steps": 4, "sampler": "uni_pc"}
    found = model.make(WIDTH, HEIGHT, latent=start, **options).latents
    assert start.samples is not None
    assert_kept(found, start.samples)
    masked = hole()[0, ::8, ::8] == 1
    assert (found - start.samples)[..., masked].abs().mean(dim=(0, 1, 3)).min() > 0.01
