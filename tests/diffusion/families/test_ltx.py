"""LTX-Video gives what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffusers as d
import torch
from torch import Tensor

from nodegraph.families.base import RATE
from nodegraph.sampling.inpainting import with_tensors

from .conftest import Pair
from .equality import NEGATIVE, Model, assert_same, stock
from .video_models import ltx, ltx_timed

ModelOf = Callable[[Callable[[], Any]], Pair]


def unpack(width: int, height: int, frames: int) -> Callable[[Tensor], Tensor]:
    cells = (frames - 1) // 8 + 1, height // 32, width // 32
    return lambda tokens: tokens.transpose(1, 2).reshape(len(tokens), -1, *cells)


def test_videos_are_those_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(ltx)
    for width, frames, batch, negative, cfg in (
        (64, 9, 1, None, 3.0),
        (96, 17, 2, NEGATIVE, 3.0),
        (64, 9, 1, None, 1.0),
    ):
        options = {"batch": batch, "negative": negative}
        found = model.make(width, 64, frames=frames, cfg=cfg, **options)
        options |= {"width": width, "height": 64, "num_frames": frames, "guidance_scale": cfg}
        expected = stock(pipeline, out="frames", **options)
        assert_same(found, expected, unpack(width, 64, frames), pixels=batch == 1 and cfg > 1)


def test_the_rate_is_told_as_by_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(ltx)
    rate = {RATE: torch.tensor([[24, 1]])}
    change = lambda given: with_tensors(given, rate)  # noqa: E731
    found = model.make(64, 64, frames=17, cfg=3.0, negative=NEGATIVE, change=change)
    options = {"width": 64, "height": 64, "num_frames": 17, "guidance_scale": 3.0}
    options |= {"frame_rate": 24, "negative": NEGATIVE}
    assert_same(found, stock(pipeline, out="frames", **options), unpack(64, 64, 17))


def test_a_decoder_that_ends_the_denoising_is_that_of_diffusers(model_of: ModelOf) -> None:
    # diffusers' pipeline fails on several videos of one prompt here
    pipeline, model = model_of(ltx_timed)
    found = model.make(64, 96, frames=9, cfg=3.0)
    options = {"width": 64, "height": 96, "num_frames": 9, "guidance_scale": 3.0}
    expected = stock(pipeline, out="frames", **options)
    assert_same(found, expected, unpack(64, 96, 9), pixels=True)


def test_in_bfloat16_as_diffusers(model_of: ModelOf) -> None:
    _, model = model_of(ltx)
    pipeline = d.LTXPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    found = Model(model.folder, "bfloat16").make(64, 96, frames=9, cfg=3.0)
    options = {"width": 64, "height": 96, "num_frames": 9, "guidance_scale": 3.0}
    expected = stock(pipeline, out="frames", **options)
    widened = replace(expected, decode=lambda: expected.pixels.float())
    assert_same(found, widened, unpack(64, 96, 9), pixels=True)
