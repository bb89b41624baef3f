"""Outputs of an entry as a column of the index.

Small values stand in the column itself, and SQLite compares no checksums. So the column begins with
one: what a fault of the disk or of memory has changed is told from what was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import msgpack

from nodegraph.core.digests import Digest
from nodegraph.store.entries import Stored

_CHECK = 4
"""Bytes of the checksum."""


Files = Mapping[Digest, tuple[Digest, str]]
"""Digest and suffix of values' files, by the values' digests."""


def pack_outputs(outputs: Sequence[Stored], files: Files | None = None) -> bytes:
    """Some outputs as bytes.

    Args:
        files: What is noted as the outputs' `file`: what they have noted says nothing of a row
            that goes into another store.
    """
    packed: bytes = msgpack.packb([_packed(output, files or {}) for output in outputs])
    return crc32(packed).to_bytes(_CHECK, "big") + packed


def _packed(output: Stored, files: Files) -> list[Any]:
    form: list[Any] = [bytes.fromhex(output.digest), output.size]
    if output.items is not None:
        form += (output.inline, [_packed(item, files) for item in output.items])
    elif output.inline is not None:
        form.append(output.inline)
    elif output.digest in files:
        file, suffix = files[output.digest]
        form += (None, None, bytes.fromhex(file), suffix)
    return form


def unpack_outputs(data: bytes) -> tuple[Stored, ...]:
    """The outputs again.

    Raises:
        ValueError: The bytes are no such list, or aren't what was packed.
    """
    packed = data[_CHECK:]
    if crc32(packed).to_bytes(_CHECK, "big") != data[:_CHECK]:
        raise ValueError("an entry of the store's index is damaged")
    return tuple([_unpacked(*form) for form in msgpack.unpackb(packed)])


def _unpacked(
    digest: bytes,
    size: int,
    inline: bytes | None = None,
    items: list[Any] | None = None,
    file: bytes | None = None,
    suffix: str = "",
) -> Stored:
    if file is not None:
        return Stored(digest.hex(), size, file=(file.hex(), suffix))
    if items is None:
        return Stored(digest.hex(), size, inline)
    return Stored(digest.hex(), size, inline, tuple([_unpacked(*item) for item in items]))
