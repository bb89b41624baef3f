"""Port types: reading expressions, and which output fits which input."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.core.types import (
    BUILT_IN,
    Fit,
    TypeExpr,
    TypeInfo,
    TypeTable,
    convert,
    fit,
    list_of,
    named_type,
    parse_type,
    union_of,
)
from tests.messages import raises
from tests.properties import examples

TYPES = TypeTable()
NAMES = st.sampled_from([info.name for info in BUILT_IN])
EXPRESSIONS = st.recursive(
    NAMES.map(named_type),
    lambda inner: st.one_of(
        inner.map(list_of), st.lists(inner, min_size=1, max_size=3).map(union_of)
    ),
    max_leaves=5,
)


def fitted(source: str, target: str, types: TypeTable = TYPES) -> Fit | None:
    return fit(parse_type(source), parse_type(target), types)


@settings(max_examples=examples(100), deadline=None)
@given(EXPRESSIONS)
def test_a_printed_type_reads_back(expr: TypeExpr) -> None:
    assert parse_type(str(expr)) == expr


@settings(max_examples=examples(100), deadline=None)
@given(EXPRESSIONS)
def test_every_type_fits_itself_and_any(expr: TypeExpr) -> None:
    assert fit(expr, expr, TYPES) == Fit()
    assert fit(expr, named_type("Any"), TYPES) == Fit()


@settings(max_examples=examples(100), deadline=None)
@given(EXPRESSIONS, EXPRESSIONS)
def test_a_list_fits_wherever_its_items_do(source: TypeExpr, target: TypeExpr) -> None:
    if fit(source, target, TYPES) is not None:
        assert fit(list_of(source), target, TYPES) is not None


@settings(max_examples=examples(100), deadline=None)
@given(EXPRESSIONS, EXPRESSIONS, EXPRESSIONS)
def test_a_wider_input_takes_no_less(source: TypeExpr, target: TypeExpr, more: TypeExpr) -> None:
    if fit(source, target, TYPES) == Fit():
        assert fit(source, union_of([target, more]), TYPES) == Fit()


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("int", "float", Fit(("int_to_float",))),
        ("Mask", "Image", Fit(("mask_to_image",))),
        ("Image", "list[Image]", Fit(("one_to_list",))),
        ("Mask", "list[Image]", Fit(("mask_to_image", "one_to_list"))),
        ("list[Mask]", "list[Image]", Fit(("each:mask_to_image",))),
        ("list[Image]", "Image", Fit((), 1)),
        ("list[list[int]]", "float", Fit(("int_to_float",), 2)),
        ("Image", "Image | Mask", Fit()),
        ("Image | Mask", "Image", None),
        ("float", "int", None),
        ("Image", "Latent", None),
    ],
)
def test_what_fits_and_how(source: str, target: str, expected: Fit | None) -> None:
    assert fitted(source, target) == expected


@pytest.mark.parametrize(
    ("source", "target", "value", "expected"),
    [
        ("int", "float", 3, 3.0),
        ("str", "Path", "a/b", Path("a/b")),
        ("int", "list[float]", 3, [3.0]),
        ("list[int]", "list[float]", [1, 2], [1.0, 2.0]),
        ("list[list[int]]", "list[list[float]]", [[1], []], [[1.0], []]),
    ],
)
def test_conversions_make_the_value_the_input_takes(
    source: str, target: str, value: Any, expected: Any
) -> None:
    found = fitted(source, target)
    assert found is not None
    assert found.map_depth == 0
    assert convert(value, found.conversions) == expected
    assert repr(convert(value, found.conversions)) == repr(expected)


def test_a_subtype_fits_its_parents_input() -> None:
    types = TypeTable([TypeInfo("Base"), TypeInfo("Middle", parents=("Base",))])
    types.add(TypeInfo("Special", parents=("Middle",)))
    assert fitted("Special", "Base", types) == Fit()
    assert fitted("Base", "Special", types) is None


def test_parents_that_lead_in_a_circle_end() -> None:
    types = TypeTable([TypeInfo("A", parents=("B",)), TypeInfo("B", parents=("A",))])
    assert fitted("A", "B", types) == Fit()
    assert fitted("A", "Image", types) is None


def test_deep_lists_are_compared_quickly() -> None:
    deep, other = "Image", "Latent"
    for _ in range(16):
        deep, other = f"list[{deep}]", f"list[{other}]"
    assert fitted(deep, other) is None


def test_one_name_cannot_mean_two_types() -> None:
    types = TypeTable([TypeInfo("Depth", color="#000000")])
    types.add(TypeInfo("Depth", color="#000000"))
    with raises(ValueError):
        types.add(TypeInfo("Depth", color="#ffffff"))


@pytest.mark.parametrize(
    "text", ["", "list[", "list[int", "int]", "int |", "| int", "a b", "3", "list[int]]", "[int]"]
)
def test_what_is_no_type_is_refused(text: str) -> None:
    with raises(ValueError):
        parse_type(text)


def test_endless_lists_are_refused() -> None:
    with raises(ValueError):
        parse_type("list[" * 5000 + "int" + "]" * 5000)


def test_a_union_is_flat_and_without_doubles() -> None:
    assert str(parse_type("Image | Mask | Image")) == "Image | Mask"
    assert parse_type("Image|Image") == named_type("Image")
    assert sorted(parse_type("list[Image | Mask]").type_names()) == ["Image", "Mask"]


def test_an_unknown_type_is_shown_plainly() -> None:
    assert TYPES.info("Fancy").name == "Fancy"
    assert "Fancy" not in TYPES
    assert "Image" in TYPES.names()
