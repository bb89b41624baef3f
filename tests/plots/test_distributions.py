"""Shares of labels, their intervals, and how two distributions compare."""

from __future__ import annotations

import pytest

from nodegraph.errors import InvalidValue
from nodegraph.plots.distributions import (
    compared,
    comparison_card,
    comparison_plot,
    difference,
    distribution,
    distribution_card,
    distribution_plot,
    homogeneity,
    wilson,
)
from tests.messages import raises


@pytest.mark.parametrize(("count", "total"), [(0, 10), (3, 10), (10, 10), (7, 400)])
def test_intervals_of_shares_are_wilsons(count: int, total: int) -> None:
    scipy = pytest.importorskip("scipy.stats")
    known = scipy.binomtest(count, total).proportion_ci(0.9, method="wilson")
    assert wilson(count, total, 0.9) == pytest.approx((known.low, known.high), abs=1e-9)


def test_intervals_of_differences_are_newcombes() -> None:
    # Newcombe 1998, table II, contrast (a), method 10: 56/70 less 48/80.
    assert difference(48, 80, 56, 70) == pytest.approx((0.0524, 0.3339), abs=1e-4)


@pytest.mark.parametrize(("first", "second"), [((9, 3), (2, 8)), ((5, 5), (6, 4))])
def test_the_chance_of_two_samples_is_the_exact_tests(
    first: tuple[int, int], second: tuple[int, int]
) -> None:
    scipy = pytest.importorskip("scipy.stats")
    exact = scipy.fisher_exact([first, second]).pvalue
    # 9,999 permutations: three standard errors.
    assert homogeneity(first, second) == pytest.approx(exact, abs=0.015)


def test_labels_are_counted_over_all_there_are() -> None:
    found = distribution(["red", "blue", "red"], ["blue", "green", "red"])
    assert found.counts == (1, 0, 2)
    assert found.intervals[1][0] == 0
    assert "green: 0.0%" in distribution_card(found)
    [bars] = distribution_plot(found, "a").series
    assert bars.kind == "bars"
    assert bars.low == tuple(low for low, _ in found.intervals)


def test_pictures_of_few_prompts_say_less_than_as_many_independent_ones() -> None:
    labels = ["red"] * 20 + ["blue"] * 20
    plain = distribution(labels)
    grouped = distribution(labels, groups=["one"] * 20 + ["two"] * 20)
    assert grouped.intervals[0] == (0, 1)
    assert plain.intervals[0][0] > 0.3
    assert distribution(labels, groups=["one", "two"] * 20).intervals[0] == (0.5, 0.5)


def test_two_sets_are_compared_over_the_labels_of_both() -> None:
    found = compared(["red"] * 8 + ["blue"] * 2, ["red"] * 2 + ["green"] * 8)
    changes = dict(zip(found.first.labels, found.differences, strict=True))
    assert changes == pytest.approx({"red": -0.6, "blue": -0.2, "green": 0.8})
    assert found.distance == pytest.approx(0.8)
    assert found.chance < 0.01
    assert [each.name for each in comparison_plot(found, ("a", "b")).series] == ["a", "b"]
    assert "can't show" in comparison_card(found, ("a", "b"))


def test_equal_sets_differ_by_nothing() -> None:
    found = compared(["red", "blue"], ["red", "blue"])
    assert (found.chance, found.distance) == (1.0, 0.0)


def test_what_cant_be_counted_is_named() -> None:
    with raises(InvalidValue, port="labels"):
        distribution([])
    with raises(InvalidValue, port="categories", given="red"):
        distribution(["red"], ["blue"])
    with raises(InvalidValue, port="groups", given="2"):
        distribution(["red"], groups=["a", "b"])
    with raises(InvalidValue, port="second"):
        compared(["red"], [])
