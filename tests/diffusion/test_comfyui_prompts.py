"""Prompts of ComfyUI's page: what they say, and the prompt that says a text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.errors import InvalidValue
from nodegraph.sampling.comfyui_prompts import (
    can_be_escaped,
    draw_prompt,
    escaped_prompt,
    every_prompt,
    has_choices,
    plain_prompt,
    without_comments,
)
from tests.messages import raises
from tests.properties import examples

TEXTS = st.text(st.sampled_from("\\{|}/* \nab"), max_size=12)


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ("a {red|green} {1|2}", ["a red 1", "a red 2", "a green 1", "a green 2"]),
        ("a {red|{green|blue}} cat", ["a red cat", "a green cat", "a blue cat"]),
        ("a {red|green", ["a red", "a green"]),
        ("a {cat {asleep}} here} | there", ["a cat asleep here} | there"]),
        (":}", [":}"]),
        ("{2.5::a|b}", ["2.5::a", "b"]),
        ("{2$$a|b}", ["2$$a", "b"]),
        ("{__cat__|b}", ["__cat__", "b"]),
        (r"foo\_bar \(baz\) {a\|b|c}", [r"foo\_bar \(baz\) a|b", r"foo\_bar \(baz\) c"]),
        (r"\{a\|b\}", ["{a|b}"]),
        ("a // {b|c}\nd /* {e|f} */g", ["a \nd g"]),
        ("a \\", ["a \\undefined"]),
    ],
)
def test_a_prompt_says_what_the_page_sends(prompt: str, texts: list[str]) -> None:
    assert every_prompt(prompt, 100) == texts
    assert {draw_prompt(prompt, seed) for seed in range(40)} == set(texts)
    assert has_choices(prompt) == (len(texts) > 1)


@given(TEXTS.filter(can_be_escaped))
@settings(max_examples=examples(2000), deadline=None)
def test_any_text_has_a_prompt_that_says_it(text: str) -> None:
    prompt = escaped_prompt(text)
    assert not has_choices(prompt)
    assert plain_prompt(prompt) == text


@pytest.mark.parametrize("text", ["foo\\", "foo\\\\\\", "\\"])
def test_a_single_backslash_at_the_end_gets_a_space(text: str) -> None:
    assert not can_be_escaped(text)
    assert plain_prompt(escaped_prompt(text)) == text + " "


def test_a_text_without_signs_is_its_own_prompt() -> None:
    text = r"a (red:1.2) cat\_girl | 50 % [x] embedding:a/b"
    assert escaped_prompt(text) == text


def test_braces_in_each_other_without_end_are_refused() -> None:
    assert has_choices("{" * 1000)
    with raises(InvalidValue, port="text"):
        draw_prompt("{" * 1000, 0)


def test_too_many_prompts_are_refused() -> None:
    with raises(InvalidValue, port="most"):
        every_prompt("{a|b}" * 10, 1000)


@settings(max_examples=examples(200))
@given(TEXTS)
def test_comments_are_what_the_page_takes_for_ones(text: str) -> None:
    pattern = r"/\*.*?\*/|//[^\n\r\u2028\u2029]*"
    assert without_comments(text) == re.sub(pattern, "", text, flags=re.DOTALL)


def test_long_prompts_take_linear_time() -> None:
    # Squared, each of these would take half a minute or more.
    count = 500_000
    assert not has_choices("/* " * (count // 3))
    assert escaped_prompt("\\" * count) == "\\" * count
    assert not can_be_escaped("\\" * (count + 1))
    assert plain_prompt("{" + "a" * count + "}") == "a" * count
    assert plain_prompt("{" + "\\a" * (count // 2) + "|b}") == "\\a" * (count // 2)
