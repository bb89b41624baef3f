"""Brackets weigh words; everything else is text."""

from __future__ import annotations

from itertools import pairwise
from math import isclose

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from nodegraph.errors import InvalidValue
from nodegraph.families.prompts import WeightedText, escape_prompt, parse_chunks, parse_prompt
from tests.messages import raises

MARKUP = "()[]\\:|AB"


@pytest.mark.parametrize(
    ("prompt", "spans"),
    [
        ("", [("", 1.0)]),
        ("a red apple", [("a red apple", 1.0)]),
        ("a (red:1.3) apple", [("a ", 1.0), ("red", 1.3), (" apple", 1.0)]),
        ("(red)", [("red", 1.1)]),
        ("[red]", [("red", 1 / 1.1)]),
        ("(a (red) apple:2)", [("a ", 2.0), ("red", 2.2), (" apple", 2.0)]),
        ("((a))", [("a", 1.1 * 1.1)]),
        ("([a])", [("a", 1.0)]),
        ("(a: .5 )", [("a", 0.5)]),
        ("(a:-1)", [("a", -1.0)]),
        ("(a:+2.)", [("a", 2.0)]),
        ("(a:0)", [("a", 0.0)]),
        (r"\(a\) \[b\] \\", [(r"(a) [b] " + "\\", 1.0)]),
        (r"(a\):2)", [("a)", 2.0)]),
        (r"C:\temp", [(r"C:\temp", 1.0)]),
        ("(a", [("(a", 1.0)]),
        ("a)", [("a)", 1.0)]),
        ("(a:1.5", [("(a:1.5", 1.0)]),
        ("a:1.5)", [("a:1.5)", 1.0)]),
        ("(a [b) c]", [("a [b", 1.1), (" c]", 1.0)]),
        ("[a:0.5]", [("a:0.5", 1 / 1.1)]),
        ("((:", [("((:", 1.0)]),
        ("()", [("", 1.0)]),
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        ("(a:1)(b:1)", [("ab", 1.0)]),
        ("(a\nb:2)", [("a\nb", 2.0)]),
        (r"\AND \BREAK \| \: ANDY", [("AND BREAK | : ANDY", 1.0)]),
        ("(a AND b)", [("a AND b", 1.1)]),
        ("(a BREAK b:2)", [("a  b", 2.0)]),
    ],
)
def test_parsing(prompt: str, spans: list[tuple[str, float]]) -> None:
    found = parse_prompt(prompt)

    assert [span.text for span in found] == [text for text, _ in spans]
    for span, (_, weight) in zip(found, spans, strict=True):
        assert isclose(span.weight, weight)


@given(st.text().map(escape_prompt) | st.text(st.characters(exclude_characters=MARKUP)))
def test_text_without_markup_has_weight_one(prompt: str) -> None:
    assert [span.weight for span in parse_prompt(prompt)] == [1.0]


@given(st.text())
def test_an_escaped_text_means_itself(text: str) -> None:
    assert parse_prompt(escape_prompt(text)) == [WeightedText(text, 1.0)]


@given(st.text(), st.integers(0, 6), st.integers(0, 6))
def test_nesting_multiplies(text: str, rounds: int, squares: int) -> None:
    assume(text)
    prompt = "(" * rounds + "[" * squares + escape_prompt(text) + "]" * squares + ")" * rounds

    [span] = parse_prompt(prompt)

    assert span.text == text
    assert isclose(span.weight, 1.1 ** (rounds - squares))


@given(st.text("ab ()[]\\:.123-+", max_size=40))
def test_any_prompt_is_read_without_loss_of_words(prompt: str) -> None:
    try:
        spans = parse_prompt(prompt)
    except InvalidValue:
        return

    letters = "".join(span.text for span in spans)
    assert [letter for letter in letters if letter in "ab "] == [
        letter for letter in prompt if letter in "ab "
    ] or ":" in prompt
    assert all(one.weight != two.weight for one, two in pairwise(spans))


@given(st.lists(st.tuples(st.text(min_size=1), st.floats(0.01, 9.99)), max_size=5))
def test_weights_come_back_as_written(parts: list[tuple[str, float]]) -> None:
    prompt = "".join(f"({escape_prompt(text)}:{weight:.2f})" for text, weight in parts)

    expected: list[WeightedText] = []
    for text, weight in parts:
        rounded = float(f"{weight:.2f}")
        if expected and expected[-1].weight == rounded:
            expected[-1] = WeightedText(expected[-1].text + text, rounded)
        else:
            expected.append(WeightedText(text, rounded))
    assert parse_prompt(prompt) == (expected or [WeightedText("", 1.0)])


def test_a_break_parts_spans_in_brackets_too() -> None:
    found = parse_chunks("a (b BREAK c:2) BREAKS")
    expected = [[("a ", 1.0), ("b ", 2.0)], [(" c", 2.0), (" BREAKS", 1.0)]]
    assert found == [[WeightedText(*span) for span in chunk] for chunk in expected]


@pytest.mark.parametrize(
    "prompt", ["(a:1001)", "(a:-2000)", f"(a:{'9' * 400})", "(" * 80 + "a" + ")" * 80]
)
def test_absurd_weights_are_refused(prompt: str) -> None:
    with raises(InvalidValue, port="text"):
        parse_prompt(prompt)


@pytest.mark.parametrize("piece", ["(a", "a)", "[(", "([a", "a:1)", "\\", "(a [b) ", "(a)"])
def test_long_prompts_of_open_brackets_are_read(piece: str) -> None:
    # Quadratic reading would take minutes here.
    assert parse_prompt(piece * 20_000)
