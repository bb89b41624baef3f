"""Shares of labels, their intervals, and how two distributions compare."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from nodegraph.errors import InvalidValue
from nodegraph.media.plots.distributions import (
    compare_distributions,
    comparison_card,
    comparison_plot,
    count_by_group,
    distribution,
    distribution_card,
    distribution_plot,
    homogeneity,
    homogeneity_of_groups,
    newcombe_interval,
    wilson_interval,
)
from tests.messages import raises


@pytest.mark.parametrize(("count", "total"), [(0, 10), (3, 10), (10, 10), (7, 400)])
def test_intervals_of_shares_are_wilsons(count: int, total: int) -> None:
    scipy = pytest.importorskip("scipy.stats")
    known = scipy.binomtest(count, total).proportion_ci(0.9, method="wilson")
    assert wilson_interval(count, total, 0.9) == pytest.approx((known.low, known.high), abs=1e-9)


def test_intervals_of_differences_are_newcombes() -> None:
    # Newcombe 1998, table II, contrast (a), method 10: 56/70 less 48/80.
    assert newcombe_interval(48, 80, 56, 70) == pytest.approx((0.0524, 0.3339), abs=1e-4)


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
    assert "green: 0 of 3 (0% to 56%)" in distribution_card(found)
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
    found = compare_distributions(["red"] * 8 + ["blue"] * 2, ["red"] * 2 + ["green"] * 8)
    changes = dict(zip(found.first.labels, found.differences, strict=True))
    assert changes == pytest.approx({"red": -0.6, "blue": -0.2, "green": 0.8})
    assert found.distance == pytest.approx(0.8)
    assert found.p_value < 0.01
    assert [each.name for each in comparison_plot(found, ("a", "b")).series] == ["a", "b"]
    card = comparison_card(found, ("a", "b"))
    assert "Limits of this plot" in card
    assert "80% of the images would need other labels" in card
    assert "\ngreen: 0 of 10 → 8 of 10, +80% (+38% to +94%)" in card


def test_percentages_are_as_exact_as_counts_are() -> None:
    hundreds = distribution_card(distribution(["red"] * 199 + ["blue"]))
    assert "blue: 1 of 200, under 1% (0% to 3%)" in hundreds
    assert "red: 199 of 200, over 99% (97% to 100%)" in hundreds
    thousands = distribution_card(distribution(["red"] * 1500 + ["blue"] * 500, level=0.995))
    assert "Labels: 2000 images, 99.5% intervals of chance" in thousands
    assert "red: 1500 of 2000, 75.0% (72.2% to 77.6%)" in thousands


def test_equal_sets_differ_by_nothing() -> None:
    found = compare_distributions(["red", "blue"], ["red", "blue"])
    assert (found.p_value, found.distance) == (1.0, 0.0)


def of_prompts(
    rng: np.random.Generator, names: Sequence[str], shares: Mapping[str, NDArray[np.float64]]
) -> tuple[list[str], list[str]]:
    """Labels of twelve images of each prompt, and their prompts."""
    labels = [label for name in names for label in rng.choice(["a", "b", "c"], 12, p=shares[name])]
    return labels, [name for name in names for _ in range(12)]


@pytest.mark.slow
@pytest.mark.parametrize("alike", [True, False], ids=["same prompts", "other prompts"])
def test_differences_are_found_as_seldom_as_the_level_says_where_there_are_none(
    alike: bool,
) -> None:
    """Each prompt has shares of its own, and both sets have prompts of one kind."""
    runs, found, plain, names = 100, 0, 0, ["a", "b", "c"]
    for run in range(runs):
        rng = np.random.default_rng(run)
        prompts = [f"prompt {place}" for place in range(20)]
        shares = {name: rng.dirichlet([1, 1, 1]) for name in prompts}
        first, of_first = of_prompts(rng, prompts if alike else prompts[:10], shares)
        second, of_second = of_prompts(rng, prompts if alike else prompts[10:], shares)
        by_prompt = count_by_group(first, names, of_first), count_by_group(second, names, of_second)
        found += homogeneity_of_groups(*by_prompt) < 0.05
        plain += homogeneity(*(sum(each.values()) for each in by_prompt)) < 0.05
    # 5 are expected of 100 runs at 1 in 20; 11 or more come in 1 of 100 such tests
    assert 1 <= found <= 10
    if not alike:
        assert plain > runs / 4


def test_a_difference_that_all_prompts_have_is_found_by_groups_too() -> None:
    prompts = [f"prompt {place}" for place in range(8) for _ in range(5)]
    first, second = ["red"] * 40, (["red"] * 2 + ["blue"] * 3) * 8
    other = [f"other {prompt}" for prompt in prompts]
    for of_second in (prompts, other):
        found = compare_distributions(first, second, first_groups=prompts, second_groups=of_second)
        assert found.p_value < 0.02
        low, high = dict(zip(found.first.labels, found.intervals, strict=True))["blue"]
        assert low <= 0.6 <= high
        assert low > 0
        assert found.groups == (8, 8)
        assert "8 and 8" in comparison_card(found, ("a", "b"))
    assert "treated as independent" in comparison_card(
        compare_distributions(first, second), ("a", "b")
    )


def test_two_prompts_of_each_are_too_few_to_find_anything() -> None:
    first, second = ["red"] * 40, ["blue"] * 40
    groups = ["one"] * 20 + ["two"] * 20
    others = ["three"] * 20 + ["four"] * 20
    found = compare_distributions(first, second, first_groups=groups, second_groups=others)
    # 2 of the 6 ways to deal them out are as far apart
    assert found.p_value == pytest.approx(1 / 3, abs=0.03)
    assert compare_distributions(first, second).p_value < 0.001


def test_what_cant_be_counted_is_named() -> None:
    with raises(InvalidValue, port="labels"):
        distribution([])
    with raises(InvalidValue, port="categories", given="red"):
        distribution(["red"], ["blue"])
    with raises(InvalidValue, port="groups", given="2"):
        distribution(["red"], groups=["a", "b"])
    with raises(InvalidValue, port="second"):
        compare_distributions(["red"], [])
    with raises(InvalidValue, port="second_groups", given="0"):
        compare_distributions(["red", "blue"], ["red"], first_groups=["a", "b"])
    with raises(InvalidValue, port="first_groups", given="1"):
        compare_distributions(
            ["red", "blue"], ["red"], first_groups=["a", "a"], second_groups=["b"]
        )
