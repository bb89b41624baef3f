"""Axes hold all values, and have round ticks that tell each other apart."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nodegraph import Plot, Series
from nodegraph.media.plots.axes import Axis, bar_width, x_axis, y_axis
from tests.properties import examples

NUMBERS = st.lists(st.floats(-1e300, 1e300) | st.sampled_from([nan, inf]), max_size=8)


def line(values: list[float], **given: str) -> Plot:
    return Plot(series=(Series("a", tuple(range(len(values))), tuple(values)),), **given)  # type: ignore[arg-type]


@example([0.0, 3e-290], "linear")
@given(NUMBERS, st.sampled_from(["linear", "log"]))
@settings(max_examples=examples(200))
def test_every_value_has_its_place(values: list[float], scale: str) -> None:
    axis = y_axis(line(values, y_scale=scale))
    assert axis.low < axis.high
    for value in values:
        share = axis.share(value)
        if abs(value) < inf and (scale == "linear" or value > 1e-290):
            assert share is not None
            assert -1e-6 <= share <= 1 + 1e-6
    ticks = axis.ticks(7)
    assert len(ticks) <= 12
    assert len({tick.label for tick in ticks}) == len(ticks)
    assert all(0 <= round(tick.share, 6) <= 1 for tick in ticks)


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ([0.2, 0.98], ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        ([-2, 4], ["-2", "-1", "0", "1", "2", "3", "4"]),
        (
            [1e6, 1e6 + 1],
            ["1000000", "1000000.2", "1000000.4", "1000000.6", "1000000.8", "1000001"],
        ),
        ([3e-7, 9e-7], ["0", "2e-07", "4e-07", "6e-07", "8e-07", "1e-06"]),
    ],
)
def test_ticks_are_round(values: list[float], labels: list[str]) -> None:
    assert [tick.label for tick in y_axis(line(values)).ticks(7)] == labels


def test_a_logarithmic_axis_has_powers_of_ten_or_what_lies_between_them() -> None:
    assert [tick.label for tick in Axis(0.001, 10, "log").ticks(7)] == [
        *("0.001", "0.01", "0.1", "1", "10")
    ]
    assert [tick.label for tick in Axis(0.3, 3, "log").ticks(7)] == ["0.5", "1", "2"]
    assert Axis(0.01, 1, "log").share(0.1) == pytest.approx(0.5)
    assert Axis(0.01, 1, "log").share(0.0) is None


def test_bars_begin_at_zero_and_have_room_at_both_ends() -> None:
    bars = Plot(series=(Series("a", (2, 4, 8), (5, 6, 7), "bars"),))
    assert (bar_width(bars), y_axis(bars).low) == (2, 0)
    assert (x_axis(bars).low, x_axis(bars).high) == (1, 9)


def test_categories_stand_in_the_order_in_which_they_come() -> None:
    first, second = Series("a", ("x", "y"), (1, 2)), Series("b", ("y", "z"), (1, 2))
    axis = x_axis(Plot(series=(first, second)))
    assert [tick.label for tick in axis.ticks(5)] == ["x", "y", "z"]
    assert [tick.label for tick in axis.ticks(2)] == ["x", "z"]
