"""Color quantization: palettes, dithering, dominant colors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from nodegraph.errors import InvalidValue
from nodegraph.media.images.colors import Color, hex_color
from nodegraph.media.images.editing.pixel_formats import (
    as_rgb,
    check_finite,
    map_colors,
    split_alpha,
)

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

Dither = Literal["none", "floyd-steinberg", "ordered"]
_MOST = 256
_SAMPLE = 1 << 18
"""Pixels by which colors are chosen; more tell nothing new."""


def quantize(image: Tensor, count: int, palette: Sequence[Color], dither: Dither) -> Tensor:
    """Images in few colors: their own, or those of a palette.

    Colors are chosen and errors spread by Pillow, in 8 bits.

    Args:
        count: How many, where there is no palette.
        palette: Up to 256 colors; empty for the image's own, by median cut.
    Raises:
        InvalidValue: The palette has more.
        NumericalError: There is NaN or infinity.
    """
    check_finite(image)
    if len(palette) > _MOST:
        raise InvalidValue(
            "there are too many colors",
            port="palette",
            given=str(len(palette)),
            expected=f"at most {_MOST}",
        )

    def work(item: Tensor) -> Tensor:
        colors = palette or _own_colors(item, count)
        if dither == "ordered":
            return _nearest(_ordered_dither(item, len(colors)), colors)
        return _by_pillow(item, colors, spreads=dither == "floyd-steinberg")

    return map_colors(image, work, rgb=True)


def _own_colors(item: Tensor, count: int) -> list[Color]:
    palette = _palette(_subsample(item), count)
    return [color for color, _ in palette]


def _by_pillow(item: Tensor, colors: Sequence[Color], *, spreads: bool) -> Tensor:
    import torch
    from PIL import Image

    from nodegraph.media.images.images import to_pil

    chosen = Image.new("P", (1, 1))
    levels = [round(value * 255) for color in colors for value in color[:3]]
    # What is left of the 256 entries repeats the first, or Pillow would take it for black.
    chosen.putpalette(levels + levels[:3] * (256 - len(colors)))
    how = Image.Dither.FLOYDSTEINBERG if spreads else Image.Dither.NONE
    places = to_pil(item).quantize(palette=chosen, dither=how)
    table = torch.tensor([color[:3] for color in colors])
    quantized: Tensor = table[_indices(places, len(colors))]
    return quantized[None]


def _indices(places: Image.Image, count: int) -> Tensor:
    import numpy as np
    import torch

    indices = torch.from_numpy(np.array(places).astype(np.int64))
    return indices.where(indices < count, 0)


def _ordered_dither(item: Tensor, count: int) -> Tensor:
    """Brighter and darker by an 8 x 8 Bayer matrix, as far as the colors are apart."""
    import torch

    matrix = torch.zeros(1, 1)
    for _ in range(3):
        matrix = torch.cat(
            [
                torch.cat([4 * matrix, 4 * matrix + 2], dim=1),
                torch.cat([4 * matrix + 3, 4 * matrix + 1], dim=1),
            ]
        )
    _, height, width, _ = item.shape
    rows, columns = torch.arange(height) % 8, torch.arange(width) % 8
    pattern = (matrix[rows][:, columns] + 0.5) / 64 - 0.5
    shifted: Tensor = item + pattern[..., None] / max(1.0, count ** (1 / 3))
    return shifted


def _nearest(item: Tensor, colors: Sequence[Color]) -> Tensor:
    import torch

    table = torch.tensor([color[:3] for color in colors])
    # In strips: distances to 256 colors of all pixels at once take a kilobyte a pixel.
    strips = [
        table[torch.cdist(strip, table).argmin(-1)]
        for strip in torch.split(item.reshape(-1, 3), 1 << 16)
    ]
    return torch.cat(strips).reshape(item.shape)


def dominant_colors(image: Tensor, count: int) -> list[tuple[Color, float]]:
    """The colors that stand for most of an image, with their shares, the largest first.

    Transparent pixels don't count.

    Args:
        image: Shape (1, height, width, channels).
    Raises:
        NumericalError: There is NaN or infinity.
    """
    check_finite(image)
    colors, alpha = split_alpha(image.float())
    pixels = as_rgb(colors).reshape(1, -1, 1, 3)
    if alpha is not None:
        kept = pixels[:, alpha.flatten() > 0.5]
        pixels = kept if kept.numel() else pixels
    return sorted(_palette(_subsample(pixels), count), key=lambda entry: -entry[1])


def _subsample(item: Tensor) -> Tensor:
    """Some of the pixels, evenly spread, as one column."""
    pixels = item.reshape(1, -1, 1, 3)
    return pixels[:, :: max(1, pixels.shape[1] // _SAMPLE)]


def _palette(pixels: Tensor, count: int) -> list[tuple[Color, float]]:
    """Colors and their shares, by median cut, each then moved to the middle of its pixels."""
    from PIL import Image

    from nodegraph.media.images.images import to_pil

    quantized = to_pil(pixels).quantize(count, method=Image.Quantize.MEDIANCUT, kmeans=4)
    levels = quantized.getpalette() or []
    shares = quantized.getcolors() or []
    total = sum(number for number, _ in shares)
    return [(_color(levels, int(at)), number / total) for number, at in shares]  # type: ignore[arg-type]


def _color(levels: Sequence[int], at: int) -> Color:
    red, green, blue = (value / 255 for value in levels[3 * at : 3 * at + 3])
    return red, green, blue, 1.0


def color_names(palette: Sequence[tuple[Color, float]]) -> list[str]:
    """Colors as ``#rrggbb``."""
    return [hex_color(color) for color, _ in palette]
