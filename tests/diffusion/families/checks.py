"""What every family is held to, whatever its stock pipeline calls things."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph.errors import InvalidValue

from .conftest import Pair
from .equality import NEGATIVE, Made, Model, assert_same, stock

Case = tuple[int, int, int, str | None, float]
"""Width, height, images, negative prompt, cfg."""

CASES: Sequence[Case] = ((64, 64, 1, None, 4.5), (96, 64, 2, NEGATIVE, 4.0), (64, 64, 1, None, 1.0))

Unpack = Callable[[int, int], Callable[[Tensor], Tensor]]
"""Of width and height: what makes nodegraph's latents of a pipeline's."""

Pack = Callable[[Tensor], Tensor]
"""What makes a pipeline's latents of nodegraph's."""


def assert_like_stock(
    pair: Pair,
    cases: Sequence[Case] = CASES,
    *,
    sampler: str = "euler",
    unpack: Unpack | None = None,
    pack: Pack = lambda latents: latents,
    steps: int = 2,
    scale: str = "guidance_scale",
    **options: Any,
) -> None:
    """Text to image, equal to the last bit; the first case's pixels, too.

    Args:
        scale: What the stock pipeline calls cfg.
        options: Of the stock pipeline.
    """
    pipeline, model = pair
    for number, (width, height, batch, negative, cfg) in enumerate(cases):
        both = {"batch": batch, "negative": negative, "steps": steps}
        found = model.make(width, height, sampler=sampler, cfg=cfg, **both)
        called = {"width": width, "height": height, scale: cfg, **options}
        expected = stock(pipeline, **both, **called)
        packed = replace(found, latents=pack(found.latents))
        unpacking = unpack(width, height) if unpack else None
        assert_same(packed, expected, unpacking, pixels=number == 0)


def in_bfloat16(
    pair: Pair, *, side: int = 64, cfg: float | None = 4.5, sampler: str = "euler", **options: Any
) -> tuple[Made, Made]:
    """An image by nodegraph and by the stock pipeline, both in bfloat16.

    Args:
        side: Of the image, in pixels.
        cfg: None where the pipeline takes none.
        options: Of the stock pipeline.
    """
    pipeline, model = pair
    loaded = type(pipeline).from_pretrained(model.folder, dtype=torch.bfloat16)
    loaded.set_progress_bar_config(disable=True)
    loaded.default_sample_size = getattr(pipeline, "default_sample_size", None)
    scale = {} if cfg is None else {"guidance_scale": cfg}
    called = {"width": side, "height": side, **scale, **options}
    found = Model(model.folder, "bfloat16").make(side, side, cfg=cfg or 1.0, sampler=sampler)
    return found, stock(loaded, **called)


def assert_samples_by(model: Model, samplers: Mapping[str, str]) -> None:
    """Images by samplers that aren't the pipeline's own, by the schedules that they follow."""
    for sampler, schedule in samplers.items():
        made = model.make(64, 64, cfg=3.0, steps=3, sampler=sampler, schedule=schedule)
        assert torch.isfinite(made.latents).all()
        assert made.latents.std() > 1e-4


def assert_refuses(model: Model, *, near: str) -> None:
    """What doesn't fit the model is refused before anything is computed.

    Args:
        near: What is offered in place of 72 x 64 pixels.
    """
    with pytest.raises(InvalidValue, match=f"for example {near}"):
        model.make(72, 64, cfg=1.0)
    prompt = model.encode("a cat")
    assert prompt is not None
    with pytest.raises(InvalidValue, match="the positive to sd1"):
        model.make(64, 64, cfg=1.0, change=lambda given: replace(given, family="sd1"))
    (entry,) = prompt.entries
    wide = {**entry.tensors, "embeddings": torch.zeros(1, 4, 7)}
    wrong = replace(prompt, entries=(replace(entry, tensors=wide),))
    with pytest.raises(InvalidValue, match="embeddings do not fit"):
        model.make(64, 64, cfg=1.0, change=lambda given: wrong)
