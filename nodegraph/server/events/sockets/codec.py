"""Websocket messages as msgpack or JSON, with their limits and close codes.

In msgpack, five bytes can announce a list of four billion items, and an unpacker allocates it; each
nested list can do so again. So all headers are checked first. Only values that JSON has are
allowed: no bytes, no extensions, no infinite numbers, and only text as names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import msgpack
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from nodegraph.core.text_format import format_size
from nodegraph.errors import NodegraphError
from nodegraph.server.events.hub import Batch
from nodegraph.server.events.hub.messages import to_json, to_msgpack
from nodegraph.server.http.errors import TooLarge
from nodegraph.server.http.limits.body import JsonGauge
from nodegraph.server.http.request_bodies import InvalidJson, read_document
from nodegraph.server.settings import ServerSettings

STOPPING = 1001
WRONG_KIND = 1003
GONE = 1006
UNREADABLE = 1007
NOT_ALLOWED = 1008
TOO_LARGE = 1009
BROKEN = 1011
TOO_SLOW = 4000
SILENT = 4001

_LONGEST = 123


@dataclass(frozen=True, slots=True)
class Closing:
    """An end.

    Attributes:
        code: Of the close frame; 1000 to 1015 as RFC 6455 has them.
        reason: In words; cut to what fits in.
    """

    code: int
    reason: str

    def __post_init__(self) -> None:
        text = self.reason.encode(errors="replace")[:_LONGEST].decode(errors="ignore")
        object.__setattr__(self, "reason", text)


class UnreadableMessage(NodegraphError):
    """A message that can't be answered, as nothing of it can be read."""

    code = "unreadable-message"

    def __init__(self, message: str, closing: int = UNREADABLE) -> None:
        super().__init__(message)
        self.closing = Closing(closing, message)


@dataclass(frozen=True, slots=True)
class SocketRules:
    """Bounds of one connection.

    Attributes:
        heartbeat: Seconds between two heartbeats of the server.
        silence: Seconds without anything from the client, after which it counts as gone.
        subscriptions: At a time.
        jobs: Of one subscription, if it names them.
        commands: That may be worked at at a time; the next ones aren't read until then.
        commands_per_second, burst: How often, in the long run and at once; more are read later.
        frame: Bytes of a message.
        depth, values: Of a message: levels of maps and lists, and values in all.
        close_timeout: Seconds that a client gets to read why it is hung up on.
    """

    heartbeat: float = 15.0
    silence: float = 45.0
    subscriptions: int = 64
    jobs: int = 1_000
    commands: int = 16
    commands_per_second: float = 2_000.0
    burst: int = 4_000
    frame: int = 16 << 20
    depth: int = 64
    values: int = 1_000_000
    close_timeout: float = 5.0


def socket_limits(server: ServerSettings) -> SocketRules:
    """The bounds that the settings say."""
    limits, rates = server.limits, server.rates
    return SocketRules(
        frame=limits.frame,
        depth=limits.json_depth,
        values=limits.json_values,
        commands_per_second=rates.requests_per_second,
        burst=rates.burst,
    )


_FIXED = {
    **dict.fromkeys(range(0x80), 0),
    **dict.fromkeys(range(0xE0, 0x100), 0),
    **dict.fromkeys((0xC0, 0xC2, 0xC3), 0),
    **dict(zip(range(0xCC, 0xD4), (1, 2, 4, 8) * 2, strict=True)),
}
"""Bytes after the first one, of values of a fixed size."""
_FLOATS = {0xCA: (4, 0x80), 0xCB: (8, 0xF0)}
"""Bytes after the first one, and which bits of the second one are set in what is no number."""
_TEXTS = {0xD9: 1, 0xDA: 2, 0xDB: 4}
_LISTS = {0xDC: 2, 0xDD: 4}
_MAPS = {0xDE: 2, 0xDF: 4}
"""Bytes of the length."""


def check_packed(data: bytes, most_levels: int, most_values: int) -> None:
    """See that msgpack holds one plain value.

    Raises:
        Unreadable: It doesn't, or a larger one than may be.
    """
    at = values = 0
    left = [1]
    """Values that are still to come, at each level."""
    end = len(data)
    while left:
        if not left[-1]:
            left.pop()
            continue
        if at >= end:
            raise UnreadableMessage("the message ends before its value is complete")
        left[-1] -= 1
        values += 1
        at, inside = _next(data, at)
        if inside is None:
            continue
        # Each value takes a byte at least: so much room is never made for nothing.
        if inside > end - at:
            raise UnreadableMessage("the message ends before its value is complete")
        if values + inside > most_values:
            raise UnreadableMessage("the message contains too many values", TOO_LARGE)
        if len(left) > most_levels:
            raise UnreadableMessage(f"the message has more than {most_levels} levels", TOO_LARGE)
        left.append(inside)
    if at > end:
        raise UnreadableMessage("the message ends before its value is complete")
    if at < end:
        raise UnreadableMessage("the message has data after its value")


def _next(data: bytes, at: int) -> tuple[int, int | None]:
    """Where what follows begins, and how many values are in the one at a place; None if it is one.

    A place behind the end is found out by what comes next, or at the end of all.
    """
    head = data[at]
    at += 1
    if head in _FIXED:
        return at + _FIXED[head], None
    if head & 0xE0 == 0xA0:
        return at + (head & 0x1F), None
    if head & 0xF0 == 0x90:
        return at, head & 0x0F
    if head & 0xF0 == 0x80:
        return at, 2 * (head & 0x0F)
    if head in _FLOATS:
        return _after_float(data, at, *_FLOATS[head]), None
    for kinds in (_TEXTS, _LISTS, _MAPS):
        if head in kinds:
            size = kinds[head]
            length = int.from_bytes(data[at : at + size], "big")
            at += size
            if kinds is _TEXTS:
                return at + length, None
            return at, length if kinds is _LISTS else 2 * length
    raise UnreadableMessage(
        "the message contains bytes or an extension: only JSON types are accepted"
    )


def _after_float(data: bytes, at: int, size: int, mark: int) -> int:
    if data[at : at + 1] and data[at] & 0x7F == 0x7F and data[at + 1 : at + 2] >= bytes([mark]):
        raise UnreadableMessage("the message contains a number that is not finite")
    return at + size


class Codec(Protocol):
    """A form of messages.

    Attributes:
        subprotocol: Its name.
    """

    subprotocol: str

    def read(self, received: Mapping[str, Any], rules: SocketRules) -> dict[str, Any]:
        """The map that a client sent.

        Args:
            received: As ASGI has it.
        Raises:
            Unreadable: It is none.
        """

    def write(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """A message for a client, as ASGI has it."""

    def events(self, subscription: str, batch: Batch) -> dict[str, Any]:
        """The message that brings a subscription's events."""


class _Msgpack:
    subprotocol = "nodegraph.v1.msgpack"

    def read(self, received: Mapping[str, Any], rules: SocketRules) -> dict[str, Any]:
        data = received.get("bytes")
        if data is None:
            raise UnreadableMessage(f"{self.subprotocol} allows only binary messages", WRONG_KIND)
        _check_size(len(data), rules)
        check_packed(data, rules.depth, rules.values)
        try:
            document = msgpack.unpackb(data, object_pairs_hook=_object)
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise UnreadableMessage(f"the message is not msgpack: {error}") from None
        return _map(document)

    def write(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": "websocket.send", "bytes": to_msgpack(message)}

    def events(self, subscription: str, batch: Batch) -> dict[str, Any]:
        return _written(self.subprotocol, subscription, batch, self._events)

    def _events(self, subscription: str, batch: Batch) -> dict[str, Any]:
        # Put together from what is written already, which is the same for all.
        parts = [
            to_msgpack({"type": "events", "subscription": subscription, "last": batch.last})[1:],
            b"\xa6events",
            msgpack.Packer().pack_array_header(len(batch.messages)),
            *[message.packed for message in batch.messages],
        ]
        return {"type": "websocket.send", "bytes": b"".join((b"\x84", *parts))}


class _Json:
    subprotocol = "nodegraph.v1.json"

    def read(self, received: Mapping[str, Any], rules: SocketRules) -> dict[str, Any]:
        text = received.get("text")
        if text is None:
            raise UnreadableMessage(f"{self.subprotocol} allows only text messages", WRONG_KIND)
        data = text.encode()
        _check_size(len(data), rules)
        try:
            JsonGauge(rules.depth, rules.values).feed(data)
            return _map(read_document(data))
        except TooLarge as error:
            raise UnreadableMessage(error.problem.message, TOO_LARGE) from None
        except InvalidJson as error:
            raise UnreadableMessage(error.problem.message) from None

    def write(self, message: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": "websocket.send", "text": to_json(message)}

    def events(self, subscription: str, batch: Batch) -> dict[str, Any]:
        return _written(self.subprotocol, subscription, batch, self._events)

    def _events(self, subscription: str, batch: Batch) -> dict[str, Any]:
        events = ",".join([message.json for message in batch.messages])
        text = (
            f'{{"type":"events","subscription":{json.dumps(subscription)},'
            f'"last":{batch.last},"events":[{events}]}}'
        )
        return {"type": "websocket.send", "text": text}


MSGPACK: Codec = _Msgpack()
JSON: Codec = _Json()
_CODECS = {codec.subprotocol: codec for codec in (MSGPACK, JSON)}


def chosen_codec(offered: Sequence[str]) -> Codec | None:
    """The form that a client likes best, of those that it offers; None if it offers others only.

    Names that mean something else, such as tokens, are passed over. Who names none gets msgpack.
    """
    named = [name for name in offered if name.startswith("nodegraph.v")]
    if not named and not [name for name in offered if not name.startswith("nodegraph.token.")]:
        return MSGPACK
    return next((_CODECS[name] for name in named if name in _CODECS), None)


def _written(
    form: str, subscription: str, batch: Batch, write: Callable[[str, Batch], dict[str, Any]]
) -> dict[str, Any]:
    """A batch's message; most clients have one subscription, and so get the very same."""
    key = form, subscription
    message: dict[str, Any] | None = batch.encoded.get(key)
    if message is None:
        message = batch.encoded[key] = write(subscription, batch)
    return message


def _object(pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    members = list(pairs)  # msgpack without its extension hands out a generator
    document = dict(members)
    if len(document) < len(members) or not all(type(key) is str for key in document):
        # As with JSON: the last one would win silently, and a node or an input be lost.
        raise ValueError("a member's name is not text, or occurs twice")
    return document


def _check_size(size: int, rules: SocketRules) -> None:
    if size > rules.frame:
        raise UnreadableMessage(f"a message may have {format_size(rules.frame)} at most", TOO_LARGE)


def _map(document: Any) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise UnreadableMessage("a message must be a map")
    return document


RequestId = (
    Annotated[str, StringConstraints(max_length=64)]
    | Annotated[int, Field(ge=-(1 << 53), le=1 << 53)]
)
"""Whatever the client likes; the answer has the same."""


class IdentifiedRequest(BaseModel):
    """A request with the id that its answer has."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: RequestId
