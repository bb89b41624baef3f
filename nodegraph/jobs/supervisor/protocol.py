"""Wire protocol of worker processes: msgpack frames, and the fields of a message.

Every incoming message is checked, so that a faulty process can't crash the other one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Any, ClassVar, TypeVar, cast

from nodegraph.core.events import Event, EventKind
from nodegraph.core.text_format import format_excess
from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.store.packing import pack, unpack

Fields = Mapping[str, tuple[type, ...]]
FieldChoices = Mapping[str, tuple[str, ...]]

_ROW = 5


class Message:
    """One message; its fields are plain values.

    Attributes:
        kind: Names what it is, in its frame too.
        fields: What each field may be in a frame.
        choices: The values that a field may have, where they are few.
    """

    __slots__ = ()
    kind: ClassVar[str]
    fields: ClassVar[Fields]
    choices: ClassVar[FieldChoices] = {}

    def as_dict(self) -> dict[str, Any]:
        """What goes into its frame."""
        return {"kind": self.kind, **{name: getattr(self, name) for name in self.fields}}


M = TypeVar("M", bound=Message)


def read_message(message: Mapping[str, Any], kinds: Mapping[str, type[M]]) -> M:
    """The message of a frame.

    Args:
        kinds: What may come, by kind.
    Raises:
        ProtocolFault: It is none of them, or a field is missing, unknown or of a wrong type.
    """
    kind = message.get("kind")
    message_type = kinds.get(kind) if isinstance(kind, str) else None
    if message_type is None:
        raise ProtocolFault(
            "a message has an unknown kind", given=repr(kind), expected=" or ".join(kinds)
        )
    fields = message_type.fields
    if len(message) != len(fields) + 1:
        raise _wrong(message_type, f"fields {', '.join(map(str, message))}", ", ".join(fields))
    values: dict[str, Any] = {}
    for name, types in fields.items():
        if name not in message:
            raise _wrong(message_type, f"no `{name}`", ", ".join(fields))
        value = message[name]
        if not isinstance(value, types) or (type(value) is bool and int in types):
            expected = " or ".join(each.__name__ for each in types)
            raise _wrong(message_type, f"`{name}` of type {type(value).__name__}", expected)
        values[name] = value
    for name, choices in message_type.choices.items():
        if values[name] not in choices:
            raise _wrong(message_type, f"`{name}` {values[name]!r}", " or ".join(choices))
    if "events" in fields:
        values["events"] = _events(message_type, values["events"])
    return message_type(**values)


def rows(events: Iterable[Event]) -> list[tuple[Any, ...]]:
    """Events as they go into a frame."""
    return [(event.number, event.kind, event.node, event.seconds, event.data) for event in events]


def _events(message: type[Message], rows: list[Any]) -> tuple[Event, ...]:
    events = []
    for row in rows:
        if not isinstance(row, list) or len(row) != _ROW:
            raise _wrong(
                message, "an event has an unknown form", "number, kind, node, seconds, data"
            )
        number, kind, node, seconds, data = row
        if not (
            isinstance(number, int)
            and isinstance(kind, str)
            and isinstance(node, str | None)
            and isinstance(seconds, float | int)
            and isinstance(data, dict)
        ):
            raise _wrong(message, "an event has a wrong value", "number, kind, node, seconds, data")
        events.append(Event(number, cast(EventKind, kind), node, seconds, data))
    return tuple(events)


def _wrong(message: type[Message], actual: str, expected: str) -> ProtocolFault:
    return ProtocolFault(
        f"a message `{message.kind}` does not follow the protocol", given=actual, expected=expected
    )


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
        raise ProtocolFault(f"a message cannot be sent: {error}") from error
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
        raise ProtocolFault(f"a frame cannot be read: {error}") from error
    if not isinstance(message, dict):
        raise ProtocolFault(
            "a frame does not hold a map", given=type(message).__name__, expected="dict"
        )
    return message


def _too_large(size: int) -> ProtocolFault:
    amount, most = format_excess(size, LIMIT)
    return ProtocolFault("a frame is too large", given=amount, expected=f"at most {most}")
