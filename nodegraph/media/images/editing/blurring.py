"""Soft and sharp: means over neighbours, and what they leave.

Beyond the edge a picture goes on with its outermost pixels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from nodegraph.media.images.editing.pictures import map_colors, to_nchw, to_nhwc

if TYPE_CHECKING:
    from torch import Tensor

BlurKind = Literal["gaussian", "box", "motion", "median", "surface"]
_VALUES = 1 << 24
"""Neighbours that are held at once, where each pixel needs all of its own."""
_WIDEST = 8
"""Radius up to which neighbours are looked at one by one, for median and surface."""


def blur(
    image: Tensor, kind: BlurKind, radius: float, angle: float = 0, edge: float = 0.1
) -> Tensor:
    """Pictures out of focus.

    Args:
        radius: Pixels: the deviation of ``gaussian``, half a side of ``box``, ``median`` and
            ``surface`` less half a pixel, half the way of ``motion``.
        angle: Degrees in which ``motion`` goes, 0 to the right, 90 up.
        edge: Differences in value that ``surface`` takes for edges and keeps (a bilateral filter:
            Tomasi and Manduchi 1998).
    """
    if radius == 0:
        return map_colors(image, lambda item: item)
    works = {
        "gaussian": lambda item: gaussian(item, radius),
        "box": lambda item: _box(item, round(radius)),
        "motion": lambda item: _motion(item, radius, angle),
        "median": lambda item: _median(item, min(round(radius), _WIDEST)),
        "surface": lambda item: _surface(item, min(round(radius), _WIDEST), edge),
    }
    return map_colors(image, works[kind])


def gaussian(item: Tensor, deviation: float) -> Tensor:
    """Weighted means, by a normal distribution that is cut off at four deviations.

    As SciPy's `gaussian_filter` with mode ``nearest`` computes it.

    Args:
        item: (1, height, width, channels).
        deviation: Pixels.
    """
    import torch

    reach = max(1, int(4 * deviation + 0.5))
    at = torch.arange(-reach, reach + 1, dtype=torch.float64)
    weights = torch.exp(-0.5 * (at / deviation) ** 2)
    return _separable(item, (weights / weights.sum()).float())


def _box(item: Tensor, reach: int) -> Tensor:
    import torch

    return _separable(item, torch.full((2 * reach + 1,), 1 / (2 * reach + 1)))


def _separable(item: Tensor, weights: Tensor) -> Tensor:
    """Means along rows, then along columns."""
    import torch.nn.functional as F  # noqa: N812 - its usual name

    planes = to_nchw(item).movedim(0, 1)  # (channels, 1, height, width)
    reach = len(weights) // 2
    wide = F.pad(planes, (reach, reach, 0, 0), mode="replicate")
    planes = F.conv2d(wide, weights.view(1, 1, 1, -1))
    high = F.pad(planes, (0, 0, reach, reach), mode="replicate")
    return to_nhwc(F.conv2d(high, weights.view(1, 1, -1, 1)).movedim(0, 1))


def _motion(item: Tensor, radius: float, angle: float) -> Tensor:
    """Means along a line."""
    import torch
    import torch.nn.functional as F  # noqa: N812

    reach = math.ceil(radius)
    side = 2 * reach + 1
    kernel = torch.zeros(side, side)
    steps = 8 * reach
    for step in range(-steps, steps + 1):
        along = radius * step / steps
        x = reach + along * math.cos(math.radians(angle))
        y = reach - along * math.sin(math.radians(angle))
        # Each point of the line is shared among the four pixels around it.
        left, top = min(int(x), side - 2), min(int(y), side - 2)
        for row, down in ((top, 1 - y + top), (top + 1, y - top)):
            for column, across in ((left, 1 - x + left), (left + 1, x - left)):
                kernel[row, column] += down * across
    kernel /= kernel.sum()
    _, height, width, _ = item.shape
    wide = to_nhwc(F.pad(to_nchw(item), (reach,) * 4, mode="replicate"))
    total = torch.zeros_like(item)
    # Of a line nearly all of the kernel is empty: a convolution would go through all of it.
    for row, column in kernel.nonzero().tolist():
        part = wide[:, row : row + height, column : column + width]
        total.add_(part, alpha=float(kernel[row, column]))
    return total


def _neighbours(item: Tensor, reach: int, rows: slice) -> Tensor:
    """All pixels around each, shape (1, channels, side * side, rows, width)."""
    import torch.nn.functional as F  # noqa: N812

    side = 2 * reach + 1
    wide = F.pad(to_nchw(item), (reach,) * 4, mode="replicate")
    part = wide[:, :, rows.start : rows.stop + 2 * reach]
    windows = part.unfold(2, side, 1).unfold(3, side, 1)
    return windows.flatten(4).movedim(4, 2)


def _strips(item: Tensor, reach: int) -> list[slice]:
    _, height, width, channels = item.shape
    rows = max(1, _VALUES // (width * channels * (2 * reach + 1) ** 2))
    return [slice(top, min(height, top + rows)) for top in range(0, height, rows)]


def _median(item: Tensor, reach: int) -> Tensor:
    import torch

    strips = [_neighbours(item, reach, rows).median(dim=2).values for rows in _strips(item, reach)]
    return to_nhwc(torch.cat(strips, dim=2))


def _surface(item: Tensor, reach: int, edge: float) -> Tensor:
    import torch

    at = torch.arange(-reach, reach + 1) / max(1, reach / 2)
    near = torch.exp(-0.5 * (at[:, None] ** 2 + at[None] ** 2)).flatten().view(1, -1, 1, 1)
    strips = []
    for rows in _strips(item, reach):
        around = _neighbours(item, reach, rows)
        own = to_nchw(item)[:, :, rows][:, :, None]
        apart = (around - own).square().sum(1) / max(edge, 1e-4) ** 2
        weights = (near * torch.exp(-0.5 * apart))[:, None]
        strips.append((around * weights).sum(2) / weights.sum(2))
    return to_nhwc(torch.cat(strips, dim=2))


def sharpen(image: Tensor, amount: float, radius: float, threshold: float) -> Tensor:
    """What a blur takes away, added: an unsharp mask.

    Args:
        radius: Deviation of the blur, in pixels.
        threshold: Differences from the blur below it are left alone.
    """

    def work(item: Tensor) -> Tensor:
        detail = item - gaussian(item, radius)
        if threshold:
            detail = detail * (detail.abs() >= threshold)
        return item + amount * detail

    return map_colors(image, work)


def high_pass(image: Tensor, radius: float) -> Tensor:
    """What a blur takes away, about middle grey."""
    return map_colors(image, lambda item: item - gaussian(item, radius) + 0.5)
