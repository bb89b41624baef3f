"""Shapes as tokens: a grid of signed distances, cut into cubes that each carry the colour, too.

Imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from torch import Tensor

GRID = 32
"""Cells along a side of the grid, which spans -1 to 1 in each direction; z is up."""

BAND = 0.15
"""Distances are cut off there, and told in parts of it."""

SMOOTH = 0.7
"""Standard deviation, in cells, of the blur that takes away seams where cubes meet."""

CUBE = 8
SIDE = GRID // CUBE
TOKENS, FEATURES = SIDE**3, CUBE**3 + 3

Solid = Literal[
    "ball",
    "box",
    "cylinder",
    "cone",
    "pyramid",
    "torus",
    "capsule",
    "tube",
    "table",
    "chair",
    "cross",
    "dumbbell",
]
KINDS: tuple[Solid, ...] = get_args(Solid)

SolidColour = Literal["red", "orange", "yellow", "green", "blue", "purple", "white", "black"]
COLOURS: dict[SolidColour, tuple[float, float, float]] = {
    "red": (0.85, 0.15, 0.15),
    "orange": (0.95, 0.55, 0.1),
    "yellow": (0.95, 0.85, 0.2),
    "green": (0.2, 0.7, 0.3),
    "blue": (0.15, 0.35, 0.85),
    "purple": (0.55, 0.25, 0.75),
    "white": (0.95, 0.95, 0.95),
    "black": (0.1, 0.1, 0.1),
}


def to_tokens(grids: Tensor, colours: Tensor) -> Tensor:
    """Grids and their colours as tokens.

    Args:
        grids: Distances in parts of the band, -1 (inside) to 1; shape (batch, 32, 32, 32).
        colours: In 0..1, shape (batch, 3).
    Returns:
        Shape (batch, 64, 515).
    """
    import torch

    tint = (colours * 2 - 1)[:, None].expand(-1, TOKENS, 3)
    return torch.cat([_cubes(grids), tint], -1)


def from_tokens(tokens: Tensor) -> tuple[Tensor, Tensor]:
    """What `to_tokens` made tokens of: grids, and colours in 0..1."""
    colours = (tokens[..., CUBE**3 :].mean(1) + 1) / 2
    return _grids(tokens[..., : CUBE**3]), colours.clamp(0, 1)


def _cubes(grids: Tensor) -> Tensor:
    cut = grids.reshape(-1, SIDE, CUBE, SIDE, CUBE, SIDE, CUBE).permute(0, 1, 3, 5, 2, 4, 6)
    return cut.reshape(len(grids), TOKENS, CUBE**3)


def _grids(cubes: Tensor) -> Tensor:
    cut = cubes.reshape(-1, SIDE, SIDE, SIDE, CUBE, CUBE, CUBE).permute(0, 1, 4, 2, 5, 3, 6)
    return cut.reshape(-1, GRID, GRID, GRID)


def depth_views(tokens: Tensor) -> Tensor:
    """What is seen of shapes from the front, the darker the farther away.

    Args:
        tokens: Shape (batch, 64, 515).
    Returns:
        In -1..1, shape (batch, 3, 32, 32).
    """
    import torch

    grids, colours = from_tokens(tokens)
    inside = grids < 0
    # The front is where y is least; argmax of booleans is the first that is true.
    depth = inside.to(torch.uint8).argmax(2).float() / GRID
    shade = torch.where(inside.any(2), 1 - 0.7 * depth, 0.0)
    upright = shade.transpose(1, 2).flip(1)
    return (colours[:, :, None, None] * upright[:, None]) * 2 - 1
