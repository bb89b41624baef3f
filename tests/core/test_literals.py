"""Literals against what an input takes."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.core.annotations import read_annotation
from nodegraph.core.literals import check_literal, convert_literal, literal_schema, parse_literal
from nodegraph.core.spec import InputSpec
from nodegraph.core.types import parse_type
from nodegraph.errors import InvalidValue
from tests.messages import raises
from tests.properties import examples


def port(type_text: str = "int", *, nullable: bool = False, **schema: Any) -> InputSpec:
    """An input of a type, its JSON Schema narrowed by keywords."""
    base = literal_schema(parse_type(type_text))
    return InputSpec(
        name="p",
        type=type_text,
        nullable=nullable,
        json_schema=None if base is None else {**base, **schema},
    )


def told(value: Any, port: InputSpec) -> list[str]:
    return [
        f"{item.code}: "
        + "; ".join(filter(None, (item.message, item.given, item.expected, item.hint)))
        for item in check_literal(value, port)
    ]


FITTING = {
    "int": st.integers(),
    "float": st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**9), 10**9),
    "bool": st.booleans(),
    "str": st.text(),
    "dict": st.dictionaries(st.text(), st.integers(), max_size=2),
    "list[int]": st.lists(st.integers(), max_size=3),
    "list[list[str]]": st.lists(st.lists(st.text(), max_size=2), max_size=2),
}


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_what_fits_is_accepted_and_converted_to_its_type(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(FITTING)))
    value = data.draw(FITTING[kind])
    assert told(value, port(kind)) == []
    converted = convert_literal(value, port(kind))
    assert converted == value
    assert told(converted, port(kind)) == []
    assert kind != "float" or type(converted) is float


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_what_is_of_another_kind_is_refused(data: st.DataObject) -> None:
    kinds = ["int", "bool", "str", "dict", "list[int]"]
    kind = data.draw(st.sampled_from(kinds))
    other = data.draw(st.sampled_from([name for name in kinds if name != kind]))
    value = data.draw(FITTING[other])
    assert len(check_literal(value, port(kind))) == 1


@settings(max_examples=examples(100), deadline=None)
@given(st.integers(-50, 50), st.integers(-20, 20), st.integers(0, 20), st.integers(1, 9))
def test_bounds_and_multiples_are_kept(value: int, low: int, width: int, step: int) -> None:
    bounded = port("int", minimum=low, maximum=low + width, multipleOf=step)
    is_right = low <= value <= low + width and value % step == 0
    assert (check_literal(value, bounded) == []) is is_right


@settings(max_examples=examples(100), deadline=None)
@given(st.text())
def test_a_typed_prompt_stays_what_was_typed(text: str) -> None:
    assert parse_literal(text, port("str")) == text


@settings(max_examples=examples(50), deadline=None)
@given(st.integers(), st.floats(allow_nan=False, allow_infinity=False))
def test_a_typed_number_is_a_number(whole: int, number: float) -> None:
    assert parse_literal(str(whole), port("int")) == whole
    assert parse_literal(repr(number), port("float")) == number


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        (".5", "float", 0.5),
        ("3", "float", 3.0),
        ("True", "bool", True),
        ("false", "bool", False),
        ("[1, 2]", "list[int]", [1, 2]),
        ('{"a": 1}', "dict", {"a": 1}),
        ('"quoted"', "str", '"quoted"'),
        ("7", "str", "7"),
        ("7", "Any", 7),
        ("a fox", "Any", "a fox"),
        ("models/x", "Path", "models/x"),
        ("7", "int | str", 7),
        ("seven", "int | str", "seven"),
    ],
)
def test_text_becomes_the_inputs_type(text: str, kind: str, expected: Any) -> None:
    found = parse_literal(text, port(kind))
    assert found == expected
    assert type(found) is type(expected)


def test_null_is_typed_where_it_is_allowed() -> None:
    assert parse_literal("null", port("str", nullable=True)) is None
    assert parse_literal("null", port("str")) == "null"


def test_a_choice_may_be_typed_plainly_or_in_quotes() -> None:
    choice = port("str", enum=["a", "b"])
    assert parse_literal("a", choice) == "a"
    assert parse_literal('"b"', choice) == "b"


def test_typed_text_that_does_not_fit_is_refused() -> None:
    with raises(InvalidValue, port="p", given="200"):
        parse_literal("200", port("int", maximum=100))
    with raises(InvalidValue, port="p", given='"many"'):
        parse_literal("many", port("int"))
    with raises(InvalidValue, port="p", given='"x"'):
        parse_literal("x", port("Image"))


@pytest.mark.parametrize(
    ("value", "port", "message"),
    [
        ("x", port("int"), 'wrong-literal: has a value of the wrong type; "x"; a whole number'),
        (True, port("int"), "wrong-literal: has a value of the wrong type; true; a whole number"),
        (1, port("bool"), "wrong-literal: has a value of the wrong type; 1; true or false"),
        (
            "2",
            port("float"),
            'wrong-literal: has a value of the wrong type; "2"; a number; Write 2 without quotes.',
        ),
        (None, port("int"), "null-not-allowed: cannot be null; null; a whole number"),
        (5, port("int", maximum=4), "out-of-range: is too large; 5; a whole number, at most 4"),
        (0, port("int", minimum=1), "out-of-range: is too small; 0; a whole number, at least 1"),
        (
            9,
            port("int", multipleOf=4),
            "not-a-multiple: is not a multiple of 4; 9; a multiple of 4; Nearest allowed "
            "values: 8 and 12.",
        ),
        (
            9,
            port("int", multipleOf=4, maximum=10),
            "not-a-multiple: is not a multiple of 4; 9; a multiple of 4, at most 10; Nearest "
            "allowed values: 8.",
        ),
        (
            "eulr",
            port("str", enum=["euler", "heun"]),
            'not-a-choice: is not one of its choices; "eulr"; euler, heun; Did you mean `euler`?',
        ),
        (True, port("int", enum=[1, 2]), "not-a-choice: is not one of its choices; true; 1, 2"),
        (
            {},
            port("Image"),
            "link-needed: does not take a literal, only a link that carries Image; {}",
        ),
        (
            "\ud800",
            port("str"),
            "wrong-literal: holds half of a surrogate pair at position 0; '\\ud800'; Unicode text",
        ),
        (
            {},
            port("int | list[str]"),
            "wrong-literal: has a value of the wrong type; {}; a whole number or a list, each text",
        ),
        (
            float("inf"),
            port("float"),
            "wrong-literal: has a value of the wrong type; Infinity; a number",
        ),
        (
            10**400,
            port("float"),
            f"wrong-literal: has a value of the wrong type; 1{'0' * 58}…; a number",
        ),
    ],
)
def test_a_faulty_literal_is_explained(value: Any, port: InputSpec, message: str) -> None:
    assert told(value, port) == [message]


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("Euler a", "It is called `euler_ancestral` here."),
        ("euler-A", "It is called `euler_ancestral` here."),
        ("DPM++ 2M SDE Karras", "`DPM++ 2M SDE` is called `dpmpp_2m_sde` here."),
        ("eulers", "Did you mean `euler`?"),
    ],
)
def test_another_name_of_a_choice_is_told_by_the_name_here(given: str, hint: str) -> None:
    synonyms = {
        "Euler a": "euler_ancestral",
        "DPM++ 2M": "dpmpp_2m",
        "DPM++ 2M SDE": "dpmpp_2m_sde",
    }
    names = ["euler", *synonyms.values()]
    assert told(given, port("str", enum=names, synonyms=synonyms))[0].endswith(hint)


def test_every_faulty_item_of_a_list_is_told() -> None:
    assert told([1, "x", 2.5], port("list[int]")) == [
        'wrong-literal: item 1: has a value of the wrong type; "x"; a whole number',
        "wrong-literal: item 2: has a value of the wrong type; 2.5; a whole number",
    ]


def test_what_no_workflow_can_hold_is_told_however_deep_it_lies() -> None:
    anything = port("Any", json_schema={})
    plain: list[Any] = ["a", 1, 0.5, True, None, b"x", Path("a"), (1, {"a": [2]})]
    assert told(plain, anything) == []
    wanted = "texts, numbers, true, false, null, and lists and mappings of them"
    hint = "Let a node output it, and link that output."
    assert told(1j, anything) == [f"wrong-literal: is not a plain value; 1j; {wanted}; {hint}"]
    for value in ([1, {"a": {1}}], ({1},)):
        assert told(value, anything) == [
            f"wrong-literal: holds something that is not a plain value; {{1}}; {wanted}; {hint}"
        ]
    assert "half of a surrogate pair" in told([["\ud800"]], anything)[0]


@pytest.mark.parametrize("type_name", ["dict", "Any", "list[Any]"])
def test_what_json_has_no_form_for_is_told_of_any_mapping(type_name: str) -> None:
    itself: dict[str, Any] = {}
    itself["a"] = itself
    wrong = {
        "holds something that is not a plain value": {"a": 1j},
        "has a key that is not text": {"a": {(1, 2): 3}},
        "half of a surrogate pair": {"\ud800": 1},
        "is not a number that JSON allows": {"a": math.nan},
        "contains itself": itself,
    }
    taking = port(type_name, **({"type": "object"} if type_name == "dict" else {}))
    for words, value in wrong.items():
        assert words in told([value] if type_name == "list[Any]" else value, taking)[0]


@pytest.mark.parametrize("type_name", ["Any", "list[Any]", "list[str] | str"])
def test_a_list_that_no_workflow_can_hold_is_refused_where_lists_are_taken(type_name: str) -> None:
    for levels in (201, 100_000):
        with pytest.raises(InvalidValue, match="nested too deeply"):
            parse_literal("[" * levels + "1" + "]" * levels, port(type_name))
    for text in ("[NaN]", "[1e999]"):
        with pytest.raises(InvalidValue, match=r"is not a number that JSON allows|wrong type"):
            parse_literal(text, port(type_name))
    assert parse_literal("[1, 2", port("Any")) == "[1, 2"
    with pytest.raises(InvalidValue, match="is not a number that JSON allows"):
        parse_literal('{"a": 1e999}', port("Any"))


def test_where_text_alone_is_taken_brackets_are_text() -> None:
    for text in ("[NaN]", "[" * 100_000 + "]" * 100_000, '{"a": 1e999}'):
        assert parse_literal(text, port("str")) == text


def test_a_literal_is_of_so_many_levels_at_most() -> None:
    taking, deep = port("Any", json_schema={}), 1
    for _ in range(200):
        deep = [deep]  # type: ignore[assignment]
    assert told(deep, taking) == []
    [said] = told([deep], taking)
    assert "nested too deeply" in said
    assert "at most 200 levels" in said


def test_a_list_of_anything_names_the_depth_of_what_is_too_deep_in_it() -> None:
    deep: object = object()
    for _ in range(201):
        deep = [deep]
    assert "nested too deeply" in told(deep, port("list[Any]"))[0]


def test_whole_numbers_that_are_written_nowhere_are_told() -> None:
    said = "out-of-range: is too long; a number of 16,610 bits; at most 4,200 digits"
    for any_port in (port("Any", json_schema={}), port("int", json_schema={"type": "integer"})):
        assert told(10**4200, any_port) == []
        assert told(-(10**5000), any_port) == [said]
    assert told([{"a": 10**5000}], port("Any", json_schema={})) == [said]


def test_the_option_of_the_values_kind_says_what_is_wrong() -> None:
    read = read_annotation(int | None)
    union = replace(
        port("int | str"),
        json_schema={"anyOf": [{"type": "integer", "maximum": 3}, {"type": "string"}]},
    )
    assert told(4, union)[0].startswith("out-of-range")
    assert read.nullable


def test_literals_are_converted() -> None:
    assert repr(convert_literal(3, port("float"))) == "3.0"
    assert repr(convert_literal(3.0, port("int"))) == "3"
    assert repr(convert_literal((1, 2), port("list[float]"))) == "[1.0, 2.0]"
    assert convert_literal(Path("a"), port("Path")) == "a"
    assert repr(convert_literal(1.0, port("int", enum=[1, 2]))) == "1"
    assert repr(convert_literal(3, port("str | float"))) == "3.0"
    assert convert_literal(None, port("int", nullable=True)) is None
