"""Prompt syntax: editing, alternation and AND, parsed into texts with their steps.

- ``[from:to:0.5]`` is ``from`` in the first half of the steps and ``to`` after it;
  ``[to:0.5]`` has nothing before, ``[from::0.5]`` nothing after. A whole number from 1 up counts
  steps instead: ``[from:to:8]`` changes after eight.
- ``[one|two|three]`` changes at each step, in a cycle.
- Both may contain each other and ``(words:1.2)``, and stand in them. ``[words]`` without a bar, or
  a number after a colon, gives words less weight; see `nodegraph.families.prompts`.
- ``one AND two :0.5`` are two prompts that guide together, the second with half the weight.

Synonyms: prompt editing, prompt scheduling, prompt travel; alternating words; composable
diffusion. The syntax is that of AUTOMATIC1111's wiki, "Features". Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from math import gcd
from typing import Literal, NamedTuple

from nodegraph.core.values import StepSpan
from nodegraph.errors import InvalidValue
from nodegraph.families.prompts import AND, escape_prompt, paired, plain_text, prompt_tokens
from nodegraph.families.schedule_checks import MAX_STEPS

DEEPEST = 50
"""Brackets that tell steps, in each other."""

_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+))\s*")
_SHOWN = 40
"""Characters of a prompt that an error shows."""


@dataclass(frozen=True, slots=True)
class WordChange:
    """Words that others follow.

    Attributes:
        when: After which share of the steps, or how many of them.
    """

    before: Sequence[Piece]
    after: Sequence[Piece]
    when: float
    is_step: bool


@dataclass(frozen=True, slots=True)
class WordCycle:
    """Words of which each step has the next."""

    options: Sequence[Sequence[Piece]]


Piece = str | WordChange | WordCycle


@dataclass(frozen=True)
class PromptReader:
    """A prompt cut up.

    Attributes:
        prompt: All of it.
        weighs_words: Whether its texts are read for weights afterwards. Then markup of weights is
            left in them, and brackets without a partner are escaped; else escapes are resolved.
    """

    prompt: str
    weighs_words: bool

    @cached_property
    def tokens(self) -> list[str]:
        """Joined they are the prompt."""
        return prompt_tokens(self.prompt)

    @cached_property
    def _pairs(self) -> dict[int, int]:
        return paired(self.tokens)

    @cached_property
    def _closing(self) -> set[int]:
        return set(self._pairs.values())

    @cached_property
    def _signs(self) -> dict[int, list[int]]:
        """Places of colons, bars and ANDs, by that of the bracket right around them; -1: none."""
        signs: dict[int, list[int]] = {}
        around = [-1]
        for at, token in enumerate(self.tokens):
            if at in self._pairs:
                around.append(at)
            elif at in self._closing:
                around.pop()
            elif token in (":", "|", AND):
                signs.setdefault(around[-1], []).append(at)
        return signs

    @cached_property
    def _separators(self) -> dict[int, list[int]]:
        """By place of a square bracket that tells steps: of what parts its content."""
        separators = {
            opening: self._parts_of(opening, [at for at in signs if self.tokens[at] != AND])
            for opening, signs in self._signs.items()
            if opening >= 0 and self.tokens[opening] == "["
        }
        return {opening: parts for opening, parts in separators.items() if parts}

    @property
    def has_step_changes(self) -> bool:
        """Whether some words change with the steps."""
        return bool(self._separators)

    @cached_property
    def ands(self) -> list[int]:
        """Places of the ANDs that stand in no brackets."""
        return [at for at in self._signs.get(-1, ()) if self.tokens[at] == AND]

    def side_by_side(self) -> Iterator[tuple[list[Piece], float]]:
        """The prompts side by side, with their weights.

        Raises:
            InvalidValue: A weight is below 0, or a time is none.
        """
        for before, after in pairwise([-1, *self.ands, len(self.tokens)]):
            first = before + 1
            end, weight = self._weight(first, after) if self.ands else (after, 1.0)
            yield self._pieces(first, end), weight

    def _weight(self, first: int, end: int) -> tuple[int, float]:
        """Where a prompt ends before its weight, and that."""
        match = _NUMBER.fullmatch(self.tokens[end - 1]) if end - 2 >= first else None
        if match is None or self.tokens[end - 2] != ":":
            return end, 1.0
        weight = float(match[1])
        if weight < 0:
            raise self._wrong(
                "a prompt combined by AND has a weight below 0",
                end - 2,
                hint="Describe what the image must not show in the negative prompt.",
            )
        return end - 2, weight

    def _parts_of(self, opening: int, signs: list[int]) -> list[int]:
        bars = [at for at in signs if self.tokens[at] == "|"]
        if bars or not signs or self._time(opening, signs) is None:
            return bars
        if len(signs) > 2:
            raise self._wrong(
                "too many colons in a bracket that ends with a time",
                opening,
                expected="[from:to:0.5], [to:0.5] or [from::0.5]",
                hint=r"Write \: for a literal colon.",
            )
        return signs

    def _time(self, opening: int, signs: list[int]) -> str | None:
        """What stands after the last sign in a bracket, if it is a number."""
        last = "".join(self.tokens[signs[-1] + 1 : self._pairs[opening]])
        match = _NUMBER.fullmatch(last)
        return None if match is None else match[1]

    def _pieces(self, first: int, end: int, depth: int = 0) -> list[Piece]:
        """What stands between two places."""
        pieces: list[Piece] = []
        at = first
        while at < end:
            if at not in self._separators:
                pieces.append(self._markup(at))
                at += 1
                continue
            if depth == DEEPEST:
                raise self._wrong("brackets are nested too deeply", at)
            pieces.append(self._changing(at, depth + 1))
            at = self._pairs[at] + 1
        return pieces

    def _changing(self, opening: int, depth: int) -> Piece:
        signs, end = self._separators[opening], self._pairs[opening]
        bounds = pairwise([opening, *signs, end])
        between = [self._pieces(before + 1, after, depth) for before, after in bounds]
        if self.tokens[signs[0]] == "|":
            return WordCycle(between)
        when, is_step = self._read_time(opening, signs)
        before, after = between[:-1] if len(signs) == 2 else ([], between[0])
        return WordChange(before, after, when, is_step)

    def _read_time(self, opening: int, signs: list[int]) -> tuple[float, bool]:
        """A share, or a number of steps, and which of the two it is."""
        number = self._time(opening, signs)
        assert number is not None
        if number.isdecimal() and int(number) >= 1:
            if int(number) <= MAX_STEPS:
                return int(number), True
        elif 0 <= float(number) <= 1:
            return float(number), False
        raise self._wrong(
            "a time in the prompt is invalid",
            opening,
            expected=f"a fraction of the steps, 0.0 to 1.0, or a number of steps, 1 to {MAX_STEPS}",
        )

    def _markup(self, at: int) -> str:
        token = self.tokens[at]
        if not self.weighs_words:
            return plain_text(token)
        is_lone = token[0] != "\\" and token[-1] in "()[]"
        if not is_lone or at in self._pairs or at in self._closing:
            return token
        return f"{token[:-1]}\\{token[-1]}"

    def _wrong(
        self, message: str, at: int, *, expected: str | None = None, hint: str | None = None
    ) -> InvalidValue:
        offset = sum(map(len, self.tokens[:at]))
        shown = self.prompt[offset : offset + _SHOWN]
        return InvalidValue(
            f"{message}, at character {offset + 1}",
            port="text",
            given=shown if offset + _SHOWN >= len(self.prompt) else f"{shown}…",
            expected=expected,
            hint=hint,
        )


Syntax = Literal["auto", "on", "off"]

_BETWEEN = "\0"
"""Between the texts for several encoders: no prompt has it."""

MOST_PROMPTS = 200
"""Texts that a prompt may come to: each is encoded."""


class PromptPart(NamedTuple):
    """A text, and which part it has in a prompt.

    Attributes:
        text: With the markup that weighs words, where these are weighed.
        strength: Weight among the prompts that lead side by side.
        start, end: Part of the sampling it applies to, 0 to 1.
        steps: Steps it applies at, besides; None: any.
    """

    text: str
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0
    steps: StepSpan | None = None


def prompt_parts(prompt: str, *, weighs_words: bool, syntax: Syntax = "auto") -> list[PromptPart]:
    """What a prompt says at which steps.

    Args:
        weighs_words: Whether the family reads weights in the texts.
        syntax: Whether the syntax of this module is read: ``auto`` where words are weighed. Where
            it is ``off``, no word is weighed either.
    Returns:
        At least one. Where words are weighed, a prompt without that syntax is one, as it is.
    Raises:
        InvalidValue: A time or a weight is out of range, or it comes to too many texts.
    """
    if syntax == "off":
        return [PromptPart(escape_prompt(prompt) if weighs_words else prompt)]
    if syntax == "auto" and not weighs_words:
        return [PromptPart(prompt)]
    reader = PromptReader(prompt, weighs_words)
    if weighs_words and not (reader.has_step_changes or reader.ands):
        return [PromptPart(prompt)]
    parts: list[PromptPart] = []
    for pieces, strength in reader.side_by_side():
        if strength > 0:
            for part in _split_by_steps(pieces, MOST_PROMPTS - len(parts)):
                text = part.text.strip() if reader.ands else part.text
                parts.append(part._replace(text=text, strength=strength))
    if not parts:
        raise InvalidValue(
            "none of the prompts combined by AND has a weight above 0",
            port="text",
            given=prompt[:40],
        )
    return parts


def joint_parts(
    prompts: Sequence[str], *, weighs_words: bool, syntax: Syntax = "auto"
) -> list[PromptPart]:
    """What several prompts say together, one for each of a model's encoders, at which steps.

    Arguments and errors are those of `prompt_parts`; but none may be several side by side.

    Returns:
        Parts whose texts `texts_of` takes apart.
    """
    if syntax == "off" or (syntax == "auto" and not weighs_words):
        texts = [prompt_parts(item, weighs_words=weighs_words, syntax="off")[0] for item in prompts]
        return [PromptPart(_BETWEEN.join(item.text for item in texts))]
    pieces: list[Piece] = []
    for prompt in prompts:
        reader = PromptReader(prompt.replace(_BETWEEN, ""), weighs_words)
        if reader.ands:
            raise InvalidValue(
                "AND cannot be used in prompts for separate text encoders",
                port="text",
                given=prompt[:40],
                hint="Encode each prompt with its own node and combine them with "
                r"CombineConditioning, or write \AND.",
            )
        [(own, _)] = reader.side_by_side()
        pieces += [*own, _BETWEEN]
    return list(_split_by_steps(pieces[:-1], MOST_PROMPTS))


def texts_of(joint: str) -> list[str]:
    """The texts of a part that `joint_parts` made."""
    return joint.split(_BETWEEN)


@dataclass(frozen=True, slots=True)
class _Span:
    """Some of a sampling: a part of it, and some of the steps in that."""

    start: float = 0.0
    end: float = 1.0
    steps: StepSpan = field(default_factory=StepSpan)

    def split(self, piece: WordChange | WordCycle) -> list[_Span]:
        """Parts of it that have other words of a piece each."""
        if isinstance(piece, WordCycle):
            return self._turns(len(piece.options))
        if piece.is_step:
            at, steps = int(piece.when), self.steps
            cut = replace(steps, end=at), replace(steps, first=at)
            return [replace(self, steps=item) for item in cut]
        return [replace(self, end=piece.when), replace(self, start=piece.when)]

    def _turns(self, count: int) -> list[_Span]:
        steps = self.steps
        every = steps.every * count // gcd(steps.every, count)
        phases = range(steps.phase, every, steps.every)
        return [replace(self, steps=replace(steps, every=every, phase=at)) for at in phases]

    def words(self, piece: WordChange | WordCycle) -> Sequence[Piece] | None:
        """Those of a piece that it has all through; None if they change."""
        if isinstance(piece, WordCycle):
            turns = len(piece.options)
            is_one = self.steps.every % turns == 0
            return piece.options[self.steps.phase % turns] if is_one else None
        begin, end = (self.steps.first, self.steps.end) if piece.is_step else (self.start, self.end)
        if begin >= piece.when:
            return piece.after
        return piece.before if end is not None and end <= piece.when else None


def _split_by_steps(pieces: Sequence[Piece], most: int) -> Iterator[PromptPart]:
    """The texts of a prompt, each with the steps that it is for.

    Raises:
        InvalidValue: They are too many.
    """
    waiting = [_Span()]
    count = 0
    while waiting:
        span = waiting.pop()
        content = _content_in(pieces, span)
        if isinstance(content, str):
            steps = None if span.steps == StepSpan() else span.steps
            yield PromptPart(content, start=span.start, end=span.end, steps=steps)
            count += 1
            continue
        waiting += reversed(span.split(content))
        if count + len(waiting) > most:
            raise InvalidValue(
                "the prompt expands to too many texts, each of which must be encoded",
                port="text",
                expected=f"at most {MOST_PROMPTS}",
                hint="Several alternations in one prompt give all their combinations.",
            )


def _content_in(pieces: Sequence[Piece], span: _Span) -> str | WordChange | WordCycle:
    """What a prompt says in a part of a sampling; the first piece that changes in it, if any."""
    texts: list[str] = []
    for piece in pieces:
        if isinstance(piece, str):
            texts.append(piece)
            continue
        words = span.words(piece)
        content = piece if words is None else _content_in(words, span)
        if not isinstance(content, str):
            return content
        texts.append(content)
    return "".join(texts)
