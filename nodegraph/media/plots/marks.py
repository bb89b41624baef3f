"""Series in the picture of a plot: lines with bands, points with whiskers, bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from nodegraph.core.plots import Series
from nodegraph.media.plots.axes import Axis
from nodegraph.media.plots.sheets import INK, PlotCanvas, Point

_T = TypeVar("_T")
_BAND = 0.18
"""How opaque a band is."""
_FEW = 40
"""Points of a line that are marked each."""


@dataclass(frozen=True, slots=True)
class PlotFrame:
    """What lies between two axes of a picture, in pixels."""

    left: float
    right: float
    top: float
    bottom: float
    x: Axis
    y: Axis

    def point(self, position: float, value: float) -> Point | None:
        """Where a value lies in the picture; None if it can't be shown."""
        across, up = self.x.share(position), self.y.share(value)
        if across is None or up is None:
            return None
        # What is far beyond an end is let go on there: the picture ends soon after.
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
