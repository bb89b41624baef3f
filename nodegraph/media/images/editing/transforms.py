"""Geometric transforms: crop, flip, pad, rotate, shift, perspective warp."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from nodegraph.errors import InvalidValue
from nodegraph.media.images.colors import Color, paint
from nodegraph.media.images.editing.pixel_formats import check_channels, map_planes, with_channels
from nodegraph.media.images.memory_checks import check_memory, resizing_bytes

if TYPE_CHECKING:
    from torch import Tensor

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
            "nothing of the image is left",
            port="x" if left >= right else "y",
            given=f"{left}, {top} in an image of {before[0]} x {before[1]} pixels",
            expected="a position inside the image",
        )
    return left, top, right, bottom


def rotated_size(before: Size, angle: float, *, expand: bool) -> Size:
    """Size of an image turned by degrees, as Pillow rounds it.

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


Axis = Literal["horizontal", "vertical", "both"]
Border = Literal["color", "edge", "reflect", "wrap"]
Resampling = Literal["bicubic", "bilinear", "nearest"]


def crop(image: Tensor, size: tuple[int, int], anchor: Anchor, x: int, y: int) -> Tensor:
    """A part of images, see `crop_box`."""
    check_channels(image)
    left, top, right, bottom = crop_box((image.shape[2], image.shape[1]), size, anchor, x, y)
    return image[:, top:bottom, left:right].clone()


def flip(image: Tensor, axis: Axis) -> Tensor:
    """Images as in a mirror.

    Args:
        axis: ``horizontal`` exchanges left and right, ``vertical`` top and bottom.
    """
    axes = {"horizontal": (2,), "vertical": (1,), "both": (1, 2)}
    return image.flip(axes[axis])


def pad(
    image: Tensor, left: int, top: int, right: int, bottom: int, border: Border, color: Color
) -> Tensor:
    """Images with more around them.

    Args:
        left, top, right, bottom: Pixels.
        border: ``edge`` repeats the outermost pixels, ``reflect`` mirrors, ``wrap`` repeats the
            image.
        color: Of ``color``; one that isn't opaque gives images alpha.
    Raises:
        InvalidValue: They take more memory than there is.
    """
    check_channels(image)
    count, height, width, channels = image.shape
    size = (left + width + right, top + height + bottom)
    check_memory(*size, count, resizing_bytes(*size, count * channels), port="left")
    if border == "color":
        image = with_channels(image, 4) if color[3] < 1 else image
        background = paint(color, image.shape[-1]).to(image.dtype)
        made = background.expand(count, size[1], size[0], image.shape[-1]).clone()
        made[:, top : top + height, left : left + width] = image
        return made
    rows = _indices(height, top, bottom, border)
    return image[:, rows][:, :, _indices(width, left, right, border)]


def _indices(length: int, before: int, after: int, border: Border) -> Tensor:
    """Which of a side's pixels stands where."""
    import torch

    at = torch.arange(-before, length + after)
    if border == "edge":
        return at.clamp(0, length - 1)
    if border == "wrap" or length == 1:
        return at % length
    period = at % (2 * length - 2)
    return torch.minimum(period, 2 * length - 2 - period)


def rotate(
    image: Tensor, angle: float, *, expand: bool, color: Color, method: Resampling = "bicubic"
) -> Tensor:
    """Images turned about their middle.

    Args:
        angle: Degrees, clockwise. Right angles move pixels and change none, where the result has
            room for them.
        expand: Make them large enough for all of the image.
        color: Of what comes into view; one that isn't opaque gives images alpha.
    Raises:
        InvalidValue: They take more memory than there is.
    """
    import torch
    from PIL import Image

    check_channels(image)
    count, height, width, channels = image.shape
    size = rotated_size((width, height), angle, expand=expand)
    check_memory(*size, count, resizing_bytes(*size, count * channels), port="image")
    if angle % 180 == 0 or (angle % 90 == 0 and (expand or width == height)):
        return torch.rot90(image, -round(angle / 90), (1, 2)).contiguous()
    image = with_channels(image, 4) if color[3] < 1 else image
    values = paint(color, image.shape[-1]).tolist()
    resample = Image.Resampling[method.upper()]

    def work(plane: Image.Image, channel: int) -> Image.Image:
        return plane.rotate(-angle, resample, expand=expand, fillcolor=values[channel])

    return map_planes(image, work)


def shift(image: Tensor, x: int, y: int) -> Tensor:
    """Images moved; what leaves at one side comes in at the other.

    Args:
        x, y: Pixels to the right and down.
    """
    return image.roll((y, x), (1, 2))


def repeat(image: Tensor, columns: int, rows: int, *, mirror: bool) -> Tensor:
    """Images beside and below themselves.

    Args:
        mirror: Turn every other one over, so that edges meet their like.
    Raises:
        InvalidValue: They take more memory than there is.
    """
    import torch

    check_channels(image)
    count, height, width, channels = image.shape
    size = (width * columns, height * rows)
    check_memory(*size, count, resizing_bytes(*size, count * channels), port="columns")

    def along(picture: Tensor, times: int, axis: int) -> Tensor:
        other = picture.flip(axis) if mirror else picture
        return torch.cat([other if at % 2 else picture for at in range(times)], dim=axis)

    return along(along(image, columns, 2), rows, 1)


def parse_corners(text: str, port: str = "corners") -> list[tuple[float, float]]:
    """Four points, from the top left clockwise, as shares of width and height.

    Raises:
        InvalidValue: They can't be read, or lie far outside.
    """
    from nodegraph.media.images.editing.adjustments import parse_numbers

    values = parse_numbers(text)
    if values is None or len(values) != 8 or not all(-4 <= value <= 5 for value in values):
        raise InvalidValue(
            "these are not four corners",
            port=port,
            given=repr(text[:80]),
            expected="pairs clockwise from the top left, for example 0,0 1,0.1 1,0.9 0,1",
        )
    return list(zip(values[::2], values[1::2], strict=True))


def warp(
    image: Tensor, corners: list[tuple[float, float]], color: Color, method: Resampling = "bicubic"
) -> Tensor:
    """Images as a plane in space shows them: their corners at other places.

    Args:
        corners: Where they go, from the top left clockwise, as shares of width and height.
        color: Of what comes into view; one that isn't opaque gives images alpha.
    Raises:
        InvalidValue: Three corners lie on a line.
    """
    from PIL import Image

    check_channels(image)
    image = with_channels(image, 4) if color[3] < 1 else image
    _, height, width, channels = image.shape
    goals = [(x * width, y * height) for x, y in corners]
    coefficients = _perspective(goals, [(0, 0), (width, 0), (width, height), (0, height)])
    values = paint(color, channels).tolist()
    resample = Image.Resampling[method.upper()]

    def work(plane: Image.Image, channel: int) -> Image.Image:
        return plane.transform(
            plane.size,
            Image.Transform.PERSPECTIVE,
            coefficients,
            resample,
            fillcolor=values[channel],
        )

    return map_planes(image, work)


def _perspective(
    goals: list[tuple[float, float]], sources: list[tuple[int, int]]
) -> tuple[float, ...]:
    """The eight numbers of the map from where points go to where they come from."""
    import numpy as np

    rows, wanted = [], []
    for (x, y), (u, v) in zip(goals, sources, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        wanted += [u, v]
    try:
        coefficients = np.linalg.solve(np.array(rows, float), np.array(wanted, float))
    except np.linalg.LinAlgError:
        coefficients = np.array([math.nan])
    if not np.isfinite(coefficients).all() or np.abs(coefficients).max() > 1e9:
        raise InvalidValue("three of the corners lie on a line", port="corners")
    return tuple(coefficients.tolist())
