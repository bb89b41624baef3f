"""The link value `Plot`, and its size-bounded JSON form.

A plot has only plain numbers, so that it can be drawn anywhere. `nodegraph.media.plots` makes
images and files from it.

Its JSON form is a mapping of its attributes, with a mapping for each series. Numbers that are not
finite are null. A series with too many points is thinned: the minimum and maximum of each range are
kept, so that no peak is lost, and ``points`` gives the original number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.errors import InvalidValue

PLOT_FORMAT = "nodegraph/plot/1"
"""Value of ``format`` in the JSON form."""
MOST_SERIES = 64
"""Largest number of series in the JSON form; a note gives the number of series left out."""
_FEWEST = 8
"""Smallest number of points that a thinned series keeps, for any number of series."""
_LONGEST = 300
"""Largest number of characters of a text in the JSON form."""
_MOST_NOTES = 20


def plot_to_plain(plot: Plot, *, most: int = 20_000, digits: int | None = None) -> dict[str, Any]:
    """Convert a plot to plain values for JSON.

    Args:
        plot: The plot.
        most: Largest number of points of all series together. Series with more are thinned.
        digits: Significant digits that numbers are rounded to. None for no rounding.
    """
    series = plot.series[:MOST_SERIES]
    share = max(_FEWEST, most // max(1, len(series)))
    notes = list(plot.notes[:_MOST_NOTES])
    if len(plot.series) > len(series):
        notes.append(f"{len(plot.series) - len(series)} more series are not shown.")
    return {
        "format": PLOT_FORMAT,
        "title": _text(plot.title),
        "x_label": _text(plot.x_label),
        "y_label": _text(plot.y_label),
        "x_scale": plot.x_scale,
        "y_scale": plot.y_scale,
        "notes": [_text(note) for note in notes],
        "series": [_series_form(each, share, digits) for each in series],
    }


def _series_form(series: Series, most: int, digits: int | None) -> dict[str, Any]:
    at = thinned_indices(series, most)
    form: dict[str, Any] = {"name": _text(series.name), "kind": series.kind}
    for name in ("x", "y", "low", "high"):
        values: Sequence[float | str] | None = getattr(series, name)
        if values is not None:
            form[name] = [_plain(values[index], digits) for index in at]
    if len(at) < len(series.y):
        form["points"] = len(series.y)
    return form


def _plain(value: float | str, digits: int | None) -> float | int | str | None:
    if isinstance(value, str):
        return _text(value)
    if not isfinite(value):
        return None
    if value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value if digits is None else float(f"{value:.{digits}g}")


def _text(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def thinned_indices(series: Series, most: int) -> Sequence[int]:
    """Return the indices of the points that a thinned series keeps: first, last and extremes.

    Args:
        series: The series.
        most: Largest number of points, at least 4.
    """
    count = len(series.y)
    if count <= most:
        return range(count)
    inner = max(1, (most - 2) // 2)
    edges = [1 + at * (count - 2) // inner for at in range(inner + 1)]
    kept = {0, count - 1}
    for begin, end in pairwise(edges):
        kept.update(_extremes(series, begin, end))
    return sorted(kept)


def _extremes(series: Series, begin: int, end: int) -> Iterator[int]:
    """Yield the lowest and the highest point of a range; one point if it has only gaps."""
    low, high = series.low or series.y, series.high or series.y
    lows = [at for at in range(begin, end) if isfinite(low[at])]
    highs = [at for at in range(begin, end) if isfinite(high[at])]
    if not lows or not highs:
        yield begin
        return
    yield min(lows, key=low.__getitem__)
    yield max(highs, key=high.__getitem__)


SeriesKind = Literal["line", "points", "bars"]
AxisScale = Literal["linear", "log"]


@dataclass(frozen=True, slots=True)
class Series:
    """One data series of a plot.

    Any iterables of numbers are accepted and become tuples of float.

    Attributes:
        name: Name in the legend. May be empty if the plot has only one series.
        x: Finite positions of the values, or names of categories.
        y: The values, as many as `x`. A value that is not finite is a gap.
        kind: How the values are drawn: ``line``, ``points`` or ``bars``.
        low, high: Lower and upper end of each value's interval: a band along a line, whiskers
            otherwise. Give both or none.
    Raises:
        InvalidValue: The lengths differ, or a value of `x` is not finite.
    """

    name: str
    x: tuple[float, ...] | tuple[str, ...]
    y: tuple[float, ...]
    kind: SeriesKind = "line"
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None

    if TYPE_CHECKING:
        # What is taken is wider than what is kept.
        def __init__(
            self,
            name: str,
            x: Iterable[float] | Iterable[str],
            y: Iterable[float],
            kind: SeriesKind = "line",
            low: Iterable[float] | None = None,
            high: Iterable[float] | None = None,
        ) -> None: ...

    def __post_init__(self) -> None:
        _put(self, "x", _places(self.x))
        for name in ("y", "low", "high"):
            values = getattr(self, name)
            if values is not None:
                _put(self, name, tuple(map(_number, values)))
        _check(self)

    @property
    def is_categorical(self) -> bool:
        """Whether `x` contains names of categories instead of numbers."""
        return bool(self.x) and isinstance(self.x[0], str)


def _number(value: float | str) -> float:
    """Return a float, with zero unsigned, because files do not keep its sign."""
    return float(value) + 0.0


@dataclass(frozen=True, slots=True)
class Plot:
    """Plot of data series over common axes.

    Attributes:
        title: Title above the plot.
        x_label, y_label: Labels of the axes, with units.
        series: The data series. Later ones are drawn over earlier ones.
        x_scale, y_scale: Scale of each axis: ``linear`` or ``log``. On ``log``, values that are not
            above 0 are gaps.
        notes: Sentences below the plot, such as the meaning of the intervals and the number of
            samples.
    Raises:
        InvalidValue: Some series have numbers along x and others have categories.
    """

    title: str = ""
    x_label: str = ""
    y_label: str = ""
    series: tuple[Series, ...] = ()
    x_scale: AxisScale = "linear"
    y_scale: AxisScale = "linear"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _put(self, "series", tuple(self.series))
        _put(self, "notes", tuple(self.notes))
        if len({each.is_categorical for each in self.series if each.x}) > 1:
            raise InvalidValue(
                "the series of a plot mix numbers and categories along x",
                port="series",
            )


def _put(record: object, name: str, value: object) -> None:
    object.__setattr__(record, name, value)


def _places(x: Iterable[float | str]) -> tuple[float, ...] | tuple[str, ...]:
    places = tuple(x)
    if any(isinstance(position, str) for position in places):
        return tuple(map(str, places))
    return tuple(map(_number, places))


def _check(series: Series) -> None:
    count = len(series.y)
    parts: dict[str, Sequence[object]] = {"x": series.x}
    if series.low is not None or series.high is not None:
        parts |= {"low": series.low or (), "high": series.high or ()}
    for name, values in parts.items():
        if len(values) != count:
            raise InvalidValue(
                f"a series needs as many {name} as it has values",
                port=name,
                given=str(len(values)),
                expected=str(count),
            )
    if any(not isinstance(position, str) and not isfinite(position) for position in series.x):
        raise InvalidValue("the x values of a series must be finite", port="x")
