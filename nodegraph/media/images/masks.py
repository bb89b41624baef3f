"""Masks: build, combine, measure, overlay on images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from math import cos, radians, sin
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.errors import InvalidValue
from nodegraph.media.images.colors import color_levels
from nodegraph.media.images.regions import Rectangle
from nodegraph.media.images.resizing import Method, resize_image

Channel = Literal["luminance", "red", "green", "blue", "alpha", "saturation", "value"]
FileChannel = Literal["auto", "brightness", "transparency", "red", "green", "blue"]
ShapeKind = Literal["rectangle", "ellipse", "diamond"]
GradientKind = Literal["linear", "radial"]

_LUMINANCE = (0.299, 0.587, 0.114)
"""Shares of red, green and blue. Source: ITU-R BT.601, as Pillow's mode L."""
_WITHIN = (0.125, 0.375, 0.625, 0.875)
"""Places in a pixel, down and across, at which it is asked whether it is inside a shape."""


def mask_from_color(image: Tensor, color: str, tolerance: float, softness: float) -> Tensor:
    """1 where an image is of a color.

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
    """A channel of images as masks; alpha is 1 where there is none."""
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
    """A box in pixels that is given in pixels, or in shares of an image's sides."""
    if unit == "pixels":
        return box
    width, height = size
    return box[0] * width, box[1] * height, box[2] * width, box[3] * height


def resolve_size(image: Tensor | None, width: int, height: int) -> tuple[int, int]:
    """Width and height of an image, or those that are given.

    Raises:
        InvalidValue: There is no image, and a side is 0.
    """
    if image is not None:
        return image.shape[2], image.shape[1]
    if not (width and height):
        raise InvalidValue(
            "the mask has no size", port="width", hint="Link `image`, or give width and height."
        )
    return width, height


def mask_from_file(colors: Tensor, transparent: Tensor, channel: FileChannel) -> Tensor:
    """The mask that an image's file holds.

    Args:
        colors, transparent: As `nodegraph.media.images.images.read_image` gives them.
        channel: ``auto`` is what is transparent, if anything is, else the brightness.
    """
    if channel == "auto":
        channel = "transparency" if bool(transparent.any()) else "brightness"
    if channel == "transparency":
        return transparent
    return mask_from_channel(colors, "luminance" if channel == "brightness" else channel)


_STOPS = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))
"""From cold to hot, evenly spaced: colors whose lightness rises evenly, as of matplotlib's
map inferno."""


def apply_heat_colormap(values: Tensor) -> Tensor:
    """Colors of numbers in 0..1: any shape to (*shape, 3), in 0..1."""
    stops = torch.tensor(_STOPS, dtype=torch.float32, device=values.device) / 255
    position = values.clamp(0, 1) * (len(stops) - 1)
    low = position.floor().long().clamp(max=len(stops) - 2)
    share = (position - low)[..., None]
    return stops[low] * (1 - share) + stops[low + 1] * share


def overlay_heatmap(image: Tensor, mask: Tensor, opacity: float) -> Tensor:
    """An image in gray with a mask over it as heat.

    Args:
        image: (batch, height, width, channels) in 0..1; of a batch of 1, one for each mask.
        mask: (batch, height, width) in 0..1; scaled to the image.
        opacity: 0 is the image, 1 is the heat alone.
    Returns:
        float32, (batch, height, width, 3).
    """
    height, width = image.shape[1:3]
    if mask.shape[1:] != (height, width):
        mask = functional.interpolate(mask[:, None], (height, width), mode="bilinear")[:, 0]
    colours = image[..., :3].expand(*image.shape[:3], 3)
    count = max(len(image), len(mask))
    colours = colours.expand(count, -1, -1, -1)
    # Gray, so that no color of the image is taken for heat.
    weights = colours.new_tensor((0.2126, 0.7152, 0.0722))
    grey = (colours * weights).sum(-1, keepdim=True).expand_as(colours)
    return (1 - opacity) * grey + opacity * apply_heat_colormap(mask.expand(count, -1, -1))


Combination = Literal["union", "intersect", "subtract", "xor", "multiply", "add"]

_COMBINATIONS: Mapping[Combination, Callable[[Tensor, Tensor], Tensor]] = {
    "union": torch.maximum,
    "intersect": torch.minimum,
    "subtract": lambda first, second: torch.minimum(first, 1 - second),
    "xor": lambda first, second: torch.maximum(
        torch.minimum(first, 1 - second), torch.minimum(1 - first, second)
    ),
    "multiply": torch.mul,
    "add": lambda first, second: (first + second).clamp(max=1),
}


class EmptyMask(InvalidValue):
    """A mask that masks nothing, where something is needed."""

    code = "empty-mask"


def resize_mask(mask: Tensor, width: int, height: int, method: Method = "bilinear") -> Tensor:
    """A mask scaled to a size in pixels; as it is if it has that size."""
    if mask.shape[1:] == (height, width):
        return mask
    return resize_image(mask[..., None], width, height, method=method)[..., 0]


def match_mask(image: Tensor, mask: Tensor, port: str = "mask") -> tuple[Tensor, Tensor]:
    """Images and their masks, as many and as large; a mask of another size is scaled.

    Args:
        image: (batch, height, width, channels).
        mask: (batch, height, width); one is for all images, and several may be for one image.
        port: That the mask comes from.
    Raises:
        InvalidValue: They are of different numbers.
    """
    mask = resize_mask(mask, image.shape[2], image.shape[1])
    return broadcast_batches(image, mask, port)


def broadcast_batches(first: Tensor, second: Tensor, port: str) -> tuple[Tensor, Tensor]:
    """Two batches, the one of a single item repeated to the other's number.

    Args:
        port: That the second comes from.
    Raises:
        InvalidValue: Neither is single, and they are of different numbers.
    """
    counts = first.shape[0], second.shape[0]
    if 1 not in counts and counts[0] != counts[1]:
        raise InvalidValue(
            "the batches differ in size",
            port=port,
            given=str(counts[1]),
            expected=f"1 or {counts[0]}",
        )
    most = max(counts) if 0 not in counts else 0
    return first.expand(most, *first.shape[1:]), second.expand(most, *second.shape[1:])


def combine_masks(
    first: Tensor, second: Tensor, how: Combination, corner: tuple[int, int] | None = None
) -> Tensor:
    """Two masks as one; the second is scaled to the first's size.

    Soft masks are combined as fuzzy sets: union is the larger value, intersect the smaller one.

    Args:
        corner: Where the second one's upper left corner comes, which keeps its size then. Beside it
            the first one stays as it is.
    """
    if corner is not None:
        return _combined_at(first, second, how, *corner)
    second = resize_mask(second, first.shape[2], first.shape[1])
    return _COMBINATIONS[how](*broadcast_batches(first, second, "second"))


def _combined_at(first: Tensor, second: Tensor, how: Combination, x: int, y: int) -> Tensor:
    first, second = broadcast_batches(first, second, "second")
    result = first.clone()
    height, width = first.shape[1:]
    rows = slice(max(0, y), max(0, min(height, y + second.shape[1])))
    columns = slice(max(0, x), max(0, min(width, x + second.shape[2])))
    part = second[:, max(0, -y) :, max(0, -x) :]
    part = part[:, : max(0, rows.stop - rows.start), : max(0, columns.stop - columns.start)]
    if part.numel():
        result[:, rows, columns] = _COMBINATIONS[how](result[:, rows, columns], part)
    return result


def threshold_mask(mask: Tensor, low: float, high: float) -> Tensor:
    """1 from `low` to `high`, both included, and 0 elsewhere."""
    return ((mask >= low) & (mask <= high)).float()


def mask_box(mask: Tensor, port: str = "mask") -> Rectangle:
    """The smallest box that holds all pixels above 0, of all masks of a batch together.

    Raises:
        EmptyMask: There are none.
    """
    inside = (mask > 0).any(0)
    rows, columns = inside.any(1).nonzero()[:, 0], inside.any(0).nonzero()[:, 0]
    if not len(rows):
        raise EmptyMask(
            "the mask is empty: it is 0 everywhere",
            port=port,
            expected="at least one pixel above 0",
            hint="MaskOverlay shows a mask over its image.",
        )
    top, left = int(rows[0]), int(columns[0])
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


def mask_share(mask: Tensor) -> float:
    """The share of the image that a mask covers, 0 to 1."""
    return float(mask.mean()) if mask.numel() else 0.0


def mask_to_image(mask: Tensor) -> Tensor:
    """White where a mask is 1, black where it is 0; (batch, height, width, 3)."""
    return mask.clamp(0, 1)[..., None].repeat(1, 1, 1, 3)


def with_alpha(image: Tensor, mask: Tensor, *, transparent: bool) -> Tensor:
    """Images with a fourth channel.

    Args:
        transparent: Whether a mask of 1 is to be transparent; else it is what stays opaque.
    Returns:
        (batch, height, width, 4).
    """
    image, mask = match_mask(image, mask)
    alpha = 1 - mask if transparent else mask
    return torch.cat((as_rgb(image), alpha[..., None]), dim=-1)


def as_rgb(image: Tensor) -> Tensor:
    """Images in three channels: gray is repeated, transparency dropped."""
    return image.expand(*image.shape[:3], 3) if image.shape[3] == 1 else image[..., :3]


def composite(base: Tensor, overlay: Tensor, mask: Tensor) -> Tensor:
    """One image where a mask is 1, another where it is 0, bit for bit; a mixture in between.

    Args:
        base: (batch, height, width, channels); its transparency is kept.
        overlay, mask: As large, or scaled to it.
    """
    width, height = base.shape[2], base.shape[1]
    if overlay.shape[1:3] != base.shape[1:3]:
        overlay = resize_image(overlay, width, height)
    base, overlay = broadcast_batches(base, overlay, "overlay")
    base, mask = match_mask(base, mask)
    overlay = overlay.expand(len(base), *overlay.shape[1:])
    return alpha_blend(base, overlay, mask)


def alpha_blend(base: Tensor, overlay: Tensor, mask: Tensor) -> Tensor:
    """The same of images and masks that are alike in size and number."""
    colors = as_rgb(base) if overlay.shape[3] > 1 or base.shape[3] == 4 else base
    layer = as_rgb(overlay) if colors.shape[3] == 3 else overlay
    share = mask[..., None]
    mixed = colors * (1 - share) + layer * share
    # What the mask leaves out keeps its bits, whatever the overlay holds there.
    result = torch.where(share > 0, mixed, colors)
    return torch.cat((result, base[..., 3:]), -1) if base.shape[3] == 4 else result


def overlay_mask(image: Tensor, mask: Tensor, color: str, opacity: float) -> Tensor:
    """Images with what is masked tinted."""
    image, mask = match_mask(image, mask)
    tint = torch.tensor(color_levels(color)).expand(*image.shape[:3], 3)
    return alpha_blend(image, tint, mask * opacity)
