"""Plots: what they hold, and their form in JSON, which is bounded and loses no peak."""

from __future__ import annotations

import json
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph import InvalidValue, Plot, Series
from nodegraph.core.digests import digest_value
from nodegraph.core.plots import MOST_SERIES, plot_to_plain, thinned_indices
from tests.properties import examples

WALK = st.lists(st.floats(-1e6, 1e6) | st.just(nan), min_size=2, max_size=300)


def test_lists_and_other_numbers_become_tuples_of_float() -> None:
    made = Series("a", range(3), [1, True, 2.5])  # type: ignore[arg-type]
    assert (made.x, made.y) == ((0.0, 1.0, 2.0), (1.0, 1.0, 2.5))
    assert digest_value(made) == digest_value(Series("a", (0.0, 1.0, 2.0), (1.0, 1.0, 2.5)))


@pytest.mark.parametrize(
    ("made", "port"),
    [
        (lambda: Series("a", (1, 2), (1,)), "x"),
        (lambda: Series("a", (1,), (1,), low=(0,)), "high"),
        (lambda: Series("a", (nan,), (1,)), "x"),
        (lambda: Plot(series=(Series("a", (1,), (1,)), Series("b", ("c",), (1,)))), "series"),
    ],
)
def test_what_does_not_fit_is_refused(made: Any, port: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        made()
    assert caught.value.problem.port == port


def test_the_form_is_json_with_null_for_gaps() -> None:
    band = Series("a", (1, 2.5, 3), (0.1, nan, inf), low=(0, nan, 1), high=(1, nan, 2))
    plot = Plot("T", "x", "y", (band,), y_scale="log", notes=("n",))
    form = plot_to_plain(plot)
    assert json.loads(json.dumps(form, allow_nan=False)) == form
    assert form["series"] == [
        {
            "name": "a",
            "kind": "line",
            "x": [1, 2.5, 3],
            "y": [0.1, None, None],
            "low": [0, None, 1],
            "high": [1, None, 2],
        }
    ]
    rest = {name: value for name, value in form.items() if name != "series"}
    assert rest == {
        "format": "nodegraph/plot/1",
        "title": "T",
        "x_label": "x",
        "y_label": "y",
        "x_scale": "linear",
        "y_scale": "log",
        "notes": ["n"],
    }


@given(WALK, st.integers(8, 40))
@settings(max_examples=examples(60))
def test_what_is_thinned_keeps_ends_and_extremes(walk: list[float], most: int) -> None:
    kept = thinned_indices(Series("a", range(len(walk)), walk), most)  # type: ignore[arg-type]
    assert len(kept) <= most
    assert list(kept) == sorted(set(kept))
    assert {0, len(walk) - 1} <= set(kept)
    numbers = [value for value in walk if value == value]
    if numbers:
        shown = [walk[at] for at in kept if walk[at] == walk[at]]
        assert (min(shown), max(shown)) == (min(numbers), max(numbers))


def test_the_form_is_bounded_and_says_what_it_leaves_out() -> None:
    long = Series("x" * 1000, range(10_000), [at % 97 for at in range(10_000)])  # type: ignore[arg-type]
    form = plot_to_plain(Plot(series=(long,) * 100), most=1000, digits=3)
    assert len(form["series"]) == MOST_SERIES
    assert {each["points"] for each in form["series"]} == {10_000}
    assert sum(len(each["y"]) for each in form["series"]) <= 1000
    assert form["notes"] == ["36 more series are not shown."]
    assert len(json.dumps(form)) < 100_000
