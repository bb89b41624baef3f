"""Series of numbers, and plots joined over common axes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from nodegraph.core.plots import Plot, Series, SeriesKind
from nodegraph.errors import InvalidValue


def build_series(
    values: Sequence[float],
    name: str = "",
    kind: SeriesKind = "line",
    *,
    x: Sequence[float] = (),
    categories: Sequence[str] = (),
    low: Sequence[float] = (),
    high: Sequence[float] = (),
) -> Series:
    """A series of some values.

    Args:
        x: Where they stand; 0, 1, 2, … if empty.
        categories: What each of them is of, in place of `x`.
        low, high: The ends of their intervals; none if empty.
    Raises:
        InvalidValue: They don't fit together.
    """
    if x and categories:
        raise InvalidValue(
            "a series has both numbers and categories along x, or neither", port="categories"
        )
    if categories and len(categories) != len(values):
        raise InvalidValue(
            "the number of categories differs from the number of values",
            port="categories",
            given=str(len(categories)),
            expected=str(len(values)),
        )
    places = tuple(categories or x or range(len(values)))
    ends = {"low": tuple(low) or None, "high": tuple(high) or None}
    for end, other in (("low", "high"), ("high", "low")):
        if ends[end] is None and ends[other] is not None:
            ends[end] = tuple(values)  # an interval to one side
    return Series(name, places, tuple(values), kind, ends["low"], ends["high"])  # type: ignore[arg-type]


def join_plots(plots: Sequence[Plot], title: str = "", names: Sequence[str] = ()) -> Plot:
    """All series of several plots over common axes: labels and scales are the first one's.

    Series that would have the same name get their plot's name, title or number before it.

    Args:
        plots: At least one.
        title: If not given, the title that all of them have in common.
        names: Of the plots; as many as them, or none.
    Raises:
        InvalidValue: There is none, some have numbers and some categories along x, or there are
            not as many names.
    """
    if not plots:
        raise InvalidValue("there are no plots to combine", port="plots")
    if names and len(names) != len(plots):
        raise InvalidValue(
            "each plot needs one name",
            port="names",
            given=str(len(names)),
            expected=str(len(plots)),
        )
    if len({each.is_categorical for plot in plots for each in plot.series if each.x}) > 1:
        raise InvalidValue(
            "some plots have numbers along x, and some have categories",
            port="plots",
            given=", ".join(plot.title or "a plot without a title" for plot in plots),
            expected="the same kind of x axis for all plots",
            hint="Remove the plots of the other kind, or draw them separately.",
        )
    called = [each.name for plot in plots for each in plot.series]
    twice = {name for name, count in Counter(called).items() if count > 1}
    titles = [plot.title for plot in plots]
    if not names:
        are_distinct = len(set(titles)) == len(titles) and all(titles)
        names = titles if are_distinct else [str(at + 1) for at in range(len(plots))]
    series = [
        replace(each, name=f"{name} {each.name}".strip()) if each.name in twice else each
        for name, plot in zip(names, plots, strict=True)
        for each in plot.series
    ]
    common = titles[0] if len(set(titles)) == 1 else ""
    notes = dict.fromkeys(note for plot in plots for note in plot.notes)
    return replace(plots[0], title=title or common, series=tuple(series), notes=tuple(notes))
