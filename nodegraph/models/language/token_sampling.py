"""Token sampling of language models: logits processors and the generate loop."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
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

from nodegraph.errors import InvalidValue, NumericalError

LogitsStep = Callable[[Any, Any], Any]
"""What is done to the chances of words: given all tokens so far and their logits, gives others."""


@dataclass(frozen=True, slots=True)
class TokenSampling:
    """How each word is drawn among the likely ones.

    Attributes:
        temperature: Above 1 evens chances out, below it sharpens them.
        top_k: Only so many of the likeliest are drawn from; 0: all.
        top_p: Only the likeliest that together have this chance; 1: all.
        min_p: Only those that are at least so likely beside the likeliest; 0: all.
        repetition_penalty: What the chance of words that were there goes down by; 1: nothing.
        presence_penalty: What is taken from the logits of those that it has written; 0: nothing.
        seed: 0 to 2**64 - 1.
    """

    temperature: float = 0.7
    top_k: int = 64
    top_p: float = 0.95
    min_p: float = 0.05
    repetition_penalty: float = 1.05
    presence_penalty: float = 0.0
    seed: int = 0

    def logits_processors(self, length: int) -> list[LogitsStep]:
        """What is done to the chances of words, the drawing itself last.

        Args:
            length: Tokens that aren't its own.
        """
        steps: list[LogitsStep] = []
        if self.repetition_penalty != 1:
            steps.append(RepetitionPenaltyLogitsProcessor(self.repetition_penalty))
        if self.presence_penalty:
            steps.append(_Present(self.presence_penalty, length))
        steps.append(TemperatureLogitsWarper(self.temperature))
        if self.top_k:
            steps.append(TopKLogitsWarper(self.top_k))
        if self.top_p < 1:
            steps.append(TopPLogitsWarper(self.top_p))
        if self.min_p:
            steps.append(MinPLogitsWarper(self.min_p))
        return [*steps, _GumbelSampler(self.seed)]


def generate_text(
    writer: Any,
    tokenizer: Any,
    inputs: Mapping[str, Tensor],
    *,
    stop_tokens: Collection[int],
    max_new_tokens: int,
    sampling: TokenSampling | None,
    on_token: Callable[[int], None],
    thought_end: int | None = None,
) -> str:
    """What a language model goes on with.

    Args:
        writer: Of transformers, with its head.
        inputs: What it is given, such as ``input_ids``, (1, tokens).
        stop_tokens: Words by which it ends, besides the tokenizer's own.
        max_new_tokens: Tokens that it writes, at most.
        sampling: How words are drawn; None: always the likeliest.
        on_token: Called before each token with how many there are; what it raises ends the writing.
        thought_end: Token that ends the thoughts of the model, which the text leaves out. None for
            models without one.
    Raises:
        InvalidValue: It is given too much, or nothing.
        NumericalError: It gives NaN.
    """
    _check_length(writer, inputs)
    length = inputs["input_ids"].shape[1]
    chosen = [
        _TokenCallback(on_token, length),
        *(sampling.logits_processors(length) if sampling else ()),
    ]
    own = tokenizer.eos_token_id
    stops = [*stop_tokens, *([] if own is None else [own])]
    tokens = writer.generate(
        **{name: item.to(writer.device) for name, item in inputs.items()},
        # The likeliest word each time, as chances are what words are drawn by already.
        generation_config=GenerationConfig(
            max_new_tokens=max_new_tokens,
            do_sample=False,
            use_cache=True,
            eos_token_id=list(dict.fromkeys(stops)) or None,
            pad_token_id=stops[0] if stops else 0,
        ),
        logits_processor=LogitsProcessorList(chosen),
    )
    written = tokens[0, length:]
    if thought_end is not None:
        # Special tokens are not in the text, so that thoughts could not be told from the answer.
        ends = (written == thought_end).nonzero()
        written = written[int(ends[-1]) + 1 :] if len(ends) else written
    return str(tokenizer.decode(written, skip_special_tokens=True))


def _check_length(writer: Any, inputs: Mapping[str, Tensor]) -> None:
    config = getattr(writer.config, "text_config", writer.config)
    length = inputs["input_ids"].shape[1]
    most = int(getattr(config, "max_position_embeddings", None) or length + 1)
    if not 0 < length < most:
        raise InvalidValue(
            "the model does not support a text of this length",
            port="prompt",
            given=f"{length} tokens",
            expected=f"1 to {most - 1}",
        )


class _TokenCallback:
    """Tells of each token, and whether there is one."""

    def __init__(self, on_token: Callable[[int], None], length: int) -> None:
        self._on_token, self._length = on_token, length

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        self._on_token(input_ids.shape[1] - self._length)
        if bool(scores.isnan().any()):
            raise NumericalError(
                "the language model produced NaN", hint="Load the text encoder with dtype float32."
            )
        return scores


class _GumbelSampler:
    """Makes one word the likeliest: each as often as its chance is, by a generator of its own.

    So the draw touches no generator that others use. Source: Gumbel 1954, that the largest of
    logits with such noise is a draw by their softmax.
    """

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        drawn = torch.empty(scores.shape).exponential_(generator=self._generator)
        return scores.float() - drawn.log().to(scores.device)


class _Present:
    """Makes words less likely that were written."""

    def __init__(self, penalty: float, length: int) -> None:
        self._penalty, self._length = penalty, length

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        own = input_ids[:, self._length :]
        present = torch.zeros_like(scores).scatter_(1, own, 1.0)
        return scores - self._penalty * present
