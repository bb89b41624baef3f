"""Histograms made level, of whole pictures or place by place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.media.images.editing.color_spaces import luma
from nodegraph.media.images.editing.pictures import check_finite, map_colors

if TYPE_CHECKING:
    from torch import Tensor

_BINS = 256


def equalize(image: Tensor) -> Tensor:
    """Brightness spread so that each level is about as frequent; colours keep their proportions."""
    check_finite(image)
    return map_colors(image, lambda item: _with_light(item, _equalized(luma(item)[..., 0])))


def clahe(image: Tensor, limit: float, tiles: int) -> Tensor:
    """The same tile by tile, with what is frequent held back: CLAHE.

    Args:
        limit: How many times its fair share a level may count; 1 changes next to nothing.
        tiles: In each direction; a value is between those of the four that are nearest.
    Source: Zuiderveld 1994, Contrast Limited Adaptive Histogram Equalization, Graphics Gems IV.
    """
    check_finite(image)

    def work(item: Tensor) -> Tensor:
        light = luma(item)[..., 0].clamp(0, 1)
        return _with_light(item, _equalized_locally(light, limit, tiles))

    return map_colors(image, work)


def _with_light(item: Tensor, light: Tensor) -> Tensor:
    """Colours of another brightness: what all channels share is exchanged."""
    if item.shape[-1] == 1:
        return light[..., None]
    return item + (light[..., None] - luma(item))


def _equalized(light: Tensor) -> Tensor:
    """Values by their share of smaller ones, as scikit-image's `equalize_hist` computes it."""
    import numpy as np
    import torch

    values = light.numpy()
    counts, edges = np.histogram(values, bins=_BINS)
    total = counts.cumsum() / counts.sum()
    centers = (edges[:-1] + edges[1:]) / 2
    return torch.from_numpy(np.interp(values, centers, total).astype(np.float32))


def _equalized_locally(light: Tensor, limit: float, tiles: int) -> Tensor:
    import torch

    _, height, width = light.shape
    rows, columns = min(tiles, height), min(tiles, width)
    bins = (light[0] * (_BINS - 1)).round().long()
    tables = torch.stack(
        [
            torch.stack([_clahe_table(part, limit) for part in row.tensor_split(columns, dim=1)])
            for row in bins.tensor_split(rows, dim=0)
        ]
    )
    (top, bottom, down), (left, right, across) = _between(height, rows), _between(width, columns)
    down, across = down[:, None], across[None, :]

    def of(row: Tensor, column: Tensor) -> Tensor:
        return tables[row[:, None], column[None, :], bins]

    upper = of(top, left) * (1 - across) + of(top, right) * across
    lower = of(bottom, left) * (1 - across) + of(bottom, right) * across
    return (upper * (1 - down) + lower * down)[None]


def _clahe_table(part: Tensor, limit: float) -> Tensor:
    """What each level of a tile becomes, shape (256,)."""
    import torch

    counts = torch.bincount(part.flatten(), minlength=_BINS).float()
    most = max(1.0, limit * part.numel() / _BINS)
    excess = (counts - most).clamp(min=0).sum()
    counts = counts.clamp(max=most) + excess / _BINS
    return (counts.cumsum(0) - counts / 2) / part.numel()


def _between(length: int, parts: int) -> tuple[Tensor, Tensor, Tensor]:
    """For each pixel of a side: the tile before, the tile after, and how near it is to that."""
    import torch

    at = (torch.arange(length) + 0.5) * parts / length - 0.5
    before = at.floor().clamp(0, parts - 1)
    after = (before + 1).clamp(max=parts - 1)
    share = (at - before).clamp(0, 1)
    return before.long(), after.long(), share
