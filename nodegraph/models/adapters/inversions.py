"""Textual inversions on text encoders: words that stand for learned embeddings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.core.values import Adapter
from nodegraph.families.components import TextModel
from nodegraph.models.adapters.adapter_files import match_encoders, read_inversion
from nodegraph.models.adapters.layer_changes import structural_copy
from nodegraph.weights.weight_files import read_tensors

_LARGEST = 2
"""What CLIP's configuration had by mistake as the end token: transformers then looks for the
largest token instead."""


def with_inversion_token(component: TextModel, adapter: Adapter, dtype: str) -> TextModel:
    """A text model that knows one more word; the given one stays as it is.

    Args:
        adapter: Of the kind `INVERSION`.
        dtype: Precision of the recipe.
    Raises:
        InvalidFile: The file holds none, or none for this model.
    """
    file = read_inversion(Path(adapter.source))
    tensors = read_tensors([file.path], dtype)
    modules, tokenizers = dict(component.modules), dict(component.tokenizers)
    for role, name in match_encoders(file, _widths(modules)).items():
        rows = tensors[name].reshape(-1, tensors[name].shape[-1])
        tokenizer_role = role.replace("text_encoder", "tokenizer")
        known = tokenizers[tokenizer_role]
        modules[role] = _with_rows(modules[role], rows, len(known))
        _set_end_token(modules[role], known.eos_token_id)
        tokenizers[tokenizer_role] = _with_tokens(known, adapter.token, len(rows))
    return replace(component, modules=modules, tokenizers=tokenizers, empty={})


def with_trainable_token(
    component: TextModel, word: str, rows: Mapping[str, Tensor]
) -> tuple[TextModel, dict[str, nn.Parameter]]:
    """A text model that is to learn a word; the given one stays as it is.

    Args:
        rows: What the word's tokens begin as, by the role of the encoder; (tokens, width).
    Returns:
        It, and what it learns, by role; float32.
    """
    modules, tokenizers = dict(component.modules), dict(component.tokenizers)
    learnt = {}
    for role, begun in rows.items():
        tokenizer_role = role.replace("text_encoder", "tokenizer")
        known = tokenizers[tokenizer_role]
        modules[role] = _with_rows(modules[role], begun, len(known))
        _set_end_token(modules[role], known.eos_token_id)
        layer: Any = modules[role].get_input_embeddings()
        device = layer.weight.device
        learnt[role] = nn.Parameter(begun.to(device, torch.float32, copy=True))
        # Rows of other words stay as they are: they were learned before.
        before = layer.more[: len(layer.more) - len(begun)]
        kind: Any = type(layer)
        layer.__class__ = _embedding_class(_Learning, kind)
        layer.learnt = learnt[role]
        layer.more = before
        tokenizers[tokenizer_role] = _with_tokens(known, word, len(begun))
    return replace(component, modules=modules, tokenizers=tokenizers, empty={}), learnt


def _widths(modules: Mapping[str, Any]) -> dict[str, int]:
    return {
        role: module.get_input_embeddings().embedding_dim
        for role, module in modules.items()
        if type(module).__name__.startswith("CLIPText")
    }


class InversionTokenizer:
    """A tokenizer to which some words stand for several tokens of their own.

    All else that is asked of it is the tokenizer's.

    Args:
        tokenizer: Of transformers; with the tokens added.
        words: The text that each word is replaced by: its tokens, with blanks between.
    """

    def __init__(self, tokenizer: Any, words: Mapping[str, str]) -> None:
        self._tokenizer, self.words = tokenizer, dict(words)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)

    def __len__(self) -> int:
        return len(self._tokenizer)

    def __call__(self, text: Any, *args: Any, **options: Any) -> Any:
        """As the tokenizer's, of a text or several."""
        several = not isinstance(text, str)
        replaced = [self._replaced(item) for item in text] if several else self._replaced(text)
        return self._tokenizer(replaced, *args, **options)

    def _replaced(self, text: str) -> str:
        # CLIP doesn't tell cases apart; of words that only these do, the one that is written goes.
        # The longest first: `fat cat` isn't `fat` and what `cat` stands for.
        longest = sorted(self.words.items(), key=lambda item: -len(item[0]))
        for flags in (0, re.IGNORECASE):
            for word, tokens in longest:
                # A word of its own, not a part of one; it may begin and end with any sign.
                whole = rf"(?<!\w){re.escape(word)}(?!\w)"
                text = re.sub(whole, lambda _: tokens, text, flags=flags)  # noqa: B023
        return text


def _with_tokens(tokenizer: Any, word: str, count: int) -> InversionTokenizer:
    known = tokenizer.words if isinstance(tokenizer, InversionTokenizer) else {}
    base = tokenizer._tokenizer if isinstance(tokenizer, InversionTokenizer) else tokenizer
    more = deepcopy(base)
    # Signs that no prompt has: the words are replaced by them before the tokenizer sees any.
    first = len(more)
    tokens = [f"\ue000{first + at}\ue001" for at in range(count)]
    more.add_tokens(tokens, special_tokens=True)
    return InversionTokenizer(more, {**known, word: " ".join(tokens)})


class _Longer:
    """What makes an embedding's class one with some rows more, which are kept apart.

    Attributes:
        first: Token that the first of them is of.
        more: Shape (tokens, width).
    """

    first: int
    more: Tensor

    def forward(self, input: Tensor) -> Tensor:
        is_added = input >= self.first
        embedded: Tensor = super().forward(  # type: ignore[misc]
            input.masked_fill(is_added, 0)
        )
        added = functional.embedding((input - self.first).clamp(min=0), self.more)
        # What is being learned may be in a wider type.
        return torch.where(is_added[..., None], added.to(embedded.dtype), embedded)


class _Learning:
    """What makes such a class one whose last rows learn."""

    more: Tensor
    learnt: Tensor
    _buffers: dict[str, Tensor]

    def forward(self, input: Tensor) -> Tensor:
        before, rows = self.more, torch.cat([self.more.to(self.learnt.dtype), self.learnt])
        self._buffers["more"] = rows
        try:
            embedded: Tensor = super().forward(input)  # type: ignore[misc]
            return embedded
        finally:
            self._buffers["more"] = before


@cache
def _embedding_class(mixin: type[Any], kind: type[Any]) -> type[Any]:
    # Of the embedding's own class, which may hold its rows in few bits.
    return type(f"{mixin.__name__.strip('_')}{kind.__name__}", (mixin, kind), {})


def _with_rows(module: nn.Module, rows: Tensor, first: int) -> nn.Module:
    """An encoder with embeddings for tokens from `first` on, or after those that it has so."""
    twin: Any = structural_copy(module)
    layer = twin.get_input_embeddings()
    rows = rows.to(layer.weight.device, layer.weight.dtype)
    if isinstance(layer, _Longer):
        layer.more = torch.cat([layer.more, rows])
        return twin  # type: ignore[no-any-return]
    kind: Any = type(layer)
    layer.__class__ = _embedding_class(_Longer, kind)
    layer.first = first
    layer.register_buffer("more", rows)
    return twin  # type: ignore[no-any-return]


def _set_end_token(module: Any, end: int) -> None:
    """Let CLIP look for the end of a prompt by its token.

    Of old models it takes the largest one for that, which would be an added one.
    """
    for part in module.modules():
        if getattr(part, "eos_token_id", None) == _LARGEST:
            part.eos_token_id = end
