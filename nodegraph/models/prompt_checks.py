"""What can be told of prompts before anything is loaded. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.prompts import parse_prompt
from nodegraph.families.registry import get_family
from nodegraph.models.prompt_parts import joint_parts, prompt_parts, texts_of
from nodegraph.models.prompt_translation import translate_prompt

READERS = ("clip_l", "clip_g", "t5", "llama")
"""Text encoders that may read a text of their own; see `Family.readers`."""


def check_text(text: str, family: Family, syntax: str, *, apart: bool = False) -> None:
    """Refuse prompts with times or weights that are none, or that come to too many texts.

    Args:
        syntax: As of `nodegraph.models.text.encode_prompt`.
        apart: Whether it is for one of several encoders.
    Raises:
        InvalidValue: So it is.
    """
    weighs = family.weighs_words
    prompt, reading = translate_prompt(text, syntax, family)
    if apart:
        parts = joint_parts([prompt], weighs_words=weighs, syntax=reading)
    else:
        parts = prompt_parts(prompt, weighs_words=weighs, syntax=reading)
    if weighs:
        for part in parts:
            for own in texts_of(part.text):
                parse_prompt(own)


_TAG = re.compile(r"<(lora|lyco|hypernet):[^<>]+>", re.IGNORECASE)
_EMBEDDING = re.compile(
    r"(?<![^\s(\[,])(?P<word>embedding:[^\s,:()\[\]]+)(?P<weight>:\d*\.?\d+)?(?P<closed>\s*\))?",
    re.IGNORECASE,
)


def unsupported_tags(
    text: str, words: Collection[str] = (), escape: Callable[[str], str] = str
) -> Iterator[str]:
    """What other tools act upon in a prompt and nothing here does, in a sentence each.

    Args:
        words: Those of textual inversions, which are read.
        escape: Makes of a text what a prompt says for it.
    """
    for word in words:
        if escape(word) != word and word.lower() in text.lower():
            yield (
                f"{word} is read with its brackets as markup: the textual inversion's word is "
                f"written {escape(word)}."
            )
    known = {word.lower() for word in words}
    for tag in _TAG.finditer(text):
        instead = "link a LoadLora for it, and leave it out of the prompt."
        if tag[1].lower() == "hypernet":
            instead = "there are no hypernetworks here; leave it out of the prompt."
        yield f"{tag[0]} is read as words and puts nothing on the model: {instead}"
    for embedding in _EMBEDDING.finditer(text):
        word, weight = embedding["word"], embedding["weight"]
        if not {word.lower(), word.lower().rstrip(".")} & known:
            yield (
                f"{word} is read as words: link a LoadTextualInversion with this word as its token."
            )
        elif weight and not embedding["closed"]:
            yield f"{weight} behind {word} is read as words: a weight is ({word}{weight})."


def check_readers(family: Family, encoders: Collection[str]) -> None:
    """Refuse texts for encoders that a family hasn't got.

    Args:
        encoders: Names of those encoders.
    Raises:
        InvalidValue: There is one, on its port; or the family's encoders read one text.
    """
    if not family.readers:
        raise InvalidValue(
            f"the text encoders of {family.title} read one text",
            port="encoder",
            hint="Put an EncodePrompt in place of it.",
        )
    for name in encoders:
        if name not in family.readers:
            raise InvalidValue(
                f"{family.title} has no such text encoder",
                port=name,
                expected=", ".join(family.readers),
            )


def check_size_conditioning(name: str | None) -> None:
    """Refuse families whose models are told no sizes.

    Raises:
        InvalidValue: On port ``conditioning``.
    """
    family = None if name is None else get_family(name)
    if family is None or not family.tells_sizes:
        raise InvalidValue(
            "only models of Stable Diffusion XL are told sizes",
            port="conditioning",
            given=None if family is None else family.title,
            hint="Leave the node out.",
        )
