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
from .video_models import wan, wan22, wan22_5b

ModelOf = Callable[[Callable[[], Any]], Pair]


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
