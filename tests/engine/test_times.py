"""Times of other amounts of work tell how long this one takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.engine.planning.estimates import Line, Timing, fit_line

amounts = st.floats(1, 1e9)
times = st.floats(1e-4, 1e4)
points = st.lists(st.builds(Timing, amounts, times, st.integers(1, 50)), min_size=1, max_size=20)


def _at(seen: list[Timing], amount: float) -> float:
    line = fit_line(seen)
    assert line is not None
    return line.at(amount)


def test_of_nothing_nothing_is_known() -> None:
    assert fit_line([]) is None


@given(amounts, times, st.floats(0.01, 100))
def test_one_time_is_scaled(amount: float, seconds: float, factor: float) -> None:
    assert _at([Timing(amount, seconds)], amount * factor) == pytest.approx(seconds * factor)


@given(points, amounts, amounts)
def test_more_work_never_takes_less(seen: list[Timing], one: float, other: float) -> None:
    line = fit_line(seen)
    assert line is not None
    assert line.base >= 0
    assert 0 <= line.at(min(one, other)) <= line.at(max(one, other))


@given(st.floats(0, 10), st.floats(1e-3, 10), st.sets(st.integers(1, 1000), min_size=6, max_size=9))
def test_times_that_lie_on_a_line_are_found_again(base: float, each: float, at: set[int]) -> None:
    wide = {1, 4000, *at}
    seen = [Timing(amount, base + each * amount) for amount in wide]
    line = fit_line(seen)
    assert line is not None
    for point in seen:
        assert line.at(point.amount) == pytest.approx(point.seconds, rel=0.25)


def test_a_base_is_found_where_the_times_show_one() -> None:
    assert fit_line([Timing(amount, 2 + amount) for amount in (1, 10, 100, 1000)]) == Line(2, 1)


@given(st.floats(5, 1e4))
def test_one_call_that_was_held_up_changes_little(late: float) -> None:
    seen = [Timing(amount, amount * 0.1, 3) for amount in (10, 20, 30, 40)]
    assert _at([*seen, Timing(25, 2.5 * late)], 400) == pytest.approx(40)


def test_two_points_that_lie_near_each_other_make_no_base() -> None:
    """The second is 0.5 % later for 1 % more: that is noise, and no reason to halve all others."""
    assert _at([Timing(100, 1.0), Timing(101, 1.005)], 4000) == pytest.approx(40, rel=0.02)
