"""Whole words that a model's text encoder knows, for whoever writes prompts. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

from nodegraph.core.weight_files import file_stamp
from nodegraph.errors import NodegraphError
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Part
from nodegraph.families.registry import FAMILIES
from nodegraph.families.vocabulary import MERGES, VOCABULARIES, find_tokenizer, read_clip_vocabulary
from nodegraph.models.model_sources import FoundModel
from nodegraph.weights.tokenizer_files import SUFFIX, byte_characters, read_pieces, unpack_tokenizer

MOST_WORDS = 30_000
_SHORTEST = 3
"""Letters; shorter ones are typed as quickly as they are chosen."""
_BEGINS = ("\u0120", "\u2581")
"""What stands for the space before a word: of vocabularies of bytes, and of SentencePiece."""
_ENDS = "</w>"
"""What ends a word in CLIP's vocabulary."""


def known_words(model: FoundModel, folders: Sequence[Path]) -> tuple[str, ...]:
    """The words that one token stands for, the most common first, each in one spelling.

    CLIP's vocabulary doesn't tell words from ends of longer ones: some of those are among them.

    Args:
        model: Of any kind.
        folders: The models folders, where tokenizers of single files are looked for.
    Returns:
        Nothing where no vocabulary is found, or none can be read.
    """
    family = FAMILIES.get(model.family or "")
    for part in () if family is None else family.tokenizers:
        try:
            files = _tokenizer(model, part, folders)
            words = _words(tuple(files), tuple(file_stamp(file) for file in files))
        except (NodegraphError, OSError, ValueError, TypeError, AttributeError, LookupError):
            # A tokenizer that is damaged is told where the model is loaded.
            continue
        if words:
            return words
    return ()


def _tokenizer(model: FoundModel, part: Part, folders: Sequence[Path]) -> list[Path]:
    if model.path.is_dir():
        return layout.tokenizer_files(model.path / part.role)
    known = VOCABULARIES.get(part.vocabulary)
    return find_tokenizer(part, known.words if known else 0, folders)


@lru_cache(maxsize=8)
def _words(files: tuple[Path, ...], stamps: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a tokenizer.

    Args:
        stamps: Of the files: what was read of them holds as long as these are the same.
    """
    spellings: dict[str, str] = {}
    for token in _tokens(files):
        word = _word(token)
        if word is not None:
            spellings.setdefault(word.casefold(), word)
    return tuple(islice(spellings.values(), MOST_WORDS))


def _tokens(files: Iterable[Path]) -> Iterator[str]:
    """The vocabulary of the first file that has one."""
    for file in files:
        for name, read in _contents(file):
            tokens = _READERS.get(name, _nothing)(read)
            if tokens:
                yield from tokens
                return


def _contents(file: Path) -> Iterator[tuple[str, Any]]:
    """What a file holds, or the files that a packed one stands for, by name."""
    if file == MERGES:
        yield "vocab.json", json.dumps(read_clip_vocabulary(file)[0])
    elif file.name.endswith(SUFFIX):
        yield from unpack_tokenizer(file).items()
    elif file.name in _READERS:
        yield file.name, file.read_bytes()


def _of_tokenizer(text: str | bytes) -> list[str]:
    vocabulary = json.loads(text).get("model", {}).get("vocab", {})
    # Of the kind Unigram: words with their scores, the most common first.
    return (
        _in_order(vocabulary) if isinstance(vocabulary, dict) else [each[0] for each in vocabulary]
    )


def _of_vocabulary(text: str | bytes) -> list[str]:
    return _in_order(json.loads(text))


def _in_order(numbers: Mapping[str, int]) -> list[str]:
    """Tokens by number: those that were joined first are the most common."""
    return sorted(numbers, key=numbers.__getitem__)


def _of_pieces(data: bytes) -> list[str]:
    return [piece.text for piece in read_pieces(data) if not piece.is_control]


def _nothing(_: Any) -> list[str]:
    return []


_READERS: Mapping[str, Any] = {
    "tokenizer.json": _of_tokenizer,
    "vocab.json": _of_vocabulary,
    "spiece.model": _of_pieces,
    "tokenizer.model": _of_pieces,
}


def _word(token: str) -> str | None:
    """The word that a token stands for; None for parts of words, numbers and signs."""
    if token.endswith(_ENDS):
        text = _of_bytes(token.removesuffix(_ENDS))
    elif token.startswith(_BEGINS):
        text = token[1:] if token[0] == _BEGINS[1] else _of_bytes(token[1:])
    else:
        return None
    return text if len(text) >= _SHORTEST and text.isalpha() else None


def _of_bytes(letters: str) -> str:
    """The text of a token of bytes; nothing where it is a part of a letter."""
    try:
        return bytes(_bytes()[letter] for letter in letters).decode()
    except (KeyError, UnicodeDecodeError):
        return ""


@lru_cache(maxsize=1)
def _bytes() -> Mapping[str, int]:
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    remaining = [byte for byte in range(256) if byte not in plain]
    return dict(zip(byte_characters(), [*plain, *remaining], strict=True))
