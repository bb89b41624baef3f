"""Mask morphology: grow, feather, fill holes, connected components."""

from __future__ import annotations

from math import ceil, isqrt
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray


def label_components(inside: NDArray[np.bool_], *, diagonal: bool = True) -> NDArray[np.int64]:
    """A number from 1 up for each connected part, in the order of their first pixels; 0 outside.

    Args:
        inside: (height, width).
        diagonal: Whether pixels that touch at a corner are connected.
    """
    height, width = inside.shape
    stride = width + 2
    framed = np.zeros((height, stride), dtype=np.int8)
    framed[:, 1:-1] = inside
    steps = np.diff(framed.ravel(), prepend=0, append=0)
    starts, ends = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    roots = _roots(len(starts), *_touching(starts, ends, stride, int(diagonal)))
    numbers = np.unique(roots, return_inverse=True)[1] + 1
    labels = np.zeros(height * stride, dtype=np.int64)
    labels[framed.ravel() > 0] = np.repeat(numbers, ends - starts)
    return labels.reshape(height, stride)[:, 1:-1]


def _touching(
    starts: NDArray[np.int64], ends: NDArray[np.int64], stride: int, reach: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of runs, one in a row and one in the next, that touch."""
    first = np.searchsorted(ends, starts + stride - reach, side="right")
    last = np.searchsorted(starts, ends + stride + reach, side="left")
    counts = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(starts)), counts)
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return upper, np.repeat(first, counts) + offsets


def _roots(count: int, first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """The smallest number among those that each of `count` is connected with, by pairs."""
    roots = np.arange(count)
    while True:
        lower = np.minimum(roots[first], roots[second])
        new_roots = roots.copy()
        np.minimum.at(new_roots, roots[first], lower)
        np.minimum.at(new_roots, roots[second], lower)
        while not np.array_equal(new_roots, new_roots[new_roots]):
            new_roots = new_roots[new_roots]
        if np.array_equal(new_roots, roots):
            return roots
        roots = new_roots


def fill_holes(mask: Tensor, most: int = 0) -> Tensor:
    """Masks whose holes are 1: what is enclosed by a half and more, or by 1.

    Args:
        mask: (batch, height, width).
        most: Pixels of the largest hole that is filled; 0 fills all.
    """
    if not len(mask):
        return mask
    # First to the top of soft edges, of which rings would be left.
    return torch.stack([_enclosed(_enclosed(item, most, 1.0), most, 0.5) for item in mask])


def _enclosed(mask: Tensor, most: int, level: float) -> Tensor:
    """A mask that is 1 wherever what is below a level can't be left to the image's border."""
    labels = label_components((mask < level).numpy(), diagonal=False)
    sizes = np.bincount(labels.ravel())
    border = np.concatenate((labels[0], labels[-1], labels[:, 0], labels[:, -1]))
    is_hole = np.ones(len(sizes), dtype=np.bool_)
    is_hole[border] = is_hole[0] = False
    if most:
        is_hole &= sizes <= most
    return torch.where(torch.from_numpy(is_hole[labels]), torch.ones(()), mask)


def filter_components(mask: Tensor, least: int, most: int = 0) -> Tensor:
    """Masks without their small parts.

    Args:
        mask: (batch, height, width); pixels above 0 that touch are one part.
        least: Pixels of the smallest part that stays.
        most: How many stay at most, the largest ones; 0 sets no bound.
    """
    return torch.stack([_largest(item, least, most) for item in mask]) if len(mask) else mask


def _largest(mask: Tensor, least: int, most: int) -> Tensor:
    labels = label_components((mask > 0).numpy())
    sizes = np.bincount(labels.ravel())
    kept = sizes >= least
    if most:
        # Of two as large, the one that begins higher up.
        order = np.argsort(-sizes[1:], kind="stable") + 1
        kept[order[most:]] = False
    kept[0] = False
    return torch.where(torch.from_numpy(kept[labels]), mask, torch.zeros(()))


def components_at(inside: Tensor, points: list[tuple[int, int]]) -> Tensor:
    """The parts that some points lie in; bool, (height, width).

    Args:
        inside: bool, (height, width).
        points: x and y in pixels.
    """
    labels = label_components(inside.numpy())
    wanted = {int(labels[y, x]) for x, y in points} - {0}
    return torch.from_numpy(np.isin(labels, list(wanted)))


Corners = Literal["round", "square", "diamond"]
FeatherMethod = Literal["gaussian", "linear"]
FeatherSide = Literal["inward", "both", "outward"]


def grow_mask(mask: Tensor, pixels: int, corners: Corners = "round") -> Tensor:
    """A mask grown, or shrunk where `pixels` is negative.

    Each pixel takes the largest value, or the smallest, within so many pixels. What is outside the
    image has no say: a mask doesn't shrink from the image's border.

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


def dilate_mask(mask: Tensor, side: int) -> Tensor:
    """A mask grown by a square, or shrunk where `side` is negative, as OpenCV does it.

    An even square reaches one pixel further to the right and downwards.

    Args:
        mask: (batch, height, width).
        side: Of the square, in pixels.
    """
    if side < 0:
        return 1 - dilate_mask(1 - mask, -side)
    if side <= 1 or not mask.numel():
        return mask
    before, after = side // 2, side - 1 - side // 2
    padded = functional.pad(mask, (before, after, before, after))
    return functional.max_pool2d(padded[:, None], side, stride=1)[:, 0]


def _window_maximum(mask: Tensor, halves: list[int], reach: int) -> Tensor:
    """The largest value in a window that reaches `halves[n]` to the left and right, a row each.

    Args:
        reach: Rows above and below, `len(halves)` = 2 · reach + 1.
    """
    height, width = mask.shape[1:]
    side = max(halves)
    padded = functional.pad(mask, (side, side, reach, reach))
    # Largest of 1, 2, 4, … neighbors: any window is two of these, which overlap.
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
    """A mask that falls evenly towards the image's borders.

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
    """A Gaussian blur that reaches `radius` pixels; the image's border fades nothing."""
    return gaussian_blur(mask, radius / 2, ceil(radius)).clamp(0, 1)


def soften_mask(mask: Tensor, reach: int, deviation: float) -> Tensor:
    """A mask blurred by a Gaussian that is cut off; small masks get a smaller one, or none.

    Args:
        mask: (batch, height, width).
        reach: Pixels after which the Gaussian is cut off. It is at most a quarter of the shorter
            side.
        deviation: In pixels.
    """
    shortest = min(mask.shape[1:], default=0)
    if 2 * reach + 1 >= shortest:
        # The largest odd window that is no longer than half of the side, or one more.
        reach = (shortest // 2) // 2
    if reach < 1 or deviation <= 0:
        return mask
    places = torch.arange(-reach, reach + 1, dtype=torch.float32)
    weights = torch.exp(-0.5 * (places / deviation).square())
    row = (weights / weights.sum()).view(1, 1, 1, -1)
    planes = functional.pad(mask[:, None], (reach,) * 4, mode="reflect")
    return functional.conv2d(functional.conv2d(planes, row), row.mT)[:, 0].clamp(0, 1)


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
