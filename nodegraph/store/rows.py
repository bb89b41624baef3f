"""Outputs of an entry as a column of the index, with what their node said of them.

Small values stand in the column itself, and SQLite compares no checksums. So the column begins with
one: what a fault of the disk or of memory has changed is told from what was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import msgpack

from nodegraph.core.digests import Digest
from nodegraph.store.entries import CallWarning, StoredOutput

_CHECK = 4
"""Bytes of the checksum."""


Files = Mapping[Digest, tuple[Digest, str]]
"""Digest and suffix of values' files, by the values' digests."""


class CallResult(NamedTuple):
    """What a column holds."""

    outputs: tuple[StoredOutput, ...]
    warnings: tuple[CallWarning, ...] = ()


def pack_outputs(
    outputs: Sequence[StoredOutput],
    files: Files | None = None,
    warnings: Sequence[CallWarning] = (),
) -> bytes:
    """Some outputs as bytes.

    Args:
        files: What is noted as the outputs' `file`: what they have noted says nothing of a row
            that goes into another store.
        warnings: What their node said of them.
    """
    forms: Any = [_packed(output, files or {}) for output in outputs]
    if warnings:
        # Rows without any, nearly all, stay in the form that older versions wrote.
        forms = {"outputs": forms, "warnings": pack_warnings(warnings)}
    packed: bytes = msgpack.packb(forms)
    return crc32(packed).to_bytes(_CHECK, "big") + packed


def repack_outputs(data: bytes, files: Files | None = None) -> bytes:
    """The same, as it goes into another store; see `pack_outputs`.

    Raises:
        ValueError: See `unpack_outputs`.
    """
    call_result = unpack_result(data)
    return pack_outputs(call_result.outputs, files, call_result.warnings)


def pack_warnings(warnings: Sequence[CallWarning]) -> list[list[str]]:
    """Warnings as plain values."""
    return [list(each) for each in warnings]


def unpack_warnings(forms: Any) -> tuple[CallWarning, ...]:
    """The warnings again.

    Raises:
        ValueError: They are none.
    """
    try:
        warnings = tuple([CallWarning(*form) for form in forms])
    except TypeError as error:
        raise ValueError(f"no warnings: {error}") from error
    if not all(isinstance(text, str) for warning in warnings for text in warning):
        raise ValueError("no warnings: something else than text")
    return warnings


def _packed(output: StoredOutput, files: Files) -> list[Any]:
    form: list[Any] = [bytes.fromhex(output.digest), output.size]
    if output.items is not None:
        form += (output.inline, [_packed(item, files) for item in output.items])
    elif output.inline is not None:
        form.append(output.inline)
    elif output.digest in files:
        file, suffix = files[output.digest]
        form += (None, None, bytes.fromhex(file), suffix)
    return form


def unpack_outputs(data: bytes) -> tuple[StoredOutput, ...]:
    """The outputs again.

    Raises:
        ValueError: The bytes are no such list, or aren't what was packed.
    """
    return unpack_result(data).outputs


def unpack_result(data: bytes) -> CallResult:
    """The outputs again, and what their node said of them.

    Raises:
        ValueError: See `unpack_outputs`.
    """
    packed = data[_CHECK:]
    if crc32(packed).to_bytes(_CHECK, "big") != data[:_CHECK]:
        raise ValueError("an entry of the store's index is damaged")
    forms: Any = msgpack.unpackb(packed)
    if not isinstance(forms, dict):
        return CallResult(tuple([_unpacked(*form) for form in forms]))
    outputs = tuple([_unpacked(*form) for form in forms.get("outputs", ())])
    return CallResult(outputs, unpack_warnings(forms.get("warnings", ())))


def _unpacked(
    digest: bytes,
    size: int,
    inline: bytes | None = None,
    items: list[Any] | None = None,
    file: bytes | None = None,
    suffix: str = "",
) -> StoredOutput:
    if file is not None:
        return StoredOutput(digest.hex(), size, file=(file.hex(), suffix))
    if items is None:
        return StoredOutput(digest.hex(), size, inline)
    return StoredOutput(digest.hex(), size, inline, tuple([_unpacked(*item) for item in items]))
