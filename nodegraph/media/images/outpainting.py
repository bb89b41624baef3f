"""Pictures with room around them, for a model to fill."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from nodegraph.media.images.colors import color_levels
from nodegraph.media.images.mask_edges import feather_mask
from nodegraph.media.images.masks import as_rgb

Fill = Literal["edge", "mirror", "color", "noise"]
Fade = Literal["linear", "quadratic"]
Sides = tuple[int, int, int, int]
"""Pixels to the left, above, to the right and below."""


def pad_for_outpaint(
    image: Tensor,
    sides: Sides,
    *,
    feather: float = 0,
    fill: Fill = "edge",
    color: str = "#808080",
    seed: int = 0,
    fade: Fade = "linear",
) -> tuple[Tensor, Tensor]:
    """Larger pictures, and a mask of what is new in them.

    Args:
        image: (batch, height, width, channels).
        feather: Pixels over which the mask fades out into the old picture.
        fill: What is put into the new part: the pixels of the edge drawn out, the picture
            mirrored, a colour, or coloured noise.
        seed: Of the noise; the same for all of a batch.
        fade: How the mask fades out: evenly, or the slower the further (its square).
    Returns:
        (batch, height, width, 3), where the old part keeps its bits; (1, height, width).
    """
    image = as_rgb(image)
    left, top, right, bottom = sides
    height, width = image.shape[1], image.shape[2]
    rows, columns = torch.arange(-top, height + bottom), torch.arange(-left, width + right)
    if fill in ("edge", "mirror"):
        bring = _mirrored if fill == "mirror" else _clamped
        wide = image[:, bring(rows, height)][:, :, bring(columns, width)]
    else:
        wide = _plain(image, (len(rows), len(columns)), fill, color, seed)
        wide[:, top : top + height, left : left + width] = image
    mask = torch.ones(1, len(rows), len(columns))
    mask[:, top : top + height, left : left + width] = 0
    faded = feather_mask(mask, feather, "linear", "outward")
    return wide, faded.square() if fade == "quadratic" else faded


def _clamped(places: Tensor, side: int) -> Tensor:
    return places.clamp(0, side - 1)


def _mirrored(places: Tensor, side: int) -> Tensor:
    """There and back again, without the edge twice."""
    period = max(1, 2 * (side - 1))
    turned = places % period
    return torch.minimum(turned, period - turned)


def _plain(image: Tensor, size: tuple[int, int], fill: Fill, color: str, seed: int) -> Tensor:
    shape = (len(image), *size, 3)
    if fill == "color":
        return torch.tensor(color_levels(color)).expand(shape).clone()
    noise = torch.rand(1, *size, 3, generator=torch.Generator().manual_seed(seed))
    return noise.expand(shape).clone()
