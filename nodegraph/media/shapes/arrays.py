"""Shapes as arrays of numpy: what files are read into, and what is drawn, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ShapeArrays:
    """A mesh or points; see `Mesh` and `PointCloud`.

    Attributes:
        points: float32, shape (points, 3), finite.
        faces: int64, shape (faces, 3); None for points alone.
        colors: float32 in 0..1, shape (points, 3); None where they have none.
        uv: float32, shape (points, 2); None without a texture.
        texture: float32 in 0..1, shape (height, width, 3).
    """

    points: Numbers
    faces: NDArray[np.int64] | None = None
    colors: Numbers | None = None
    uv: Numbers | None = None
    texture: Numbers | None = None


def texture_colors(texture: Numbers, uv: Numbers) -> Numbers:
    """Colors at places of a texture, which begins anew beyond its edges; shape (places, 3)."""
    import numpy as np

    height, width, _ = texture.shape
    # What lies on the upper or right edge isn't beyond it.
    inside: Any = uv - (np.ceil(uv) - 1).clip(min=0) - np.floor(uv).clip(max=0)
    column = (inside[:, 0] * width).astype(np.int64).clip(0, width - 1)
    row = ((1 - inside[:, 1]) * height).astype(np.int64).clip(0, height - 1)
    colors: Numbers = texture[row, column]
    return colors


def srgb_to_linear(colors: Numbers) -> Numbers:
    """sRGB as amounts of light; both in 0..1.

    Source: IEC 61966-2-1.
    """
    import numpy as np

    light: Numbers = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


def linear_to_srgb(light: Numbers) -> Numbers:
    """Amounts of light as sRGB; both in 0..1.

    Source: IEC 61966-2-1.
    """
    import numpy as np

    # In float64, that 1 stays 1.
    steep = 1.055 * light.astype(np.float64) ** (1 / 2.4) - 0.055
    colors: Numbers = np.where(light <= 0.0031308, light * 12.92, steep)
    return colors.astype(np.float32)
