"""What is empty in an image filled from what surrounds it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.media.images.masks import as_rgb, match_mask

_LEAST = 1e-6
"""Weights below this count as none: their colors are rounding errors."""
_GRAY = 0.5
"""Of an image that is empty everywhere."""


def infill(
    image: Tensor,
    mask: Tensor | None = None,
    *,
    noise: float = 0.0,
    seed: int = 0,
) -> Tensor:
    """The masked and the transparent part of images, filled from what surrounds it.

    The colors are spread by the pull-push algorithm: averages of ever larger squares, of which the
    finest that holds anything counts. Source: S. J. Gortler et al., "The Lumigraph", SIGGRAPH 1996,
    section 3.4.

    Args:
        image: (batch, height, width, channels), 0..1; alpha is not multiplied into the colors.
        mask: (batch, height, width), 0..1: what is to be filled, besides what is transparent.
        noise: Standard deviation of Gaussian noise in the filled part, 0..1.
        seed: Of the noise; the same for all of a batch.
    Returns:
        (batch, height, width, 3), 0..1. Where nothing is to be filled the bits stay.
    Raises:
        InvalidValue: Images and masks are of different numbers.
    """
    kept = image[..., 3:] if image.shape[3] == 4 else torch.ones_like(image[..., :1])
    if mask is not None:
        both, mask = match_mask(torch.cat((as_rgb(image), kept), -1), mask)
        image, kept = both, both[..., 3:] * (1 - mask[..., None])
    colors = as_rgb(image)
    spread = _spread(colors, kept)
    if noise > 0:
        generator = torch.Generator().manual_seed(seed)
        spread = spread + noise * torch.randn(1, *colors.shape[1:], generator=generator)
    mixed = colors * kept + spread * (1 - kept)
    return torch.where(kept < 1, mixed.clamp(0, 1), colors)


def _spread(colors: Tensor, weights: Tensor) -> Tensor:
    """Colors everywhere, from those that have a weight.

    Args:
        colors: (batch, height, width, 3).
        weights: (batch, height, width, 1), 0..1.
    """
    levels = [(colors.movedim(-1, 1), weights.movedim(-1, 1))]
    while max(levels[-1][0].shape[2:]) > 1:
        levels.append(_halved(*levels[-1]))
    top, weight = levels.pop()
    found = torch.where(weight > _LEAST, top, _GRAY)
    for finer, weight in reversed(levels):
        height, width = finer.shape[2:]
        coarse = functional.interpolate(found, scale_factor=2, mode="bilinear")
        found = finer * weight + coarse[..., :height, :width] * (1 - weight)
    return found.movedim(1, -1)


def _halved(colors: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Averages of squares of 2 x 2 by their weights, and how much of each square counts."""
    total = _quartered(weights)
    mean = _quartered(colors * weights) / total.clamp(min=_LEAST)
    return mean, (4 * total).clamp(max=1)


def _quartered(values: Tensor) -> Tensor:
    """Means of squares of 2 x 2; what lies beyond an edge counts as 0."""
    odd = values.shape[2] % 2, values.shape[3] % 2
    return functional.avg_pool2d(functional.pad(values, (0, odd[1], 0, odd[0])), 2)
