"""Tokenizers that come along, packed: a vocabulary and no more, from which the files that the
libraries read are made. Imports no torch.

- ``tokenizer.json.gz`` is that file.
- ``merges.txt.gz``, the pairs of a vocabulary of bytes, most frequent first, give it and
  ``vocab.json``.
- ``words.txt.gz``, the words of Mistral's Tekken by number, give a ``tokenizer.json``.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

SUFFIX = ".gz"

_TEKKEN_SPLIT = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""What Tekken takes for a word, as its ``tekken.json`` says it."""
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
    return {file.name.removesuffix(SUFFIX): text}


def read_packed(file: Path) -> str:
    """The text in a packed file."""
    return gzip.decompress(file.read_bytes()).decode("utf-8")


def read_pairs(text: str) -> list[tuple[str, str]]:
    """The pairs of a vocabulary, a line each."""
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
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {
                    "type": "Split",
                    "pattern": {"Regex": _TEKKEN_SPLIT},
                    "behavior": "Isolated",
                    "invert": False,
                },
                _BYTE_LEVEL,
            ],
        },
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
