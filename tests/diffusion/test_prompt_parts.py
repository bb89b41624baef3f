"""Prompts that are several texts: at each step exactly the one that the markup says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.core.values import StepSpan
from nodegraph.errors import InvalidValue
from nodegraph.families.prompts import escape_prompt, parse_prompt
from nodegraph.models.prompt_syntax import PromptPart, joint_parts, prompt_parts, texts_of
from tests.messages import raises
from tests.properties import examples


def parts(prompt: str, *, weighs_words: bool = True, syntax: Any = "on") -> list[PromptPart]:
    return prompt_parts(prompt, weighs_words=weighs_words, syntax=syntax)


def at(found: list[PromptPart], step: int, steps: int) -> list[str]:
    """The texts that apply at a step."""
    progress = step / steps
    return [
        item.text
        for item in found
        if item.start <= progress < item.end and (item.steps is None or item.steps.holds(step))
    ]


def course(prompt: str, steps: int = 10, **options: Any) -> list[str]:
    """The text of each step."""
    found = parts(prompt, **options)
    texts = [at(found, step, steps) for step in range(steps)]
    assert all(len(item) == 1 for item in texts), texts
    return [item[0] for item in texts]


@pytest.mark.parametrize(
    ("prompt", "steps", "expected"),
    [
        ("a [cat:dog:0.5]", 4, ["a cat"] * 2 + ["a dog"] * 2),
        ("a [cat:dog:3]", 4, ["a cat"] * 3 + ["a dog"]),
        ("[cat:1]", 2, ["", "cat"]),
        ("[cat::0.3]", 10, ["cat"] * 3 + [""] * 7),
        ("[:cat:0.5]", 2, ["", "cat"]),
        ("[a:b:1.0]", 2, ["a", "a"]),
        ("[a:b:0]", 2, ["b", "b"]),
        ("[a:b: .5 ]", 2, ["a", "b"]),
        ("[a|b|c]", 5, ["a", "b", "c", "a", "b"]),
        ("[a|]x", 3, ["ax", "x", "ax"]),
        ("[[a:b:0.25]:c:0.5]", 4, ["a", "b", "c", "c"]),
        ("[[a|b]:c:2]", 4, ["a", "b", "c", "c"]),
        ("[[a:b:2]|c]", 4, ["a", "c", "b", "c"]),
        ("[a|b] [c|d|e]", 6, ["a c", "b d", "a e", "b c", "a d", "b e"]),
        ("([a:b:0.5]:1.2)", 2, ["(a:1.2)", "(b:1.2)"]),
        ("[(a:1.2):[b]:0.5]", 2, ["(a:1.2)", "[b]"]),
        (r"[a\:b:c\|d:0.5]", 2, [r"a\:b", r"c\|d"]),
        ("[(a:b:0.5] c)", 2, [r"\(a c\)", r"b c\)"]),
        ("[(a|b)|c]", 2, ["(a|b)", "c"]),
        ("[a|b:0.5]", 2, ["a", "b:0.5"]),
    ],
)
def test_courses(prompt: str, steps: int, expected: list[str]) -> None:
    assert course(prompt, steps) == expected


@pytest.mark.parametrize(
    "prompt",
    [
        *("", "a (red:1.3) [apple]", "[a:b]", "[16:9 format]", "a | b: 0.5", "(a AND b)"),
        *(r"a \AND b", r"\[a|b\]", "[a|b", "a:b:0.5]", "SAND ANDROID", r"[a\|b]", "a BREAK b"),
    ],
)
def test_without_that_syntax_a_prompt_is_one_as_it_is(prompt: str) -> None:
    assert parts(prompt) == [PromptPart(prompt)]


def test_prompts_beside_each_other_have_strengths() -> None:
    found = parts("a cat :1.5 AND [a|b] AND nothing:0 AND a dog AND")
    assert [(item.text, item.strength) for item in found] == [
        ("a cat", 1.5),
        ("a", 1.0),
        ("b", 1.0),
        ("a dog", 1.0),
        ("", 1.0),
    ]
    assert [item.steps for item in found[1:3]] == [StepSpan(0, None, 2, 0), StepSpan(0, None, 2, 1)]


@pytest.mark.parametrize("prompt", ["[a:b:0.5] AND c", "(a:1.2) [x|y]", "a BREAK b"])
def test_models_that_weigh_no_words_read_plain_text(prompt: str) -> None:
    assert parts(prompt, weighs_words=False, syntax="auto") == [PromptPart(prompt)]
    assert parts(prompt, weighs_words=False, syntax="off") == [PromptPart(prompt)]


def test_they_may_be_told_to_read_it() -> None:
    found = course(r"(a:1.2) [x:y:0.5] \[z\] \AND", 2, weighs_words=False)
    assert found == ["(a:1.2) x [z] AND", "(a:1.2) y [z] AND"]


@given(st.text(max_size=60))
def test_without_syntax_all_text_is_plain(text: str) -> None:
    [part] = parts(text, syntax="off")
    [span] = parse_prompt(part.text)
    assert (span.text, span.weight) == (text, 1.0)
    assert parts(escape_prompt(text)) == [PromptPart(escape_prompt(text))]


@dataclass(frozen=True)
class Written:
    """Markup, and what it says at a step."""

    markup: str
    says: Any


def said(text: str) -> Written:
    return Written(escape_prompt(text), lambda step, steps: escape_prompt(text))


def change(before: Written, after: Written, when: float) -> Written:
    def says(step: int, steps: int) -> str:
        done = step if when >= 1 else step / steps
        return str((before if done < when else after).says(step, steps))

    return Written(f"[{before.markup}:{after.markup}:{when}]", says)


def cycle(options: list[Written]) -> Written:
    markup = "|".join(item.markup for item in options)
    return Written(f"[{markup}]", lambda step, n: options[step % len(options)].says(step, n))


def weighed(one: Written) -> Written:
    return Written(f"({one.markup}:1.5)", lambda step, n: f"({one.says(step, n)}:1.5)")


def row(items: list[Written]) -> Written:
    return Written(
        "".join(item.markup for item in items),
        lambda step, n: "".join(item.says(step, n) for item in items),
    )


times = st.floats(0.01, 0.99).map(lambda when: round(when, 2)) | st.integers(1, 6)
written = st.recursive(
    st.text("ab ,()", min_size=1, max_size=4).map(said),
    lambda inner: (
        st.builds(change, inner, inner, times)
        | st.lists(inner, min_size=2, max_size=3).map(cycle)
        | st.builds(weighed, inner)
        | st.lists(inner, max_size=2).map(row)
    ),
    max_leaves=6,
)


@settings(max_examples=examples(150))
@given(written, st.integers(1, 9))
def test_each_step_has_what_the_markup_says(one: Written, steps: int) -> None:
    expected = [one.says(step, steps) for step in range(steps)]
    assert course(one.markup, steps) == expected


@settings(max_examples=examples(300))
@given(st.text("ab[]()|:\\.15 AND", max_size=30), st.booleans())
def test_any_prompt_is_read_or_refused(prompt: str, weighs_words: bool) -> None:
    try:
        found = parts(prompt, weighs_words=weighs_words)
    except InvalidValue:
        return
    beside = {len(at(found, step, 4)) for step in range(4)}
    assert len(beside) == 1


@pytest.mark.parametrize(
    "prompt",
    [
        "ab [a:b:1.5]",
        "[a:b:-1]",
        "[a:b:99999]",
        "x [a:b:c:0.5]",
        "a AND b :-0.5",
        "a:0 AND b:0",
        "[a|b][a|b|c][a|b|c|d|e][1|2|3|4|5|6|7]",
        "[" * 60 + "a" + ":0.5]" * 60,
    ],
)
def test_what_is_wrong_is_told_with_its_place(prompt: str) -> None:
    with raises(InvalidValue, port="text"):
        parts(prompt)


@pytest.mark.parametrize("piece", ["[a|", "[a:", "a:0.5]", "[[|", "AND [", "(a|", "\\|", "[a] "])
def test_long_prompts_of_open_brackets_are_read(piece: str) -> None:
    # Quadratic reading would take minutes here.
    parts(piece * 20_000 + "AND")


def test_texts_for_several_encoders_change_together() -> None:
    found = joint_parts(["[a:b:0.5]", "c\0", "[d|e]"], weighs_words=True)
    assert [texts_of(item.text) for item in found] == [
        ["a", "c", "d"],
        ["a", "c", "e"],
        ["b", "c", "d"],
        ["b", "c", "e"],
    ]
    plain = joint_parts(["[a:b:0.5]", "c"], weighs_words=False)
    assert [texts_of(item.text) for item in plain] == [["[a:b:0.5]", "c"]]
    with raises(InvalidValue, port="text", given="a AND b"):
        joint_parts(["a AND b", "c"], weighs_words=True)
