"""Frames: a length in four bytes, biggest first, and so many bytes of msgpack that hold a map."""

from __future__ import annotations

import os
from collections.abc import Mapping
from threading import Lock
from typing import Any

from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.store.packing import pack, unpack

LIMIT = 64 << 20
"""Bytes of a frame's content. More is a fault of whoever sent it."""
_LENGTH = 4
_CHUNK = 1 << 16


def encode(message: Mapping[str, Any]) -> bytes:
    """The frame of a message of plain values.

    Raises:
        ProtocolFault: It is too large, or holds what is no plain value.
    """
    try:
        body = pack(message)
    except (TypeError, ValueError, OverflowError) as error:
        raise ProtocolFault(f"a message can't be sent: {error}") from error
    if len(body) > LIMIT:
        raise _too_large(len(body))
    return len(body).to_bytes(_LENGTH, "big") + body


class Decoder:
    """Takes bytes as they come and gives the messages that are whole."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def is_between_frames(self) -> bool:
        """Whether nothing of a further frame has come yet."""
        return not self._buffer

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that end in these bytes.

        Raises:
            ProtocolFault: What came is no frame; nothing after it can be read.
        """
        buffer = self._buffer
        buffer += data
        messages = []
        start = 0
        while len(buffer) - start >= _LENGTH:
            size = int.from_bytes(buffer[start : start + _LENGTH], "big")
            if size > LIMIT:
                raise _too_large(size)
            end = start + _LENGTH + size
            if len(buffer) < end:
                break
            messages.append(_decoded(bytes(buffer[start + _LENGTH : end])))
            start = end
        if start:
            del buffer[:start]
        return messages


class FrameReader:
    """Reads messages from a file descriptor, waiting for them; for one thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._decoder = Decoder()
        self._found: list[dict[str, Any]] = []

    def read(self) -> dict[str, Any] | None:
        """The next message; None once the other side has closed.

        Raises:
            ProtocolFault: What came is no frame, or was broken off.
        """
        while not self._found:
            data = os.read(self._descriptor, _CHUNK)
            if not data:
                if self._decoder.is_between_frames:
                    return None
                raise ProtocolFault("the other side closed in the middle of a frame")
            self._found = self._decoder.feed(data)
        return self._found.pop(0)


class FrameWriter:
    """Writes messages to a file descriptor, each whole, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = Lock()

    def write(self, *messages: Mapping[str, Any]) -> None:
        """Send messages, which wake the other side up once; returns once they are in the pipe.

        Raises:
            ProtocolFault: One can't be sent; nothing was.
            OSError: Nobody reads any more.
        """
        left = memoryview(b"".join(map(encode, messages)))
        with self._lock:
            while left:
                left = left[os.write(self._descriptor, left) :]


def _decoded(body: bytes) -> dict[str, Any]:
    try:
        message = unpack(body)
    except (ValueError, OverflowError, RecursionError) as error:
        raise ProtocolFault(f"a frame can't be read: {error}") from error
    if not isinstance(message, dict):
        raise ProtocolFault("a frame holds no map", given=type(message).__name__, expected="dict")
    return message


def _too_large(size: int) -> ProtocolFault:
    return ProtocolFault(
        "a frame is too large", given=f"{size} bytes", expected=f"at most {LIMIT} bytes"
    )
