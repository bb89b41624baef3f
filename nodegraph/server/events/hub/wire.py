"""Plain values as they go to clients: msgpack, or JSON with bytes in base64."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from pathlib import PurePath
from typing import Any

import msgpack


def to_msgpack(value: Any) -> bytes:
    """Pack a value; whole numbers beyond 64 bits become text, and so do paths.

    Half a surrogate pair, which has no UTF-8, becomes a question mark.
    """
    packed: bytes = msgpack.packb(value, default=_packable, unicode_errors="replace")
    return packed


def to_json(value: Any) -> str:
    """Plain ASCII JSON; bytes become ``{"base64": "…"}``, and what is no number null."""
    try:
        return _encode(value)
    except (TypeError, ValueError):
        return _encode(_plain(value))


def _packable(value: Any) -> Any:
    # Also asked about integers that are too long for msgpack.
    if isinstance(value, (int, PurePath)):
        return str(value)
    raise TypeError(f"{type(value).__qualname__} is no plain value")


def _jsonable(value: Any) -> Any:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"base64": b64encode(value).decode()}
    return _packable(value)


_encode = json.JSONEncoder(default=_jsonable, allow_nan=False, separators=(",", ":")).encode


def _plain(value: Any) -> Any:
    """A value that JSON can hold, as near as it can be."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, int, float)):
        return value
    return _plain(_jsonable(value))
