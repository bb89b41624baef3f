"""Sizes of latents that a network has positions for. Imports no torch.

Some networks read rotary or learned positions from a table. Beyond its end, they fail with an error
of torch, or read other positions without a word.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

from nodegraph.errors import InvalidValue


class PositionLimits(NamedTuple):
    """The largest latent that a network has positions for.

    Attributes:
        rows, columns: Latent cells along the height and the width.
        frames: Latent frames. None if any number fits.
        cells: Latent cells of an image in all, where a network has room for so many. None if only
            the sides are limited.
    """

    rows: int
    columns: int
    frames: int | None = None
    cells: int | None = None

    def check(self, size: tuple[int, int], frames: int, spatial: int) -> None:
        """Refuse a latent that is larger.

        Args:
            size: Width and height in pixels that the model sees at once.
            frames: Latent frames that the model sees at once.
            spatial: Pixels along the side of a cell.
        Raises:
            InvalidValue: On port ``latent``.
        """
        width, height = self.columns * spatial, self.rows * spatial
        if size[0] > width or size[1] > height:
            raise InvalidValue(
                "the model has no positions for a latent of this size",
                port="latent",
                given=f"{size[0]} x {size[1]} pixels",
                expected=f"at most {width} x {height} pixels",
                hint="Generate a smaller size and upscale it, or use the guider TiledGuidance.",
            )
        if self.cells is not None and (size[0] // spatial) * (size[1] // spatial) > self.cells:
            side = sqrt(self.cells) * spatial
            raise InvalidValue(
                "the image is larger than the model supports",
                port="latent",
                given=f"{size[0]} x {size[1]}",
                expected=f"at most as many pixels as {side:.0f} x {side:.0f}",
                hint="Sample a smaller image, and upscale it.",
            )
        if self.frames is not None and frames > self.frames:
            raise InvalidValue(
                "the model has no positions for a video of this length",
                port="latent",
                given=f"{frames} latent frames",
                expected=f"at most {self.frames} latent frames",
                hint="Generate a shorter video, or use the guider ContextWindows.",
            )


def square_limits(cells: int, frames: int | None = None) -> PositionLimits:
    """Return limits that are equal for both sides, in cells."""
    return PositionLimits(cells, cells, frames)
