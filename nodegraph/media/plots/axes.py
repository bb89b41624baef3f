"""Series of plots, and their axes: ranges, positions of values, and ticks."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import NamedTuple

from nodegraph.core.plots import AxisScale, Plot, Series, SeriesKind
from nodegraph.errors import InvalidValue

_DEEPEST = 1e-290
"""Of a logarithmic axis, and of what is told apart."""
_APART = 100 * _DEEPEST
"""How far the ends of an axis are apart at least: there are steps between them."""
_LARGEST = 1e300
"""What is shown; all that is reckoned with it stays finite."""


class Tick(NamedTuple):
    """A place on an axis, 0 to 1, and what stands there."""

    share: float
    label: str


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a plot.

    Attributes:
        low, high: Its ends, low below high.
        names: Of its categories, which stand at 0, 1, 2, …; none where it has numbers.
    """

    low: float
    high: float
    scale: AxisScale = "linear"
    names: tuple[str, ...] = ()

    def share(self, value: float) -> float | None:
        """Where a value lies between its ends, 0 to 1; None if it can't be shown."""
        if not math.isfinite(value) or (self.scale == "log" and value < _DEEPEST):
            return None
        low, high = self.low, self.high
        if self.scale == "log":
            value, low, high = (math.log(each) for each in (value, low, high))
        # Halved, as the whole may be more than a float holds.
        return (value / 2 - low / 2) / (high / 2 - low / 2)

    def ticks(self, most: int) -> list[Tick]:
        """Round values between its ends, or its categories.

        Args:
            most: How many there is room for, at least 2.
        """
        if self.names:
            every = -(-len(self.names) // most)
            values: Iterable[float] = range(0, len(self.names), every)
            labels = [self.names[int(at)] for at in values]
        else:
            values = list(self._round_values(most))
            labels = _labels(values, self.scale)
        shares = [self.share(value) for value in values]
        return [
            Tick(share, label)
            for share, label in zip(shares, labels, strict=True)
            if share is not None and -1e-9 <= share <= 1 + 1e-9
        ]

    def _round_values(self, most: int) -> Iterator[float]:
        if self.scale == "log":
            yield from _decades(self.low, self.high, most)
            return
        step = round_step(self.high / most - self.low / most)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        yield from (index * step for index in range(first, last + 1))


def _decades(low: float, high: float, most: int) -> Iterator[float]:
    """Powers of ten; where there are one or two, what lies between them, too."""
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    if last - first >= 2:
        every = -(-(last - first + 1) // most)
        yield from (10.0**power for power in range(first, last + 1, every))
        return
    for power in range(first - 1, last + 1):
        yield from (factor * 10.0**power for factor in (1, 2, 5))


def _labels(values: Sequence[float], scale: AxisScale) -> list[str]:
    """Numbers with as many digits as tell them apart."""
    if scale == "log" or len(values) < 2:
        return [f"{value:g}" for value in values]
    step = values[1] - values[0]
    digits = max(6, math.ceil(math.log10(max(map(abs, values)) / step)) + 2)
    return [f"{round(value, -math.floor(math.log10(step)) + 1):.{digits}g}" for value in values]


def round_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten that is no less than a step, but for rounding."""
    if not (math.isfinite(rough) and rough > _DEEPEST):
        return 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= 0.999 * rough)


def categories(plot: Plot) -> dict[str, float]:
    """The names along x in the order in which they come, and where they stand."""
    names = chain.from_iterable(each.x for each in plot.series if each.is_categorical)
    return {str(name): float(at) for at, name in enumerate(dict.fromkeys(names))}


def x_positions(series: Series, known: dict[str, float]) -> list[float]:
    """Where the values of a series stand, as numbers."""
    return [known[position] if isinstance(position, str) else position for position in series.x]


def bar_width(plot: Plot) -> float:
    """How far bars are from each other along x; 0 where there are none."""
    bars = [each for each in plot.series if each.kind == "bars"]
    known = categories(plot)
    stands = {position for each in bars for position in x_positions(each, known)}
    positions = sorted(position for position in stands if abs(position) <= _LARGEST)
    gaps = [after - before for before, after in pairwise(positions)]
    return min(gaps, default=1.0) if bars else 0.0


def x_axis(plot: Plot) -> Axis:
    """The axis along which its series stand."""
    known = categories(plot)
    if known:
        return Axis(-0.5, len(known) - 0.5, names=tuple(known))
    positions = [position for each in plot.series for position in x_positions(each, known)]
    room = bar_width(plot) / 2 if plot.x_scale == "linear" else 0.0
    low, high = _ends(positions, plot.x_scale)
    return Axis(low - room, high + room, plot.x_scale)


def y_axis(plot: Plot) -> Axis:
    """The axis of its values, with round ends; from 0 where there are bars, or 0 is near."""
    values_shown = [
        value
        for each in plot.series
        for values in (each.y, each.low or (), each.high or ())
        for value in values
    ]
    if plot.y_scale == "log":
        return Axis(*_ends(values_shown, "log"), "log")
    if any(each.kind == "bars" for each in plot.series):
        values_shown.append(0.0)
    low, high = _ends(values_shown, "linear")
    if 0 < low <= high / 2:
        low = 0.0
    elif 0 > high >= low / 2:
        high = 0.0
    step = round_step(high / 6 - low / 6)
    return Axis(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step)


def _ends(values: Iterable[float], scale: AxisScale) -> tuple[float, float]:
    """The least and the greatest value that can be shown, apart from each other."""
    least = _DEEPEST if scale == "log" else -_LARGEST
    visible = [value for value in values if least <= value <= _LARGEST]
    low, high = min(visible, default=0.0), max(visible, default=1.0)
    if not visible and scale == "log":
        low = 0.1
    size = max(abs(low), abs(high))
    if high / 2 - low / 2 > max(size * 1e-9, _APART):
        return low, high
    if scale == "log":
        return low / 2, high * 2
    room = size * 0.1 if size > _APART else 1.0
    return low - room, high + room


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
