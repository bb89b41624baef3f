"""Tone and color adjustments: levels, curves, exposure, hue, white balance."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from nodegraph.errors import InvalidValue
from nodegraph.media.images.colors import Color
from nodegraph.media.images.editing.pixel_formats import (
    as_rgb,
    check_finite,
    from_linear,
    hsl_to_rgb,
    luma,
    luminance,
    map_colors,
    rgb_to_hsl,
    to_linear,
)

if TYPE_CHECKING:
    from torch import Tensor

GreyMethod = Literal["luma", "luminance", "average", "lightness", "red", "green", "blue"]
AutoBalance = Literal["none", "grey world", "brightest"]


def adjust_hue_saturation(
    image: Tensor, hue: float, saturation: float, lightness: float, vibrance: float
) -> Tensor:
    """Hue turned, colors made stronger or weaker, all moved towards white or black.

    Args:
        hue: Degrees.
        saturation: A factor; 0 is gray.
        lightness: -1 is black, 1 white.
        vibrance: -1..1: like saturation, but the less the stronger a color is already.
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
    """Colors as another light would show them; channels are scaled in linear light.

    Args:
        temperature: -1..1: bluer or more yellow.
        tint: -1..1: greener or more magenta.
        auto: ``grey world`` takes the mean for gray (Buchsbaum 1980), ``brightest`` the brightest
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
    """Gray in all channels that there were."""

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
    """Colors by brightness: the first for black, the last for white, evenly spaced between."""
    check_finite(image)

    def work(item: Tensor) -> Tensor:
        return as_rgb(item).lerp(gradient(luma(item)[..., 0], colors)[..., :3], amount)

    return map_colors(image, work)


def gradient(position: Tensor, colors: Sequence[Color]) -> Tensor:
    """Colors at places in 0..1 along a gradient.

    Returns:
        Shape (…, 4).
    """
    import torch

    table = torch.tensor(colors)
    at = position.clamp(0, 1) * (len(table) - 1)
    left = at.floor().long().clamp(max=max(0, len(table) - 2))
    right = (left + 1).clamp(max=len(table) - 1)
    return table[left].lerp(table[right], (at - left)[..., None])


Channel = Literal["all", "red", "green", "blue"]
_CHANNELS = ("red", "green", "blue")
_SEPARATORS = re.compile(r"[,:;()\s]+")


def adjust_brightness_contrast(image: Tensor, brightness: float, contrast: float) -> Tensor:
    """Values times `brightness`, then spread about middle gray by `contrast`.

    Source: brightness() and contrast() of W3C Filter Effects, Level 1.
    """
    return map_colors(image, lambda item: (item * brightness - 0.5) * contrast + 0.5)


def adjust_exposure(image: Tensor, stops: float, gamma: float) -> Tensor:
    """Linear light times 2 ** `stops`, as a longer exposure gives it, to the power 1 / `gamma`."""

    def work(item: Tensor) -> Tensor:
        if stops:
            item = from_linear(to_linear(item) * 2**stops).clamp(0, 1)
        return item if gamma == 1 else item ** (1 / gamma)

    return map_colors(image, work)


def shadows_and_highlights(image: Tensor, shadows: float, highlights: float) -> Tensor:
    """Dark parts lifted and bright ones held back, or the other way round; -1..1 each.

    Values are raised to a power that goes by each pixel's brightness, so black, white and middle
    gray stay.
    """

    def work(item: Tensor) -> Tensor:
        item = item.clamp(0, 1)
        light = luma(item)
        dark, bright = (1 - 2 * light).clamp(min=0), (2 * light - 1).clamp(min=0)
        lifted = item ** (2 ** (-1.5 * shadows * dark))
        return 1 - (1 - lifted).clamp(min=0) ** (2 ** (1.5 * highlights * bright))

    return map_colors(image, work)


def levels(
    image: Tensor,
    low: float,
    high: float,
    gamma: float,
    out_low: float,
    out_high: float,
    channel: Channel = "all",
) -> Tensor:
    """`low` to `high` spread over `out_low` to `out_high`; what lies beyond is cut off.

    Raises:
        InvalidValue: `low` isn't below `high`.
    """
    if not low < high:
        raise InvalidValue(
            "black must be below white", port="black", given=str(low), expected=f"below {high}"
        )

    def work(item: Tensor) -> Tensor:
        share = item if (low, high) == (0, 1) else ((item - low) / (high - low)).clamp(0, 1)
        share = share if gamma == 1 else share ** (1 / gamma)
        return share if (out_low, out_high) == (0, 1) else out_low + share * (out_high - out_low)

    return map_colors(image, apply_to_channel(work, channel), rgb=channel != "all")


def parse_curve(text: str, port: str = "points") -> list[tuple[float, float]]:
    """Points of a curve, ``0,0 0.25,0.2 1,1``, from left to right.

    Raises:
        InvalidValue: They can't be read, lie outside of 0..1, or two are above each other.
    """
    expected = "pairs from 0 to 1, for example 0,0 0.5,0.6 1,1"
    values = parse_numbers(text)
    if not values or len(values) % 2 or not all(0 <= value <= 1 for value in values):
        raise InvalidValue(
            "this is not a list of curve points",
            port=port,
            given=repr(text[:80]),
            expected=expected,
        )
    points = list(zip(values[::2], values[1::2], strict=True))
    points.sort()
    if len(points) < 2 or any(left[0] == right[0] for left, right in pairwise(points)):
        raise InvalidValue(
            "a curve needs at least two points with different positions",
            port=port,
            given=repr(text[:80]),
            expected=expected,
        )
    return points


def parse_numbers(text: str) -> list[float] | None:
    """Numbers that stand one after the other; None where there is something else."""
    try:
        return [float(part) for part in _SEPARATORS.split(text.strip()) if part]
    except ValueError:
        return None


def curve(image: Tensor, points: Sequence[tuple[float, float]], channel: Channel = "all") -> Tensor:
    """Values by a smooth curve through points that never overshoots them.

    Before the first point and after the last it is level. Source: Fritsch and Butland 1984,
    doi:10.1137/0905021, the monotone cubic that SciPy calls PCHIP.
    """
    work = _interpolated(points)
    return map_colors(image, apply_to_channel(work, channel), rgb=channel != "all")


def _interpolated(points: Sequence[tuple[float, float]]) -> Callable[[Tensor], Tensor]:
    import torch

    x = torch.tensor([point[0] for point in points], dtype=torch.float64)
    y = torch.tensor([point[1] for point in points], dtype=torch.float64)
    slopes = torch.tensor(_slopes(points), dtype=torch.float64)

    def work(item: Tensor) -> Tensor:
        at = item.double().clamp(x[0], x[-1])
        left = (torch.bucketize(at, x, right=True) - 1).clamp(0, len(points) - 2)
        width = (x[1:] - x[:-1])[left]
        t = (at - x[left]) / width
        values = (
            y[left] * (1 + 2 * t) * (1 - t) ** 2
            + slopes[left] * width * t * (1 - t) ** 2
            + y[left + 1] * t**2 * (3 - 2 * t)
            + slopes[left + 1] * width * t**2 * (t - 1)
        )
        return values.float()

    return work


def _slopes(points: Sequence[tuple[float, float]]) -> list[float]:
    """At each point; 0 where the curve turns, so that it doesn't overshoot."""
    widths = [b[0] - a[0] for a, b in pairwise(points)]
    rises = [(b[1] - a[1]) / width for a, b, width in zip(points, points[1:], widths, strict=False)]
    if len(rises) == 1:
        return [rises[0], rises[0]]
    inner = [
        _mean_slope(rises[at], rises[at + 1], widths[at], widths[at + 1])
        for at in range(len(rises) - 1)
    ]
    first = _end_slope(rises[0], rises[1], widths[0], widths[1])
    last = _end_slope(rises[-1], rises[-2], widths[-1], widths[-2])
    return [first, *inner, last]


def _mean_slope(left: float, right: float, before: float, after: float) -> float:
    if left * right <= 0:
        return 0.0
    left_weight, right_weight = 2 * after + before, after + 2 * before
    return (left_weight + right_weight) / (left_weight / left + right_weight / right)


def _end_slope(near: float, far: float, width: float, next_width: float) -> float:
    slope = ((2 * width + next_width) * near - width * far) / (width + next_width)
    if slope * near <= 0:
        return 0.0
    if near * far <= 0 and abs(slope) > 3 * abs(near):
        return 3 * near
    return slope


def apply_to_channel(
    work: Callable[[Tensor], Tensor], channel: Channel
) -> Callable[[Tensor], Tensor]:
    """The same work on one of the channels alone."""
    import torch

    if channel == "all":
        return work
    at = _CHANNELS.index(channel)

    def of_one(item: Tensor) -> Tensor:
        planes = list(torch.split(item, 1, dim=-1))
        planes[at] = work(planes[at])
        return torch.cat(planes, dim=-1)

    return of_one


def invert(image: Tensor) -> Tensor:
    """Light for dark: the negative."""
    return map_colors(image, lambda item: 1 - item)


def threshold(image: Tensor, level: float, softness: float) -> Tensor:
    """White where the brightness reaches a level, else black; softness widens the step."""

    def work(item: Tensor) -> Tensor:
        light = luma(item)
        share = (light >= level).float()
        if softness:
            ramp = ((light - level) / softness + 0.5).clamp(0, 1)
            share = ramp * ramp * (3 - 2 * ramp)
        return share.expand_as(item)

    return map_colors(image, work)


def posterize(image: Tensor, count: int) -> Tensor:
    """So many levels in each channel, evenly spaced from black to white."""
    steps = count - 1
    # Each level gets an equal share of the values, black and white as well.
    return map_colors(image, lambda item: (item * count).floor().clamp(max=steps) / steps)


def auto_contrast(image: Tensor, cutoff: float, *, each_channel: bool) -> Tensor:
    """The darkest value becomes 0 and the brightest 1.

    Args:
        cutoff: Share of pixels, 0..0.5, at both ends that may be cut off.
        each_channel: Each by itself, which takes away color casts, too.
    """

    def work(item: Tensor) -> Tensor:
        measured = item if each_channel else luma(item)
        ordered = measured.reshape(-1, measured.shape[-1]).sort(dim=0).values
        skipped = min(math.floor(cutoff * len(ordered)), (len(ordered) - 1) // 2)
        low, high = ordered[skipped], ordered[len(ordered) - 1 - skipped]
        span = high - low
        # A flat image has nothing to stretch.
        return ((item - low) / span.where(span > 0, span + 1)).where(span > 0, item)

    return map_colors(image, work)
