"""Pictures in other sizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nodegraph.errors import InvalidValue
from nodegraph.images.room import check_room, resizing_bytes

if TYPE_CHECKING:
    from torch import Tensor

Method = Literal["lanczos", "bicubic", "bilinear", "area", "nearest"]
FitMode = Literal["stretch", "crop"]

_FILTERS = {
    "lanczos": "LANCZOS", "bicubic": "BICUBIC", "bilinear": "BILINEAR", "area": "BOX",
    "nearest": "NEAREST",
}  # fmt: skip
MAX_SIDE = 16384
"""Longest side in pixels."""


def resize_image(
    image: Tensor, width: int, height: int, *, method: Method = "lanczos", fit: FitMode = "stretch"
) -> Tensor:
    """Pictures scaled to a size, in full precision; shrinking averages, so nothing flickers.

    Args:
        image: float32, shape (batch, height, width, channels).
        width, height: In pixels; 0 keeps the proportions.
        method: ``area`` averages whole pixels, ``nearest`` keeps their values.
        fit: ``stretch`` ignores the proportions, ``crop`` keeps them and cuts off what is too
            much on both sides.
    Returns:
        float32, clipped to 0..1.
    Raises:
        InvalidValue: The size is out of range, or takes more memory than there is, or the method
            is unknown.
    """
    import numpy as np
    import torch
    from PIL import Image

    if method not in _FILTERS:
        raise InvalidValue(f"there is no method {method!r}", expected=", ".join(_FILTERS))
    before = (image.shape[2], image.shape[1])
    size = target_size(before, width, height)
    pictures, channels = image.shape[0], image.shape[3]
    needed = resizing_bytes(*size, pictures * channels)
    check_room(*size, pictures, needed, port="width")
    box = _box(before, size) if fit == "crop" else None
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
    # Rounding must not push the edge out of the picture.
    return max(0.0, left), max(0.0, top), min(width, width - left), min(height, height - top)
