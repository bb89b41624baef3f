"""Files of plots: JSON with all that it says, tables, and pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import nan
from pathlib import Path
from typing import Any, Literal
from xml.sax.saxutils import escape

from nodegraph.core.plot_form import MOST_SERIES, PLOT_FORMAT, plot_to_plain
from nodegraph.core.plots import Plot, Series
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.images.input_files import guess_file_kind, read_whole
from nodegraph.media.plots.tables import parse_plot_table, plot_table

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
    from nodegraph.media.plots.drawing import plot_svg

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
            f"{path} holds no plot: it looks like {guess_file_kind(path)}.",
            expected="JSON that SavePlot wrote, or a table (.csv, .tsv)",
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
        raise InvalidFile(f"{name} is damaged, or no JSON.") from error
    if not isinstance(form, dict) or form.get("format") != PLOT_FORMAT:
        raise InvalidFile(f"{name} is no plot.", expected=f'"format": "{PLOT_FORMAT}"')
    try:
        return _plot(form)
    except (InvalidValue, TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise InvalidFile(f"{name} is no plot as it should be: {error}") from error


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
        raise ValueError(f"{value!r} is none of {', '.join(known)}")
    return value
