"""Plot files: JSON, CSV and SVG."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from io import StringIO
from math import isfinite, nan
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

from nodegraph.core.plots import MOST_SERIES, PLOT_FORMAT, Plot, Series, plot_to_plain
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.images.input_files import guess_file_kind, read_whole

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
        raise InvalidFile(f"{name} is not a table: {error}") from error
    heads = [cell.strip() for cell in rows[0]] if rows else []
    lines = [row + [""] * (len(heads) - len(row)) for row in rows[1:]]
    try:
        if heads[:1] == [_SERIES] and len(heads) >= 3:
            return _of_points(heads, lines)
        return _of_columns(heads, lines)
    except (InvalidValue, ValueError) as error:
        between = "tabs" if delimiter == "\t" else "commas"
        raise InvalidFile(
            f"{name} is not a plot table: {error}",
            expected=f"a header line, then numbers separated by {between}; the first column is x, "
            "or `series`",
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
        raise ValueError("only the first column has numbers")
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


PlotFormat = Literal["json", "csv", "svg"]
MOST_POINTS = 20_000
"""Of all series of a plot together, in a JSON file."""
LARGEST = 16 << 20
"""Bytes of a file that is read."""
_CHECKED = 1 << 16
"""Bytes of a table that tell whether it is one."""
_TABLES = (".csv", ".tsv")


def encode_plot(
    plot: Plot,
    format: PlotFormat,
    texts: Mapping[str, Any],
    *,
    width: int = 640,
    height: int = 400,
) -> bytes:
    """A plot as the bytes of a file.

    Args:
        format: JSON holds at most `MOST_POINTS`, thinned where there are more; CSV has a line for
            each point; SVG is a drawing.
        texts: What JSON and SVG carry besides, by name; of CSV there is no room for it.
        width, height: Of a drawing, in pixels.
    """
    if format == "json":
        form = {**plot_to_plain(plot, most=MOST_POINTS), **texts}
        return json.dumps(form, allow_nan=False).encode()
    if format == "csv":
        return plot_table(plot).encode("utf-8", "replace")
    from nodegraph.media.plots.rendering import plot_svg

    drawn = plot_svg(plot, width, height).removesuffix("</svg>\n")
    carried = escape(json.dumps(dict(texts)))
    return f"{drawn}<metadata>{carried}</metadata>\n</svg>\n".encode("utf-8", "replace")


def check_plot(path: Path, *, names: bool = True) -> None:
    """Refuse what `read_plot` would, without reading all of a long table.

    Args:
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, too large, or holds no plot.
    """
    try:
        read_plot(path, names=names, most=_CHECKED)
    except InvalidFile:
        # Columns may begin to have numbers further down.
        read_plot(path, names=names)


def read_plot(path: Path, *, names: bool = True, most: int | None = None) -> Plot:
    """The plot in a JSON file or a table.

    Args:
        names: Whether an error may name files like one that is missing.
        most: Bytes of a table that are read, to the end of a line; all if None.
    Raises:
        InvalidFile: It is missing, too large, or holds none.
    """
    data = read_whole(path, LARGEST, names=names)
    if data.lstrip().startswith(b"{"):
        return parse_plot_json(data, str(path))
    if path.suffix.lower() not in _TABLES or b"\0" in data:
        raise InvalidFile(
            f"{path} holds no plot: it looks like {guess_file_kind(path)}",
            expected="JSON written by SavePlot, or a table (.csv, .tsv)",
        )
    if most is not None and len(data) > most:
        data = data[: data.rfind(b"\n", 0, most) + 1] or data
    text = data.decode("utf-8-sig", "replace")
    return parse_plot_table(text, str(path), "\t" if path.suffix.lower() == ".tsv" else ",")


def parse_plot_json(data: bytes, name: str = "this file") -> Plot:
    """The plot that `encode_plot` wrote as JSON.

    Args:
        name: Of the file, for errors.
    Raises:
        InvalidFile: It is damaged, or no plot.
    """
    try:
        form = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"{name} is damaged or not JSON") from error
    if not isinstance(form, dict) or form.get("format") != PLOT_FORMAT:
        raise InvalidFile(f"{name} is not a plot", expected=f'"format": "{PLOT_FORMAT}"')
    try:
        return _plot(form)
    except (InvalidValue, TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise InvalidFile(f"{name} is not a valid plot: {error}") from error


def _plot(form: Mapping[str, Any]) -> Plot:
    series = tuple(map(_series, form["series"][:MOST_SERIES]))
    title, x_label, y_label = (str(form[name]) for name in ("title", "x_label", "y_label"))
    x_scale, y_scale = (_one_of(form[f"{axis}_scale"], "linear", "log") for axis in "xy")
    notes = tuple(map(str, form["notes"]))
    return Plot(title, x_label, y_label, series, x_scale, y_scale, notes)


def _series(form: Mapping[str, Any]) -> Series:
    low, high = (None if name not in form else _numbers(form[name]) for name in ("low", "high"))
    kind = _one_of(form["kind"], "line", "points", "bars")
    return Series(str(form["name"]), tuple(form["x"]), _numbers(form["y"]), kind, low, high)


def _numbers(values: list[float | None]) -> tuple[float, ...]:
    return tuple(nan if value is None else float(value) for value in values)


def _one_of(value: Any, *known: Any) -> Any:
    if value not in known:
        raise ValueError(f"{value!r} is not one of {', '.join(known)}")
    return value
