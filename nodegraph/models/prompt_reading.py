"""The grammar of prompts that are several: tokens to pieces that change with the steps.

`nodegraph.models.prompt_parts` says what it is. Imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from nodegraph.errors import InvalidValue
from nodegraph.families.prompts import AND, paired, plain_text, prompt_tokens
from nodegraph.families.steps import MAX_STEPS

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
                "a prompt beside an AND has a weight below 0",
                end - 2,
                hint="Say what the picture is to stay away from in the negative prompt.",
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
                hint=r"Write \: for a plain colon.",
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
                raise self._wrong("brackets stand in each other too deeply", at)
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
            "a time in the prompt is none",
            opening,
            expected=f"a share of the steps, 0.0 to 1.0, or a number of them, 1 to {MAX_STEPS}",
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
