"""Text encoders besides CLIP's windows: a prompt in one piece, padded to a fixed length."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Warn


def tokenize_padded(
    tokenizer: Any, texts: str | Sequence[str], length: int, warn: Warn | None = None, **how: Any
) -> dict[str, Tensor]:
    """Tokens of prompts and their mask, padded and cut to a length; int64, (prompts, length)."""
    tokens = tokenizer(
        texts,
        padding="max_length",
        max_length=length,
        truncation=True,
        return_tensors="pt",
        **how,
    )
    if warn is not None and bool(tokens["attention_mask"][:, -1].all()):
        _warn_of_cut(tokenizer, texts, length, warn)
    return {"input_ids": tokens["input_ids"], "attention_mask": tokens["attention_mask"]}


def padded_length(tokenizer: Any, text: str, fewest: int, most: int) -> int:
    """How many tokens a prompt is padded to that is as long as it needs, between two lengths."""
    count = len(tokenizer(text, verbose=False)["input_ids"])
    return min(max(count, fewest), most)


def t5_states(model: Any, tokens: dict[str, Tensor], *, masked: bool = False) -> Tensor:
    """The last hidden states of a T5 encoder; float32 on the CPU, (1, tokens, width).

    Args:
        masked: Whether the encoder is told which tokens are padding.
    """
    ids = tokens["input_ids"].to(model.device)
    mask = tokens["attention_mask"].to(model.device) if masked else None
    hidden: Tensor = model(ids, attention_mask=mask)[0]
    return hidden.to("cpu", torch.float32)


def hidden_states(model: Any, tokens: dict[str, Tensor], layer: int) -> Tensor:
    """What a layer of a language model gives; see `layer_states`."""
    return layer_states(model, tokens, [layer])[0]


def layer_states(model: Any, tokens: dict[str, Tensor], layers: Sequence[int]) -> list[Tensor]:
    """What layers of a language model give, counted from 0, the embedded tokens, and as in Python
    back from -1, the last after its norm; each float32 on the CPU, (1, tokens, width).

    By its own number the last is as the others, without the norm: of some models those that
    nobody asks for are left out of the file.

    Args:
        tokens: All that the model takes, such as `padded` gives.
    """
    placed = {name: item.to(model.device) for name, item in tokens.items()}
    # without the head, which would say for every token how likely each word is to follow
    base = model.base_model
    with _last_as_it_is(base) as last:
        states = base(**placed, output_hidden_states=True).hidden_states
    wanted = [last[-1] if last and layer == len(states) - 1 else states[layer] for layer in layers]
    return [item.to("cpu", torch.float32) for item in wanted]


@contextmanager
def _last_as_it_is(base: Any) -> Iterator[list[Tensor]]:
    """What the last layer gives inside the `with`, before the norm; empty of unusual models."""
    states: list[Tensor] = []
    norm = getattr(getattr(base, "language_model", base), "norm", None)
    if norm is None:
        yield states
        return
    hook = norm.register_forward_pre_hook(lambda _, arguments: states.append(arguments[0]))
    try:
        yield states
    finally:
        hook.remove()


def all_hidden_states(model: Any, tokens: dict[str, Tensor]) -> Tensor:
    """What each layer of a language model gives; float32 on the CPU, (1, layers, tokens, width).

    Its attention weights are asked for, too: torch computes them by another kernel, whose last
    bits differ, and diffusers does so.
    """
    placed = {name: item.to(model.device) for name, item in tokens.items()}
    logging.getLogger("transformers.integrations.sdpa_attention").addFilter(_is_news)
    output = model.base_model(**placed, output_hidden_states=True, output_attentions=True)
    return torch.stack(output.hidden_states[1:], 1).to("cpu", torch.float32)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a message of transformers is more than its advice to ask for another kernel."""
    return "output_attentions" not in str(record.msg)


def clip_states(model: Any, tokens: dict[str, Tensor], layer: int = 2) -> tuple[Tensor, Tensor]:
    """Hidden states of a CLIP encoder with a projection, and the projected prompt; float32 on the
    CPU, (1, tokens, width) and (1, width).

    Args:
        layer: That they are of, counted from the last, 1.
    """
    check_layer(model, layer)
    output = model(tokens["input_ids"].to(model.device), output_hidden_states=True)
    hidden: Tensor = output.hidden_states[-layer]
    return hidden.to("cpu", torch.float32), output[0].to("cpu", torch.float32)


def check_layer(model: Any, layer: int) -> None:
    """Refuse layers that a CLIP encoder hasn't got, counted from the last, 1.

    Raises:
        InvalidValue: It has fewer.
    """
    layers = int(model.config.num_hidden_layers)
    if layer > layers:
        raise InvalidValue(
            "the text encoder hasn't so many layers to skip",
            port="encoder",
            given=f"clip skip {layer}",
            expected=f"{layers} at most",
        )


def clip_pooled(model: Any, tokens: dict[str, Tensor]) -> Tensor:
    """The pooled prompt of a CLIP encoder; float32 on the CPU, (1, width)."""
    pooled: Tensor = model(tokens["input_ids"].to(model.device)).pooler_output
    return pooled.to("cpu", torch.float32)


def _warn_of_cut(tokenizer: Any, texts: str | Sequence[str], length: int, warn: Warn) -> None:
    every = [texts] if isinstance(texts, str) else texts
    counts = [len(tokenizer(text, verbose=False)["input_ids"]) for text in every]
    if max(counts) > length:
        warn(
            f"The prompt has {max(counts)} tokens, more than the {length} that a text encoder "
            "takes: it doesn't see the rest."
        )
