"""Canvases that plots are drawn on: pixels or SVG."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal
from xml.sax.saxutils import escape, quoteattr

from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as BitmapFont

Point = tuple[float, float]
Side = Literal["start", "middle", "end"]
"""Which part of a text lies where it is put."""

PAPER, INK, FAINT = "#ffffff", "#1f2328", "#d8dee4"
SMOOTH = 2
"""Pixels are drawn this much larger and scaled down, which smooths the lines."""


class PlotCanvas(ABC):
    """A white sheet.

    Args:
        width, height: In pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._fonts: dict[float, FreeTypeFont | BitmapFont] = {}

    def font(self, size: float) -> FreeTypeFont | BitmapFont:
        """The font of texts of a height, in pixels."""
        if size not in self._fonts:
            self._fonts[size] = ImageFont.load_default(size)
        return self._fonts[size]

    def text_width(self, text: str, size: float) -> float:
        """How wide a text is, in one line."""
        return float(self.font(size).getlength(text))

    @abstractmethod
    def line(self, points: Sequence[Point], color: str, width: float) -> None:
        """Draw a line through points."""

    @abstractmethod
    def area(self, points: Sequence[Point], color: str, opacity: float = 1.0) -> None:
        """Fill what points go around."""

    @abstractmethod
    def dot(self, center: Point, radius: float, color: str) -> None:
        """Fill a circle."""

    @abstractmethod
    def text(self, at: Point, text: str, size: float, side: Side = "start") -> None:
        """Write a line; `at` is on its base line."""


class PixelCanvas(PlotCanvas):
    """A sheet of pixels, drawn by Pillow."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self._picture = Picture.new("RGB", (width * SMOOTH, height * SMOOTH), PAPER)
        # What is drawn in RGBA onto RGB is laid over it.
        self._draw = ImageDraw.Draw(self._picture, "RGBA")

    def picture(self) -> Picture.Image:
        """What was drawn, RGB."""
        return self._picture.resize((self.width, self.height), Picture.Resampling.LANCZOS)

    def line(self, points: Sequence[Point], color: str, width: float) -> None:
        self._draw.line(_scaled(points), color, max(1, round(width * SMOOTH)), joint="curve")

    def area(self, points: Sequence[Point], color: str, opacity: float = 1.0) -> None:
        self._draw.polygon(_scaled(points), f"{color}{round(255 * opacity):02x}")

    def dot(self, center: Point, radius: float, color: str) -> None:
        [(x, y)] = _scaled([center])
        reach = radius * SMOOTH
        self._draw.ellipse((x - reach, y - reach, x + reach, y + reach), color)

    def text(self, at: Point, text: str, size: float, side: Side = "start") -> None:
        anchor = {"start": "ls", "middle": "ms", "end": "rs"}[side]
        self._draw.text(_scaled([at])[0], text, INK, self.font(size * SMOOTH), anchor=anchor)


def _scaled(points: Sequence[Point]) -> list[Point]:
    return [(x * SMOOTH, y * SMOOTH) for x, y in points]


class SvgCanvas(PlotCanvas):
    """A sheet that is written as SVG."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self._parts: list[str] = []

    def svg(self) -> str:
        """What was drawn, as a document."""
        size = f'width="{self.width}" height="{self.height}"'
        box = f'viewBox="0 0 {self.width} {self.height}"'
        parts = "\n".join(self._parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} font-family="sans-serif">\n'
            f'<rect width="100%" height="100%" fill="{PAPER}"/>\n{parts}\n</svg>\n'
        )

    def line(self, points: Sequence[Point], color: str, width: float) -> None:
        style = f'stroke="{color}" stroke-width="{width:g}" stroke-linejoin="round" fill="none"'
        self._parts.append(f'<polyline points="{_listed(points)}" {style}/>')

    def area(self, points: Sequence[Point], color: str, opacity: float = 1.0) -> None:
        style = f'fill="{color}" fill-opacity="{opacity:g}"'
        self._parts.append(f'<polygon points="{_listed(points)}" {style}/>')

    def dot(self, center: Point, radius: float, color: str) -> None:
        x, y = center
        self._parts.append(f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{radius:g}" fill="{color}"/>')

    def text(self, at: Point, text: str, size: float, side: Side = "start") -> None:
        x, y = at
        attributes = f'x="{x:.2f}" y="{y:.2f}" text-anchor={quoteattr(side)} font-size="{size:g}"'
        self._parts.append(f'<text {attributes} fill="{INK}">{escape(_printable(text))}</text>')


def _listed(points: Sequence[Point]) -> str:
    return " ".join(f"{x:.2f},{y:.2f}" for x, y in points)


def _printable(text: str) -> str:
    """A text without what XML can't hold."""
    kept = "".join(letter for letter in text if letter.isprintable())
    return kept.encode("utf-8", "ignore").decode()
