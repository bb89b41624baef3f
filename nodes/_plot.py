"""Small line plots, drawn with Pillow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as BitmapFont

PAPER, INK, FAINT = "#ffffff", "#1f2328", "#d8dee4"
COLORS = ("#0969da", "#cf222e", "#1a7f37")
SMOOTH = 2
"""Everything is drawn this much larger and scaled down, which smooths the lines."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One panel: values over equally or freely spaced places.

    Attributes:
        title: Above the panel.
        places, values: The points, in order; values are at least 0.
        under: What the places are, below the panel.
        logarithmic: Spread values by their logarithm; all must be above 0.
        dots: Mark each point.
    """

    title: str
    places: Sequence[float]
    values: Sequence[float]
    under: str
    logarithmic: bool = False
    dots: bool = False


@dataclass(frozen=True, slots=True)
class _Panel:
    """A curve's place in the picture, in pixels: from values to coordinates."""

    curve: Curve
    left: float
    top: float
    right: float
    bottom: float

    def x(self, place: float) -> float:
        low, high = min(self.curve.places), max(self.curve.places)
        return self.left + (place - low) / ((high - low) or 1) * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self.ends
        if self.curve.logarithmic:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.bottom - (value - low) / ((high - low) or 1) * (self.bottom - self.top)

    @property
    def ends(self) -> tuple[float, float]:
        """Values at the lower and upper border."""
        low, high = min(self.curve.values), max(self.curve.values)
        if self.curve.logarithmic:
            return low, high
        step = _round_step(high)
        return 0.0, math.ceil(high / step - 1e-9) * step


def draw_curves(curves: Sequence[Curve], width: int, height: int) -> Picture.Image:
    """Panels side by side, one for each curve, RGB.

    Args:
        width, height: Of the picture in pixels; 200 x 150 for each panel is legible.
    """
    picture = Picture.new("RGB", (width * SMOOTH, height * SMOOTH), PAPER)
    draw = ImageDraw.Draw(picture)
    text = max(10, min(height // 24, width // (len(curves) * 15))) * SMOOTH
    font = ImageFont.load_default(text)
    for index, curve in enumerate(curves):
        share = width * SMOOTH / len(curves)
        panel = _Panel(
            curve,
            left=index * share + 4 * text,
            top=3 * text,
            right=(index + 1) * share - text,
            bottom=height * SMOOTH - 3.5 * text,
        )
        _draw_axes(draw, panel, font, text)
        _draw_line(draw, panel, COLORS[index % len(COLORS)])
    return picture.resize((width, height), Picture.Resampling.LANCZOS)


def _draw_axes(
    draw: ImageDraw.ImageDraw, panel: _Panel, font: FreeTypeFont | BitmapFont, text: float
) -> None:
    curve, middle = panel.curve, (panel.left + panel.right) / 2
    draw.text((middle, panel.top - text), curve.title, INK, font, anchor="ms")
    draw.text((middle, panel.bottom + 2.8 * text), curve.under, INK, font, anchor="ms")
    for value in _ticks(*panel.ends, curve.logarithmic):
        y = panel.y(value)
        draw.line([(panel.left, y), (panel.right, y)], FAINT, SMOOTH)
        draw.text((panel.left - text / 3, y), f"{value:g}", INK, font, anchor="rm")
    for place in (min(curve.places), max(curve.places)):
        label = (panel.x(place), panel.bottom + 1.4 * text)
        draw.text(label, f"{place:g}", INK, font, anchor="ms")
    corners = [(panel.left, panel.top), (panel.left, panel.bottom), (panel.right, panel.bottom)]
    draw.line(corners, INK, SMOOTH)


def _draw_line(draw: ImageDraw.ImageDraw, panel: _Panel, color: str) -> None:
    curve = panel.curve
    points = [(panel.x(p), panel.y(v)) for p, v in zip(curve.places, curve.values, strict=True)]
    for start, end in pairwise(points):
        draw.line([start, end], color, 2 * SMOOTH)
    if curve.dots:
        for x, y in points:
            draw.circle((x, y), 3 * SMOOTH, color)


def _ticks(low: float, high: float, logarithmic: bool) -> Iterator[float]:
    """Round values between two ends."""
    if logarithmic:
        first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
        yield from (10.0**power for power in range(first, last + 1))
        return
    step = _round_step(high)
    yield from (index * step for index in range(round(high / step) + 1))


def _round_step(high: float) -> float:
    """1, 2 or 5 times a power of ten, that leads from 0 to `high` in 3 to 6 steps."""
    rough = high / 5 or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= 0.999 * rough)
