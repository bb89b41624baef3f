"""What a safetensors file holds, read from its header without torch.

Format: 8 bytes little-endian length of the header, the header as JSON, then the tensors' bytes
one after the other without gaps. Source: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from nodegraph.errors import InvalidFile

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each tensor by name."""

MAX_HEADER_BYTES = 100_000_000
"""As in the reference implementation: a header is never larger."""


@dataclass(frozen=True, slots=True)
class Header:
    """Names, shapes and types of the tensors in a file.

    Attributes:
        dtypes: As the format writes them, such as ``F16``.
        metadata: The free text entries of the file.
    """

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """Read a file's header and check that all of its tensors are there.

    Raises:
        InvalidFile: It can't be read, is no safetensors file, is damaged or cut short.
    """
    try:
        with path.open("rb") as file:
            return read_open_header(file, path.stat().st_size, path)
    except OSError as error:
        raise InvalidFile(f"can't read {path}: {error.strerror or error}") from error


def read_open_header(
    file: BinaryIO, size: int, name: Path | str, *, most: int = MAX_HEADER_BYTES
) -> Header:
    """As `read_header`, of an open file.

    Args:
        size: Bytes of the file.
        name: For messages.
        most: Bytes that the header may have.
    """
    if not size:
        raise _damaged(name, "it is empty")
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or not 2 <= length <= min(size - 8, most):
        raise _damaged(name, f"it has {size} bytes and claims a header of {length}")
    header, end = _parse(name, file.read(length))
    _check_size(name, 8 + length + end, size)
    return header


def _parse(path: Path | str, text: bytes) -> tuple[Header, int]:
    """The header, and where the last tensor ends, counted from the end of the header."""
    try:
        content = json.loads(text)
        metadata = content.pop("__metadata__", {})
        shapes = {name: _shape(entry) for name, entry in content.items()}
        dtypes = {name: str(entry["dtype"]) for name, entry in content.items()}
        end = max((int(entry["data_offsets"][1]) for entry in content.values()), default=0)
        return Header(shapes, dtypes, {str(key): str(metadata[key]) for key in metadata}), end
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise _damaged(path, "its header is not what the format asks for") from error


def _shape(entry: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(side) for side in entry["shape"])


def _check_size(path: Path | str, expected: int, size: int) -> None:
    if size < expected:
        raise _damaged(path, f"it is cut short after {size} of {expected} bytes")
    if size > expected:
        raise _damaged(path, f"{size - expected} bytes follow after its last tensor")


def _damaged(path: Path | str, how: str) -> InvalidFile:
    return InvalidFile(
        f"{path} is no intact safetensors file: {how}.",
        hint="Download or copy it again.",
    )
