"""Expressions of numbers: what they give, and that they reach nothing else."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nodegraph_nodes.number import (
    Formula,
    Logic,
    RandomNumber,
    SeedFromText,
    SharedSeed,
    ToInteger,
    ToNumber,
)

from nodegraph.errors import InvalidValue
from tests.messages import raises
from tests.nodes.conftest import Bench


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b * 2", 11.0),
        ("(a + b) / 2", 3.5),
        ("a ^ 2 + b ** 2", 25.0),
        ("7 // 2 + 7 % 4", 6.0),
        ("-a if b > 3 else a", -3.0),
        ("1 < a <= 3 and not b == 3", 1.0),
        ("clamp(a * 10, 0, 8) + max(1, 2, 3)", 11.0),
        ("round(sqrt(a\n* a))", 3.0),
        ("b == 5 or a == 3", 1.0),
        ("0 and 1 / 0", 0.0),
        ("(a * 10 + 1.5) & ~1", 30.0),
        ("int(b / 3) | 2", 3.0),
        ("round(b / 3, 2) + pow(a, 2)", 10.33),
    ],
)
def test_what_an_expression_gives(expression: str, expected: float) -> None:
    found = Formula(expression, a=3.0, b=4.0)
    assert found.number == pytest.approx(expected)
    assert found == (found.number, round(found.number), bool(found.number))


def test_the_part_after_the_point_can_be_cut_off() -> None:
    assert Formula("a / 2", a=515.0).integer == 258
    assert Formula("a / 2", a=515.0, whole="cut off").integer == 257
    assert ToInteger("-1.9", whole="cut off") == -1


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.sampled_from("+-*"))
def test_it_calculates_as_python_does(a: float, b: float, sign: str) -> None:
    assert Formula(f"a {sign} b", a=a, b=b).number == eval(f"a {sign} b")


@pytest.mark.parametrize(
    "expression",
    [
        *("__import__('os')", "a.real", "[a]", "(lambda: 1)()", "'x' * 9", "a := 1", "f'{a}'"),
        *("9 ** 9 ** 9", "10 ** 400", "9" * 900, "1 / 0", "sqrt(-1)", "log(0)", "1e308 * 10"),
        *("sin", "sin()", "min(1)", "x + 1", "a +", "", "a\x00", "abs(x=1)", "1j", "a if b"),
        *("(" * 400, "-" * 990 + "a", "a " * 600, "not " * 240 + "a"),
    ],
)
def test_what_is_no_expression_of_numbers_is_refused(expression: str) -> None:
    if expression.startswith(("-----", "not not")):
        assert_ends(expression)
        return
    with raises(InvalidValue, port="expression"):
        Formula(expression, a=1.0)


def assert_ends(expression: str) -> None:
    """Either it has a value, or it says that it is nested too deeply: nothing breaks."""
    with suppress(InvalidValue):
        assert Formula(expression, a=1.0).number in (-1.0, 0.0, 1.0)


def test_a_faulty_expression_is_told_before_anything_runs(bench: Bench) -> None:
    [problem] = bench.problems({"f": {"type": "Formula", "inputs": {"expression": "a + x"}}}, "f")
    assert (problem.port, "`x`" in problem.message) == ("expression", True)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [("and", [0, 0, 0, 1]), ("or", [0, 1, 1, 1]), ("xor", [0, 1, 1, 0]), ("not", [1, 1, 0, 0])],
)
def test_logic(operation: Any, expected: list[int]) -> None:
    pairs = [(False, False), (False, True), (True, False), (True, True)]
    assert [Logic(a, operation, b) for a, b in pairs] == [bool(value) for value in expected]


def test_seeds_are_seeds() -> None:
    assert SharedSeed(2**64 - 1, 2) == 1
    assert SeedFromText("Ada") == SeedFromText("Ada")
    seeds = {SeedFromText(text, number) for text in ("Ada", "ada", "") for number in range(3)}
    assert len(seeds) == 9
    assert all(0 <= seed < 2**64 for seed in seeds)


def test_random_numbers_are_drawn_again_within_their_bounds() -> None:
    drawn = [RandomNumber(seed, 1.0, 6.0) for seed in range(200)]
    assert drawn == [RandomNumber(seed, 1.0, 6.0) for seed in range(200)]
    assert {number.integer for number in drawn} == {1, 2, 3, 4, 5, 6}
    assert all(1.0 <= number.number <= 6.0 for number in drawn)
    assert RandomNumber(1, 0.2, 0.4).integer == 0
    with raises(InvalidValue, port="low", given="2"):
        RandomNumber(0, 2.0, 1.0)


def test_values_become_numbers() -> None:
    assert [ToInteger(value) for value in (" 7 ", "-3.6", 2.5, True, 2**70)] == [7, -4, 2, 1, 2**70]
    assert [ToNumber(value) for value in ("1e-3", 4, False)] == [0.001, 4.0, 0.0]
    for wrong in ("", "seven", "1_000", None, [1], "0x10"):
        with raises(InvalidValue, port="value"):
            ToNumber(wrong)
    with pytest.raises(InvalidValue):
        ToInteger(math.inf)


def test_a_name_that_is_none_is_told() -> None:
    for expression in ("factorial(a)", "a + x"):
        with raises(InvalidValue, port="expression"):
            Formula(expression, a=1)
