"""Masks made of colours, channels, shapes, boxes and gradients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import cos, radians, sin
from typing import Literal

import torch
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.media.images.colors import color_levels
from nodegraph.media.images.masks import as_rgb

Channel = Literal["luminance", "red", "green", "blue", "alpha", "saturation", "value"]
FileChannel = Literal["auto", "brightness", "transparency", "red", "green", "blue"]
ShapeKind = Literal["rectangle", "ellipse", "diamond"]
GradientKind = Literal["linear", "radial"]

_LUMINANCE = (0.299, 0.587, 0.114)
"""Shares of red, green and blue. Source: ITU-R BT.601, as Pillow's mode L."""
_WITHIN = (0.125, 0.375, 0.625, 0.875)
"""Places in a pixel, down and across, at which it is asked whether it is inside a shape."""


def mask_from_color(image: Tensor, color: str, tolerance: float, softness: float) -> Tensor:
    """1 where a picture is of a colour.

    Args:
        image: (batch, height, width, channels).
        tolerance: The largest difference in any of red, green and blue, 0..1.
        softness: Further differences over which the mask fades to 0.
    """
    wanted = torch.tensor(color_levels(color))
    apart = (as_rgb(image) - wanted).abs().amax(-1)
    # Levels of 8 bits don't hit a tolerance such as 0.2 exactly.
    beyond = apart - tolerance - 1e-6
    return (1 - beyond / softness).clamp(0, 1) if softness > 0 else (beyond <= 0).float()


def mask_from_channel(image: Tensor, channel: Channel) -> Tensor:
    """A channel of pictures as masks; alpha is 1 where there is none."""
    if channel == "alpha":
        has_alpha = image.shape[3] == 4
        return image[..., 3].clone() if has_alpha else torch.ones(image.shape[:3])
    colors = as_rgb(image)
    if channel == "luminance":
        return (colors * torch.tensor(_LUMINANCE)).sum(-1).clamp(0, 1)
    most = colors.amax(-1)
    if channel == "value":
        return most
    if channel == "saturation":
        return torch.where(most > 0, 1 - colors.amin(-1) / most.clamp(min=1e-6), 0.0)
    return colors[..., ("red", "green", "blue").index(channel)].clone()


_SHAPES: Mapping[ShapeKind, Callable[[Tensor, Tensor], Tensor]] = {
    "rectangle": lambda across, down: (across.abs() <= 1) & (down.abs() <= 1),
    "ellipse": lambda across, down: across.square() + down.square() <= 1,
    "diamond": lambda across, down: across.abs() + down.abs() <= 1,
}


def shape_mask(
    size: tuple[int, int],
    box: tuple[float, float, float, float],
    kind: ShapeKind = "rectangle",
    angle: float = 0.0,
) -> Tensor:
    """A shape that fills a box; smooth at its edge. (1, height, width).

    Args:
        size: Width and height in pixels.
        box: Left and upper edge, width and height, in pixels.
        angle: Degrees that it is turned clockwise about its middle.
    """
    x, y, wide, high = box
    if wide <= 0 or high <= 0:
        return torch.zeros(1, size[1], size[0])
    share = torch.zeros(size[1], size[0])
    for row, column in product(_WITHIN, _WITHIN):
        down = (torch.arange(size[1]) + row - (y + high / 2))[:, None]
        across = torch.arange(size[0]) + column - (x + wide / 2)
        turn = radians(angle)
        along = (across * cos(turn) + down * sin(turn)) / (wide / 2)
        aside = (down * cos(turn) - across * sin(turn)) / (high / 2)
        share += _SHAPES[kind](along, aside)
    return share[None] / len(_WITHIN) ** 2


def boxes_mask(
    size: tuple[int, int], boxes: Sequence[tuple[float, float, float, float]], *, each: bool
) -> Tensor:
    """Boxes as one mask, or a mask each: (1 or boxes, height, width)."""
    masks = [shape_mask(size, box) for box in boxes]
    joined = torch.cat(masks)
    return joined if each else joined.amax(0, keepdim=True)


def gradient_mask(
    size: tuple[int, int], kind: GradientKind, angle: float, start: float, end: float
) -> Tensor:
    """A mask that rises evenly from 0 to 1. (1, height, width).

    Args:
        size: Width and height in pixels.
        kind: ``linear`` rises along a line through the middle, ``radial`` falls from it outwards.
        angle: Degrees, clockwise: 0 rises to the right, 90 downwards.
        start, end: Where it begins and ends to rise, 0..1 of the way; `end` may come first.
    """
    width, height = size
    columns = (torch.arange(width) + 0.5) - width / 2
    rows = ((torch.arange(height) + 0.5) - height / 2)[:, None]
    if kind == "radial":
        way = 1 - ((columns / (width / 2)).square() + (rows / (height / 2)).square()).sqrt()
    else:
        turn = radians(angle)
        whole = abs(width * cos(turn)) + abs(height * sin(turn))
        way = (columns * cos(turn) + rows * sin(turn)) / whole + 0.5
    if start == end:
        return (way >= start).float()[None]
    return ((way - start) / (end - start)).clamp(0, 1)[None]


def box_to_pixels(
    box: tuple[float, float, float, float], size: tuple[int, int], unit: str
) -> tuple[float, float, float, float]:
    """A box in pixels that is given in pixels, or in shares of a picture's sides."""
    if unit == "pixels":
        return box
    width, height = size
    return box[0] * width, box[1] * height, box[2] * width, box[3] * height


def resolve_size(image: Tensor | None, width: int, height: int) -> tuple[int, int]:
    """Width and height of a picture, or those that are given.

    Raises:
        InvalidValue: There is no picture, and a side is 0.
    """
    if image is not None:
        return image.shape[2], image.shape[1]
    if not (width and height):
        raise InvalidValue(
            "the mask needs a size", port="width", hint="Link `image`, or give width and height."
        )
    return width, height


def mask_from_file(colors: Tensor, transparent: Tensor, channel: FileChannel) -> Tensor:
    """The mask that a picture's file holds.

    Args:
        colors, transparent: As `nodegraph.media.images.images.read_image` gives them.
        channel: ``auto`` is what is transparent, if anything is, else the brightness.
    """
    if channel == "auto":
        channel = "transparency" if bool(transparent.any()) else "brightness"
    if channel == "transparency":
        return transparent
    return mask_from_channel(colors, "luminance" if channel == "brightness" else channel)
