"""Rates are exact, whatever people and containers make of them."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.errors import InvalidValue
from nodegraph.media.videos.rates import exact_rate, snap_to_standard_rate
from tests.messages import raises


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (24, Fraction(24)),
        (12.5, Fraction(25, 2)),
        (23.976, Fraction(24000, 1001)),
        (23.98, Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (59.94, Fraction(60000, 1001)),
        (1 / 3, Fraction(1, 3)),
        (24000 / 1001, Fraction(24000, 1001)),
    ],
)
def test_what_people_write_means_an_exact_rate(said: float, meant: Fraction) -> None:
    assert exact_rate(said) == meant


@given(st.integers(1, 240_000), st.sampled_from([1, 2, 3, 7, 1001]))
def test_a_rate_survives_being_a_float(numerator: int, denominator: int) -> None:
    rate = Fraction(numerator, denominator)
    if Fraction(1, 1000) <= rate <= 1000 and rate.denominator in (1, 3, 7, 1001):
        assert exact_rate(float(rate)) == rate


@pytest.mark.parametrize("rate", [0, -1, 1001, 0.0001])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with raises(InvalidValue, port="rate"):
        exact_rate(rate)


def test_the_rounding_of_containers_is_undone() -> None:
    assert snap_to_standard_rate(Fraction(19001, 317)) == Fraction(60000, 1001)
    assert snap_to_standard_rate(Fraction(10**9, 40_000_001)) == 25
    assert snap_to_standard_rate(Fraction(3002, 100)) == Fraction(1501, 50)
    assert snap_to_standard_rate(Fraction(1, 3)) == Fraction(1, 3)
