r"""Weights in prompts: ``a (red:1.3) apple`` asks for more red.

What is told here is of one text; `nodegraph.models.prompt_syntax` has what makes a prompt
several.

- ``(words:1.3)`` multiplies the weight of the words by 1.3,
- ``(words)`` multiplies it by 1.1,
- ``[words]`` divides it by 1.1,
- pairs may be nested, which multiplies their factors,
- ``BREAK`` ends a window of CLIP's tokens: what follows begins in the next,
- ``\(``, ``\)``, ``\[``, ``\]``, ``\|``, ``\:`` and ``\\`` are the plain characters, ``\AND`` and
  ``\BREAK`` the plain words,
- a bracket without its partner is a plain character too.

Synonyms: attention or emphasis syntax. It is the common part of what ComfyUI
(``comfy/sd1_clip.py``, `token_weights`) and AUTOMATIC1111 (``modules/prompt_parser.py``,
`parse_prompt_attention`) understand.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import NamedTuple

from nodegraph.errors import InvalidValue

EMPHASIS = 1.1
"""Factor of a pair of brackets without a number."""
MAX_WEIGHT = 1000.0
"""Larger weights are refused: far beyond any use, they only overflow."""

BREAK, AND = "BREAK", "AND"
"""Words that are markup where they stand alone."""

_TOKEN = re.compile(
    r"""
    \\(?:[\\()\[\]|:]|(?:AND|BREAK)(?!\w))     # an escaped character or word
    | :\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*\)        # a weight with its closing bracket
    | (?<!\w)(?:AND|BREAK)(?!\w)                # a word that is markup
    | (?:[^\\()\[\]:|AB] | (?<=\w)[AB] | A(?!ND(?!\w)) | B(?!REAK(?!\w)))+   # plain text
    | .                                         # a single bracket, bar, colon or backslash
    """,
    re.S | re.X,
)
_ESCAPED = re.compile(r"[\\()\[\]]|(?<!\w)(?:AND|BREAK)(?!\w)")
_PARTNER = {")": "(", "]": "["}


class WeightedText(NamedTuple):
    """Some text of a prompt and its weight, 1.0 being normal."""

    text: str
    weight: float


def parse_prompt(prompt: str) -> list[WeightedText]:
    """Split a prompt into spans with one weight each.

    Returns:
        At least one span. Their joined texts are the prompt without markup. Adjacent spans
        differ in weight.
    Raises:
        InvalidValue: A weight is larger than `MAX_WEIGHT`.
    """
    spans: list[WeightedText] = []
    for chunk in parse_chunks(prompt):
        for span in chunk:
            _append(spans, span.text, span.weight)
    return spans


def parse_chunks(prompt: str) -> list[list[WeightedText]]:
    """The spans of a prompt between each ``BREAK``; at least one, each of at least one span.

    Raises:
        InvalidValue: As of `parse_prompt`.
    """
    tokens = prompt_tokens(prompt)
    pairs = paired(tokens)
    closing = set(pairs.values())
    chunks: list[list[WeightedText]] = [[]]
    weights = [1.0]
    for index, token in enumerate(tokens):
        if index in pairs:
            weights.append(_bounded(weights[-1] * _factor(tokens[pairs[index]])))
        elif index in closing:
            weights.pop()
        elif token == BREAK:
            chunks.append([])
        else:
            _append(chunks[-1], plain_text(token), weights[-1])
    return [spans or [WeightedText("", 1.0)] for spans in chunks]


def escape_prompt(text: str) -> str:
    """Escape a text so that it is read as plain text without weights."""
    return _ESCAPED.sub(r"\\\g<0>", text)


def prompt_tokens(prompt: str) -> list[str]:
    """A prompt cut up where there may be markup; joined they are the prompt."""
    return _TOKEN.findall(prompt)


def paired(tokens: list[str]) -> dict[int, int]:
    """Places of opening brackets, each with that of its partner."""
    pairs: dict[int, int] = {}
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
            pairs[_reopen(tokens, opened, unmatched, partner)] = index
    return pairs


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
            port="text",
            given=f"{weight:g}",
            expected=f"at most {MAX_WEIGHT:g}",
            hint=r"Write \( and \) for literal brackets.",
        )
    return weight


def plain_text(token: str) -> str:
    """What a token outside of markup says: of an escape what it stands for."""
    return token[1:] if len(token) > 1 and token[0] == "\\" else token


def _append(spans: list[WeightedText], text: str, weight: float) -> None:
    if spans and spans[-1].weight == weight:
        spans[-1] = WeightedText(spans[-1].text + text, weight)
    else:
        spans.append(WeightedText(text, weight))


MUSIC_TASKS = ("text2music", "repaint", "cover", "extract", "lego", "complete")
"""What to do: generate music from words alone, a part of a source anew, its cover, one of its
tracks, a track to add to it, or tracks that complete it."""


class SongReader(ABC):
    """A family whose text encoder composes a song from tags and lyrics, and needs both."""

    @abstractmethod
    def check_song_text(self, port: str, text: str) -> None:
        """Refuse a text without words.

        Args:
            port: ``tags`` or ``lyrics``, which the text is for.
        Raises:
            InvalidValue: On this port.
        """


@dataclass(frozen=True, slots=True)
class MusicPrompt:
    """What music to generate; entries left out are up to the model.

    Attributes:
        tags: Style, instruments, mood and voice.
        lyrics: Words, with section marks such as ``[verse]`` on lines of their own.
        seconds: Length that the model is told, above 0.
        bpm: Beats per minute; 0 leaves them out.
        key: Key and scale, such as ``C major``.
        time_signature: Beats of a bar, such as ``4``.
        language: Code of the language of the lyrics, such as ``en``.
        task: One of `MUSIC_TASKS`.
        track: Of the tasks for tracks: its name, such as ``vocals``; several with commas between.
        start, end: Part of the source to generate anew, in seconds; an end of 0 is that of the
            source.
        seed, cfg, top_k: Of models that compose before they sample: how they draw audio codes.
        on_step: Called by these before each frame, with the frames done and the most there may be.
            What it raises ends the composing.
    """

    tags: str
    lyrics: str = ""
    seconds: float = 60.0
    bpm: int = 0
    key: str = ""
    time_signature: str = ""
    language: str = "en"
    task: str = "text2music"
    track: str = ""
    start: float = 0.0
    end: float = 0.0
    seed: int = 0
    cfg: float = 1.5
    top_k: int = 50
    on_step: Callable[[int, int], None] | None = field(default=None, compare=False)
