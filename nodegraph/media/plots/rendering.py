"""Plots rendered as images and SVG: layout, legend, axes, series."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar
from xml.sax.saxutils import escape, quoteattr

from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from nodegraph.core.plots import MOST_SERIES, Plot, Series, thinned_indices
from nodegraph.media.plots.axes import Axis, bar_width, categories, x_axis, x_positions, y_axis

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont
    from PIL.ImageFont import ImageFont as BitmapFont
    from torch import Tensor

_T = TypeVar("_T")
_BAND = 0.18
"""How opaque a band is."""
_FEW = 40
"""Points of a line that are marked each."""


@dataclass(frozen=True, slots=True)
class PlotFrame:
    """What lies between two axes of an image, in pixels."""

    left: float
    right: float
    top: float
    bottom: float
    x: Axis
    y: Axis

    def point(self, position: float, value: float) -> Point | None:
        """Where a value lies in the image; None if it can't be shown."""
        across, up = self.x.share(position), self.y.share(value)
        if across is None or up is None:
            return None
        # What is far beyond an end is let go on there: the image ends soon after.
        across, up = (min(max(share, -0.01), 1.01) for share in (across, up))
        return (
            self.left + across * (self.right - self.left),
            self.bottom - up * (self.bottom - self.top),
        )


@dataclass(frozen=True, slots=True)
class SeriesRenderer:
    """A series and where it is drawn.

    Attributes:
        positions: Where those of its points stand that are drawn.
        indices: Their numbers.
    """

    sheet: PlotCanvas
    frame: PlotFrame
    series: Series
    positions: Sequence[float]
    indices: Sequence[int]

    def _points(self, values: Sequence[float], shift: float = 0.0) -> list[Point | None]:
        return [
            self.frame.point(position + shift, values[at])
            for position, at in zip(self.positions, self.indices, strict=True)
        ]

    def line(self, color: str, *, is_line: bool) -> None:
        """Draw it as a line with its band, or as points with whiskers."""
        sheet, points = self.sheet, self._points(self.series.y)
        if is_line:
            self._draw_band(color)
            for run in _runs(points):
                if len(run) > 1:
                    sheet.line(run, color, 2)
                else:
                    sheet.dot(run[0], 2, color)
        else:
            self._draw_whiskers(color)
        if not is_line or len(points) <= _FEW:
            for point in filter(None, points):
                sheet.dot(point, 3, color)

    def bars(self, color: str, width: float, shift: float) -> None:
        """Draw it as bars from 0, or from below on a logarithmic axis.

        Args:
            width: Of one, in the axis's unit.
            shift: From where they stand, of several beside each other.
        """
        ground = 0.0 if self.frame.y.scale == "linear" else self.frame.y.low
        for position, at in zip(self.positions, self.indices, strict=True):
            low, high = position + shift - width / 2, position + shift + width / 2
            corners = (
                self.frame.point(across, up)
                for across, up in ((low, ground), (high, self.series.y[at]))
            )
            first, second = corners
            if first is not None and second is not None:
                (left, bottom), (right, top) = first, second
                box = [(left, top), (right, top), (right, bottom), (left, bottom)]
                self.sheet.area(box, color, 0.85)
        self._draw_whiskers(INK, shift)

    def _draw_band(self, color: str) -> None:
        if self.series.low is None or self.series.high is None:
            return
        lows, highs = self._points(self.series.low), self._points(self.series.high)
        both = [
            None if low is None or high is None else (low, high)
            for low, high in zip(lows, highs, strict=True)
        ]
        for run in _runs(both):
            around = [low for low, _ in run] + [high for _, high in reversed(run)]
            self.sheet.area(around, color, _BAND)

    def _draw_whiskers(self, color: str, shift: float = 0.0) -> None:
        if self.series.low is None or self.series.high is None:
            return
        lows, highs = self._points(self.series.low, shift), self._points(self.series.high, shift)
        for low, high in zip(lows, highs, strict=True):
            if low is not None and high is not None:
                self.sheet.line([low, high], color, 1.5)
                for x, y in (low, high):
                    self.sheet.line([(x - 3, y), (x + 3, y)], color, 1.5)


def _runs(items: Sequence[_T | None]) -> Iterator[list[_T]]:
    """What lies between gaps."""
    run: list[_T] = []
    for item in items:
        if item is not None:
            run.append(item)
        elif run:
            yield run
            run = []
    if run:
        yield run


COLORS = (
    *("#0969da", "#cf222e", "#1a7f37", "#9a6700"),
    *("#8250df", "#bf3989", "#1b7c83", "#57606a"),
)
"""Of the series, in turn."""
_MOST_ROWS = 4
"""Of a legend, of notes, and of names along an axis."""


def draw_plots(plots: Sequence[Plot], width: int, height: int) -> Picture.Image:
    """Plots side by side, RGB.

    Args:
        width, height: Of the whole in pixels; 200 x 150 for each plot is legible.
    """
    sheet = PixelCanvas(width, height)
    _draw_on(sheet, plots)
    return sheet.picture()


def plot_image(plots: Sequence[Plot], width: int, height: int) -> Tensor:
    """Plots side by side as an Image, float32 in 0..1, shape (1, height, width, 3)."""
    import numpy as np
    import torch

    pixels = np.asarray(draw_plots(plots, width, height), np.float32) / np.float32(255)
    return torch.from_numpy(pixels)[None]


def plot_svg(plot: Plot, width: int, height: int) -> str:
    """A plot as an SVG document."""
    sheet = SvgCanvas(width, height)
    _draw_on(sheet, [plot])
    return sheet.svg()


def _draw_on(sheet: PlotCanvas, plots: Sequence[Plot]) -> None:
    share = sheet.width / max(1, len(plots))
    size = max(9.0, min(sheet.height / 24, share / 15))
    for at, plot in enumerate(plots):
        _Panel(sheet, plot, at * share, share, size, first_color=at).draw()


@dataclass(slots=True)
class _Panel:
    """A plot's place in the image.

    Attributes:
        begin, width: The columns that it has.
        size: Of its texts.
        left, right, top, bottom: Of what is between the axes.
        name_rows: That all names along x take; 0 where they have no room.
    """

    sheet: PlotCanvas
    plot: Plot
    begin: float
    width: float
    size: float
    first_color: int = 0
    left: float = 0.0
    right: float = 0.0
    top: float = 0.0
    bottom: float = 0.0
    name_rows: int = 0

    def draw(self) -> None:
        x, y = x_axis(self.plot), y_axis(self.plot)
        y_ticks = y.ticks(7)
        widest = max((self._length(tick.label) for tick in y_ticks), default=0.0)
        self.left = self.begin + widest + 1.2 * self.size
        self.right = self.begin + self.width - 1.2 * self.size
        self.name_rows = self._rows_of(x)
        self._layout_texts()
        self._draw_axes(x, [(tick.share, tick.label) for tick in y_ticks])
        self._draw_series(x, y)

    def _length(self, text: str) -> float:
        return self.sheet.text_width(text, self.size)

    def _layout_texts(self) -> None:
        """Write what stands above and below; what is between is left for the axes."""
        plot, size, sheet = self.plot, self.size, self.sheet
        middle = (self.left + self.right) / 2
        self.top, self.bottom = size, sheet.height - 0.8 * size
        if plot.title:
            self.top += size
            title = self._truncate(plot.title, self.width - size)
            sheet.text((self.begin + self.width / 2, self.top), title, size, "middle")
            self.top += 0.6 * size
        self._write_legend()
        if plot.y_label:
            self.top += size
            label = self._truncate(plot.y_label, self.right - self.begin - size / 2)
            sheet.text((self.begin + size / 2, self.top), label, size)
            self.top += 0.4 * size
        self.top += 0.5 * size
        for line in reversed(list(self._note_lines())):
            sheet.text((self.begin + size / 2, self.bottom), line, 0.85 * size)
            self.bottom -= 1.1 * size
        if plot.x_label:
            label = self._truncate(plot.x_label, self.width - size)
            sheet.text((middle, self.bottom), label, size, "middle")
            self.bottom -= 1.4 * size
        self.bottom -= 1.1 * size * max(1, self.name_rows)

    def _rows_of(self, x: Axis) -> int:
        """In how many rows all names have room, each below the one before; 0 if in none."""
        if not x.names:
            return 0
        longest = max(map(self._length, x.names))
        each = max(1.0, self.right - self.left) / len(x.names)
        moved = max(0.0, longest / 2 - each / 2 - 1.2 * self.size)
        rows = math.ceil((longest + moved + self.size / 2) / each)
        most = _MOST_ROWS if self.sheet.height >= 20 * self.size else 1
        return rows if rows <= most else 0

    def _truncate(self, text: str, room: float) -> str:
        """A text, cut off where there is no more room."""
        if self._length(text) <= room:
            return text
        # A guess by its length, as asking for each letter would take long.
        kept = max(1, int(len(text) * room / self._length(text)) - 1)
        return f"{text[:kept].rstrip()}…"

    def _write_legend(self) -> None:
        named = [(at, each.name) for at, each in enumerate(self._series) if each.name]
        if len(self._series) < 2 or not named:
            return
        x, rows, size = self.left, 1, self.size
        for at, text in named:
            name = self._truncate(text, self.right - self.left - 2 * size)
            room = self._length(name) + 2.6 * size
            if x + room > self.right + size and x > self.left:
                x, rows = self.left, rows + 1
                if rows > _MOST_ROWS:
                    break
            y = self.top + (1.3 * rows - 0.2) * size
            swatch = [(x, y - size / 3), (x + 1.2 * size, y - size / 3)]
            self.sheet.line(swatch, self._color(at), 3)
            self.sheet.text((x + 1.6 * size, y), name, size)
            x += room
        self.top += 1.3 * min(rows, _MOST_ROWS) * size

    def _note_lines(self) -> Iterator[str]:
        """The notes, in lines that fit."""
        room, lines = (self.width - self.size) / 0.85, 0
        for note in self.plot.notes:
            line = ""
            for word in note.split():
                longer = f"{line} {word}".strip()
                if line and self._length(longer) > room:
                    yield line
                    lines, longer = lines + 1, word
                    if lines == _MOST_ROWS:
                        return
                line = longer
            if line:
                yield self._truncate(line, room)
                lines += 1
                if lines == _MOST_ROWS:
                    return

    def _draw_axes(self, x: Axis, y_ticks: Sequence[tuple[float, str]]) -> None:
        sheet, size = self.sheet, self.size
        for share, label in y_ticks:
            at = self.bottom - share * (self.bottom - self.top)
            sheet.line([(self.left, at), (self.right, at)], FAINT, 1)
            sheet.text((self.left - size / 3, at + 0.35 * size), label, size, "end")
        room = self.right - self.left
        rows = max(1, self.name_rows)
        longest = max((self._length(tick.label) for tick in x.ticks(5)), default=size)
        most = int(room / (longest + 1.5 * size))
        ticks = x.ticks(len(x.names) if self.name_rows else max(2, min(8, most)))
        for index, tick in enumerate(ticks):
            at, row = self.left + tick.share * room, index % rows
            below = self.bottom + (1 / 4 + 1.1 * row) * size
            sheet.line([(at, self.bottom), (at, below)], INK if row == 0 else FAINT, 1)
            label = self._truncate(tick.label, rows * room / max(1, len(ticks)))
            half = self._length(label) / 2
            middle = min(max(at, self.begin + half), self.begin + self.width - half)
            sheet.text((middle, self.bottom + (1.2 + 1.1 * row) * size), label, size, "middle")
        corners = [(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)]
        sheet.line(corners, INK, 1)

    @property
    def _series(self) -> tuple[Series, ...]:
        return self.plot.series[:MOST_SERIES]

    def _color(self, at: int) -> str:
        return COLORS[(at + self.first_color) % len(COLORS)]

    def _draw_series(self, x: Axis, y: Axis) -> None:
        frame = PlotFrame(self.left, self.right, self.top, self.bottom, x, y)
        known, gap = categories(self.plot), bar_width(self.plot)
        bars = [at for at, each in enumerate(self._series) if each.kind == "bars"]
        for at, series in enumerate(self._series):
            kept = thinned_indices(series, max(16, int(self.width) * 2))
            stands = x_positions(series, known)
            drawn = SeriesRenderer(self.sheet, frame, series, [stands[each] for each in kept], kept)
            if series.kind == "bars":
                width = 0.8 * gap / len(bars)
                drawn.bars(self._color(at), width, (bars.index(at) - len(bars) / 2 + 0.5) * width)
            else:
                drawn.line(self._color(at), is_line=series.kind == "line")


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
