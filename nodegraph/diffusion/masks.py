"""Masks in latent cells."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def mask_to_cells(mask: Tensor, height: int, width: int) -> Tensor:
    """A pixel mask as the share of each latent cell that it covers.

    So a cell is 0 exactly if all its pixels are, and a mask that follows the cells' borders comes
    out as it is.

    Args:
        mask: 0..1, shape (batch, height, width) in pixels of any size.
        height, width: Latent cells.
    Returns:
        Shape (batch, 1, height, width).
    """
    return functional.interpolate(mask.unsqueeze(1), size=(height, width), mode="area")
