"""The part of a picture that was cut out of it, to be put back. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from nodegraph.core.ports import port_type

if TYPE_CHECKING:
    from torch import Tensor

Rectangle = tuple[int, int, int, int]
"""Left and upper edge, width and height, in pixels."""


@port_type(color="#c7a25b")
@dataclass(frozen=True, slots=True)
class Region:
    """The part of a picture that was cut out of it, and what of that part is to change.

    Attributes:
        x, y: Its left and upper edge in the picture, in pixels; below 0 where it begins outside.
        width, height: In the picture, in pixels; it may reach over the picture's edges.
        picture_width, picture_height: Of the picture.
        mask: float32 in 0..1, shape (batch, height, width) in the picture's pixels.
    """

    x: int
    y: int
    width: int
    height: int
    picture_width: int
    picture_height: int
    mask: Tensor


def expand_box(box: Rectangle, margin: int, picture: tuple[int, int]) -> Rectangle:
    """A box with a margin, as far as the picture reaches.

    Args:
        picture: Width and height.
    """
    x, y, width, height = box
    left, top = max(0, x - margin), max(0, y - margin)
    right, bottom = min(picture[0], x + width + margin), min(picture[1], y + height + margin)
    return left, top, right - left, bottom - top


def fit_box(
    box: Rectangle, target: tuple[int, int], multiple: int, picture: tuple[int, int]
) -> tuple[Rectangle, tuple[int, int]]:
    """A box brought to proportions, moved into the picture if it fits, and its size when cut out.

    Args:
        target: Width and height that it is scaled to; one that is 0 follows from the box, and if
            both are, it keeps its pixels.
        multiple: What the sides of the result are a multiple of.
        picture: Width and height.
    """
    width, height = box[2:]
    if target == (0, 0):
        size = _up(width, multiple), _up(height, multiple)
        wanted = size
    else:
        wide, high = target
        size = (
            _up(wide or round(width * high / height), multiple),
            _up(high or round(height * wide / width), multiple),
        )
        wanted = _in_proportion(width, height, size)
    x, wide = _placed(box[0], width, wanted[0], picture[0])
    y, high = _placed(box[1], height, wanted[1], picture[1])
    return (x, y, wide, high), size


def _in_proportion(width: int, height: int, size: tuple[int, int]) -> tuple[int, int]:
    """The smallest sides, not below these, that have the proportions of a size."""
    if width * size[1] < height * size[0]:
        return ceil(height * size[0] / size[1]), height
    return width, ceil(width * size[1] / size[0])


def _placed(start: int, side: int, wanted: int, picture: int) -> tuple[int, int]:
    """A side about the same middle, within the picture if it is no longer than that."""
    middle = start - (wanted - side) // 2
    if wanted > picture:
        return -((wanted - picture) // 2), wanted
    return min(max(middle, 0), picture - wanted), wanted


def _up(pixels: int, multiple: int) -> int:
    return max(1, ceil(pixels / multiple)) * multiple
