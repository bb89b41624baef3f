"""Sizes beyond the positions of a network are refused; the largest that has positions works.

Networks with tables of positions failed with an error of torch beyond them, or read wrong rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nodegraph.errors import InvalidValue
from nodegraph.families.position_limits import PositionLimits
from nodegraph.families.registry import FAMILIES
from tests.messages import raises

from .conftest import Pair
from .equality import Model
from .tiny_models import TINY

ModelOf = Callable[[Callable[[], Any]], Pair]

QUICK = ("anima", "z-image")
LIMITED = (
    *QUICK,
    *("auraflow", "cosmos-predict2", "cosmos-predict25", "cosmos-transfer25", "fibo2"),
    *("kandinsky5-image", "kandinsky5-video", "lumina2", "sd3", "wan"),
)


def largest(model: Model) -> PositionLimits:
    denoiser = model.part("model")
    limits = FAMILIES[denoiser.family].position_limits(denoiser.config)
    assert limits is not None
    return limits


def options_of(name: str) -> dict[str, Any]:
    tiny = TINY[name]
    return {"cfg": 1.0, "steps": 1, "sampler": tiny.sampler, "frames": tiny.frames}


@pytest.mark.parametrize(
    "name",
    [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in LIMITED],
)
def test_a_size_beyond_the_positions_is_refused(model_of: ModelOf, name: str) -> None:
    _, model = model_of(TINY[name].build)
    family, limits = FAMILIES[name], largest(model)
    width, side = limits.columns * family.latent.spatial, family.multiple
    options = options_of(name)
    with pytest.raises(InvalidValue, match="no positions for a latent of this size"):
        model.make(width + side, side, **options)
    with pytest.raises(InvalidValue, match="no positions for a latent of this size"):
        model.make(side, limits.rows * family.latent.spatial + side, **options)
    made = model.make(width, side, **options)
    assert torch.isfinite(made.latents).all()


@pytest.mark.slow
def test_a_longer_video_than_the_positions_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(TINY["kandinsky5-video"].build)
    limits = largest(model)
    assert limits.frames is not None
    frames = FAMILIES["kandinsky5-video"].latent.pixel_frames(limits.frames + 1)
    with raises(InvalidValue, port="latent"):
        model.make(16, 16, cfg=1.0, frames=frames)


def test_the_whole_of_an_image_may_be_limited() -> None:
    limits = PositionLimits(rows=256, columns=256, cells=256)
    limits.check((64, 256), 1, 8)
    with raises(
        InvalidValue,
        port="latent",
        given="160 x 112",
        expected="at most as many pixels as 128 x 128",
    ):
        limits.check((160, 112), 1, 8)


def test_limits_are_those_of_what_the_model_sees_at_once() -> None:
    limits = PositionLimits(rows=8, columns=16, frames=4)
    limits.check((128, 64), 4, 8)
    with raises(
        InvalidValue, port="latent", given="136 x 64 pixels", expected="at most 128 x 64 pixels"
    ):
        limits.check((136, 64), 4, 8)
    with pytest.raises(InvalidValue, match="5 latent frames"):
        limits.check((128, 64), 5, 8)
