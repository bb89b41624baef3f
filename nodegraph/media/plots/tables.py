"""Plots as tables (CSV): with a line for each point as they are written, or a column each."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import StringIO
from math import isfinite, nan

from nodegraph.core.plot_form import MOST_SERIES
from nodegraph.core.plots import Plot, Series
from nodegraph.errors import InvalidFile, InvalidValue

_SERIES = "series"
_ENDS = ("low", "high")


def plot_table(plot: Plot) -> str:
    """A line for each point: the series' name, x, y, and the ends of its interval, if any have."""
    written = StringIO()
    has_ends = any(each.low is not None for each in plot.series)
    rows = csv.writer(written, lineterminator="\n")
    labels = plot.x_label or "x", plot.y_label or "y"
    rows.writerow([_SERIES, *map(_cell, labels), *(_ENDS if has_ends else ())])
    for series in plot.series:
        ends = [series.low or (nan,) * len(series.y), series.high or (nan,) * len(series.y)]
        columns = [series.x, series.y, *(ends if has_ends else ())]
        for row in zip(*columns, strict=True):
            rows.writerow([_cell(series.name), *map(_cell, row)])
    return written.getvalue()


def _cell(value: float | str) -> str:
    """A number with all of its digits; nothing for a gap. No text begins like a formula."""
    if isinstance(value, str):
        return f"'{value}" if value[:1] in ("=", "+", "-", "@", "\t") else value
    if not isfinite(value):
        return ""
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def parse_plot_table(text: str, name: str, delimiter: str = ",") -> Plot:
    """The plot in a table whose first line says what its columns are.

    Either a line is a point, as `plot_table` writes it; or the first column is x, and each of the
    others a series, of the lines where it isn't empty. Columns of words are x or passed over; a
    table of one column is one series.

    Args:
        name: Of the file, for errors.
        delimiter: Between two cells.
    Raises:
        InvalidFile: It has no line of names, or no column of numbers.
    """
    try:
        rows = [row for row in csv.reader(StringIO(text), delimiter=delimiter) if any(row)]
    except csv.Error as error:
        raise InvalidFile(f"{name} is no table: {error}") from error
    heads = [cell.strip() for cell in rows[0]] if rows else []
    lines = [row + [""] * (len(heads) - len(row)) for row in rows[1:]]
    try:
        if heads[:1] == [_SERIES] and len(heads) >= 3:
            return _of_points(heads, lines)
        return _of_columns(heads, lines)
    except (InvalidValue, ValueError) as error:
        between = "tabs" if delimiter == "\t" else "commas"
        raise InvalidFile(
            f"{name} is no table of a plot: {error}",
            expected=f"a line of names, then numbers, with {between} between; "
            "the first column is x, or `series`",
        ) from error


def _of_points(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Plot:
    named: dict[str, list[Sequence[str]]] = {}
    for line in lines:
        named.setdefault(line[0], []).append(line)
    has_ends = tuple(heads[3:5]) == _ENDS
    series = []
    for name, points in list(named.items())[:MOST_SERIES]:
        columns = list(zip(*points, strict=False))
        low, high = map(_cell_numbers, columns[3:5]) if has_ends else (None, None)
        is_empty = low is None or not any(map(isfinite, low))
        ends = (None, None) if is_empty else (low, high)
        series.append(Series(name, _places(columns[1]), _cell_numbers(columns[2]), "line", *ends))
    return Plot("", heads[1], heads[2], tuple(series))


def _of_columns(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Plot:
    columns = list(zip(*lines, strict=False)) or [()] * len(heads)
    if len(heads) == 1:
        return Plot(
            "", "", heads[0], (Series("", tuple(range(len(lines))), _cell_numbers(columns[0])),)
        )
    if not heads:
        raise ValueError("it is empty")
    places = _places(columns[0])
    series = [
        _filled(head, places, column)
        for head, column in list(zip(heads, columns, strict=False))[1 : MOST_SERIES + 1]
        if _is_numeric(column)
    ]
    if not series:
        raise ValueError("no column besides the first has numbers")
    return Plot("", heads[0], series[0].name if len(series) == 1 else "", tuple(series))


def _filled(name: str, places: Sequence[float | str], cells: Sequence[str]) -> Series:
    """The series of the cells that aren't empty."""
    kept = [at for at, cell in enumerate(cells) if cell.strip()]
    x, y = (tuple(values[at] for at in kept) for values in (places, _cell_numbers(cells)))
    return Series(name, x, y)  # type: ignore[arg-type] # all numbers, or all texts


def _places(cells: Sequence[str]) -> tuple[float, ...] | tuple[str, ...]:
    if _is_numeric(cells) and all(map(isfinite, _cell_numbers(cells))):
        return _cell_numbers(cells)
    return tuple(cells)


def _is_numeric(cells: Sequence[str]) -> bool:
    try:
        return any(map(isfinite, _cell_numbers(cells)))
    except ValueError:
        return False


def _cell_numbers(cells: Sequence[str]) -> tuple[float, ...]:
    return tuple(float(cell) if cell.strip() else nan for cell in cells)
