"""Connected parts of masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

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
    """A mask that is 1 wherever what is below a level can't be left to the picture's border."""
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
