"""Latents as tokens: what transformers that read 2 x 2 patches have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.diffusion.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor


def packed(latents: Tensor) -> Tensor:
    """Latents (n, channels, height, width) as tokens (n, height / 2 · width / 2, channels · 4)."""
    n, channels, height, width = latents.shape
    cut = latents.view(n, channels, height // 2, 2, width // 2, 2)
    return cut.permute(0, 2, 4, 1, 3, 5).reshape(n, height // 2 * (width // 2), channels * 4)


def unpacked(tokens: Tensor, height: int, width: int) -> Tensor:
    """What `packed` made tokens of, height and width in cells."""
    n, _, channels = tokens.shape
    cut = tokens.view(n, height // 2, width // 2, channels // 4, 2, 2)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(n, channels // 4, height, width)


def places(height: int, width: int, first: int = 0) -> Tensor:
    """Where the tokens of a grid lie: (first, row, column); float32, (height · width, 3)."""
    found = torch.zeros(height, width, 3)
    found[..., 0] = first
    found[..., 1] += torch.arange(height)[:, None]
    found[..., 2] += torch.arange(width)[None, :]
    return found.reshape(height * width, 3)
