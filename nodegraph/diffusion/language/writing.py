"""Text that a language model writes, word by word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from nodegraph.core.values import TextEncoder
from nodegraph.diffusion.building import build_tokenizer
from nodegraph.diffusion.components import TextModel
from nodegraph.diffusion.families import family_named
from nodegraph.diffusion.families.qwen_image_edit import looked_at, spread
from nodegraph.diffusion.language.chats import CHATS, LOOK, PICTURE, check_writes, kind_of
from nodegraph.diffusion.language.heads import with_head
from nodegraph.diffusion.vocabulary import VOCABULARIES
from nodegraph.errors import InvalidValue, NumericalError

_SMALLEST, _LARGEST = 256 * 256, 1024 * 1024
"""Pixels that pictures are brought to, those between as they are."""
_THOUGHT = "</think>"
"""Ends what a model thinks before it answers."""

Step = Callable[[Any, Any], Any]
"""What is done to the chances of words: given all tokens so far and their logits, gives others."""


@dataclass(frozen=True, slots=True)
class WordDrawing:
    """How each word is drawn among the likely ones.

    Attributes:
        temperature: Above 1 evens chances out, below it sharpens them.
        top_k: Only so many of the likeliest are drawn from; 0: all.
        top_p: Only the likeliest that together have this chance; 1: all.
        min_p: Only those that are at least so likely beside the likeliest; 0: all.
        repetition_penalty: What the chance of words that were there goes down by; 1: nothing.
        seed: 0 to 2**64 - 1.
    """

    temperature: float = 0.7
    top_k: int = 64
    top_p: float = 0.95
    min_p: float = 0.05
    repetition_penalty: float = 1.05
    seed: int = 0

    def steps(self) -> list[Step]:
        """What is done to the chances of words, the drawing itself last."""
        found: list[Step] = []
        if self.repetition_penalty != 1:
            found.append(RepetitionPenaltyLogitsProcessor(self.repetition_penalty))
        found.append(TemperatureLogitsWarper(self.temperature))
        if self.top_k:
            found.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1:
            found.append(TopPLogitsWarper(self.top_p))
        if self.min_p:
            found.append(MinPLogitsWarper(self.min_p))
        return [*found, _Drawn(self.seed)]


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
        _check_length(module, given)
        length = given["input_ids"].shape[1]
        writer = with_head(module, recipe, encoder)
        chosen: list[Step] = [_Watched(told, length), *(drawing.steps() if drawing else ())]
        try:
            tokens = writer.generate(
                **{name: item.to(module.device) for name, item in given.items()},
                generation_config=_settings(module, tokenizer, most),
                logits_processor=LogitsProcessorList(chosen),
            )
        finally:
            _forget(module)
    answer = str(tokenizer.decode(tokens[0, length:], skip_special_tokens=True))
    return answer.rpartition(_THOUGHT)[2].strip() if question.is_chat else answer


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


def _check_length(module: Any, given: dict[str, Tensor]) -> None:
    config = getattr(module.config, "text_config", module.config)
    most, length = int(config.max_position_embeddings), given["input_ids"].shape[1]
    if not 0 < length < most:
        raise InvalidValue(
            "the model reads no text of this length",
            port="prompt",
            given=f"{length} tokens",
            expected=f"1 to {most - 1}",
        )


def _settings(module: Any, tokenizer: Any, most: int) -> GenerationConfig:
    """The likeliest word each time, as chances are what words are drawn by already."""
    known, stops = tokenizer.get_vocab(), CHATS[kind_of(type(module).__name__) or ""].stops
    ends = [known[mark] for mark in (*stops, tokenizer.eos_token) if mark in known]
    return GenerationConfig(
        max_new_tokens=most,
        do_sample=False,
        use_cache=True,
        eos_token_id=list(dict.fromkeys(ends)) or None,
        pad_token_id=ends[0] if ends else 0,
    )


def _forget(module: Any) -> None:
    """Leave a shared model as it was: Qwen 2.5-VL keeps where the last text's pictures were."""
    inner = getattr(module, "model", module)
    if hasattr(inner, "rope_deltas"):
        inner.rope_deltas = None


class _Watched:
    """Tells of each token, and whether there is one."""

    def __init__(self, told: Callable[[int], None], length: int) -> None:
        self._told, self._length = told, length

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        self._told(input_ids.shape[1] - self._length)
        if bool(scores.isnan().any()):
            raise NumericalError(
                "the language model gave NaN", hint="Load the text encoder with dtype float32."
            )
        return scores


class _Drawn:
    """Makes one word the likeliest: each as often as its chance is, by a generator of its own.

    So the draw touches no generator that others use. Source: Gumbel 1954, that the largest of
    logits with such noise is a draw by their softmax.
    """

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        drawn = torch.empty(scores.shape).exponential_(generator=self._generator)
        return scores.float() - drawn.log().to(scores.device)
