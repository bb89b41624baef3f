r"""Prompt preprocessing: ComfyUI syntax, checks before encoding, and CLIP skip.

ComfyUI's syntax (``comfy/sd1_clip.py``):

- ``(words:1.3)`` has the weight 1.3, whatever the weight of the enclosing brackets,
- ``(words)`` has 1.1 times the weight around it,
- ``\(`` and ``\)`` are plain brackets.

Everything else is text: square brackets, ``AND``, ``BREAK``, bars, other backslashes, and a bracket
that is never closed. ``embedding:name`` is an ordinary word, which LoadTextualInversion adds.
ComfyUI applies weights to T5 too; here T5 reads the words without them. Large language models get
the text unchanged, with only the escaped brackets resolved, as in ComfyUI.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace
from decimal import Decimal
from math import isfinite

from nodegraph.core.recipe_options import SPEED_PREFIX
from nodegraph.core.values import Recipe, TextEncoder
from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.prompts import EMPHASIS, WeightedText, escape_prompt, parse_prompt
from nodegraph.families.registry import get_family
from nodegraph.models.prompt_syntax import Syntax, joint_parts, prompt_parts, texts_of

_OPTION = f"{SPEED_PREFIX}clip_layer"
"""Its component is another way to compute over the same weights, as those that are sped up."""


def check_skips(family: Family) -> None:
    """Refuse families whose prompts aren't made of a layer of CLIP.

    Raises:
        InvalidValue: This is one.
    """
    if not family.clip_layer:
        raise InvalidValue(
            f"the prompts of {family.title} are not taken from a CLIP layer, so no layers "
            "can be skipped",
            port="encoder",
            hint="Remove the node.",
        )


def with_clip_layer(recipe: TextEncoder, layer: int) -> TextEncoder:
    """A text encoder whose prompts are of a layer of CLIP, counted from the last, 1.

    Raises:
        InvalidValue: See `check_skips`.
    """
    family = get_family(recipe.family)
    check_skips(family)
    options = dict(recipe.options)
    options.pop(_OPTION, None)
    if layer != family.clip_layer:
        options[_OPTION] = str(layer)
    return replace(recipe, options=tuple(sorted(options.items())))


def clip_layer_of(recipe: Recipe) -> int:
    """The layer that a recipe asks for; 0 for the family's own."""
    return int(recipe.option(_OPTION, "0"))


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
        syntax: As of `nodegraph.models.prompt_syntax`, or ``comfyui``.
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
    """Whether brackets are markup there though words are not weighed here: by CLIP and T5."""
    # Anima has T5's words without its encoder.
    words = (name for part in family.tokenizers for name in part.classes)
    return any(
        name.startswith(("CLIP", "T5", "UMT5")) for name in family.encoders[0].classes
    ) or any(name.startswith("T5") for name in words)


def _weighted(text: str, weight: float, depth: int) -> Iterator[tuple[str, float]]:
    if depth > DEEPEST:
        raise InvalidValue(
            "brackets are nested too deeply", port="text", expected=f"at most {DEEPEST}"
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
        raise InvalidValue(
            "a weight in the prompt is not a number", port="text", given=number.strip()
        )
    return words, weight


def _marked(span: WeightedText) -> str:
    text = escape_prompt(span.text)
    if span.weight == 1.0:
        return text
    # all digits, and none as powers of ten, which the syntax doesn't know
    return f"({text}:{format(Decimal(repr(span.weight)), 'f')})"


READERS = ("clip_l", "clip_g", "t5", "llama", "qwen")
"""Text encoders that may read a text of their own; see `Family.readers`."""


def check_text(text: str, family: Family, syntax: str, *, apart: bool = False) -> None:
    """Refuse prompts with times or weights that are none, or that come to too many texts.

    Args:
        syntax: As of `nodegraph.models.conditioning.encode_prompt`.
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
                f"{word} is read with its brackets as markup: write {escape(word)} for the "
                "word of the textual inversion."
            )
    known = {word.lower(): word for word in words}
    for tag in _TAG.finditer(text):
        instead = "link a LoadLora for it, and remove it from the prompt."
        if tag[1].lower() == "hypernet":
            instead = "hypernetworks are not supported; remove it from the prompt."
        yield f"{tag[0]} is read as plain words and has no effect on the model: {instead}"
    for embedding in _EMBEDDING.finditer(text):
        word, weight = embedding["word"], embedding["weight"]
        named = word.lower().removeprefix("embedding:")
        if {word.lower(), word.lower().rstrip(".")} & known.keys():
            if weight and not embedding["closed"]:
                yield (
                    f"{weight} after {word} is read as plain words: write a weight as "
                    f"({word}{weight})."
                )
        elif linked := known.get(named, known.get(named.rstrip("."))):
            yield (
                f"{word} is read as plain words: write {escape(linked)} for the linked "
                "textual inversion."
            )
        else:
            yield (
                f"{word} is read as plain words: link a LoadTextualInversion with this word "
                "as its token."
            )


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
            hint="Use an EncodePrompt instead.",
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
            "only models of Stable Diffusion XL and CogView 4 have size conditioning",
            port="conditioning",
            given=None if family is None else family.title,
            hint="Remove the node.",
        )
