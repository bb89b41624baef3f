"""Images in other sizes, and small previews of unfinished work."""

from __future__ import annotations

import math
from io import BytesIO
from typing import TYPE_CHECKING, Literal

from nodegraph.core.context import Preview
from nodegraph.errors import InvalidValue
from nodegraph.media.images.memory_checks import check_memory, resizing_bytes

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.media.images.colors import Color

Method = Literal["lanczos", "bicubic", "bilinear", "area", "nearest"]
FitMode = Literal["stretch", "crop", "pad", "inside", "outside"]

_FILTERS = {
    "lanczos": "LANCZOS", "bicubic": "BICUBIC", "bilinear": "BILINEAR", "area": "BOX",
    "nearest": "NEAREST",
}  # fmt: skip
MAX_SIDE = 16384
"""Longest side in pixels."""


def resize_image(
    image: Tensor,
    width: int,
    height: int,
    *,
    method: Method = "lanczos",
    fit: FitMode = "stretch",
    multiple: int = 1,
    fill: Color = (0.0, 0.0, 0.0, 1.0),
) -> Tensor:
    """Scale images to a size in full precision; downscaling averages pixels to avoid flicker.

    Args:
        image: float32, shape (batch, height, width, channels).
        width, height: In pixels; 0 keeps the proportions.
        method: ``area`` averages whole pixels, ``nearest`` keeps their values.
        fit: See `fitted_size`.
        multiple: Both sides of the result are multiples of it.
        fill: Color of the border that ``pad`` adds. A transparent one adds an alpha channel.
    Returns:
        float32, clipped to 0..1.
    Raises:
        InvalidValue: The size is out of range or needs more memory than available, or the method
            is unknown.
    """
    if method not in _FILTERS:
        raise InvalidValue(f"there is no method {method!r}", expected=", ".join(_FILTERS))
    before = (image.shape[2], image.shape[1])
    size, scaled = fitted_size(before, width, height, fit=fit, multiple=multiple)
    pictures, channels = image.shape[0], image.shape[3]
    needed = resizing_bytes(*size, pictures * channels)
    check_memory(*size, pictures, needed, port="width")
    result = _scaled(image, scaled, method, _box(before, size) if fit == "crop" else None)
    if fit != "pad":
        return result
    from nodegraph.media.images.editing.transforms import pad  # previews need none of it

    left, top = (size[0] - scaled[0]) // 2, (size[1] - scaled[1]) // 2
    right, bottom = size[0] - scaled[0] - left, size[1] - scaled[1] - top
    return pad(result, left, top, right, bottom, "color", fill)


def resize_part(
    image: Tensor,
    box: tuple[float, float, float, float],
    size: tuple[int, int],
    method: Method = "lanczos",
) -> Tensor:
    """A part of images scaled to a size, with fractions of pixels at its edges.

    Args:
        image: float32, shape (batch, height, width, channels).
        box: Left, top, width and height of the part, within the images, in pixels.
        size: Width and height of the result.
    Returns:
        float32, clipped to 0..1.
    """
    x, y, width, height = box
    right, bottom = min(image.shape[2], x + width), min(image.shape[1], y + height)
    return _scaled(image, size, method, (x, y, right, bottom))


def _scaled(
    image: Tensor,
    size: tuple[int, int],
    method: Method,
    box: tuple[float, float, float, float] | None,
) -> Tensor:
    import numpy as np
    import torch
    from PIL import Image

    pictures, channels = image.shape[0], image.shape[3]
    planes = image.movedim(-1, 1).float()
    resample = Image.Resampling[_FILTERS[method]]
    result = torch.empty(pictures, size[1], size[0], channels)
    for at in range(pictures):
        for channel in range(channels):
            # Each by itself: Pillow scales one plane of floats without rounding to 8 bits.
            plane = Image.fromarray(planes[at, channel].contiguous().numpy())
            scaled = np.array(plane.resize(size, resample, box))
            result[at, :, :, channel] = torch.from_numpy(scaled)
    return result.clamp_(0, 1)


def fitted_size(
    before: tuple[int, int], width: int, height: int, *, fit: FitMode = "stretch", multiple: int = 1
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Width and height of the result, and of the scaled image in it.

    Args:
        before, width, height: See `target_size`.
        fit: ``stretch`` ignores the proportions; ``crop`` keeps them and cuts off what is too
            much on both sides; ``pad`` keeps them and fills what is missing; ``inside`` keeps them
            and gives an image that fits into the size, ``outside`` one that covers it.
        multiple: What both sides of the result are multiples of, rounded to the nearest.
    Raises:
        InvalidValue: A side is negative or too long.
    """
    goal = target_size(before, width, height)
    if fit in ("inside", "outside"):
        goal = target_size(before, *_proportional(before, goal, covers=fit == "outside"))
    size = _rounded(goal[0], multiple), _rounded(goal[1], multiple)
    return size, _proportional(before, size, covers=False) if fit == "pad" else size


def _proportional(
    before: tuple[int, int], goal: tuple[int, int], *, covers: bool
) -> tuple[int, int]:
    """The largest size with its proportions within another one, or the smallest around it."""
    factors = goal[0] / before[0], goal[1] / before[1]
    factor = max(factors) if covers else min(factors)
    return max(1, round(before[0] * factor)), max(1, round(before[1] * factor))


def _rounded(side: int, multiple: int) -> int:
    """The nearest multiple, at least one of it, and none beyond the longest side."""
    nearest = max(1, (2 * side + multiple) // (2 * multiple)) * multiple
    return nearest if nearest <= MAX_SIDE else nearest - multiple


ScaleBy = Literal["factor", "longer side", "shorter side", "width", "height", "megapixels"]


def scaled_size(
    before: tuple[int, int], by: ScaleBy, amount: float, multiple: int = 1
) -> tuple[int, int]:
    """Width and height of an image that keeps its proportions.

    Args:
        amount: A factor, pixels, or millions of them (1024 x 1024).
        multiple: What both sides are multiples of, rounded to the nearest.
    Raises:
        InvalidValue: A side gets too long.
    """
    width, height = before
    factors = {
        "factor": amount,
        "longer side": amount / max(before),
        "shorter side": amount / min(before),
        "width": amount / width,
        "height": amount / height,
        "megapixels": math.sqrt(amount * 1024 * 1024 / (width * height)),
    }
    goal = (round(width * factors[by]), round(height * factors[by]))
    size = target_size(before, max(1, goal[0]), max(1, goal[1]))
    return _rounded(size[0], multiple), _rounded(size[1], multiple)


def target_size(before: tuple[int, int], width: int, height: int) -> tuple[int, int]:
    """Width and height after scaling, where 0 keeps the proportions.

    Args:
        before: Width and height.
    Raises:
        InvalidValue: A side is negative or too long.
    """
    if width == height == 0:
        width, height = before
    elif width == 0:
        width = max(1, round(before[0] * height / before[1]))
    elif height == 0:
        height = max(1, round(before[1] * width / before[0]))
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE):
        raise InvalidValue(
            "the size is out of range",
            given=f"{width} x {height} pixels",
            expected=f"sides from 1 to {MAX_SIDE}",
        )
    return width, height


def _box(before: tuple[int, int], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The largest part, from the middle, that has the proportions of `size`."""
    width, height = before
    part = min(width / size[0], height / size[1])
    left, top = (width - size[0] * part) / 2, (height - size[1] * part) / 2
    # Rounding must not push the edge out of the image.
    return max(0.0, left), max(0.0, top), min(width, width - left), min(height, height - top)


MAX_PREVIEW_SIDE = 512
"""Pixels along the longer side of a preview at most."""
MAX_IMAGES = 16
"""Images of a batch that are shown, in a grid."""
_QUALITY = 85


def picture_preview(image: Tensor, longest: int = MAX_PREVIEW_SIDE) -> Preview:
    """The first images of a batch in a grid, made smaller where they are too large.

    Args:
        image: In 0..1, shape (batch, height, width, channels); what is transparent lies on black.
        longest: Pixels along the longer side at most.
    """
    pictures = image[:MAX_IMAGES].detach().to("cpu").float()
    if pictures.shape[3] == 4:
        pictures = pictures[..., :3] * pictures[..., 3:]
    return grid_preview(pictures[..., :3].permute(0, 3, 1, 2).expand(-1, 3, -1, -1), longest)


def grid_preview(pictures: Tensor, longest: int) -> Preview:
    """Images of one size in a grid, as a JPEG.

    Args:
        pictures: In 0..1, what lies beyond is cut off; shape (batch, 3, height, width).
        longest: Pixels along the grid's longer side at most.
    """
    import torch
    from PIL import Image

    count, _, height, width = pictures.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    height, width = fit_within(height, width, longest, rows, columns)
    small = resize_planes(pictures.float(), height, width).nan_to_num(0).clamp(0, 1)
    grid = small.new_zeros((rows * columns, 3, height, width))
    grid[:count] = small
    whole = grid.view(rows, columns, 3, height, width).permute(0, 3, 1, 4, 2)
    levels = (whole * 255).round().to("cpu", torch.uint8)
    picture = Image.fromarray(levels.reshape(rows * height, columns * width, 3).numpy())
    buffer = BytesIO()
    # A fifth of the time that WebP takes for a fifth more bytes.
    picture.save(buffer, "JPEG", quality=_QUALITY)
    return Preview(buffer.getvalue(), "image/jpeg")


def fit_within(
    height: int, width: int, longest: int, rows: int = 1, columns: int = 1
) -> tuple[int, int]:
    """Height and width of images that make a grid no longer than `longest`."""
    scale = min(1.0, longest / max(rows * height, columns * width))
    return max(1, int(height * scale)), max(1, int(width * scale))


def resize_planes(pictures: Tensor, height: int, width: int) -> Tensor:
    """Images of shape (batch, channels, height, width) at another size: averaged where they
    become smaller, interpolated where they become larger."""
    from torch.nn import functional

    if pictures.shape[-2:] == (height, width):
        return pictures
    shrinks = height <= pictures.shape[-2] and width <= pictures.shape[-1]
    mode = "area" if shrinks else "bilinear"
    return functional.interpolate(pictures, (height, width), mode=mode)
