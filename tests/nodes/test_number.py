"""Comparing and calculating."""

from __future__ import annotations

import pytest
from nodegraph_nodes.number import Calculate, Compare, Round

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
