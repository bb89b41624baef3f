"""GGUF files: types of numbers, and headers read without torch.

Format: ``GGUF``, version, number of tensors and of entries; the entries, each a name, a type and a
value; for each tensor its name, dimensions (innermost first), type and position; then, at a
multiple of the alignment, their numbers. Little-endian throughout.
Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and ``ggml-common.h`` there.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterable
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.weights.attached_models import whole_size
from nodegraph.weights.safetensors_header import MAX_HEADER_BYTES, Header, check_not_text

PLAIN = {0: "F32", 1: "F16", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 30: "BF16"}
"""By the number in the file: those that the safetensors format names so, too."""

PLAIN_BYTES = {"F32": 4, "F16": 2, "I8": 1, "I16": 2, "I32": 4, "I64": 8, "F64": 8, "BF16": 2}

_BLOCK_TYPES = {
    2: "Q4_0",
    3: "Q4_1",
    6: "Q5_0",
    7: "Q5_1",
    8: "Q8_0",
    10: "Q2_K",
    11: "Q3_K",
    12: "Q4_K",
    13: "Q5_K",
    14: "Q6_K",
    20: "IQ4_NL",
    23: "IQ4_XS",
}
TYPES = {**PLAIN, **_BLOCK_TYPES}
"""By the number in the file: all that can be read."""

BLOCKS = {
    "Q4_0": (32, 18),
    "Q4_1": (32, 20),
    "Q5_0": (32, 22),
    "Q5_1": (32, 24),
    "Q8_0": (32, 34),
    "Q2_K": (256, 84),
    "Q3_K": (256, 110),
    "Q4_K": (256, 144),
    "Q5_K": (256, 176),
    "Q6_K": (256, 210),
    "IQ4_NL": (32, 18),
    "IQ4_XS": (256, 136),
}
"""Of types whose numbers lie in blocks: how many are in one, and its bytes."""

FOREIGN = {
    9: "Q8_1",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    21: "IQ3_S",
    22: "IQ2_S",
    29: "IQ1_M",
    34: "TQ1_0",
    35: "TQ2_0",
    39: "MXFP4",
    40: "NVFP4",
}
"""Those that can't, by name for messages."""


def check_gguf_installed(kinds: Iterable[str]) -> None:
    """Refuse types of numbers that need the package gguf where that is missing.

    Raises:
        InvalidValue: So it is.
    """
    if not BLOCKS.keys().isdisjoint(kinds) and find_spec("gguf") is None:
        raise InvalidValue(
            "GGUF weights in blocks need the package gguf, which is not installed",
            hint="Run `pip install 'nodegraph[gguf]'`.",
        )


_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_NUMBERS = dict(zip((*range(8), 10, 11, 12), "BbHhIif?Qqd", strict=True))
"""Types of entries, as `struct` writes them."""
_ALIGNMENT = "general.alignment"
_ORIGINAL_SHAPE = "comfy.gguf.orig_shape."
"""Of tensors that were given another shape so that their rows divide into blocks."""
_MOST_DIMENSIONS = 8
_LONG = 64
"""Items of a list that isn't kept: words of a tokenizer, not the shape of a tensor."""


def read_gguf_header(path: Path) -> Header:
    """Read a file's header and check that all of its tensors are there.

    Returns:
        Offsets are counted from the beginning of the file; entries that are lists or long aren't
        among the metadata.
    Raises:
        InvalidFile: It can't be read, is no GGUF file, is damaged, cut short, or holds numbers of a
            type that can't be read here.
    """
    try:
        with path.open("rb") as file:
            return _Parser(file, path, whole_size(path, path.stat().st_size)).header()
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error
    except (struct.error, ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise _damaged(path, "its header does not follow the format") from error


class _Parser:
    """Reads a header from its beginning to its end."""

    def __init__(self, file: BinaryIO, path: Path, size: int) -> None:
        self._file, self._path, self._size = file, path, size
        self._most = min(size, MAX_HEADER_BYTES)

    def header(self) -> Header:
        start = self._file.read(8)
        self._file.seek(0)
        if self._bytes(4) != b"GGUF":
            check_not_text(self._path, start, "GGUF")
            raise _damaged(self._path, "it does not start with the GGUF signature")
        version = self._number("I")
        if version not in _VERSIONS:
            raise InvalidFile(
                f"{self._path} is a GGUF file of version {version}",
                expected="version 2 or 3, little-endian",
            )
        tensors, entries = self._number("Q"), self._number("Q")
        metadata = dict(self._entry() for _ in range(entries))
        if int(metadata.get("split.count") or 0) > 1:
            raise InvalidFile(
                f"{self._path} is one of several parts of a GGUF file",
                hint="Join them with llama.cpp's gguf-split.",
            )
        return self._described(metadata, [self._tensor() for _ in range(tensors)])

    def _described(
        self, metadata: dict[str, Any], tensors: list[tuple[str, tuple[int, ...], str, int]]
    ) -> Header:
        alignment = int(metadata.get(_ALIGNMENT) or 32)
        if alignment < 0:
            raise _damaged(self._path, f"its tensors are aligned to multiples of {alignment}")
        begin = -(-self._file.tell() // alignment) * alignment
        header = Header(
            {}, {}, {key: str(item) for key, item in metadata.items() if _is_short(item)}
        )
        for name, shape, kind, offset in tensors:
            end = begin + offset + _stored_bytes(self._path, name, shape, kind)
            if end > self._size:
                raise _damaged(self._path, f"it is truncated before the end of {name}")
            header.shapes[name] = _original(shape, metadata.get(f"{_ORIGINAL_SHAPE}{name}"))
            header.dtypes[name] = kind
            header.offsets[name] = (begin + offset, end)
        return header

    def _entry(self) -> tuple[str, Any]:
        return self._text(), self._value(self._number("I"))

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._text()
        if kind != _ARRAY:
            return self._number(self._sign(kind))
        item, length = self._number("I"), self._number("Q")
        is_long = length > _LONG
        if item in (_STRING, _ARRAY):
            items = (self._value(item) for _ in range(length))
            # Of a long one only the end is sought: as objects, its items take many times the file.
            return list(deque(items, 0 if is_long else None))
        sign = self._sign(item)
        content = self._bytes(length * struct.calcsize(f"<{sign}"))
        return [] if is_long else list(struct.unpack(f"<{length}{sign}", content))

    def _sign(self, kind: int) -> str:
        if kind not in _NUMBERS:
            raise _damaged(self._path, f"an entry is of the unknown type {kind}")
        return _NUMBERS[kind]

    def _tensor(self) -> tuple[str, tuple[int, ...], str, int]:
        name, dimensions = self._text(), self._number("I")
        if dimensions > _MOST_DIMENSIONS:
            raise _damaged(self._path, f"{name} has {dimensions} dimensions")
        shape = tuple(reversed([self._number("Q") for _ in range(dimensions)]))
        kind = self._number("I")
        if kind not in TYPES:
            raise InvalidFile(
                f"{self._path} holds {name} as {FOREIGN.get(kind, f'type {kind}')}, which is "
                "not supported",
                expected=", ".join(TYPES.values()),
            )
        return name, shape, TYPES[kind], self._number("Q")

    def _text(self) -> str:
        return self._bytes(self._number("Q")).decode("utf-8")

    def _number(self, sign: str) -> Any:
        (number,) = struct.unpack(f"<{sign}", self._bytes(struct.calcsize(f"<{sign}")))
        return number

    def _bytes(self, count: int) -> bytes:
        if self._file.tell() + count > self._most:
            raise _damaged(self._path, "it is truncated inside its header")
        return self._file.read(count)


def _is_short(entry: Any) -> bool:
    return not isinstance(entry, list) and len(str(entry)) <= 2**10


def _original(shape: tuple[int, ...], dimensions: Any) -> tuple[int, ...]:
    if not isinstance(dimensions, list) or not all(isinstance(item, int) for item in dimensions):
        return shape
    is_same = min(dimensions, default=1) > 0 and prod(dimensions) == prod(shape)
    return tuple(dimensions) if is_same else shape


def _stored_bytes(path: Path, name: str, shape: tuple[int, ...], kind: str) -> int:
    numbers = prod(shape)
    if kind not in BLOCKS:
        return numbers * PLAIN_BYTES[kind]
    block, size = BLOCKS[kind]
    if not numbers or numbers % block:
        raise _damaged(path, f"{name} has {numbers} numbers, which is not a whole number of blocks")
    return numbers // block * size


def _damaged(path: Path, how: str) -> InvalidFile:
    return InvalidFile(
        f"{path} is not an intact GGUF file: {how}", hint="Download or copy it again."
    )
