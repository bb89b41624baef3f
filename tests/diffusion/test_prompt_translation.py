"""Prompts of ComfyUI weigh the words that they weigh there."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.errors import InvalidValue
from nodegraph.families.components import TextModel
from nodegraph.families.prompts import parse_prompt
from nodegraph.families.registry import get_family
from nodegraph.models.conditioning import encode_prompt
from nodegraph.models.prompt_preprocessing import comfyui_spans, from_comfyui, translate_prompt
from tests.diffusion.test_text import text_model  # noqa: F401 - a fixture
from tests.properties import examples


@dataclass
class Bracket:
    """A prompt as it is meant: words and brackets, of which some have a weight of their own."""

    inside: list[str | Bracket]
    weight: float | None = None

    def written(self) -> str:
        content = "".join(i if isinstance(i, str) else i.written() for i in self.inside)
        return f"({content}{'' if self.weight is None else f':{self.weight!r}'})"

    def letters(self, around: float) -> list[tuple[str, float]]:
        """Each letter with its weight: absolute where one is written, else 1.1 times."""
        weight = around * 1.1 if self.weight is None else self.weight
        found: list[tuple[str, float]] = []
        for item in self.inside:
            if isinstance(item, str):
                found += [(letter, weight) for letter in item]
            else:
                found += item.letters(weight)
        return found


WORDS = st.text("ab [],|\\.", min_size=1, max_size=4).filter(lambda text: text[-1] != "\\")
WEIGHTS = st.none() | st.sampled_from([0.5, 1.0, 1.3, 2.0, -1.0, 0.001])
ITEMS = st.recursive(
    WORDS, lambda inner: st.builds(Bracket, st.lists(inner, min_size=1, max_size=3), WEIGHTS)
)


@given(st.lists(ITEMS, max_size=3))
@settings(max_examples=examples(60), deadline=None)
def test_weights_in_brackets_are_absolute_and_brackets_without_multiply(
    items: list[str | Bracket],
) -> None:
    written = Bracket(items).written()[1:-1]
    meant = Bracket(items, 1.0).letters(1.0)
    for spans in (comfyui_spans(written), parse_prompt(from_comfyui(written))):
        found = [(letter, span.weight) for span in spans for letter in span.text]
        assert [letter for letter, _ in found] == [letter for letter, _ in meant]
        assert [weight for _, weight in found] == pytest.approx([weight for _, weight in meant])


@pytest.mark.parametrize(
    ("prompt", "spans"),
    [
        ("", [("", 1.0)]),
        (r"\(a\) (b\):2)", [("(a) ", 1.0), ("b)", 2.0)]),
        ("[a:b:0.5] x AND y BREAK", [("[a:b:0.5] x AND y BREAK", 1.0)]),
        ("(a:b:1e-1)", [("a:b", 0.1)]),
        ("(:2)", [(":2", 1.1)]),
        ("(a:x)", [("a:x", 1.1)]),
        ("a) (b:2)", [("a) (b:2)", 1.0)]),
        ("a (b", [("a ", 1.0), ("(b", 1.0)]),
    ],
)
def test_what_is_no_weight_is_text(prompt: str, spans: list[tuple[str, float]]) -> None:
    assert [tuple(span) for span in comfyui_spans(prompt)] == spans


@pytest.mark.parametrize("prompt", ["(a:inf)", "(a:nan)", "(" * 200 + ")" * 200])
def test_absurd_weights_are_told(prompt: str) -> None:
    with pytest.raises(InvalidValue):
        comfyui_spans(prompt)


@pytest.mark.parametrize(
    ("family", "said", "reading"),
    [
        ("sd1", r"(a:1.3)\(b\)\[c\]", "auto"),
        ("flux", "a(b)[c]", "off"),
        ("qwen-image", "(a:1.3)(b)[c]", "off"),
    ],
)
def test_encoders_read_what_they_read_there(family: str, said: str, reading: str) -> None:
    assert translate_prompt(r"(a:1.3)\(b\)[c]", "comfyui", get_family(family)) == (said, reading)


def test_weighted_words_lie_on_a_line_from_the_empty_prompt(
    text_model: TextModel,  # noqa: F811
) -> None:
    def encoded(text: str, syntax: str = "comfyui") -> torch.Tensor:
        [entry] = encode_prompt(text_model, text, syntax=syntax).entries
        return entry.embeddings

    plain, empty = encoded("a fox"), encoded("")
    found = encoded("((a:1.3) (fox):0.5)")
    weights = torch.ones(77)
    weights[1], weights[2] = 1.3, 0.5 * 1.1
    expected = empty + weights[:, None] * (plain - empty)
    torch.testing.assert_close(found[:, :3], expected[:, :3], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(encoded("[a] fox"), encoded(r"\[a\] fox", "auto"))


@pytest.mark.parametrize(
    ("syntax", "windows"),
    [
        ("comfyui", ("{a}", "(apple core:1.2)")),
        ("auto", ("{a}(apple:1.2)", "(core:1.2)")),
    ],
)
def test_few_words_of_one_weight_are_not_split_between_two_windows_there(
    text_model: TextModel,  # noqa: F811
    syntax: str,
    windows: tuple[str, str],
) -> None:
    def encoded(text: str) -> torch.Tensor:
        said = text.format(a="a " * 74)
        return encode_prompt(text_model, said, syntax=syntax).entries[0].embeddings

    # 74 tokens, and two words in brackets: the window has one more place
    alone = torch.cat([encoded(text) for text in windows], dim=1)
    torch.testing.assert_close(encoded("{a}(apple core:1.2)"), alone)


def test_many_words_of_one_weight_are_split_at_any_token_there(
    text_model: TextModel,  # noqa: F811
) -> None:
    def encoded(text: str) -> torch.Tensor:
        return encode_prompt(text_model, text, syntax="comfyui").entries[0].embeddings

    # the 75th place is a name's, and what stands behind it without a blank begins the next window
    alone = torch.cat([encoded("a " * 74 + "apple"), encoded(", a")], dim=1)
    torch.testing.assert_close(encoded("a " * 74 + "apple, a"), alone)
