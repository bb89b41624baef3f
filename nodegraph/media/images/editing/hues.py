"""Hue, saturation, white balance, grey, and colours by brightness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from nodegraph.media.images.colors import Color
from nodegraph.media.images.editing.color_spaces import (
    from_linear,
    hsl_to_rgb,
    luma,
    luminance,
    rgb_to_hsl,
    to_linear,
)
from nodegraph.media.images.editing.pictures import as_rgb, check_finite, map_colors

if TYPE_CHECKING:
    from torch import Tensor

GreyMethod = Literal["luma", "luminance", "average", "lightness", "red", "green", "blue"]
AutoBalance = Literal["none", "grey world", "brightest"]


def adjust_hue_saturation(
    image: Tensor, hue: float, saturation: float, lightness: float, vibrance: float
) -> Tensor:
    """Hue turned, colours made stronger or weaker, all moved towards white or black.

    Args:
        hue: Degrees.
        saturation: A factor; 0 is grey.
        lightness: -1 is black, 1 white.
        vibrance: -1..1: like saturation, but the less the stronger a colour is already.
    """
    import torch

    def work(item: Tensor) -> Tensor:
        if (hue % 360, saturation, vibrance) != (0, 1, 0) and item.shape[-1] == 3:
            turned, strength, light = rgb_to_hsl(item).unbind(-1)
            strength = strength * saturation * (1 + vibrance * (1 - strength))
            parts = [(turned + hue / 360) % 1, strength.clamp(0, 1), light]
            item = hsl_to_rgb(torch.stack(parts, dim=-1))
        return item + (1 - item) * lightness if lightness > 0 else item * (1 + lightness)

    return map_colors(image, work)


def white_balance(
    image: Tensor, temperature: float, tint: float, auto: AutoBalance = "none"
) -> Tensor:
    """Colours as another light would show them; channels are scaled in linear light.

    Args:
        temperature: -1..1: bluer or more yellow.
        tint: -1..1: greener or more magenta.
        auto: ``grey world`` takes the mean for grey (Buchsbaum 1980), ``brightest`` the brightest
            hundredth for white.
    """
    import torch

    def work(item: Tensor) -> Tensor:
        linear = to_linear(item)
        gains = torch.tensor([2 ** (temperature / 2), 2 ** (-tint / 2), 2 ** (-temperature / 2)])
        if auto != "none":
            gains = gains * _estimate_gains(linear.reshape(-1, 3), auto)
        # White stays as bright as it was.
        return from_linear(linear * gains / luminance(gains))

    if (temperature, tint, auto) == (0, 0, "none"):
        return map_colors(image, lambda item: item, rgb=True)
    return map_colors(image, work, rgb=True)


def _estimate_gains(pixels: Tensor, auto: AutoBalance) -> Tensor:
    if auto == "brightest":
        light = luminance(pixels)[:, 0]
        pixels = pixels[light.argsort(descending=True)[: max(1, len(pixels) // 100)]]
    # Where nothing of a channel is there, nothing can be made of it.
    mean = pixels.double().mean(0).float().clamp(min=1e-4)
    return mean.mean() / mean


def to_grey(image: Tensor, method: GreyMethod) -> Tensor:
    """Grey in all channels that there were."""

    def work(item: Tensor) -> Tensor:
        if item.shape[-1] == 1:
            return item
        return _grey(item, method).expand_as(item)

    return map_colors(image, work)


def _grey(item: Tensor, method: GreyMethod) -> Tensor:
    if method == "luma":
        return luma(item)
    if method == "luminance":
        return from_linear(luminance(to_linear(item)))
    if method == "average":
        return item.mean(-1, keepdim=True)
    if method == "lightness":
        return (item.amax(-1, keepdim=True) + item.amin(-1, keepdim=True)) / 2
    at = ("red", "green", "blue").index(method)
    return item[..., at : at + 1]


def map_gradient(image: Tensor, colors: Sequence[Color], amount: float) -> Tensor:
    """Colours by brightness: the first for black, the last for white, evenly spaced between."""
    check_finite(image)

    def work(item: Tensor) -> Tensor:
        return as_rgb(item).lerp(gradient(luma(item)[..., 0], colors)[..., :3], amount)

    return map_colors(image, work)


def gradient(position: Tensor, colors: Sequence[Color]) -> Tensor:
    """Colours at places in 0..1 along a gradient.

    Returns:
        Shape (…, 4).
    """
    import torch

    table = torch.tensor(colors)
    at = position.clamp(0, 1) * (len(table) - 1)
    left = at.floor().long().clamp(max=max(0, len(table) - 2))
    right = (left + 1).clamp(max=len(table) - 1)
    return table[left].lerp(table[right], (at - left)[..., None])
