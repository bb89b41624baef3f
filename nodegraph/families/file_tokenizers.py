"""Tokenizers in the file of a text encoder, beside its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tokenizers

from nodegraph.families.building import building_from
from nodegraph.weights.joined_files import header_of
from nodegraph.weights.lazy import transformers
from nodegraph.weights.single_files.gemma4 import TOKENIZER_TENSOR
from nodegraph.weights.tokenizer_files import (
    TENSOR,
    find_tokenizer_tensor,
    merges_of,
    read_pieces,
)
from nodegraph.weights.weight_files import read_tensors

_ENDS = {"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}
"""Tokens of Gemma."""


def gemma_tokenizer(file: Path) -> Any:
    """Gemma's tokenizer from a text encoder's file, which begins each prompt with its own token.

    Raises:
        InvalidFile: The file has none, or it is damaged.
    """
    if _tensor_name(file).endswith(TOKENIZER_TENSOR):
        return json_tokenizer(transformers.GemmaTokenizer, file, add_bos_token=True)
    return sentencepiece_tokenizer(file)


def json_tokenizer(kind: Any, file: Path, **options: Any) -> Any:
    """A tokenizer from a file that holds its ``tokenizer.json``.

    Args:
        kind: The class that it becomes.
        options: For that class.
    Raises:
        InvalidFile: It is damaged.
    """
    with building_from(file):
        try:
            words = tokenizers.Tokenizer.from_str(_held(file).decode("utf-8"))
        except Exception as error:
            # The library raises bare exceptions.
            raise ValueError(f"its tokenizer is damaged: {error}") from error
        known = words.get_vocab(with_added_tokens=True)
        ends = {name: mark for name, mark in _ENDS.items() if mark in known}
        return kind(tokenizer_object=words, **ends, **options)


def sentencepiece_tokenizer(file: Path) -> Any:
    """Gemma's tokenizer, from the file of a text encoder that holds it.

    Raises:
        InvalidFile: It doesn't, or is damaged.
    """
    with building_from(file):
        pieces = read_pieces(_held(file))
        tokenizer = transformers.GemmaTokenizer(
            vocab={piece.text: number for number, piece in enumerate(pieces)},
            merges=merges_of(pieces),
            add_bos_token=True,
        )
        whole = [piece for piece in pieces if piece.is_whole]
        tokenizer.add_tokens(
            [
                tokenizers.AddedToken(piece.text, normalized=False, special=piece.is_control)
                for piece in whole
            ]
        )
    return tokenizer


def _tensor_name(file: Path) -> str:
    return find_tokenizer_tensor(header_of(file).shapes) or TENSOR


def _held(file: Path) -> bytes:
    """The tokenizer as the file holds it; KeyError where it holds none."""
    name = _tensor_name(file)
    # Other names may begin so, too.
    tensor = read_tensors([file], "float32", prefix=name)[name]
    return bytes(tensor.numpy().tobytes())
