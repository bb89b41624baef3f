"""Masks in latent cells, and at each step."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def mask_to_cells(mask: Tensor, height: int, width: int, *, smooth: bool = False) -> Tensor:
    """A pixel mask as the share of each latent cell that it covers.

    So a cell is 0 exactly if all its pixels are, and a mask that follows the cells' borders comes
    out as it is.

    Args:
        mask: 0..1, shape (batch, height, width) in pixels of any size.
        height, width: Latent cells.
        smooth: Interpolate on lines between the pixels around each cell's middle instead.
    Returns:
        Shape (batch, 1, height, width).
    """
    mode = "bilinear" if smooth else "area"
    return functional.interpolate(mask.unsqueeze(1), size=(height, width), mode=mode)


_ROUNDING = 1e-6
"""What the mean of ones may lack of 1."""


def step_mask(mask: Tensor, gradual: float, remaining: float) -> Tensor:
    """What a step changes of a latent.

    Args:
        mask: In cells, 0..1.
        gradual: As of `Latent.gradual`.
        remaining: Share of the sampling's timesteps that is left when the step begins, 1 at first.
    Returns:
        Shaped as the mask: 1 where it is at least `left` and above 0, else 0; mixed with the mask
        by `gradual`.
    Source: Levin & Fried 2023, arXiv:2306.00950, algorithm 1.
    """
    if not gradual:
        return mask
    begun = (mask >= remaining - _ROUNDING) & (mask > 0)
    return torch.lerp(mask, begun.to(mask.dtype), gradual)
