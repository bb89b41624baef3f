"""Images in motion as tokens: latents of frames, of which each token carries 2 x 2 cells.

Imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from torch import Tensor

Motion = Literal["left", "right", "up", "down", "bounce", "turn", "grow", "shrink", "still"]
"""What may happen to the thing in an image."""
MOTIONS: tuple[Motion, ...] = get_args(Motion)

LEAST_AMOUNT = 0.4
"""Of how far motions go, up to 1."""

PICTURE = "picture"
"""Tensor of a conditioning: the latent of the image that frames begin with, in tokens,
(1, PLACES, FEATURES)."""

FRAMES = 16
FRAMES_PER_SECOND = 8
SIDE = 64
"""Pixels of a frame's sides."""

FORMAT, CHANNELS, CELLS = "sd", 8, 8
"""Of a frame's latent: its format, its channels, and the cells of its sides."""

_PATCH = 2
_ROWS = CELLS // _PATCH
PLACES = _ROWS * _ROWS
"""Tokens of a frame."""

TOKENS = FRAMES * PLACES
FEATURES = CHANNELS * _PATCH * _PATCH


def frames_to_tokens(latents: Tensor) -> Tensor:
    """Latents of frames, (batch, frames, 8, 8, 8), as tokens, (batch, frames · PLACES, FEATURES).

    The tokens of a frame follow each other, row by row.
    """
    batch, frames = latents.shape[:2]
    parts = latents.reshape(batch, frames, CHANNELS, _ROWS, _PATCH, _ROWS, _PATCH)
    return parts.permute(0, 1, 3, 5, 2, 4, 6).reshape(batch, frames * PLACES, FEATURES)


def tokens_to_frames(tokens: Tensor) -> Tensor:
    """What `frames_to_tokens` made tokens of."""
    batch = len(tokens)
    parts = tokens.reshape(batch, -1, _ROWS, _ROWS, CHANNELS, _PATCH, _PATCH)
    return parts.permute(0, 1, 4, 2, 5, 3, 6).reshape(batch, -1, CHANNELS, CELLS, CELLS)


def check_latents(name: str, channels: int, cell: int) -> None:
    """Refuse an autoencoder of other latents than those of frames.

    Args:
        name: Of its latent format.
        channels: Of its latents.
        cell: Pixels along a cell's side.
    Raises:
        InvalidValue: Says both.
    """
    wanted = FORMAT, CHANNELS, SIDE // CELLS
    if (name, channels, cell) != wanted:
        template = "format {}, {} channels, cells of {} pixels"
        raise InvalidValue(
            "this VAE has another latent format than the one for frames",
            port="vae",
            given=template.format(name, channels, cell),
            expected=template.format(*wanted),
            hint="Link the vae output of a LoadModel of tiny.",
        )


def check_amount(amount: float) -> None:
    """Refuse amounts that no motion was taught with.

    Raises:
        InvalidValue: Says which were.
    """
    if not LEAST_AMOUNT <= amount <= 1:
        raise InvalidValue(
            "the model was not trained on a motion with this amount",
            port="amount",
            given=f"{amount:g}",
            expected=f"{LEAST_AMOUNT:g} to 1",
        )
