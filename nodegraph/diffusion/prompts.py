r"""Weights in prompts: ``a (red:1.3) apple`` asks for more red.

- ``(words:1.3)`` multiplies the weight of the words by 1.3,
- ``(words)`` multiplies it by 1.1,
- ``[words]`` divides it by 1.1,
- pairs may be nested, which multiplies their factors,
- ``\(``, ``\)``, ``\[``, ``\]`` and ``\\`` are the plain characters,
- a bracket without its partner is a plain character too.

Synonyms: attention or emphasis syntax. It is the common part of what ComfyUI
(``comfy/sd1_clip.py``, `token_weights`) and AUTOMATIC1111 (``modules/prompt_parser.py``,
`parse_prompt_attention`) understand.
"""

from __future__ import annotations

import re
from math import isfinite
from typing import NamedTuple

from nodegraph.errors import InvalidValue

EMPHASIS = 1.1
"""Factor of a pair of brackets without a number."""
MAX_WEIGHT = 1000.0
"""Larger weights are refused: far beyond any use, they only overflow."""

_TOKEN = re.compile(
    r"""
    \\[\\()\[\]]                               # an escaped character
    | :\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*\)        # a weight with its closing bracket
    | [^\\()\[\]:]+                             # plain text
    | .                                         # a single bracket, colon or backslash
    """,
    re.S | re.X,
)
_PARTNER = {")": "(", "]": "["}


class WeightedText(NamedTuple):
    """Some text of a prompt and its weight, 1.0 being normal."""

    text: str
    weight: float


def parse_prompt(prompt: str) -> list[WeightedText]:
    """Split a prompt into spans of one weight each.

    Returns:
        At least one span; their texts joined are the prompt without the markup. Neighbours
        differ in weight.
    Raises:
        InvalidValue: A weight is larger than `MAX_WEIGHT`.
    """
    tokens = _TOKEN.findall(prompt)
    factors, closing = _pair(tokens)
    spans: list[WeightedText] = []
    weights = [1.0]
    for index, token in enumerate(tokens):
        if index in factors:
            weights.append(_bounded(weights[-1] * factors[index]))
        elif index in closing:
            weights.pop()
        else:
            _append(spans, _plain(token), weights[-1])
    return spans or [WeightedText("", 1.0)]


def escape_prompt(text: str) -> str:
    """The prompt that means exactly this text, without weights."""
    return re.sub(r"[\\()\[\]]", r"\\\g<0>", text)


def _pair(tokens: list[str]) -> tuple[dict[int, float], set[int]]:
    """Which tokens open a weight, by index with its factor, and which close one."""
    factors: dict[int, float] = {}
    closing: set[int] = set()
    opened: list[int] = []
    unmatched = {"(": 0, "[": 0}
    for index, token in enumerate(tokens):
        if token in unmatched:
            opened.append(index)
            unmatched[token] += 1
            continue
        partner = "" if token.startswith("\\") else _PARTNER.get(token[-1], "")
        # Looking at the count first keeps a prompt of many lone brackets from costing n * n.
        if unmatched.get(partner):
            factors[_reopen(tokens, opened, unmatched, partner)] = _factor(token)
            closing.add(index)
    return factors, closing


def _reopen(tokens: list[str], opened: list[int], unmatched: dict[str, int], partner: str) -> int:
    """Index of the last opened `partner`; brackets opened after it stay without theirs."""
    while True:
        start = opened.pop()
        unmatched[tokens[start]] -= 1
        if tokens[start] == partner:
            return start


def _factor(closing: str) -> float:
    if closing == ")":
        return EMPHASIS
    if closing == "]":
        return 1 / EMPHASIS
    return float(closing[1:-1])


def _bounded(weight: float) -> float:
    if not isfinite(weight) or abs(weight) > MAX_WEIGHT:
        raise InvalidValue(
            "a weight in the prompt is too large",
            given=f"{weight:g}",
            expected=f"at most {MAX_WEIGHT:g}",
            hint=r"For plain brackets write \( and \).",
        )
    return weight


def _plain(token: str) -> str:
    is_escape = len(token) == 2 and token[0] == "\\"
    return token[1] if is_escape else token


def _append(spans: list[WeightedText], text: str, weight: float) -> None:
    if spans and spans[-1].weight == weight:
        spans[-1] = WeightedText(spans[-1].text + text, weight)
    else:
        spans.append(WeightedText(text, weight))
