"""Outputs of an entry as a column of the index."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgpack

from nodegraph.store.entries import Stored


def pack_outputs(outputs: Sequence[Stored]) -> bytes:
    """Some outputs as bytes."""
    packed: bytes = msgpack.packb([_packed(output) for output in outputs])
    return packed


def _packed(output: Stored) -> list[Any]:
    form: list[Any] = [bytes.fromhex(output.digest), output.size]
    if output.items is not None:
        form += (output.inline, [_packed(item) for item in output.items])
    elif output.inline is not None:
        form.append(output.inline)
    return form


def unpack_outputs(data: bytes) -> tuple[Stored, ...]:
    """The outputs again.

    Raises:
        ValueError: The bytes are no such list.
    """
    return tuple([_unpacked(*form) for form in msgpack.unpackb(data)])


def _unpacked(
    digest: bytes, size: int, inline: bytes | None = None, items: list[Any] | None = None
) -> Stored:
    if items is None:
        return Stored(digest.hex(), size, inline)
    return Stored(digest.hex(), size, inline, tuple([_unpacked(*item) for item in items]))
