"""What a safetensors file holds, read from its header without torch.

Format: 8 bytes little-endian length of the header, the header as JSON, then the tensors' bytes
one after the other without gaps. Source: https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from time import time_ns
from typing import Any, BinaryIO

from nodegraph.core.words import pluralize
from nodegraph.errors import InvalidFile
from nodegraph.weights.attached_models import whole_size
from nodegraph.weights.precision.scaled import (
    UNDERSTOOD,
    Scales,
    find_scales,
    find_unsupported_format,
    find_unsupported_setting,
    settings_tensors,
    weight_of,
)

Shapes = Mapping[str, tuple[int, ...]]
"""Shape of each tensor by name."""

MAX_HEADER_BYTES = 100_000_000
"""As in the reference implementation: a header is never larger."""
_LONGEST_SETTINGS = 1 << 16
"""Bytes of what a file says of one layer."""
_SETTLED = 2 * 10**9
"""Nanoseconds after which a file's times tell of any later change, on every file system."""
_MOST_REMEMBERED = 16
"""Headers: a large model's parts, of some megabytes each."""


@dataclass(frozen=True, slots=True)
class Header:
    """Names, shapes and types of the tensors in a file.

    Attributes:
        dtypes: As the format writes them, such as ``F16``.
        metadata: The free text entries of the file.
        offsets: Where each tensor's bytes begin and end, counted from the end of the header.
        scales: Tensors that say how others are to be read: they are none of a model's, and not
            among `shapes` and `dtypes`.
        scale_tensors: Their shapes and types.
    """

    shapes: dict[str, tuple[int, ...]]
    dtypes: dict[str, str]
    metadata: dict[str, str]
    offsets: dict[str, tuple[int, int]] = field(default_factory=dict)
    scales: Scales = field(default_factory=Scales)
    scale_tensors: dict[str, tuple[tuple[int, ...], str]] = field(default_factory=dict)


def read_header(path: Path) -> Header:
    """Read a file's header and check that all of its tensors are there.

    What it gives is others' too, and read-only.

    Raises:
        InvalidFile: It can't be read, is no safetensors file, is damaged or cut short.
    """
    try:
        status = path.stat()
        stamp = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
        is_settled = max(status.st_mtime_ns, status.st_ctime_ns) < time_ns() - _SETTLED
        return _cached_header(path, stamp) if is_settled else _read(path)
    except OSError as error:
        raise InvalidFile(f"can't read {path}: {error.strerror or error}") from error


@lru_cache(maxsize=_MOST_REMEMBERED)
def _cached_header(path: Path, stamp: tuple[int, ...]) -> Header:
    """The header of a file that any later change would give another stamp.

    A model's are asked for by each check that is made before it runs.
    """
    return _read(path)


def _read(path: Path) -> Header:
    with path.open("rb") as file:
        return read_open_header(file, whole_size(path, os.fstat(file.fileno()).st_size), path)


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
        raise damaged_file_error(name, "it is empty")
    start = file.read(8)
    length = int.from_bytes(start, "little")
    if size < 8 or not 2 <= length <= min(size - 8, most):
        check_not_text(name, start, "safetensors")
        raise damaged_file_error(name, f"it has {size} bytes and claims a header of {length}")
    header, end = _parse(name, file.read(length))
    _check_size(name, 8 + length + end, size)
    return header


def check_not_text(name: Path | str, start: bytes, form: str) -> None:
    """Tell what downloads leave that didn't work.

    Args:
        start: The first eight bytes of the file.
        form: What it is called as, such as ``safetensors``.
    Raises:
        InvalidFile: It is such.
    """
    if start == b"version ":
        raise InvalidFile(
            f"{name} is no {form} file, but what git keeps in place of a large one.",
            hint="Fetch the file itself with `git lfs pull`, or download it again.",
        )
    if start.lstrip()[:1] == b"<":
        raise InvalidFile(
            f"{name} is no {form} file, but a web page.",
            hint="Download it again, from a link that gives the file itself; some ask for a login.",
        )


def _parse(path: Path | str, text: bytes) -> tuple[Header, int]:
    """The header, and where the last tensor ends, counted from the end of the header."""
    try:
        content = json.loads(text)
        metadata = content.pop("__metadata__", {})
        shapes = {name: _shape(entry) for name, entry in content.items()}
        dtypes = {name: str(entry["dtype"]) for name, entry in content.items()}
        offsets = {name: _offsets(entry) for name, entry in content.items()}
        end = max((end for _, end in offsets.values()), default=0)
        described = {str(key): str(metadata[key]) for key in metadata}
        return _apart(Header(shapes, dtypes, described, offsets, find_scales(dtypes))), end
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError) as error:
        raise damaged_file_error(path, "its header is not what the format asks for") from error


def _apart(header: Header) -> Header:
    """The same with the tensors of its scales apart from the others."""
    for name in header.scales.names:
        header.scale_tensors[name] = (header.shapes.pop(name), header.dtypes.pop(name))
    return header


def check_file_formats(path: Path) -> None:
    """Refuse a file with weights in a form that can't be read here.

    Of a remote file of which only the header is here, what that tells.

    Raises:
        InvalidFile: As `read_header`, or it has such weights.
    """
    header = read_header(path)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            begin = 8 + int.from_bytes(file.read(8), "little")
            is_whole = whole_size(path, size) == size
            check_formats(file if is_whole else None, begin, header, path)
    except OSError as error:
        raise InvalidFile(f"can't read {path}: {error.strerror or error}") from error


def check_formats(
    file: BinaryIO | None, begin: int, header: Header, path: Path, prefix: str = ""
) -> None:
    """Refuse weights in a form that can't be read here: they would be read as noise.

    Args:
        file: It, open; None where only its header is here.
        begin: Where the bytes of its tensors do.
        prefix: Only of tensors whose names begin so.
    Raises:
        InvalidFile: It has such weights.
    """
    problem = None if file is None else _unread_settings(file, begin, header, prefix)
    if problem is None:
        problem = find_unsupported_format(
            header.shapes, header.dtypes, header.scales, header.metadata, prefix
        )
    if problem is not None:
        tensor, mark = problem
        raise InvalidFile(
            f"{path} holds weights in a form that can't be read here, such as {tensor}.",
            given=mark,
            expected=UNDERSTOOD,
            hint="Take the same model in one of these forms, such as its file in bf16, in "
            "fp8_scaled or as GGUF.",
        )


def _unread_settings(
    file: BinaryIO, begin: int, header: Header, prefix: str
) -> tuple[str, str] | None:
    """A layer whose own settings aren't understood, and what of them."""
    for name in sorted(settings_tensors((*header.scale_tensors, *header.shapes))):
        if name.startswith(prefix):
            start, end = header.offsets[name]
            file.seek(begin + start)
            text = file.read(min(end - start, _LONGEST_SETTINGS))
            weight = weight_of(name)
            mark = find_unsupported_setting(text, header.dtypes.get(weight))
            if mark is not None:
                return weight, mark
    return None


def _shape(entry: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(map(int, entry["shape"]))


def _offsets(entry: Mapping[str, Any]) -> tuple[int, int]:
    start, end = map(int, entry["data_offsets"])
    if not 0 <= start <= end:
        raise ValueError("a tensor ends before it begins")
    return start, end


def _check_size(path: Path | str, expected: int, size: int) -> None:
    if size < expected:
        raise damaged_file_error(path, f"it is cut short after {size} of {expected} bytes")
    if size > expected:
        # The reference implementation refuses these, too: what they are nobody can tell.
        how = f"it has {pluralize(size - expected, 'byte')} more than the {expected} of its header"
        raise damaged_file_error(
            path,
            f"{how}, as of a download that was resumed wrongly or joined with something else",
            "Download it again in one go; if it came in parts, join them in their order.",
        )


def damaged_file_error(
    path: Path | str, how: str, hint: str = "Download or copy it again."
) -> InvalidFile:
    """The refusal of a safetensors file that isn't what it should be."""
    return InvalidFile(f"{path} is no intact safetensors file: {how}.", hint=hint)
