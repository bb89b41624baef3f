"""Tokenizers as SentencePiece has them, read without its library. Imports no torch.

Some files of text encoders hold theirs so, as a tensor of bytes. The format is a protocol buffer.

Source: https://github.com/google/sentencepiece, ``sentencepiece_model.proto``; the order of merges
is that of transformers' converters, which published tokenizers of Gemma were made by.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

TENSOR = "spiece_model"
"""Name of the tensor that holds one, as ComfyUI writes it."""

_CONTROL, _USER_DEFINED = 3, 4
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_PIECES, _TEXT, _SCORE, _KIND = 1, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Piece:
    """A word of the vocabulary.

    Attributes:
        score: By which words are merged, highest first.
        is_control: Whether it stands for no text.
        is_whole: Whether it is never cut, wherever it stands in a text.
    """

    text: str
    score: float
    is_control: bool
    is_whole: bool


def read_pieces(model: bytes) -> list[Piece]:
    """The vocabulary, by number.

    Raises:
        ValueError: It is no such model.
    """
    try:
        pieces = [_piece(bytes(item)) for field, item in _fields(model) if field == _PIECES]
    except (IndexError, TypeError, UnicodeDecodeError, struct.error) as error:
        raise ValueError(f"it is no SentencePiece model: {error}") from error
    if not pieces:
        raise ValueError("it is no SentencePiece model: it has no words")
    return pieces


def merges_of(pieces: list[Piece]) -> list[tuple[str, str]]:
    """The pairs that words are made of, those that are joined first before others."""
    known = {piece.text: piece.score for piece in pieces if not piece.is_control}
    merges = [
        (score, len(left), len(right), left, right)
        for word, score in known.items()
        for left, right in ((word[:at], word[at:]) for at in range(1, len(word)))
        if left in known and right in known
    ]
    merges.sort(key=lambda item: item[:3], reverse=True)
    return [(left, right) for *_, left, right in merges]


def _piece(message: bytes) -> Piece:
    fields: dict[int, Any] = dict(_fields(message))
    kind = fields.get(_KIND, 1)
    return Piece(
        bytes(fields[_TEXT]).decode("utf-8"),
        struct.unpack("<f", fields[_SCORE])[0] if _SCORE in fields else 0.0,
        kind == _CONTROL,
        kind in (_CONTROL, _USER_DEFINED),
    )


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Numbers and contents of the fields of a protocol buffer."""
    view, at = memoryview(message), 0
    while at < len(view):
        key, at = _varint(view, at)
        kind = key & 7
        if kind == _VARINT:
            value, at = _varint(view, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _varint(view, at)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise ValueError(f"it is no SentencePiece model: it has a field of kind {kind}")
        if at + size > len(view):
            raise ValueError("it is no SentencePiece model: it is cut short")
        yield key >> 3, bytes(view[at : at + size])
        at += size


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = view[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at
