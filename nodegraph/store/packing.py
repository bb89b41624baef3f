"""Plain values as bytes, for what only nodegraph itself reads."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import msgpack

from nodegraph.core.text_format import to_well_formed

_BIG = 1


def pack(value: Any) -> bytes:
    """Pack plain values; tuples come back as lists, paths as text.

    Raises:
        TypeError: Something in it is no plain value.
    """
    packed: bytes = msgpack.packb(value, default=_other, unicode_errors="surrogatepass")
    return packed


def pack_well_formed(value: Any) -> bytes:
    """As `pack`, for what people read: half a surrogate pair becomes U+FFFD."""
    try:
        packed: bytes = msgpack.packb(value, default=_other)
    except UnicodeEncodeError:
        return pack(to_well_formed(value))
    return packed


def unpack(data: bytes) -> Any:
    """What `pack` was given.

    Raises:
        ValueError: The bytes are damaged.
    """
    return _unpacked(data, "surrogatepass")


def unpack_well_formed(data: bytes) -> Any:
    """As `unpack`, with U+FFFD for each half of a surrogate pair.

    Raises:
        ValueError: The bytes are damaged.
    """
    try:
        return _unpacked(data, "strict")
    except UnicodeDecodeError:
        return to_well_formed(unpack(data))


def _unpacked(data: bytes, unicode_errors: str) -> Any:
    try:
        return msgpack.unpackb(
            data, strict_map_key=False, unicode_errors=unicode_errors, ext_hook=_extension
        )
    except (msgpack.UnpackException, TypeError) as error:
        raise ValueError(f"not what was packed: {error}") from error


def _other(value: Any) -> Any:
    # Also asked about integers that are too long for msgpack.
    if isinstance(value, int):
        return msgpack.ExtType(_BIG, str(value).encode())
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"{type(value).__qualname__} is not a plain value")


def _extension(code: int, data: bytes) -> Any:
    if code != _BIG:
        raise ValueError(f"unknown kind {code}")
    return int(data)
