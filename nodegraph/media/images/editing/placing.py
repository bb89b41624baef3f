"""Where one rectangle lies in another. Imports no torch, as sizes are told before anything runs."""

from __future__ import annotations

import math
from typing import Literal

from nodegraph.errors import InvalidValue

Anchor = Literal[
    "top left", "top", "top right", "left", "center", "right", "bottom left", "bottom",
    "bottom right",
]  # fmt: skip
Size = tuple[int, int]
"""Width and height in pixels."""


def anchor_position(outer: Size, inner: Size, anchor: Anchor, x: int, y: int) -> tuple[int, int]:
    """Left and top of a rectangle in another one; it may reach beyond.

    Args:
        anchor: Edge, corner or middle that it lies at.
        x, y: Pixels from there: from an edge inwards, from the middle to the right and down.
    """
    left = (outer[0] - inner[0]) // 2 + x
    if "left" in anchor:
        left = x
    elif "right" in anchor:
        left = outer[0] - inner[0] - x
    top = (outer[1] - inner[1]) // 2 + y
    if "top" in anchor:
        top = y
    elif "bottom" in anchor:
        top = outer[1] - inner[1] - y
    return left, top


def crop_box(before: Size, size: Size, anchor: Anchor, x: int, y: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what a crop keeps: as much as there is of it.

    Args:
        size: 0 for all that there is from there.
    Raises:
        InvalidValue: It lies outside.
    """
    width = size[0] or max(1, before[0] - (0 if anchor in ("top", "center", "bottom") else abs(x)))
    height = size[1] or max(1, before[1] - (0 if anchor in ("left", "center", "right") else abs(y)))
    left, top = anchor_position(before, (width, height), anchor, x, y)
    right, bottom = min(left + width, before[0]), min(top + height, before[1])
    left, top = max(left, 0), max(top, 0)
    if left >= right or top >= bottom:
        raise InvalidValue(
            "nothing of the picture is left",
            port="x" if left >= right else "y",
            given=f"{left}, {top} in a picture of {before[0]} x {before[1]} pixels",
            expected="a place inside",
        )
    return left, top, right, bottom


def rotated_size(before: Size, angle: float, *, expand: bool) -> Size:
    """Size of a picture turned by degrees, as Pillow rounds it.

    Args:
        expand: Large enough for all of it; else as large as before.
    """
    width, height = before
    if not expand:
        return before
    # In Pillow's own steps, whose last bits decide where a side is a whole number but for rounding.
    counterclockwise = -angle % 360.0
    if counterclockwise % 90 == 0:
        return before if counterclockwise % 180 == 0 else (height, width)
    turn = -math.radians(counterclockwise)
    cosine, sine = round(math.cos(turn), 15), round(math.sin(turn), 15)
    x, y = width / 2, height / 2
    left, top = cosine * -x + sine * -y + 0.0 + x, -sine * -x + cosine * -y + 0.0 + y
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    across = [cosine * right + sine * down + left for right, down in corners]
    along = [-sine * right + cosine * down + top for right, down in corners]
    return (
        math.ceil(max(across)) - math.floor(min(across)),
        math.ceil(max(along)) - math.floor(min(along)),
    )
