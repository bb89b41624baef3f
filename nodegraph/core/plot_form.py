"""Plots as JSON has them: bounded in size, for events, files and pages that draw them.

The form of a plot is a mapping of its attributes, with a mapping for each series. What isn't finite
is null there. A series of more points than are wanted is thinned: of each stretch the least and the
greatest value stay, so that no peak is lost; it then tells of how many ``points`` it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

from nodegraph.core.plots import Plot, Series

PLOT_FORMAT = "nodegraph/plot/1"
"""What the form says it is."""
MOST_SERIES = 64
"""In a form; a plot of more tells in a note how many are left out."""
_FEWEST = 8
"""Points of a series that stay, however many series there are."""
_LONGEST = 300
"""Letters of a text."""
_MOST_NOTES = 20


def plot_to_plain(plot: Plot, *, most: int = 20_000, digits: int | None = None) -> dict[str, Any]:
    """A plot as plain values, ready for JSON.

    Args:
        most: Points of all its series together, which are thinned where there are more.
        digits: That numbers are rounded to; None leaves them as they are.
    """
    series = plot.series[:MOST_SERIES]
    share = max(_FEWEST, most // max(1, len(series)))
    notes = list(plot.notes[:_MOST_NOTES])
    if len(plot.series) > len(series):
        notes.append(f"{len(plot.series) - len(series)} more series are left out.")
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
    """Numbers of the points that stay when a series is thinned: first, last and extremes.

    Args:
        most: How many, at least 4.
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
    """The points of a stretch that reach lowest and highest; where there are only gaps, one."""
    low, high = series.low or series.y, series.high or series.y
    lows = [at for at in range(begin, end) if isfinite(low[at])]
    highs = [at for at in range(begin, end) if isfinite(high[at])]
    if not lows or not highs:
        yield begin
        return
    yield min(lows, key=low.__getitem__)
    yield max(highs, key=high.__getitem__)
