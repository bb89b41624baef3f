"""Comparing and calculating."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from nodegraph_nodes.list import NumberRange
from nodegraph_nodes.number import Calculate, Compare, RandomNumber, Round, ToInteger, ToNumber

from nodegraph.errors import InvalidValue


@pytest.mark.parametrize(
    ("sign", "expected"),
    [("<", True), ("<=", True), ("==", False), ("!=", True), (">=", False), (">", False)],
)
def test_comparisons(sign: str, expected: bool) -> None:
    assert Compare(1.0, sign, 2.0) is expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sign", "expected"),
    [("+", 9.0), ("-", 5.0), ("*", 14.0), ("/", 3.5), ("%", 1.0), ("min", 2.0), ("max", 7.0)],
)
def test_calculations(sign: str, expected: float) -> None:
    assert Calculate(7.0, sign, 2.0) == expected  # type: ignore[arg-type]


def test_nothing_is_divided_by_zero() -> None:
    with pytest.raises(InvalidValue, match="divide by zero"):
        Calculate(1.0, "/", 0.0)


def test_rounding() -> None:
    assert [Round(number) for number in (1.4, 1.5, 2.5, -1.6)] == [1, 2, 2, -2]
    with pytest.raises(InvalidValue, match="no nearest whole number"):
        Round(float("inf"))


@pytest.mark.parametrize(
    ("work", "port", "said"),
    [
        (lambda: Calculate(1e308, "*", 10.0), "operation", "gets too large"),
        (lambda: Calculate(-1e308, "-", 1e308), "operation", "gets too large"),
        (lambda: RandomNumber(1, -1.7e308, 1.7e308), "high", "too far apart"),
        (lambda: NumberRange(-1.7e308, 1.7e308, 3), "end", "too far apart"),
        (lambda: ToNumber("9" * 400), "value", "too large for a number with a point"),
        (lambda: ToNumber("NaN"), "value", "is no number"),
        (lambda: ToInteger("nan"), "value", "is no number"),
        (lambda: ToInteger("inf"), "value", "has no nearest whole number"),
        (lambda: ToInteger(float("-inf"), "cut off"), "value", "has no nearest whole number"),
        (lambda: Round(float("nan")), "number", "has no nearest whole number"),
    ],
)
def test_numbers_that_are_none_are_told_by_the_input_that_they_came_by(
    work: Callable[[], object], port: str, said: str
) -> None:
    with pytest.raises(InvalidValue, match=said) as caught:
        work()
    assert caught.value.problem.port == port


def test_infinity_is_reckoned_with() -> None:
    assert Calculate(float("inf"), "min", 40.0) == 40
    assert Calculate(float("inf"), "-", 1.0) == float("inf")
    assert ToNumber("inf") == float("inf")
    assert ToInteger("9" * 400) == int("9" * 400)
