"""The value that travels on links of type ``Plot``: numbers, and how they are to be shown.

It holds plain numbers, so that it can be drawn anywhere: see `nodegraph.core.plot_form` for its
form in JSON, and `nodegraph.media.plots` for pictures and files of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Literal

from nodegraph.errors import InvalidValue

SeriesKind = Literal["line", "points", "bars"]
AxisScale = Literal["linear", "log"]


@dataclass(frozen=True, slots=True)
class Series:
    """One row of numbers in a plot.

    What is given as lists, or as numbers of other kinds, becomes tuples of float.

    Attributes:
        name: As the legend says; may be empty where it is the only one.
        x: Where each value stands, finite; or the names of categories.
        y: The values, as many; one that isn't finite is a gap.
        kind: How they are drawn.
        low, high: Of each value the ends of its interval: a band along a line, whiskers else; both
            or none.
    Raises:
        InvalidValue: They aren't equally many, or some x isn't finite.
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
        """Whether it stands over names rather than numbers."""
        return bool(self.x) and isinstance(self.x[0], str)


def _number(value: float | str) -> float:
    """As a float; zero without a sign, which files don't keep."""
    return float(value) + 0.0


@dataclass(frozen=True, slots=True)
class Plot:
    """Series of numbers over common axes.

    Attributes:
        title: Above it.
        x_label, y_label: What the axes show, with units.
        series: What is drawn; later ones over earlier ones.
        x_scale, y_scale: How an axis is spaced; on ``log``, what isn't above 0 is a gap.
        notes: Sentences below it, such as what intervals mean and how many samples there were.
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
                "a plot has either numbers or categories along x, for all of its series",
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
                f"the {name} of a series are as many as its values",
                port=name,
                given=str(len(values)),
                expected=str(count),
            )
    if any(not isinstance(position, str) and not isfinite(position) for position in series.x):
        raise InvalidValue("a series stands at places that are finite", port="x")
