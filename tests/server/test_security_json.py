"""The gauge of JSON texts: levels and values are counted before anything reads them."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.server.http.errors import TooLarge
from nodegraph.server.http.limits.body import JsonGauge

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


def size(value: Any) -> int:
    """Lists, objects and what stands between commas."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    members = list(inner)
    return (
        bool(isinstance(value, (dict, list))) + max(0, len(members) - 1) + sum(map(size, members))
    )


def passes(text: bytes, pieces: list[int], *, levels: int, values: int) -> bool:
    gauge = JsonGauge(levels, values)
    ends = sorted({0, len(text), *(cut % (len(text) + 1) for cut in pieces)})
    try:
        for start, end in itertools.pairwise(ends):
            gauge.feed(text[start:end])
    except TooLarge:
        return False
    return True


@given(VALUES, st.lists(st.integers(0, 10_000), max_size=8), st.booleans(), st.integers(0, 8))
def test_a_text_passes_exactly_if_it_is_no_deeper_than_it_may_be(
    value: Any, pieces: list[int], ascii_only: bool, levels: int
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert passes(text, pieces, levels=levels, values=1_000) is (depth(value) <= levels)


@given(VALUES, st.lists(st.integers(0, 10_000), max_size=8), st.integers(0, 12))
def test_a_text_passes_exactly_if_it_holds_no_more_than_it_may(
    value: Any, pieces: list[int], most: int
) -> None:
    assert passes(json.dumps(value).encode(), pieces, levels=99, values=most) is (
        size(value) <= most
    )


@given(st.binary(max_size=200), st.lists(st.integers(0, 300), max_size=4))
def test_what_is_no_json_breaks_nothing(data: bytes, pieces: list[int]) -> None:
    passes(data, pieces, levels=3, values=20)


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
def test_a_million_levels_are_refused_after_a_few(bracket: bytes) -> None:
    gauge = JsonGauge(64, 1_000_000)
    with pytest.raises(TooLarge):
        gauge.feed(bracket * 100)


def test_brackets_within_strings_do_not_count() -> None:
    text = json.dumps({"a": "[[[[{{{{" * 50, "b\\": '\\"[[[['}).encode()
    assert passes(text, list(range(len(text))), levels=1, values=2)
