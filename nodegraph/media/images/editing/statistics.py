"""What pictures are made of: figures and histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodegraph.media.images.colors import Color
from nodegraph.media.images.editing.color_spaces import luma
from nodegraph.media.images.editing.pictures import (
    as_rgb,
    check_channels,
    check_finite,
    split_alpha,
)

if TYPE_CHECKING:
    from torch import Tensor

_BINS = 256


def describe_statistics(image: Tensor) -> str:
    """Figures of each channel and of the brightness, a line each."""
    check_channels(image)
    names = {1: ("grey",), 3: ("red", "green", "blue"), 4: ("red", "green", "blue", "alpha")}
    count, height, width, channels = image.shape
    lines = [f"{count} of {width} x {height} pixels, {channels} channels"]
    parts = dict(zip(names[channels], image.double().unbind(-1), strict=True))
    if channels > 1:
        parts["brightness"] = luma(split_alpha(image.double())[0])[..., 0]
    for name, values in parts.items():
        low, high = float(values.min()), float(values.max())
        mean, spread = float(values.mean()), float(values.std(correction=0))
        lines.append(f"{name}: {low:.3f} to {high:.3f}, mean {mean:.3f}, deviation {spread:.3f}")
    return "\n".join(lines)


def draw_histogram(image: Tensor, height: int, *, logarithmic: bool) -> Tensor:
    """How often values are: for each of a batch a picture 256 wide in red, green and blue.

    Args:
        logarithmic: Let rare values show.
    Returns:
        Shape (batch, height, 256, 3).
    """
    import torch

    check_channels(image)
    check_finite(image)
    made = []
    for item in image.float():
        colors = as_rgb(split_alpha(item)[0]).reshape(-1, 3)
        levels = (colors.clamp(0, 1) * (_BINS - 1)).round().long()
        counts = [torch.bincount(plane, minlength=_BINS).double() for plane in levels.T]
        bars = torch.stack(counts, dim=-1)
        bars = (bars + 1).log() if logarithmic else bars
        bars = bars / bars.max().clamp(min=1e-9) * height
        above = torch.arange(height, 0, -1)[:, None, None]
        # The uppermost pixel of a bar may be covered in part.
        made.append((bars[None] - above + 1).clamp(0, 1).float())
    return torch.stack(made)


def color_strip(palette: Sequence[tuple[Color, float]], width: int, height: int) -> Tensor:
    """Colours beside each other, as wide as their shares; shape (1, height, width, 3)."""
    import torch

    ends = torch.tensor([share for _, share in palette]).cumsum(0)
    at = (torch.arange(width) + 0.5) / width * ends[-1]
    places = torch.bucketize(at, ends).clamp(max=len(palette) - 1)
    table = torch.tensor([color[:3] for color, _ in palette])
    row: Tensor = table[places]
    return row.expand(1, height, width, 3).clone()


def brightness_statistics(image: Tensor) -> tuple[float, float, float, float]:
    """Mean, deviation, smallest and largest value of the brightness."""
    light = luma(split_alpha(image.double())[0])
    spread = float(light.std(correction=0))
    return float(light.mean()), spread, float(light.min()), float(light.max())
