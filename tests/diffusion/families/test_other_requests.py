"""Requests that users make and the tests of single families leave out, equal to diffusers.

Three images at once, sizes that are no power of two, strong guidance and none, long prompts and
long negative ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from torch import Tensor

from .checks import Unpack
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, assert_same, stock
from .test_auraflow import auraflow
from .test_flux import chroma, sd3
from .test_flux import unpack as patches
from .test_hidream import hidream
from .test_krea2 import krea2
from .test_longcat_image import PLAIN, longcat_image
from .test_lumina2 import lumina2
from .test_ovis_image import ovis_image
from .test_pixart import pixart_sigma
from .test_qwen_image_21 import OPTIONS, qwen_image_21
from .test_qwen_image_21 import unpack as slots
from .test_sana import sana
from .test_stable_diffusion import sd1, sd2, sdxl

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
    found = model.make(width, height, sampler=asked.sampler, cfg=cfg, **both)
    called = {"width": width, "height": height, asked.scale: cfg - asked.offset}
    expected = stock(pipeline, **both, **called, **asked.options)
    unpacking: Callable[[Tensor], Tensor] | None = (
        asked.unpack(width, height) if asked.unpack else None
    )
    assert_same(found, expected, unpacking, pixels=False)
