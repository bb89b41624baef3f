r"""Prompts that are several: other words at other steps, and prompts side by side.

- ``[from:to:0.5]`` is ``from`` in the first half of the steps and ``to`` after it;
  ``[to:0.5]`` has nothing before, ``[from::0.5]`` nothing after. A whole number from 1 up counts
  steps instead: ``[from:to:8]`` changes after eight.
- ``[one|two|three]`` is another at each step, over and over.
- Both may hold each other and ``(words:1.2)``, and stand in them. ``[words]`` without a bar, or a
  number after a colon, weighs words less; see `nodegraph.families.prompts`.
- ``one AND two :0.5`` are two prompts that lead side by side, the second half as much.

Synonyms: prompt editing, prompt scheduling, prompt travel; alternating words; composable
diffusion. The syntax is that of AUTOMATIC1111's wiki, "Features". Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import gcd
from typing import Literal, NamedTuple

from nodegraph.core.values import StepSpan
from nodegraph.errors import InvalidValue
from nodegraph.families.prompts import escape_prompt
from nodegraph.models.prompt_reading import Piece, PromptReader, WordChange, WordCycle

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
            "no prompt beside an AND has a weight above 0", port="text", given=prompt[:40]
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
                "prompts for each encoder can't be several by AND",
                port="text",
                given=prompt[:40],
                hint=r"Encode each by a node of its own, for CombineConditioning; or write \AND.",
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
                "the prompt comes to too many texts, each of which would be encoded",
                port="text",
                expected=f"{MOST_PROMPTS} at most",
                hint="Of several alternations in one prompt all combinations are made.",
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
