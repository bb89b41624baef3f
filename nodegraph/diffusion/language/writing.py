"""Text that a language model writes, word by word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from nodegraph.core.values import TextEncoder
from nodegraph.diffusion.building import build_tokenizer
from nodegraph.diffusion.components import TextModel
from nodegraph.diffusion.families.qwen_image_edit import looked_at, spread
from nodegraph.diffusion.families.registry import family_named
from nodegraph.diffusion.language.chats import CHATS, LOOK, PICTURE, check_writes, kind_of
from nodegraph.diffusion.language.drawing import WordDrawing, written_words
from nodegraph.diffusion.language.heads import with_head
from nodegraph.diffusion.vocabulary import VOCABULARIES
from nodegraph.errors import InvalidValue

_SMALLEST, _LARGEST = 256 * 256, 1024 * 1024
"""Pixels that pictures are brought to, those between as they are."""
_THOUGHT = "</think>"
"""Ends what a model thinks before it answers."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a language model is to answer.

    Attributes:
        text: The question.
        system: What it is told beforehand of how to answer.
        images: Pictures to look at, each float32 in 0..1, (height, width, 3).
        is_chat: Whether what it was trained to find around a question is put there; else it goes
            on with the text as it is.
        thinks: Whether it may think first, where it would; what it thinks isn't in its answer.
    """

    text: str
    system: str = ""
    images: Sequence[Tensor] = ()
    is_chat: bool = True
    thinks: bool = False


def write_text(
    text_model: TextModel,
    recipe: TextEncoder,
    question: Question,
    *,
    most: int,
    drawing: WordDrawing | None,
    told: Callable[[int], None],
) -> str:
    """What the language model among a model's text encoders answers.

    Args:
        recipe: Of the text encoder.
        most: Tokens of the answer, at most.
        drawing: How words are drawn; None: always the likeliest.
        told: Called before each token with how many there are; what it raises ends the writing.
    Raises:
        InvalidValue: It is no language model, sees no pictures, or the question is too long.
        InvalidFile: Its files have no head.
        NumericalError: It gives NaN.
    """
    encoder, words = check_writes(family_named(text_model.family))
    module, tokenizer = text_model.modules[encoder], text_model.tokenizers[words]
    with text_model.turn, torch.no_grad():
        given = _asked(module, tokenizer, question)
        known = tokenizer.get_vocab()
        marks = CHATS[kind_of(type(module).__name__) or ""].stops
        try:
            found = written_words(
                with_head(module, recipe, encoder),
                tokenizer,
                given,
                ends=[known[mark] for mark in marks if mark in known],
                most=most,
                drawing=drawing,
                told=told,
            )
        finally:
            _forget(module)
    return answer_of(found) if question.is_chat else found


def answer_of(written: str) -> str:
    """Without what the model thought before."""
    return written.rpartition(_THOUGHT)[2].strip()


def _asked(module: Any, tokenizer: Any, question: Question) -> dict[str, Tensor]:
    """All that the model is given."""
    text, seen = question.text, dict[str, Tensor]()
    counts: list[int] = []
    if question.images:
        seen, counts = _seen(module, question)
        text = LOOK * len(counts) + text
    if question.is_chat:
        chat = CHATS[kind_of(type(module).__name__) or ""]
        text = chat.said(text, question.system, thinks=question.thinks)
    if counts:
        text = spread(text, counts)
    found = tokenizer(text, return_tensors="pt", add_special_tokens=not question.is_chat)
    return {"input_ids": found["input_ids"], "attention_mask": found["attention_mask"], **seen}


def _seen(module: Any, question: Question) -> tuple[dict[str, Tensor], list[int]]:
    if not hasattr(getattr(module, "model", module), "visual"):
        raise InvalidValue(
            "this text encoder sees no pictures",
            port="images",
            expected="a Qwen 2.5-VL with its eyes, such as that of Qwen-Image",
        )
    if PICTURE in question.text + question.system:
        raise InvalidValue(
            "the text has a mark that stands for pictures", port="prompt", given=PICTURE
        )
    files = VOCABULARIES["qwen2.5-vl-pictures"].files
    processor = build_tokenizer(("Qwen2VLImageProcessorPil",), files)
    sizes = [item.shape[0] * item.shape[1] for item in question.images]
    return looked_at(processor, question.images, max(_SMALLEST, min(_LARGEST, max(sizes))))


def _forget(module: Any) -> None:
    """Leave a shared model as it was: Qwen 2.5-VL keeps where the last text's pictures were."""
    inner = getattr(module, "model", module)
    if hasattr(inner, "rope_deltas"):
        inner.rope_deltas = None
