"""Sizes of latents after they are scaled. Imports no torch."""

from __future__ import annotations

from nodegraph.errors import InvalidValue

LEAST_CELL = 8
"""Pixels along a latent cell's side at the least: of most formats, and of an empty latent."""
MAX_SIDE = 16384
"""Longest side in pixels."""


def scaled_size(
    before: tuple[int, int], width: int, height: int, factor: float, cell: int = LEAST_CELL
) -> tuple[int, int]:
    """Width and height of a latent after scaling: the nearest that are whole cells.

    Args:
        before: Width and height, in pixels.
        width, height: In pixels; where one is 0 the proportions are kept, where both are, it is
            scaled by `factor`.
        cell: Pixels along a cell's side.
    Raises:
        InvalidValue: It gets too large.
    """
    if width == height == 0:
        width, height = (round(side * factor) for side in before)
    elif width == 0:
        width = round(before[0] * height / before[1])
    elif height == 0:
        height = round(before[1] * width / before[0])
    size = max(cell, round(width / cell) * cell), max(cell, round(height / cell) * cell)
    if max(size) > MAX_SIDE:
        raise InvalidValue(
            "the latent is too large",
            port="factor",
            given=f"{size[0]} x {size[1]} pixels",
            expected=f"sides up to {MAX_SIDE}",
        )
    return size
