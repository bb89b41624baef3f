"""Reading JSON strictly and writing it readably."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.core.json_text import WIDTH, read_json, write_json
from nodegraph.errors import InvalidFile, InvalidValue
from tests.messages import raises
from tests.properties import examples

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@settings(max_examples=examples(100), deadline=None)
@given(JSON)
def test_what_is_written_reads_back(value: Any) -> None:
    text = write_json(value)
    assert read_json(text) == value
    assert json.loads(text) == value
    assert text.endswith("\n")


def test_short_objects_stay_on_one_line() -> None:
    assert write_json({"a": {"b": [1, 2]}}) == '{"a": {"b": [1, 2]}}\n'


def test_long_objects_are_indented() -> None:
    text = write_json({"first": {"a": 1}, "second": ["word " * 8] * 3})
    assert text.splitlines()[:3] == ["{", '  "first": {"a": 1},', '  "second": [']
    assert all(len(line) <= WIDTH for line in text.splitlines())


def test_named_objects_are_always_indented() -> None:
    text = write_json({"nodes": {"a": {}}}, expanded=[(), ("nodes",)])
    assert text == '{\n  "nodes": {\n    "a": {}\n  }\n}\n'


def test_half_a_surrogate_pair_survives() -> None:
    text = write_json({"prompt": "\ud800 é 😀"})
    text.encode()
    assert read_json(text) == {"prompt": "\ud800 é 😀"}
    assert "é 😀" in text


@pytest.mark.parametrize(
    "text",
    [
        "",
        '{\n  "a": 1,\n  "b" 2\n}',
        "{'a': 1}",
        '{"a": 1, "b": 2, "a": 3}',
        '{"a": NaN}',
        '{"a": [1, {"b": NaN}]}',
        '{"nodes": {"n": {"inputs": {"cfg": [-Infinity]}}}}',
        '{"a": 1e999}',
        "[" + "9" * 5000 + "]",
        "[" * 100_000,
    ],
)
def test_what_is_no_strict_json_is_refused(text: str) -> None:
    with raises(InvalidFile):
        read_json(text, name="wf.json")


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, {"a": object()}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with raises(InvalidValue):
        write_json(value)
