"""Reading JSON strictly and writing it readably."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.core.json_text import WIDTH, read_json, write_json
from nodegraph.errors import InvalidFile, InvalidValue
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
    ("text", "message"),
    [
        ("", "wf.json, line 1, column 1: this is no JSON: Expecting value. The file is empty."),
        ('{\n  "a": 1,\n  "b" 2\n}', "wf.json, line 3, column 7: this is no JSON: Expecting ':'"),
        ("{'a': 1}", "JSON text stands in double quotes"),
        ('{"a": 1, "b": 2, "a": 3}', "wf.json, the key `a` occurs twice in one object"),
        ('{"a": NaN}', "NaN is no JSON number"),
        ('{"a": [1, {"b": NaN}]}', "`a.1.b`: NaN is no JSON number"),
        (
            '{"nodes": {"n": {"inputs": {"cfg": [-Infinity]}}}}',
            "node `n`, input `cfg`: wf.json, -Infinity is no JSON number",
        ),
        ('{"a": 1e999}', "the number 1e999 is too large"),
        ("[" + "9" * 5000 + "]", "a number is too long"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_strict_json_is_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        read_json(text, name="wf.json")
    assert message in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, {"a": object()}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(InvalidValue, match="can't be written as JSON"):
        write_json(value)
