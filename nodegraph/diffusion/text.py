"""Prompts to embeddings: tokens in windows of the encoder's length, weighted, joined."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry
from nodegraph.diffusion.components import TextModel
from nodegraph.diffusion.prompts import parse_prompt
from nodegraph.errors import InvalidValue, NumericalError

WHOLE_WORD = 8
"""Words of fewer tokens are never split between two windows; as ComfyUI's
``comfy/sd1_clip.py``, `SDTokenizer.max_word_length`."""
MAX_WINDOWS = 100
"""Longer prompts are refused: their embeddings would fill the memory for no use."""

_WORD_END = "</w>"

WeightedToken = tuple[int, float]
"""Id and weight."""


def encode_prompt(
    text_model: TextModel, text: str, *, warn: Callable[[str], None] | None = None
) -> Conditioning:
    """Embeddings of a prompt, weights in brackets applied.

    The prompt is cut into windows as long as the encoder takes, each with its own begin and end
    token and padded as the stock pipeline pads, and the windows' embeddings are joined along
    the tokens. Without weights, a prompt of one window gives the very bits of
    ``StableDiffusionPipeline.encode_prompt``.

    A weight moves a token's embedding away from where the empty prompt has its own at the same
    place: ``empty + (embedding - empty) * weight``.

    Args:
        warn: Told, in one sentence, if the prompt takes more than one window.
    Returns:
        One entry, shape (1, windows * length, width), and the empty prompt as `unconditional`.
    Raises:
        InvalidValue: The prompt is far too long or has an absurd weight.
        NumericalError: The encoder gives NaN or infinity.
    Source of the weighting: ComfyUI ``comfy/sd1_clip.py``,
        `ClipTokenWeightEncoder.encode_token_weights`.
    """
    windows = _windows(text_model, text)
    if len(windows) > 1 and warn is not None:
        warn(_too_long(windows, _length(text_model)))
    empty = _empty(text_model)
    encoded = [_encode_window(text_model, window, empty) for window in windows]
    embeddings = torch.cat(encoded, dim=1)
    if not torch.isfinite(embeddings).all():
        raise NumericalError(
            "the text encoder gave NaN or infinity", hint="Load the model with dtype float32."
        )
    return Conditioning((ConditioningEntry(embeddings),), text_model.family, empty)


def match_length(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Bring two embeddings to one number of tokens by repeating each as a whole.

    Attention weighs all tokens against each other, so repeating every one of them equally often
    changes nothing in what it gives.

    Args:
        first, second: Shape (batch, tokens, width).
    Returns:
        Both with the least common multiple of their numbers of tokens; equal lengths as is.
    Source: ComfyUI ``comfy/conds.py``, `CONDCrossAttn`.
    """
    tokens = math.lcm(first.shape[1], second.shape[1])
    return _repeat(first, tokens), _repeat(second, tokens)


def _repeat(embeddings: Tensor, tokens: int) -> Tensor:
    times = tokens // embeddings.shape[1]
    return embeddings if times == 1 else embeddings.repeat(1, times, 1)


def _encode_window(text_model: TextModel, window: list[WeightedToken], empty: Tensor) -> Tensor:
    # One window at a time, so that a window's bits don't depend on how many there are.
    tokens = [token for token, _ in window]
    embeddings = _embed(text_model, tokens) if tokens else empty.clone()
    weights = _pad_weights(window, _length(text_model))
    if all(weight == 1.0 for weight in weights):
        return embeddings
    factors = torch.tensor(weights).view(1, -1, 1)
    # Tokens of weight 1 keep their bits: empty + (embedding - empty) would round.
    return torch.where(factors == 1, embeddings, empty + (embeddings - empty) * factors)


def _empty(text_model: TextModel) -> Tensor:
    """The empty prompt's embeddings, which every prompt needs: encoded once for each encoder."""
    device = str(text_model.model.device)
    if device not in text_model.empty:
        text_model.empty[device] = _embed(text_model, [])
    # A copy, as somebody may write into a result.
    return text_model.empty[device].clone()


@torch.no_grad()
def _embed(text_model: TextModel, tokens: list[int]) -> Tensor:
    """Embeddings of one window, float32 on the CPU, shape (1, length, width)."""
    tokenizer, length = text_model.tokenizer, _length(text_model)
    whole = [tokenizer.bos_token_id, *tokens, tokenizer.eos_token_id]
    padding = [tokenizer.pad_token_id] * (length - len(whole))
    ids = torch.tensor([whole + padding], device=text_model.model.device)
    mask = None
    if getattr(text_model.model.config, "use_attention_mask", False):
        mask = torch.tensor([[1] * len(whole) + [0] * len(padding)], device=ids.device)
    hidden: Tensor = text_model.model(ids, attention_mask=mask)[0]
    return hidden.to("cpu", torch.float32)


def _pad_weights(window: list[WeightedToken], length: int) -> list[float]:
    weights = [1.0, *(weight for _, weight in window)]
    return weights + [1.0] * (length - len(weights))


def _windows(text_model: TextModel, text: str) -> list[list[WeightedToken]]:
    """The prompt's tokens in windows that leave room for the begin and end token."""
    room = _length(text_model) - 2
    windows: list[list[WeightedToken]] = [[]]
    for word in _words(text_model, text):
        if len(word) < min(WHOLE_WORD, room + 1) and len(windows[-1]) + len(word) > room:
            windows.append([])
        for token in word:
            if len(windows[-1]) == room:
                windows.append([])
            windows[-1].append(token)
        if len(windows) > MAX_WINDOWS:
            raise InvalidValue(
                "the prompt is too long",
                given=f"{len(text)} characters",
                expected=f"at most {MAX_WINDOWS * room} tokens",
            )
    return windows


def _words(text_model: TextModel, text: str) -> Iterator[list[WeightedToken]]:
    """The prompt's tokens, word by word; a word's last token is marked in CLIP's vocabulary."""
    tokenizer = text_model.tokenizer
    for span in parse_prompt(text):
        ids = tokenizer(span.text, add_special_tokens=False, verbose=False).input_ids
        word: list[WeightedToken] = []
        for token, name in zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True):
            word.append((token, span.weight))
            if name.endswith(_WORD_END):
                yield word
                word = []
        if word:
            yield word


def _length(text_model: TextModel) -> int:
    """Tokens per window; a tokenizer that doesn't say takes what the encoder takes."""
    return int(
        min(text_model.tokenizer.model_max_length, text_model.model.config.max_position_embeddings)
    )


def _too_long(windows: list[list[WeightedToken]], length: int) -> str:
    tokens = sum(map(len, windows))
    return (
        f"The prompt has {tokens} tokens, more than the {length - 2} that the text encoder takes "
        f"at once; it is encoded in {len(windows)} parts."
    )
