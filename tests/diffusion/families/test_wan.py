"""Wan 2.1 and 2.2 give what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffusers as d
import pytest
import torch

from nodegraph.errors import InvalidValue
from nodegraph.families.base import LATE_CFG
from nodegraph.models.offloading import small_footprint
from nodegraph.sampling.inpainting import with_tensors
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, Model, assert_same, stock
from .video_models import wan, wan22, wan22_5b

ModelOf = Callable[[Callable[[], Any]], Pair]


@pytest.mark.parametrize(
    ("build", "side"), [pytest.param(wan, 16, marks=pytest.mark.slow), (wan22, 16), (wan22_5b, 32)]
)
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
        assert_same(found, stock(pipeline, out="frames", **options), pixels=frames == 5)


def test_the_second_expert_may_have_a_scale_of_its_own(model_of: ModelOf) -> None:
    pipeline, model = model_of(wan22)
    late = {LATE_CFG: torch.tensor([3.0])}
    size = {"width": 64, "height": 64}
    found = model.make(
        **size,
        frames=5,
        cfg=5.0,
        steps=3,
        sampler="uni_pc",
        change=lambda given: with_tensors(given, late),
    )
    options = {**size, "num_frames": 5, "guidance_scale": 5.0, "guidance_scale_2": 3.0, "steps": 3}
    assert_same(found, stock(pipeline, out="frames", **options))


def test_other_samplers_give_videos_too(model_of: ModelOf) -> None:
    _, model = model_of(wan)
    for sampler in ("euler", "dpmpp_2m"):
        found = model.make(64, 64, frames=5, cfg=5.0, steps=3, sampler=sampler)
        assert torch.isfinite(found.latents).all()
        assert found.latents.std() > 1e-4


def test_sizes_and_lengths_that_do_not_fit_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(wan)
    options = {"cfg": 1.0, "sampler": "uni_pc"}
    with raises(InvalidValue, port="latent", given="7 frames"):
        model.make(64, 64, frames=7, **options)
    with raises(InvalidValue, port="latent", given="72 x 64"):
        model.make(72, 64, frames=5, **options)


@pytest.mark.slow
def test_in_bfloat16_as_diffusers(model_of: ModelOf) -> None:
    # Some layers are float32 then, in both, and so are latents between the steps.
    _, model = model_of(wan22)
    pipeline = d.WanPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    half, size = Model(model.folder, "bfloat16"), {"width": 64, "height": 64}
    found = half.make(**size, frames=5, cfg=5.0, steps=3, sampler="uni_pc")
    options = {**size, "num_frames": 5, "guidance_scale": 5.0, "steps": 3}
    expected = stock(pipeline, out="frames", **options)
    assert_same(found, replace(expected, decode=lambda: expected.pixels.float()), pixels=True)


@pytest.mark.gpu
@pytest.mark.usefixtures("cuda")
def test_layers_in_float32_stay_so_where_weights_are_brought_along(model_of: ModelOf) -> None:
    _, model = model_of(wan)
    half = Model(model.folder, "bfloat16")
    options = {"width": 64, "height": 64, "frames": 5, "cfg": 1.0, "sampler": "uni_pc"}
    expected = half.make(**options)
    with small_footprint(half.part("model"), "cuda") as small:
        there = Model(model.folder, "bfloat16", {**half.loaded, "model": small})
        found = there.make(**options)
    # bfloat16 has 8 bits
    torch.testing.assert_close(found.latents, expected.latents, rtol=0, atol=0.05)
