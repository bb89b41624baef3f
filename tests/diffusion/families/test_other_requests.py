"""Requests that users make and the tests of single families leave out, equal to diffusers.

Three images at once, sizes that are no power of two, strong guidance and none, long prompts and
long negative ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import diffusers as d
import pytest
from torch import Tensor

from .checks import Unpack
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, assert_same, stock
from .test_auraflow import auraflow
from .test_flux import chroma, flux, sd3
from .test_flux import unpack as patches
from .test_flux2 import denormalised, flux2_klein
from .test_hidream import hidream
from .test_hunyuan_image import hunyuan
from .test_krea2 import krea2
from .test_longcat_image import PLAIN, longcat_image
from .test_ltx import unpack as patches_of_video
from .test_lumina2 import lumina2
from .test_mochi import mochi
from .test_ovis_image import ovis_image
from .test_pixart import pixart_sigma
from .test_qwen_image import qwen_image
from .test_qwen_image_21 import OPTIONS, qwen_image_21
from .test_qwen_image_21 import unpack as slots
from .test_sana import sana
from .test_stable_diffusion import sd1, sd2, sdxl
from .test_z_image import z_image
from .video_models import ltx, wan, wan22, wan22_5b

ModelOf = Callable[[Callable[[], Any]], Pair]

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")

BINNED = {"use_resolution_binning": False}
LONG = " ".join(["a red cat on a blue mat, oil on canvas;"] * 9)


@dataclass(frozen=True)
class Asked:
    """A family whose pipeline makes images of prompts.

    Attributes:
        sampler: The pipeline's own.
        side: What sides are multiples of.
        scale: What the pipeline calls cfg, which is `offset` more here.
        options: Of the pipeline.
        sides: Of all images, as multiples of `side`, where the pipeline changes other sizes.
        cuts: Whether the pipeline cuts long prompts, of which nodegraph reads all.
        packs: Of the pipeline, what makes its latents of nodegraph's.
    """

    build: Callable[[], Any]
    sampler: str = "euler"
    side: int = 16
    unpack: Unpack | None = None
    scale: str = "guidance_scale"
    offset: float = 0.0
    options: Mapping[str, Any] = field(default_factory=dict)
    sides: tuple[int, int] | None = None
    cuts: bool = False
    packs: Callable[[Any], Callable[[Tensor], Tensor]] | None = None

    def __str__(self) -> str:
        return self.build.__name__


FAMILIES = [
    Asked(sd1, "ddim", cuts=True),
    Asked(sd2, "ddim", cuts=True),
    Asked(sdxl, cuts=True),
    Asked(sd3),
    Asked(pixart_sigma, "dpmpp_2m", options=BINNED),
    Asked(sana, "dpmpp_2m", 32, options=BINNED),
    Asked(lumina2),
    Asked(auraflow),
    Asked(chroma, unpack=patches),
    Asked(flux, unpack=patches, scale="true_cfg_scale", options={"guidance_scale": 3.5}),
    Asked(flux2_klein, packs=lambda pipeline: denormalised(pipeline.vae)),
    Asked(qwen_image, unpack=patches, scale="true_cfg_scale"),
    Asked(z_image, offset=1.0),
    Asked(hidream, side=32, sides=(4, 4)),
    Asked(ovis_image, unpack=patches),
    Asked(longcat_image, unpack=patches, options=PLAIN),
    Asked(krea2, unpack=patches, offset=1.0),
    Asked(qwen_image_21, side=32, unpack=slots, scale="true_cfg_scale", options=OPTIONS),
]

REQUESTS = {
    "three": {"batch": 3, "negative": NEGATIVE, "cfg": 7.3, "sides": (3, 4)},
    "no guidance": {"batch": 1, "negative": NEGATIVE, "cfg": 0.0, "sides": (5, 3)},
    "long": {"batch": 1, "negative": LONG[::-1], "cfg": 3.0, "sides": (2, 5), "prompt": LONG},
}


CASES = [
    pytest.param(asked, name, id=f"{asked}-{name}")
    for asked in FAMILIES
    for name in REQUESTS
    if not (asked.cuts and name == "long")
]


@pytest.mark.slow
@pytest.mark.parametrize(("asked", "request_name"), CASES)
def test_latents_are_those_of_diffusers(model_of: ModelOf, asked: Asked, request_name: str) -> None:
    pipeline, model = model_of(asked.build)
    wanted = dict(REQUESTS[request_name])
    sides = asked.sides or wanted["sides"]
    width, height = (side * asked.side for side in sides)
    del wanted["sides"]
    cfg = wanted.pop("cfg")
    both = {"prompt": PROMPT, "steps": 3, **wanted}
    if asked.build is flux2_klein:
        both["negative"] = None  # its pipeline takes none
    found = model.make(width, height, sampler=asked.sampler, cfg=cfg, **both)
    if asked.packs is not None:
        found = replace(found, latents=asked.packs(pipeline)(found.latents))
    called = {"width": width, "height": height, asked.scale: cfg - asked.offset}
    expected = stock(pipeline, **both, **called, **asked.options)
    unpacking: Callable[[Tensor], Tensor] | None = (
        asked.unpack(width, height) if asked.unpack else None
    )
    assert_same(found, expected, unpacking, pixels=False)


@dataclass(frozen=True)
class AskedVideo:
    """A family whose pipeline makes videos of prompts.

    Attributes:
        side: What sides are multiples of.
        frames: Of short and longer videos.
    """

    build: Callable[[], Any]
    sampler: str
    side: int
    frames: tuple[int, int]
    unpack: Callable[[int, int, int], Callable[[Tensor], Tensor]] | None = None

    def __str__(self) -> str:
        return self.build.__name__


VIDEOS = [
    AskedVideo(wan, "uni_pc", 16, (5, 9)),
    AskedVideo(wan22, "uni_pc", 16, (5, 9)),
    AskedVideo(wan22_5b, "uni_pc", 32, (5, 9)),
    AskedVideo(ltx, "euler", 32, (9, 17), patches_of_video),
    AskedVideo(mochi, "euler", 16, (7, 13)),
]


@pytest.mark.slow
@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("asked", VIDEOS, ids=str)
def test_videos_are_those_of_diffusers(
    model_of: ModelOf, asked: AskedVideo, request_name: str
) -> None:
    pipeline, model = model_of(asked.build)
    wanted = dict(REQUESTS[request_name])
    width, height = (side * asked.side for side in wanted.pop("sides"))
    cfg, frames = wanted.pop("cfg"), asked.frames[request_name != "three"]
    both = {"prompt": PROMPT, "steps": 3, **wanted}
    found = model.make(width, height, frames=frames, sampler=asked.sampler, cfg=cfg, **both)
    called = {"width": width, "height": height, "num_frames": frames, "guidance_scale": cfg}
    expected = stock(pipeline, out="frames", **both, **called)
    unpacking = asked.unpack(width, height, frames) if asked.unpack else None
    assert_same(found, expected, unpacking, pixels=False)


@pytest.mark.slow
def test_hunyuan_image_with_a_strong_guidance_is_diffusers(model_of: ModelOf) -> None:
    """Guidance belongs to the pipeline's guider."""
    pipeline, model = model_of(hunyuan)
    guider = d.AdaptiveProjectedMixGuidance(
        guidance_scale=7.3, adaptive_projected_guidance_start_step=1
    )
    strong = d.HunyuanImagePipeline(**{**pipeline.components, "guider": guider})
    strong.set_progress_bar_config(disable=True)
    options = {"negative": LONG[::-1], "batch": 3, "steps": 4, "prompt": LONG}
    found = model.make(96, 64, cfg=7.3, **options)
    assert_same(found, stock(strong, width=96, height=64, **options))
