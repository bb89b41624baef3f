"""Rectangles of pictures as masks."""

from __future__ import annotations

import torch
from torch import Tensor

from nodegraph.core.values import Area


def area_mask(area: Area, width: int, height: int) -> Tensor:
    """How far an area covers each pixel of a picture.

    Args:
        width, height: Of the picture, in pixels.
    Returns:
        float32 in 0..1, shape (1, height, width). 1 inside, 0 outside; pixels that a side runs
        through are covered in part. Over the feather it rises evenly from the side inwards.
    """
    is_share = area.unit == "shares"
    scales = (width, height) if is_share else (1, 1)
    feather = area.feather * (min(width, height) if is_share else 1)
    across = _covered(area.x * scales[0], area.width * scales[0], feather, width)
    down = _covered(area.y * scales[1], area.height * scales[1], feather, height)
    return (down[:, None] * across[None, :])[None]


def _covered(start: float, length: float, feather: float, pixels: int) -> Tensor:
    """How far each pixel of a row is covered, shape (pixels,)."""
    places = torch.arange(pixels, dtype=torch.float64)
    end = min(start + length, pixels)
    begin = max(start, 0.0)
    covered = (torch.clamp(places + 1, max=end) - torch.clamp(places, min=begin)).clamp(0, 1)
    # Nothing fades towards the picture's own edge.
    for is_inner, distance in (
        (begin > 0, places + 0.5 - begin),
        (end < pixels, end - places - 0.5),
    ):
        if is_inner and feather > 0:
            covered = covered * (distance / feather).clamp(0, 1)
    return covered.to(torch.float32)
