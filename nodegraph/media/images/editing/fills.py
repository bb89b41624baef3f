"""Generated images: colors, gradients, patterns, noise, shapes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from nodegraph.media.images.colors import Color, paint
from nodegraph.media.images.editing.adjustments import gradient
from nodegraph.media.images.editing.pixel_formats import map_images
from nodegraph.media.images.memory_checks import check_memory

if TYPE_CHECKING:
    from torch import Tensor

GradientKind = Literal["linear", "radial", "angular", "diamond"]
PatternKind = Literal["checker", "stripes", "grid", "dots"]
NoiseKind = Literal["uniform", "gaussian", "clouds"]
ShapeKind = Literal["rectangle", "ellipse", "line"]
_FINENESS = 4
"""Times as fine as pixels that shapes are drawn, so that their edges are smooth."""


def fill_bytes(width: int, height: int, pictures: int) -> int:
    """Bytes that images of nothing take at their peak."""
    return 4 * 4 * width * height * (pictures + 3)


def _check(width: int, height: int, pictures: int) -> None:
    needed = fill_bytes(width, height, pictures)
    check_memory(width, height, pictures, needed, port="width")


def solid(width: int, height: int, color: Color, pictures: int) -> Tensor:
    """One color: 3 channels, 4 if it isn't opaque."""
    _check(width, height, pictures)
    channels = 3 if color[3] == 1 else 4
    return paint(color, channels).expand(pictures, height, width, channels).clone()


def draw_gradient(
    width: int, height: int, colors: Sequence[Color], kind: GradientKind, angle: float
) -> Tensor:
    """Colors that lead into each other.

    Args:
        kind: ``linear`` along an angle, over all of the image; ``radial`` and ``diamond`` from
            the middle to the corners; ``angular`` around the middle.
        angle: Degrees, clockwise; 0 leads to the right, 90 down.
    """
    import torch

    _check(width, height, 1)
    turn = math.radians(angle)
    x = (torch.arange(width) + 0.5 - width / 2)[None]
    y = (torch.arange(height) + 0.5 - height / 2)[:, None]
    if kind == "linear":
        reach = abs(width * math.cos(turn)) + abs(height * math.sin(turn))
        position = (x * math.cos(turn) + y * math.sin(turn)) / reach + 0.5
    elif kind == "radial":
        position = (x**2 + y**2).sqrt() / (math.hypot(width, height) / 2)
    elif kind == "diamond":
        position = (x.abs() / width + y.abs() / height).expand(height, width)
    else:
        position = ((torch.atan2(y, x) - turn) / (2 * math.pi)) % 1
    return _opaque(gradient(position, colors)[None])


def draw_pattern(
    width: int, height: int, kind: PatternKind, size: int, first: Color, second: Color
) -> Tensor:
    """Two colors in turn.

    Args:
        size: Pixels of a square, a stripe, or from dot to dot.
        first, second: Of the ground, and of what is on it.
    """
    import torch

    _check(width, height, 1)
    x, y = torch.arange(width)[None], torch.arange(height)[:, None]
    if kind == "checker":
        is_second = (x // size + y // size) % 2 == 1
    elif kind == "stripes":
        is_second = ((x // size) % 2 == 1).expand(height, width)
    elif kind == "grid":
        line = max(1, size // 16)
        is_second = (x % size < line) | (y % size < line)
    else:
        away = ((x % size + 0.5 - size / 2) ** 2 + (y % size + 0.5 - size / 2) ** 2).sqrt()
        is_second = away < size / 4
    table = torch.tensor([first, second])
    pixels: Tensor = table[is_second.long()]
    return _opaque(pixels[None])


def _opaque(image: Tensor) -> Tensor:
    """Without alpha where all of it is opaque."""
    return image[..., :3].contiguous() if bool((image[..., 3] == 1).all()) else image


def draw_noise(
    width: int, height: int, kind: NoiseKind, size: float, seed: int, pictures: int, *,
    in_color: bool,
) -> Tensor:  # fmt: skip
    """Random images, each of a batch from a seed of its own: seed + its place.

    Args:
        kind: ``uniform`` over all values; ``gaussian`` about middle gray, with deviation 1 / 6;
            ``clouds`` of many sizes, each half as strong as the one twice as large.
        size: Pixels of the largest clouds.
    Returns:
        (images, height, width, 3).
    """
    import torch

    _check(width, height, pictures)
    made = []
    for at in range(pictures):
        generator = torch.Generator("cpu").manual_seed((seed + at) % 2**64)
        shape = (1, 3 if in_color else 1, height, width)
        if kind == "uniform":
            values = torch.rand(shape, generator=generator)
        elif kind == "gaussian":
            values = torch.randn(shape, generator=generator) / 6 + 0.5
        else:
            values = _clouds(shape, size, generator)
        made.append(values.expand(1, 3, height, width).movedim(1, -1))
    return torch.cat(made).clamp(0, 1).contiguous()


def _clouds(shape: tuple[int, ...], size: float, generator: object) -> Tensor:
    import torch
    import torch.nn.functional as F  # noqa: N812 - its usual name

    assert isinstance(generator, torch.Generator)
    total, strength = torch.zeros(shape), 1.0
    while size >= 1:
        cells = [max(2, math.ceil(side / size) + 1) for side in shape[2:]]
        coarse = torch.rand(*shape[:2], *cells, generator=generator) - 0.5
        total += strength * F.interpolate(
            coarse, size=shape[2:], mode="bicubic", align_corners=True
        )
        size, strength = size / 2, strength / 2
    low, high = total.min(), total.max()
    return (total - low) / (high - low).clamp(min=1e-6)


def draw_shape(
    image: Tensor,
    kind: ShapeKind,
    box: tuple[float, float, float, float],
    color: Color,
    line: float,
    radius: float,
) -> Tensor:
    """Images with a shape on them; what lies beside it keeps its bits.

    Args:
        box: Left, top, width and height in pixels; a line goes from its first corner to the other.
        line: Pixels of its line; 0 fills it.
        radius: Of a rectangle's corners, in pixels.
    Returns:
        Gray becomes colors where the color isn't gray; alpha becomes as opaque as the shape.
    """
    from nodegraph.media.images.editing.pixel_formats import with_channels

    share = _coverage((image.shape[2], image.shape[1]), kind, box, line, radius)
    if image.shape[-1] == 1 and len(set(color[:3])) > 1:
        image = with_channels(image, 3)
    cover = share * color[3]

    def work(item: Tensor) -> Tensor:
        return item * (1 - cover) + paint((*color[:3], 1.0), item.shape[-1]) * cover

    return map_images(image, work)


def _coverage(
    size: tuple[int, int],
    kind: ShapeKind,
    box: tuple[float, float, float, float],
    line: float,
    radius: float,
) -> Tensor:
    """How much of each pixel a shape covers, (height, width, 1)."""
    import numpy as np
    import torch
    from PIL import Image, ImageDraw

    fine = _FINENESS
    check_memory(*size, 1, size[0] * size[1] * fine**2, port="image")
    sheet = Image.new("L", (size[0] * fine, size[1] * fine))
    draw = ImageDraw.Draw(sheet)
    left, top, width, height = (value * fine for value in box)
    corners = (left, top, left + width - 1, top + height - 1)
    stroke = round(line * fine)
    inside, around = (None, 255) if stroke else (255, None)
    if kind == "line":
        draw.line((left, top, left + width, top + height), 255, max(1, stroke))
    elif width >= 1 and height >= 1:
        if kind == "ellipse":
            draw.ellipse(corners, inside, around, stroke)
        else:
            draw.rounded_rectangle(corners, radius * fine, inside, around, stroke)
    small = sheet.reduce(fine)
    return torch.from_numpy(np.array(small, dtype=np.float32) / np.float32(255))[..., None]
