"""Flatten layers: place pictures on the canvas with scale and rotation, and composite them.

Source: W3C Compositing and Blending, Level 1, on gamma-encoded sRGB. Groups are isolated and not
knockout groups.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from nodegraph.errors import InvalidValue
from nodegraph.media.images.editing.compositing import composite_over
from nodegraph.media.images.layers import (
    CanvasBox,
    Layer,
    LayerGroup,
    Layers,
    append_item,
    extent_box,
    layer_rectangle,
    rotation_parts,
    whole_box,
)
from nodegraph.media.images.memory_checks import check_memory

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.media.images.colors import Color

_STRIP = 1 << 20
"""Pixels that are rotated or composited at once. Bounds the memory of intermediate results."""
_SUPPORT = 2
"""Pixels that a bicubic filter reaches to each side."""
_EXACT = 1e-9
"""Pixels by which an edge may miss a whole number and still lie on it."""


class _Window(NamedTuple):
    """Rectangle of the sampled image: columns `left` to `right`, rows `top` to `bottom`."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def is_empty(self) -> bool:
        return self.left >= self.right or self.top >= self.bottom


def flattening_bytes(width: int, height: int) -> int:
    """Bytes that flattening takes at the least, besides the layers."""
    # The image, a layer of its size, and the result on a color with its mask.
    return 4 * 4 * width * height * 3


def check_flattening(box: CanvasBox, port: str = "box") -> None:
    """Refuse boxes that do not fit in memory.

    Raises:
        InvalidValue: They do not.
    """
    check_memory(*box.size, 1, flattening_bytes(*box.size), port=port)


def flatten_layers(
    layers: Layers | None, box: CanvasBox | None = None, color: Color | None = None
) -> tuple[Tensor, Tensor]:
    """Composite layers to one image.

    Args:
        layers: None for no layers.
        box: Part of the canvas, and the size to sample it at. None for the extent of all layers.
        color: Color below the flattened layers; its alpha does not count. Blend modes do not see
            it. None keeps the transparency.
    Returns:
        Image, float32 in 0..1, shape (1, sampled height, sampled width, 4, or 3 with a color); and
        its alpha before the color, shape (1, sampled height, sampled width).
    Raises:
        InvalidValue: There is neither a box nor a layer, or the image does not fit in memory.
    """
    from nodegraph.media.images.colors import paint

    box = whole_box(layers) if box is None else box
    check_flattening(box)
    image = _flattened(() if layers is None else layers.items, box)
    colors, alpha = image[..., :3], image[..., 3:]
    coverage = alpha[..., 0].clone()
    if color is None:
        return image, coverage
    # In this form, opaque pixels keep their bits.
    return colors * alpha + paint(color, 3) * (1 - alpha), coverage


def _flattened(items: Iterable[Layer | LayerGroup], box: CanvasBox) -> Tensor:
    import torch

    image = torch.zeros(1, box.sampled_height, box.sampled_width, 4)
    is_empty = True
    for item in items:
        if not item.visible or item.opacity <= 0:
            continue
        if isinstance(item, LayerGroup):
            window = _Window(0, 0, *box.size)
            picture = _flattened(item.items, box)
        else:
            placed = _placed(item, box)
            if placed is None:
                continue
            window, picture = placed
        columns = slice(window.left, window.right)
        if is_empty:
            # What compositing with nothing gives, without its cost.
            alpha = picture[..., 3:] * float(item.opacity)
            shown = torch.cat([picture[..., :3] * (alpha > 0), alpha], dim=-1)
            image[:, window.top : window.bottom, columns] = shown
            is_empty = False
            continue
        strip = max(1, _STRIP // (window.right - window.left))
        for first in range(window.top, window.bottom, strip):
            rows = slice(first, min(window.bottom, first + strip))
            below = image[:, rows, columns].contiguous()
            above = picture[:, first - window.top : rows.stop - window.top].contiguous()
            share = torch.full((*above.shape[:3], 1), float(item.opacity))
            image[:, rows, columns] = composite_over(below, above, share, item.mode)
    return image.clamp_(0, 1)


def _placed(layer: Layer, box: CanvasBox) -> tuple[_Window, Tensor] | None:
    """The visible part of a layer at the size of the box, shape (1, height, width, 4).

    Returns:
        Where in the sampled image it lies, and its pixels. None if it lies outside.
    """
    scale = box.sampled_width / box.width, box.sampled_height / box.height
    image, width, height = layer.image, float(layer.width), float(layer.height)
    middle = layer.x + width / 2 - box.x, layer.y + height / 2 - box.y
    if layer.rotation % 90 != 0:
        cosine, sine = rotation_parts(layer.rotation)
        unit = width / image.shape[1], height / image.shape[0]
        matrix = (
            (scale[0] * unit[0] * cosine, -scale[0] * unit[1] * sine),
            (scale[1] * unit[0] * sine, scale[1] * unit[1] * cosine),
        )
        return _rotated(image, matrix, (middle[0] * scale[0], middle[1] * scale[1]), box.size)
    quarters = round(layer.rotation / 90) % 4
    if quarters:
        import torch

        image = torch.rot90(image, -quarters, (0, 1))
        width, height = (height, width) if quarters % 2 else (width, height)
    left, top = (middle[0] - width / 2) * scale[0], (middle[1] - height / 2) * scale[1]
    return _upright(image, (left, top), (width * scale[0], height * scale[1]), box.size)


def _upright(
    image: Tensor, corner: tuple[float, float], size: tuple[float, float], outer: tuple[int, int]
) -> tuple[_Window, Tensor] | None:
    """A picture scaled to a rectangle with sides along those of the sampled image.

    Args:
        corner, size: The rectangle, in sampled pixels.
        outer: Width and height of the sampled image.
    """
    (left, top), (width, height) = corner, size
    window = _clipped((left, top, left + width, top + height), outer)
    if window.is_empty:
        return None
    rows, columns = image.shape[:2]
    is_own = width == columns and height == rows
    if is_own and left.is_integer() and top.is_integer():
        y, x = window.top - int(top), window.left - int(left)
        part = image[y : y + window.bottom - window.top, x : x + window.right - window.left]
        return window, part[None].float().contiguous()
    inner = (
        (window.left - left) * columns / width,
        (window.top - top) * rows / height,
        (window.right - left) * columns / width,
        (window.bottom - top) * rows / height,
    )
    step = columns / width, rows / height
    planes = _resampled(
        image, inner, (window.right - window.left, window.bottom - window.top), step
    )
    across = _covered(window.left, window.right, left, left + width)
    down = _covered(window.top, window.bottom, top, top + height)
    return window, _straight(planes * (down[:, None] * across[None, :])[..., None])


def _clipped(edges: tuple[float, float, float, float], outer: tuple[int, int]) -> _Window:
    """Whole pixels that a rectangle touches, within the sampled image."""
    left, top, right, bottom = edges
    return _Window(
        max(0, math.floor(left + _EXACT)),
        max(0, math.floor(top + _EXACT)),
        min(outer[0], math.ceil(right - _EXACT)),
        min(outer[1], math.ceil(bottom - _EXACT)),
    )


def _covered(first: int, last: int, begin: float, end: float) -> Tensor:
    """How much of each pixel from `first` to `last` lies between two edges, 0..1."""
    import torch

    at = torch.arange(first, last, dtype=torch.float64)
    return ((at + 1).clamp(max=end) - at.clamp(min=begin)).clamp(0, 1).float()


def _premultiplied(image: Tensor) -> Tensor:
    import torch

    image = image.float()
    return torch.cat([image[..., :3] * image[..., 3:], image[..., 3:]], dim=-1)


def _straight(planes: Tensor) -> Tensor:
    """Colors without their factor alpha, of (height, width, 4) as (1, height, width, 4)."""
    import torch

    alpha = planes[..., 3:].clamp(0, 1)
    # A filter with negative lobes overshoots; colors beyond alpha would be brighter than white.
    colors = (planes[..., :3] / alpha.clamp(min=1e-12)).clamp(0, 1)
    return torch.cat([colors * (alpha > 0), alpha], dim=-1)[None]


def _resampled(
    image: Tensor,
    inner: tuple[float, float, float, float],
    size: tuple[int, int],
    step: tuple[float, float],
) -> Tensor:
    """A part of a picture scaled by a bicubic filter that is wider for smaller results.

    The outermost pixels continue beyond the edges.

    Args:
        image: Shape (height, width, 4).
        inner: Left, top, right and bottom of the part in pixels of the picture; may reach outside.
        size: Width and height of the result.
        step: Pixels of the picture per pixel of the result, across and down.
    Returns:
        Premultiplied with alpha, shape (height, width, 4).
    """
    import numpy as np
    import torch
    from PIL import Image

    starts = [math.floor(inner[at] - _SUPPORT * max(1.0, step[at])) - 1 for at in (0, 1)]
    ends = [math.ceil(inner[at + 2] + _SUPPORT * max(1.0, step[at])) + 1 for at in (0, 1)]
    columns = torch.arange(starts[0], ends[0]).clamp(0, image.shape[1] - 1)
    rows = torch.arange(starts[1], ends[1]).clamp(0, image.shape[0] - 1)
    part = _premultiplied(image[rows][:, columns]).movedim(-1, 0)
    box = (inner[0] - starts[0], inner[1] - starts[1], inner[2] - starts[0], inner[3] - starts[1])
    planes = [
        # Pillow scales planes of floats without rounding to 8 bits.
        np.array(Image.fromarray(plane.contiguous().numpy()).resize(size, _BICUBIC, box))
        for plane in part
    ]
    return torch.stack([torch.from_numpy(plane) for plane in planes], dim=-1)


_BICUBIC = 3
"""`PIL.Image.Resampling.BICUBIC`, without importing Pillow."""
_Matrix = tuple[tuple[float, float], tuple[float, float]]


def _rotated(
    image: Tensor, matrix: _Matrix, middle: tuple[float, float], outer: tuple[int, int]
) -> tuple[_Window, Tensor] | None:
    """A picture under a linear map about its middle.

    Args:
        image: Shape (height, width, 4).
        matrix: Sampled pixels per pixel of the picture.
        middle: Of the picture in the sampled image.
        outer: Width and height of the sampled image.
    """
    import torch

    rows, columns = image.shape[:2]
    reach = [abs(line[0]) * columns / 2 + abs(line[1]) * rows / 2 for line in matrix]
    edges = (middle[0] - reach[0], middle[1] - reach[1], middle[0] + reach[0], middle[1] + reach[1])
    window = _clipped(edges, outer)
    if window.is_empty:
        return None
    lengths = math.hypot(matrix[0][0], matrix[1][0]), math.hypot(matrix[0][1], matrix[1][1])
    # First smaller, as interpolation between four pixels would skip some.
    size = tuple(
        max(1, math.ceil(side * min(1.0, length)))
        for side, length in zip((columns, rows), lengths, strict=True)
    )
    step = columns / size[0], rows / size[1]
    whole = (0.0, 0.0, float(columns), float(rows))
    is_smaller = size != (columns, rows)
    planes = (
        _resampled(image, whole, (size[0], size[1]), step) if is_smaller else _premultiplied(image)
    )
    ((a, b), (c, d)) = ((line[0] * step[0], line[1] * step[1]) for line in matrix)
    inverse = torch.tensor([[d, -b], [-c, a]], dtype=torch.float64) / (a * d - b * c)
    units = math.hypot(a, c), math.hypot(b, d)
    source = planes.movedim(-1, 0)[None].contiguous()
    strip = max(1, _STRIP // (window.right - window.left))
    parts = []
    for first in range(window.top, window.bottom, strip):
        last = min(window.bottom, first + strip)
        parts.append(
            _sampled_strip(source, inverse, middle, units, window._replace(top=first, bottom=last))
        )
    return window, _straight(torch.cat(parts))


def _sampled_strip(
    source: Tensor,
    inverse: Tensor,
    middle: tuple[float, float],
    units: tuple[float, float],
    window: _Window,
) -> Tensor:
    """Rows of a rotated picture, premultiplied with alpha, shape (height, width, 4).

    Args:
        source: Shape (1, 4, height, width).
        inverse: Pixels of the picture per sampled pixel, shape (2, 2).
        units: Lengths of the picture's pixels in the sampled image, across and down.
    """
    import torch
    from torch.nn import functional

    height, width = source.shape[2:]
    right = torch.arange(window.left, window.right, dtype=torch.float64) + 0.5 - middle[0]
    down = torch.arange(window.top, window.bottom, dtype=torch.float64)[:, None] + 0.5 - middle[1]
    x = inverse[0, 0] * right + inverse[0, 1] * down + width / 2
    y = inverse[1, 0] * right + inverse[1, 1] * down + height / 2
    grid = torch.stack([x / width * 2 - 1, y / height * 2 - 1], dim=-1)[None].float()
    sampled = functional.grid_sample(source, grid, "bicubic", "border", align_corners=False)
    coverage = _edge_coverage(x * units[0], width * units[0]) * _edge_coverage(
        y * units[1], height * units[1]
    )
    return sampled[0].movedim(0, -1) * coverage.float()[..., None]


def _edge_coverage(at: Tensor, side: float) -> Tensor:
    """How much of a pixel's width around a position lies between 0 and a side, 0..1."""
    return ((at + 0.5).clamp(max=side) - (at - 0.5).clamp(min=0)).clamp(0, 1)


def rasterize(layer: Layer) -> tuple[int, int, Tensor]:
    """A layer as a picture that is neither scaled nor rotated.

    Returns:
        Left and upper edge on the canvas, and the picture, shape (height, width, 4). The picture
        of a layer that is neither scaled nor rotated keeps its bits.
    Raises:
        InvalidValue: It is too large, or does not fit in memory.
    """
    import torch

    size = layer.image.shape[1], layer.image.shape[0]
    if layer.rotation % 360 == 0 and (layer.width, layer.height) == size:
        return layer.x, layer.y, layer.image
    box = extent_box(layer.extent)
    check_flattening(box, "layers")
    placed = _placed(layer, box)
    if placed is None:  # a layer always touches its own extent
        return box.x, box.y, torch.zeros(1, 1, 4)
    window, picture = placed
    return box.x + window.left, box.y + window.top, picture[0]


def build_picture(image: Tensor, mask: Tensor | None = None) -> Tensor:
    """The first image of a batch as the picture of a layer.

    Args:
        image: Shape (batch, height, width, 1, 3 or 4 channels).
        mask: Its first item is multiplied with alpha, shape (batch, height, width). It is scaled
            to the image.
    Returns:
        Shape (height, width, 4).
    Raises:
        InvalidValue: These are no images.
    """
    import torch

    from nodegraph.media.images.editing.pixel_formats import check_channels, with_channels
    from nodegraph.media.images.masks import resize_mask

    check_channels(image)
    picture = with_channels(image[:1].float(), 4)[0]
    if mask is None:
        return picture.contiguous()
    if mask.ndim != 3 or 0 in mask.shape:
        raise InvalidValue(
            "this is not a mask",
            port="mask",
            given=f"shape {tuple(mask.shape)}",
            expected="(batch, height, width)",
        )
    share = resize_mask(mask[:1], picture.shape[1], picture.shape[0])[0, ..., None]
    return torch.cat([picture[..., :3], picture[..., 3:] * share], dim=-1)


def layers_from_batch(images: Tensor, box: CanvasBox | None = None, name: str = "") -> Layers:
    """A layer of each image of a batch, the first one at the bottom.

    Args:
        images: Shape (batch, height, width, 1, 3 or 4 channels).
        box: Where they are placed. None for the origin, at their own size.
        name: Of each, before its number from 1.
    Raises:
        InvalidValue: These are no images, or too many.
    """
    layers = Layers()
    for at in range(len(images)):
        picture = build_picture(images[at : at + 1])
        own = picture.shape[1], picture.shape[0]
        rectangle = layer_rectangle(own, box, 0, 0, 0, 0)
        layers = append_item(layers, Layer(picture, *rectangle, name=f"{name} {at + 1}".strip()))
    return layers
