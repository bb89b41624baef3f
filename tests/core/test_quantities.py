"""Sizes and ages as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.cli.output import format_size
from nodegraph.core.text_format import parse_age, parse_size
from nodegraph.errors import InvalidValue
from tests.messages import raises


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("12", 12),
        ("2GB", 2_000_000_000),
        ("2 gb", 2_000_000_000),
        ("1.5GiB", 3 << 29),
        (".5k", 500),
        ("3M", 3_000_000),
        ("1TB", 10**12),
    ],
)
def test_sizes_are_read_in_any_unit(text: str, size: int) -> None:
    assert parse_size(text, "--to") == size


@pytest.mark.parametrize("text", ["", "GB", "-1", "2 GB please", "1e9", "2XB", "1.2.3", "9" * 400])
def test_what_is_no_size_is_told(text: str) -> None:
    with raises(InvalidValue):
        parse_size(text, "--to")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30d", 2_592_000), ("12h", 43_200), ("90m", 5400), ("90 min", 5400), ("2W", 1_209_600)],
)
def test_ages_are_read_in_any_unit(text: str, seconds: float) -> None:
    assert parse_age(text, "--older-than") == seconds


@pytest.mark.parametrize("text", ["30", "", "d", "1y", "-1d"])
def test_what_is_no_age_is_told(text: str) -> None:
    with raises(InvalidValue):
        parse_age(text, "--older-than")


@given(st.integers(0, 999 * 10**12))
def test_what_is_printed_can_be_given(size: int) -> None:
    assert parse_size(format_size(size), "--to") == pytest.approx(size, rel=0.06, abs=1)
