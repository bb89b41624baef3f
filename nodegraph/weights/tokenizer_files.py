"""Read tokenizer vocabularies: packed files of this package, SentencePiece. No torch.

Packed files: ``tokenizer.json.gz`` is that file; ``merges.txt.gz``, the pairs of a byte vocabulary
with the most frequent first, gives it and ``vocab.json``; ``words.txt.gz``, the words of Mistral's
Tekken by number, gives a ``tokenizer.json``; so does ``pairs.txt.gz``, the pairs of Qwen 3.5.

SentencePiece models are protocol buffers; some text encoder files hold one as a tensor of bytes.
Source: https://github.com/google/sentencepiece, ``sentencepiece_model.proto``; the order of merges
is that of transformers' converters, which made the published tokenizers of Gemma.
"""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodegraph.weights.single_files.gemma4 import TOKENIZER_TENSOR

SUFFIX = ".gz"

_TEKKEN_SPLIT = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What Tekken takes for a word, as its ``tekken.json`` says it."""
_QWEN35_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}"
    r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What Qwen 3.5 takes for a word, as its ``tokenizer_config.json`` says it."""
_TEKKEN_MARKS = 1000
"""Its first words, which stand for no text."""
_TEKKEN_BEGIN = "<s>"
_BYTE_LEVEL = {
    "type": "ByteLevel",
    "add_prefix_space": False,
    "trim_offsets": True,
    "use_regex": False,
}


def unpack_tokenizer(file: Path) -> dict[str, str]:
    """The content of the files that a packed one stands for, by name."""
    text = read_packed(file)
    if file.name == "merges.txt.gz":
        return {"merges.txt": text, "vocab.json": _json(byte_words(read_pairs(text)))}
    if file.name == "words.txt.gz":
        return {"tokenizer.json": _json(_tekken(text.splitlines()))}
    if file.name == "pairs.txt.gz":
        return {"tokenizer.json": _json(_qwen35(read_pairs(text)))}
    return {file.name.removesuffix(SUFFIX): text}


def read_packed(file: Path) -> str:
    """The text in a packed file."""
    return gzip.decompress(file.read_bytes()).decode("utf-8")


def read_pairs(text: str) -> list[tuple[str, str]]:
    """The pairs of a vocabulary, a line each. The second is empty where a line has one word: that
    has a number, but no pair makes it."""
    lines = (line.partition(" ") for line in text.splitlines())
    return [(first, second) for first, _, second in lines]


def byte_words(pairs: Sequence[tuple[str, str]]) -> dict[str, int]:
    """A vocabulary of bytes, by number: the bytes, and the pairs joined."""
    words = [*byte_characters(), *(first + second for first, second in pairs)]
    return {word: number for number, word in enumerate(words)}


def byte_characters() -> list[str]:
    """The printable stand-ins that byte-level vocabularies have for bytes, in GPT-2's order."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    remaining = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + number) for number in range(len(remaining))]


def _split(pattern: str) -> dict[str, Any]:
    """Split a text into words by a pattern, and those into bytes."""
    words = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}
    return {"type": "Sequence", "pretokenizers": [{**words, "invert": False}, _BYTE_LEVEL]}


def _qwen35(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {
        "version": "1.0",
        # Its configuration has its marks.
        "added_tokens": [],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": _split(_QWEN35_SPLIT),
        "post_processor": None,
        "decoder": _BYTE_LEVEL,
        "model": {
            "type": "BPE",
            "vocab": byte_words(pairs),
            "merges": [[first, second] for first, second in pairs if second],
        },
    }


def _tekken(words: Sequence[str]) -> dict[str, Any]:
    numbers = {word: number for number, word in enumerate(words)}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": number, "content": word, "special": True, **plain}
            for number, word in enumerate(words[:_TEKKEN_MARKS])
        ],
        "normalizer": None,
        "pre_tokenizer": _split(_TEKKEN_SPLIT),
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": _TEKKEN_BEGIN, "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [
                {"SpecialToken": {"id": _TEKKEN_BEGIN, "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {
                _TEKKEN_BEGIN: {
                    "id": _TEKKEN_BEGIN,
                    "ids": [numbers[_TEKKEN_BEGIN]],
                    "tokens": [_TEKKEN_BEGIN],
                }
            },
        },
        "decoder": _BYTE_LEVEL,
        "model": {
            "type": "BPE",
            "ignore_merges": True,
            "vocab": numbers,
            "merges": [list(pair) for pair in _pairs_of(words[_TEKKEN_MARKS:])],
        },
    }


def _pairs_of(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The pairs that each word may be joined of, in the order of the words."""
    numbers = {word: number for number, word in enumerate(words)}
    for word in words:
        cuts = ((word[:at], word[at:]) for at in range(1, len(word)))
        pairs = [pair for pair in cuts if pair[0] in numbers and pair[1] in numbers]
        yield from sorted(pairs, key=lambda pair: (numbers[pair[0]], numbers[pair[1]]))


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False)


TENSOR = "spiece_model"
"""Name of the tensor that holds one, as ComfyUI writes it."""
_WHOLE = "text_encoders."
"""Before the names of text encoders and their tokenizers in files of whole models."""


def find_tokenizer_tensor(names: Collection[str]) -> str | None:
    """The tensor that holds a tokenizer; None if none of them does.

    Args:
        names: Of all tensors in the file of a text encoder, or of a whole model as ComfyUI's
            ``CheckpointSave`` writes it.
    """
    both = (f"{prefix}{name}" for prefix in ("", _WHOLE) for name in (TOKENIZER_TENSOR, TENSOR))
    return next((name for name in both if name in names), None)


_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED = 1, 2, 3, 4
BPE = 2
"""Algorithm of SentencePiece models that merge pairs; see `Normalization`."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_PIECES, _TEXT, _SCORE, _KIND = 1, 1, 2, 3
_TRAINER, _ALGORITHM, _BYTE_FALLBACK = 2, 3, 35
_NORMALIZER, _CHARSMAP, _DUMMY_PREFIX, _EXTRA_SPACES = 3, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Piece:
    """A word of the vocabulary.

    Attributes:
        score: By which words are merged, highest first.
        is_control: Whether it stands for no text.
        is_whole: Whether it is never cut, wherever it stands in a text.
        is_unknown: Whether it stands for what the vocabulary has not.
        is_mergeable: Whether pairs are merged into it: no byte, mark or unused word.
    """

    text: str
    score: float
    is_control: bool
    is_whole: bool
    is_unknown: bool = False
    is_mergeable: bool = True

    @property
    def is_user_defined(self) -> bool:
        """Whether it is found in texts before anything is merged."""
        return self.is_whole and not self.is_control


@dataclass(frozen=True, slots=True)
class Normalization:
    """How a model changes a text before it cuts it.

    Attributes:
        algorithm: `BPE`, or 1 for the most probable words.
        byte_fallback: Whether unknown characters become their bytes in UTF-8.
        charsmap: Replacements of characters, compiled; empty for none.
        begins_with_space: Whether a text gets a space before it.
        collapses_spaces: Whether spaces around it are dropped, and several in it become one.
    """

    algorithm: int
    byte_fallback: bool
    charsmap: bytes
    begins_with_space: bool
    collapses_spaces: bool


def read_pieces(model: bytes) -> list[Piece]:
    """The vocabulary, by number.

    Raises:
        ValueError: It is no such model.
    """
    try:
        pieces = [_piece(bytes(item)) for field, item in _fields(model) if field == _PIECES]
    except (IndexError, TypeError, UnicodeDecodeError, struct.error) as error:
        raise ValueError(f"it is not a SentencePiece model: {error}") from error
    if not pieces:
        raise ValueError("it is not a SentencePiece model: it has no tokens")
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
        kind == _UNKNOWN,
        kind in (_NORMAL, _USER_DEFINED),
    )


def read_normalization(model: bytes) -> Normalization:
    """How a model changes texts.

    Raises:
        ValueError: It is no such model.
    """
    try:
        parts = {field: item for field, item in _fields(model) if field != _PIECES}
        trainer: dict[int, Any] = dict(_fields(_message(parts, _TRAINER)))
        normalizer: dict[int, Any] = dict(_fields(_message(parts, _NORMALIZER)))
    except (IndexError, TypeError) as error:
        raise ValueError(f"it is not a SentencePiece model: {error}") from error
    return Normalization(
        int(trainer.get(_ALGORITHM, 1)),
        bool(trainer.get(_BYTE_FALLBACK, False)),
        bytes(normalizer.get(_CHARSMAP, b"")),
        bool(normalizer.get(_DUMMY_PREFIX, True)),
        bool(normalizer.get(_EXTRA_SPACES, True)),
    )


def _message(parts: dict[int, bytes | int], field: int) -> bytes:
    part = parts.get(field, b"")
    if isinstance(part, int):
        raise ValueError(f"it is not a SentencePiece model: its field {field} is a number")
    return part


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
            raise ValueError(f"it is not a SentencePiece model: it has a field of kind {kind}")
        if at + size > len(view):
            raise ValueError("it is not a SentencePiece model: it is truncated")
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
