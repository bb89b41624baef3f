"""How long work takes, from what other amounts of it took."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt

_MOST = 16
"""Points that a line is laid through: those that were seen most often."""
_BASE = 0.2
"""What a share of the time that doesn't grow with the amount is charged with, so that two points
that lie near each other don't make one up out of noise."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What an amount of work took.

    Attributes:
        amount: In any unit, more than 0.
        seconds: On average.
        count: How often it was done.
    """

    amount: float
    seconds: float
    count: int = 1


@dataclass(frozen=True, slots=True)
class Line:
    """Seconds by the amount of work: a base, and so many for each unit; neither is negative."""

    base: float
    each: float

    def at(self, amount: float) -> float:
        """Seconds that an amount takes."""
        return self.base + self.each * amount


def fitted(seen: Sequence[Seen]) -> Line | None:
    """The line that lies nearest to what was seen; None if nothing was.

    Distances are shares of the time seen, added up and not squared, so that a few calls that were
    held up change little. Such a line goes through two of the points, or through one of them with
    either no base or nothing but a base.
    """
    points = sorted(
        [point for point in seen if point.amount > 0 and point.seconds > 0],
        key=lambda point: -point.count,
    )[:_MOST]
    return min(_candidates(points), key=lambda line: _distance(line, points), default=None)


def _candidates(points: Sequence[Seen]) -> Iterator[Line]:
    for point in points:
        yield Line(0.0, point.seconds / point.amount)
    for one, other in combinations(points, 2):
        if one.amount == other.amount:
            continue
        each = (other.seconds - one.seconds) / (other.amount - one.amount)
        base = one.seconds - each * one.amount
        if each >= 0 and base >= 0:
            yield Line(base, each)
    if len(points) > 1:
        for point in points:
            yield Line(point.seconds, 0.0)


def _distance(line: Line, points: Sequence[Seen]) -> float:
    distance = 0.0
    for point in points:
        off = abs(line.at(point.amount) - point.seconds)
        charge = _BASE * line.base / len(points)
        distance += (sqrt(point.count) * off + charge) / point.seconds
    return distance
