"""Flattening of layers as the standard writes it, pixel by pixel in Python's float64.

Source: W3C Compositing and Blending, Level 1, sections 5.8 and 10. It shares no code with what it
is compared with.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from nodegraph.media.images.layers import CanvasBox, Layer, LayerGroup

Color = tuple[float, float, float]
Pixel = tuple[float, float, float, float]
"""Red, green, blue with alpha not multiplied in, and alpha."""


def separable(mode: str, b: float, s: float) -> float:
    """The blend formula of one channel: backdrop b, source s."""
    if mode == "normal":
        return s
    if mode == "multiply":
        return b * s
    if mode == "screen":
        return b + s - b * s
    if mode == "overlay":
        return separable("hard light", s, b)
    if mode == "darken":
        return min(b, s)
    if mode == "lighten":
        return max(b, s)
    if mode == "color dodge":
        return 0 if b == 0 else 1 if s >= 1 else min(1, b / (1 - s))
    if mode == "color burn":
        return 1 if b == 1 else 0 if s <= 0 else 1 - min(1, (1 - b) / s)
    if mode == "hard light":
        return b * 2 * s if s <= 0.5 else separable("screen", b, 2 * s - 1)
    if mode == "soft light":
        d = ((16 * b - 12) * b + 4) * b if b <= 0.25 else math.sqrt(b)
        return b - (1 - 2 * s) * b * (1 - b) if s <= 0.5 else b + (2 * s - 1) * (d - b)
    if mode == "difference":
        return abs(b - s)
    if mode == "exclusion":
        return b + s - 2 * b * s
    if mode == "add":
        return min(1, b + s)
    if mode == "subtract":
        return max(0, b - s)
    assert mode == "divide", mode
    return 0 if b == 0 else 1 if s == 0 else min(1, b / s)


def lum(c: Color) -> float:
    return 0.3 * c[0] + 0.59 * c[1] + 0.11 * c[2]


def sat(c: Color) -> float:
    return max(c) - min(c)


def set_lum(c: Color, light: float) -> Color:
    shift = light - lum(c)
    moved = [part + shift for part in c]
    low, high = min(moved), max(moved)
    if low < 0:
        moved = [light + (part - light) * light / (light - low) for part in moved]
    if high > 1:
        moved = [light + (part - light) * (1 - light) / (high - light) for part in moved]
    return moved[0], moved[1], moved[2]


def set_sat(c: Color, span: float) -> Color:
    low, high = min(c), max(c)
    if high == low:
        return 0, 0, 0
    parts = [(part - low) * span / (high - low) for part in c]
    return parts[0], parts[1], parts[2]


def blended(mode: str, b: Color, s: Color) -> Color:
    if mode == "hue":
        return set_lum(set_sat(s, sat(b)), lum(b))
    if mode == "saturation":
        return set_lum(set_sat(b, sat(s)), lum(b))
    if mode == "color":
        return set_lum(s, lum(b))
    if mode == "luminosity":
        return set_lum(b, lum(s))
    red, green, blue = (separable(mode, x, y) for x, y in zip(b, s, strict=True))
    return red, green, blue


def over(below: Pixel, above: Pixel, mode: str, opacity: float) -> Pixel:
    """Source-over with a blend mode: section 5.8.1 and section 10."""
    ab, as_ = below[3], above[3] * opacity
    mixed = blended(mode, below[:3], above[:3])
    # Cs = (1 - ab) · Cs + ab · B(Cb, Cs)
    source = [(1 - ab) * s + ab * m for s, m in zip(above[:3], mixed, strict=True)]
    alpha = as_ + ab * (1 - as_)
    if alpha == 0:
        return 0, 0, 0, 0
    parts = [(as_ * s + (1 - as_) * ab * b) / alpha for s, b in zip(source, below[:3], strict=True)]
    return parts[0], parts[1], parts[2], alpha


def flattened(items: Sequence[Layer | LayerGroup], x: int, y: int) -> Pixel:
    """One pixel of the canvas, of layers that are neither scaled nor rotated."""
    pixel: Pixel = (0, 0, 0, 0)
    for item in items:
        if not item.visible:
            continue
        if isinstance(item, LayerGroup):
            above = flattened(item.items, x, y)
        else:
            column, row = x - item.x, y - item.y
            if not (0 <= column < item.width and 0 <= row < item.height):
                continue
            red, green, blue, alpha = item.image[row, column].double().tolist()
            above = (red, green, blue, alpha)
        pixel = over(pixel, above, item.mode, item.opacity)
    return pixel


def flattened_box(items: Sequence[Layer | LayerGroup], box: CanvasBox) -> list[list[Pixel]]:
    """The rows of a box that is sampled at its own size."""
    return [
        [flattened(items, x, y) for x in range(box.x, box.x + box.width)]
        for y in range(box.y, box.y + box.height)
    ]
