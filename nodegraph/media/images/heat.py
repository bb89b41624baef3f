"""Masks drawn over pictures as heat."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

_STOPS = ((0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))
"""From cold to hot, evenly spaced: colours whose lightness rises evenly, as of matplotlib's
map inferno."""


def apply_heat_colormap(values: Tensor) -> Tensor:
    """Colours of numbers in 0..1: any shape to (*shape, 3), in 0..1."""
    stops = torch.tensor(_STOPS, dtype=torch.float32, device=values.device) / 255
    position = values.clamp(0, 1) * (len(stops) - 1)
    low = position.floor().long().clamp(max=len(stops) - 2)
    share = (position - low)[..., None]
    return stops[low] * (1 - share) + stops[low + 1] * share


def overlay_heatmap(image: Tensor, mask: Tensor, opacity: float) -> Tensor:
    """A picture in grey with a mask over it as heat.

    Args:
        image: (batch, height, width, channels) in 0..1; of a batch of 1, one for each mask.
        mask: (batch, height, width) in 0..1; scaled to the picture.
        opacity: 0 is the picture, 1 is the heat alone.
    Returns:
        float32, (batch, height, width, 3).
    """
    height, width = image.shape[1:3]
    if mask.shape[1:] != (height, width):
        mask = functional.interpolate(mask[:, None], (height, width), mode="bilinear")[:, 0]
    colours = image[..., :3].expand(*image.shape[:3], 3)
    count = max(len(image), len(mask))
    colours = colours.expand(count, -1, -1, -1)
    # Grey, so that no colour of the picture is taken for heat.
    weights = colours.new_tensor((0.2126, 0.7152, 0.0722))
    grey = (colours * weights).sum(-1, keepdim=True).expand_as(colours)
    return (1 - opacity) * grey + opacity * apply_heat_colormap(mask.expand(count, -1, -1))
