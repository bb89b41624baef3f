"""Masks grown, shrunk and made soft at their edges."""

from __future__ import annotations

from math import ceil, isqrt
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Corners = Literal["round", "square", "diamond"]
FeatherMethod = Literal["gaussian", "linear"]
FeatherSide = Literal["inward", "both", "outward"]


def grow_mask(mask: Tensor, pixels: int, corners: Corners = "round") -> Tensor:
    """A mask grown, or shrunk where `pixels` is negative.

    Each pixel takes the largest value, or the smallest, within so many pixels. What is outside the
    picture has no say: a mask doesn't shrink from the picture's border.

    Args:
        mask: (batch, height, width).
        corners: ``round``: within a circle; ``square``: within a square; ``diamond``: within so
            many steps along rows and columns.
    """
    if pixels < 0:
        return 1 - grow_mask(1 - mask, -pixels, corners)
    if pixels == 0 or not mask.numel():
        return mask
    if corners == "square":
        return _window_maximum(_window_maximum(mask, [pixels], 0).mT, [pixels], 0).mT.contiguous()
    rows = range(-pixels, pixels + 1)
    if corners == "diamond":
        return _window_maximum(mask, [pixels - abs(row) for row in rows], pixels)
    halves = [isqrt(pixels * pixels - row * row) for row in rows]
    return _window_maximum(mask, halves, pixels)


def _window_maximum(mask: Tensor, halves: list[int], reach: int) -> Tensor:
    """The largest value in a window that reaches `halves[n]` to the left and right, a row each.

    Args:
        reach: Rows above and below, `len(halves)` = 2 · reach + 1.
    """
    height, width = mask.shape[1:]
    side = max(halves)
    padded = functional.pad(mask, (side, side, reach, reach))
    # Largest of 1, 2, 4, … neighbours: any window is two of these, which overlap.
    spans = [padded]
    while 2 << (len(spans) - 1) <= 2 * side + 1:
        step = 1 << (len(spans) - 1)
        spans.append(torch.maximum(spans[-1][..., :-step], spans[-1][..., step:]))
    result = mask.clone()
    for row, half in enumerate(halves):
        level = (2 * half + 1).bit_length() - 1
        rows = spans[level][:, row : row + height]
        for start in (side - half, side + half + 1 - (1 << level)):
            torch.maximum(result, rows[..., start : start + width], out=result)
    return result


def fade_borders(mask: Tensor, left: int, top: int, right: int, bottom: int) -> Tensor:
    """A mask that falls evenly towards the picture's borders.

    Args:
        mask: (batch, height, width).
        left, top, right, bottom: Pixels over which it falls; 0 leaves that side as it is.
    """
    height, width = mask.shape[1:]
    rows = _ramp(height, top) * _ramp(height, bottom).flip(0)
    columns = _ramp(width, left) * _ramp(width, right).flip(0)
    return mask * rows[:, None] * columns


def _ramp(side: int, pixels: int) -> Tensor:
    """From 1 / pixels to 1, and 1 from there; the whole ramp fits in."""
    reach = min(side, pixels)
    return (torch.arange(1, side + 1) / max(reach, 1)).clamp(max=1)


def feather_mask(
    mask: Tensor, radius: float, method: FeatherMethod = "gaussian", side: FeatherSide = "both"
) -> Tensor:
    """A mask with soft edges.

    Args:
        mask: (batch, height, width).
        radius: Pixels that it fades over, to each side that it fades to. A Gaussian has half of
            it as its deviation.
        method: ``linear`` fades evenly with the distance from the edge, which is where the mask
            is a half.
        side: ``inward`` never reaches out of the mask, ``outward`` never into it.
    """
    if radius <= 0 or not mask.numel():
        return mask
    if method == "linear":
        return _faded(mask >= 0.5, radius, side)
    if side == "both":
        return blur_mask(mask, radius)
    whole = ceil(radius)
    if side == "inward":
        return torch.minimum(mask, blur_mask(grow_mask(mask, -whole), radius))
    return torch.maximum(mask, blur_mask(grow_mask(mask, whole), radius))


def blur_mask(mask: Tensor, radius: float) -> Tensor:
    """A Gaussian blur that reaches `radius` pixels; the picture's border fades nothing."""
    return gaussian_blur(mask, radius / 2, ceil(radius)).clamp(0, 1)


def gaussian_blur(planes: Tensor, deviation: float, reach: int = 0) -> Tensor:
    """Planes blurred by a Gaussian; what is outside them is as their edge.

    Args:
        planes: (number, height, width).
        deviation: In pixels.
        reach: Pixels after which the Gaussian is cut off; 0 is three deviations.
    """
    reach = reach or ceil(3 * deviation)
    places = torch.arange(-reach, reach + 1, dtype=torch.float32)
    weights = torch.exp(-0.5 * (places / deviation).square())
    row = (weights / weights.sum()).view(1, 1, 1, -1)
    # Each by itself: of several at once the last bits depend on how many they are.
    return torch.cat([_across_and_down(plane[None, None], row) for plane in planes])[:, 0]


def _across_and_down(plane: Tensor, row: Tensor) -> Tensor:
    """A plane (1, 1, height, width) weighed along its rows, then along its columns."""
    reach = row.shape[3] // 2
    across = functional.pad(plane, (reach, reach, 0, 0), mode="replicate")
    across = functional.conv2d(across, row)
    down = functional.pad(across, (0, 0, reach, reach), mode="replicate")
    return functional.conv2d(down, row.mT)


def _faded(inside: Tensor, radius: float, side: FeatherSide) -> Tensor:
    if side == "inward":
        return (distance_transform(~inside, radius + 1) / (radius + 1)).clamp(0, 1)
    if side == "outward":
        return (1 - distance_transform(inside, radius + 1) / (radius + 1)).clamp(0, 1)
    # From the edge, which lies between two pixels.
    within, beyond = distance_transform(~inside, radius + 1), distance_transform(inside, radius + 1)
    from_edge = torch.where(inside, within - 0.5, 0.5 - beyond)
    return (0.5 + from_edge / (2 * radius)).clamp(0, 1)


def distance_transform(inside: Tensor, most: float) -> Tensor:
    """Distance of each pixel to the nearest that is inside, exactly, up to `most`.

    Args:
        inside: bool, (batch, height, width).
    """
    reach = ceil(most)
    squared = _distance_in_rows(inside, most).square()
    height = squared.shape[1]
    nearest = squared.clone()
    for away in range(1, min(reach, height - 1) + 1):
        further = squared + away * away
        above, below = nearest[:, away:], nearest[:, :-away]
        torch.minimum(above, further[:, :-away], out=above)
        torch.minimum(below, further[:, away:], out=below)
    return nearest.sqrt().clamp(max=most)


def _distance_in_rows(inside: Tensor, most: float) -> Tensor:
    places = torch.arange(inside.shape[2], dtype=torch.float32).expand(inside.shape)
    far = float(inside.shape[2] + most)
    before = torch.where(inside, places, -far).cummax(2).values
    after = torch.where(inside, places, 2 * far).flip(2).cummin(2).values.flip(2)
    return torch.minimum(places - before, after - places).clamp(max=most)
