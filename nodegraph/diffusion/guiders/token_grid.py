"""Tokens of a UNet's attention as the cells of a picture that they are."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

WHOLE = 9999.0
"""Standard deviation of a blur, from which on it is the mean."""


def grid_of(tokens: int, height: int, width: int) -> tuple[int, int] | None:
    """Rows and columns of a latent that was halved until it has so many cells; None: it never has.

    Args:
        height, width: Of the latent in cells.
    """
    while height * width > tokens:
        height, width = (height + 1) // 2, (width + 1) // 2
    return (height, width) if height * width == tokens else None


def blurred(x: Tensor, sigma: float, size: int | None = None) -> Tensor:
    """A picture under a Gaussian.

    Args:
        x: Shape (batch, channels, height, width).
        sigma: Standard deviation in cells; from `WHOLE` on it is the mean.
        size: Cells that the Gaussian covers each way, odd; three deviations to both sides if not
            given, and no more than there are.
    """
    if sigma >= WHOLE:
        return x.mean((-2, -1), keepdim=True).expand_as(x)
    if size is None:
        size = min(2 * math.ceil(3 * sigma) + 1, 2 * min(x.shape[-2:]) - 1)
    reach = size // 2
    places = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    row = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = torch.outer(row / row.sum(), row / row.sum())
    mode = "reflect" if reach < min(x.shape[-2:]) else "replicate"
    padded = functional.pad(x, (reach,) * 4, mode=mode)
    weights = kernel.expand(x.shape[1], 1, size, size)
    return functional.conv2d(padded, weights, groups=x.shape[1])
