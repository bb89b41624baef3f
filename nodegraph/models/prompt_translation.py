r"""Prompts written for ComfyUI, in the syntax that is read here.

What it reads there (``comfy/sd1_clip.py``):

- ``(words:1.3)`` has the weight 1.3, whatever brackets stand around it,
- ``(words)`` weighs 1.1 times what stands around it,
- ``\(`` and ``\)`` are the plain brackets.

All else is text: square brackets, ``AND``, ``BREAK``, bars, other backslashes; and a bracket that
is never closed. ``embedding:name`` is a word as any other, which LoadTextualInversion teaches.

T5 weighs words there by the same rule; here it reads them without their weights. Large language
models are given the text as it is but for plain brackets, there and here.

Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from decimal import Decimal
from math import isfinite

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.prompts import EMPHASIS, WeightedText, escape_prompt
from nodegraph.models.prompt_parts import Syntax

DEEPEST = 100
"""Brackets in each other."""
_OPEN, _CLOSE = "\0", "\1"
"""Stand for the plain brackets: no prompt has them."""


def comfyui_spans(prompt: str) -> list[WeightedText]:
    """A prompt's spans of one weight each; at least one.

    Raises:
        InvalidValue: A weight is no number, or brackets stand in each other too deeply.
    """
    hidden = prompt.replace("\\(", _OPEN).replace("\\)", _CLOSE)
    spans = [
        WeightedText(text.replace(_OPEN, "(").replace(_CLOSE, ")"), weight)
        for text, weight in _weighted(hidden, 1.0, 0)
    ]
    return spans or [WeightedText("", 1.0)]


def from_comfyui(prompt: str) -> str:
    """The prompt that says here what another says in ComfyUI.

    Raises:
        InvalidValue: As of `comfyui_spans`.
    """
    return "".join(map(_marked, comfyui_spans(prompt)))


def translate_prompt(prompt: str, syntax: str, family: Family) -> tuple[str, Syntax]:
    """A prompt in the syntax that is read here, and how it is then to be read.

    Args:
        syntax: As of `nodegraph.models.prompt_parts`, or ``comfyui``.
        family: Of the model that it is to lead.
    Raises:
        InvalidValue: As of `comfyui_spans`.
    """
    if syntax != "comfyui":
        return prompt, syntax  # type: ignore[return-value]
    if family.weighs_words:
        return from_comfyui(prompt), "auto"
    if _reads_brackets(family):
        return "".join(span.text for span in comfyui_spans(prompt)), "off"
    return prompt.replace("\\(", "(").replace("\\)", ")"), "off"


def escaper(syntax: str, family: Family) -> Callable[[str], str]:
    """Makes of a text what a prompt says for it; arguments as of `read_as`."""
    if syntax == "comfyui":
        return lambda text: re.sub(r"[()]", r"\\\g<0>", text)
    is_plain = syntax == "off" or (syntax == "auto" and not family.weighs_words)
    return str if is_plain else escape_prompt


def _reads_brackets(family: Family) -> bool:
    """Whether brackets are markup there though words aren't weighed here: by CLIP and T5."""
    return any(name.startswith(("CLIP", "T5", "UMT5")) for name in family.encoders[0].classes)


def _weighted(text: str, weight: float, depth: int) -> Iterator[tuple[str, float]]:
    if depth > DEEPEST:
        raise InvalidValue(
            "brackets stand in each other too deeply", port="text", expected=f"at most {DEEPEST}"
        )
    for item in _items(text):
        if len(item) < 2 or item[0] != "(" or item[-1] != ")":
            yield item, weight
            continue
        words, own = _split_weight(item[1:-1])
        yield from _weighted(words, weight * EMPHASIS if own is None else own, depth + 1)


def _items(text: str) -> Iterator[str]:
    """A text cut at its outermost brackets, which stay on."""
    depth, begin = 0, 0
    for at, letter in enumerate(text):
        if letter == "(":
            if depth == 0 and at > begin:
                yield text[begin:at]
            if depth == 0:
                begin = at
            depth += 1
        elif letter == ")":
            depth -= 1
            if depth == 0:
                yield text[begin : at + 1]
                begin = at + 1
    if begin < len(text):
        yield text[begin:]


def _split_weight(content: str) -> tuple[str, float | None]:
    """What stands in a bracket, and the weight that it ends with."""
    words, colon, number = content.rpartition(":")
    if not colon or not words:
        return content, None
    try:
        weight = float(number)
    except ValueError:
        return content, None
    if not isfinite(weight):
        raise InvalidValue("a weight in the prompt is no number", port="text", given=number.strip())
    return words, weight


def _marked(span: WeightedText) -> str:
    text = escape_prompt(span.text)
    if span.weight == 1.0:
        return text
    # all digits, and none as powers of ten, which the syntax doesn't know
    return f"({text}:{format(Decimal(repr(span.weight)), 'f')})"
