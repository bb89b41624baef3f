"""Comparing and calculating."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from nodegraph_nodes.list import NumberRange
from nodegraph_nodes.number import Calculate, Compare, RandomNumber, Round, ToInteger, ToNumber

from nodegraph.errors import InvalidValue
from tests.messages import raises


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
    with raises(InvalidValue, port="b", given="0"):
        Calculate(1.0, "/", 0.0)


def test_rounding() -> None:
    assert [Round(number) for number in (1.4, 1.5, 2.5, -1.6)] == [1, 2, 2, -2]
    with raises(InvalidValue, port="number", given="inf"):
        Round(float("inf"))


@pytest.mark.parametrize(
    ("work", "port"),
    [
        (lambda: Calculate(1e308, "*", 10.0), "operation"),
        (lambda: Calculate(-1e308, "-", 1e308), "operation"),
        (lambda: RandomNumber(1, -1.7e308, 1.7e308), "high"),
        (lambda: NumberRange(-1.7e308, 1.7e308, 3), "end"),
        (lambda: ToNumber("9" * 400), "value"),
        (lambda: ToNumber("NaN"), "value"),
        (lambda: ToInteger("nan"), "value"),
        (lambda: ToInteger("inf"), "value"),
        (lambda: ToInteger(float("-inf"), "cut off"), "value"),
        (lambda: Round(float("nan")), "number"),
    ],
)
def test_numbers_that_are_none_are_told_by_the_input_that_they_came_by(
    work: Callable[[], object], port: str
) -> None:
    with raises(InvalidValue) as caught:
        work()
    assert caught.value.problem.port == port


def test_infinity_is_reckoned_with() -> None:
    assert Calculate(float("inf"), "min", 40.0) == 40
    assert Calculate(float("inf"), "-", 1.0) == float("inf")
    assert ToNumber("inf") == float("inf")
    assert ToInteger("9" * 400) == int("9" * 400)
