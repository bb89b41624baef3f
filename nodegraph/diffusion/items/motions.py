"""Pictures in motion as tokens: latents of frames, of which each token carries 2 x 2 cells.

Imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MOTIONS = ("left", "right", "up", "down", "bounce", "turn", "grow", "shrink", "still")
"""What may happen to the thing in a picture."""

FRAMES = 16
FRAMES_PER_SECOND = 8.0
SIDE = 64
"""Pixels of a frame's sides."""

CHANNELS, CELLS = 8, 8
"""Of a frame's latent: its channels, and the cells of its sides."""

_PATCH = 2
_ROWS = CELLS // _PATCH
PLACES = _ROWS * _ROWS
"""Tokens of a frame."""

TOKENS = FRAMES * PLACES
FEATURES = CHANNELS * _PATCH * _PATCH


def tokens_of_frames(latents: Tensor) -> Tensor:
    """Latents of frames, (batch, frames, 8, 8, 8), as tokens, (batch, frames · PLACES, FEATURES).

    The tokens of a frame follow each other, row by row.
    """
    batch, frames = latents.shape[:2]
    parts = latents.reshape(batch, frames, CHANNELS, _ROWS, _PATCH, _ROWS, _PATCH)
    return parts.permute(0, 1, 3, 5, 2, 4, 6).reshape(batch, frames * PLACES, FEATURES)


def frames_of_tokens(tokens: Tensor) -> Tensor:
    """What `tokens_of_frames` made tokens of."""
    batch = len(tokens)
    parts = tokens.reshape(batch, -1, _ROWS, _ROWS, CHANNELS, _PATCH, _PATCH)
    return parts.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, -1, CHANNELS, CELLS, CELLS)
