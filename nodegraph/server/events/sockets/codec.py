"""The two forms of messages: msgpack, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgpack

from nodegraph.server.events.hub import Batch
from nodegraph.server.events.hub.wire import to_json, to_msgpack
from nodegraph.server.events.sockets.closing import TOO_LARGE, WRONG_KIND, Unreadable
from nodegraph.server.events.sockets.gauge import check_packed
from nodegraph.server.events.sockets.rules import SocketRules
from nodegraph.server.http.errors import TooLarge
from nodegraph.server.http.json_route import InvalidJson, read_document
from nodegraph.server.http.limits.json_gauge import JsonGauge


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
            raise Unreadable(f"{self.subprotocol} has binary messages only", WRONG_KIND)
        _check_size(len(data), rules)
        check_packed(data, rules.depth, rules.values)
        try:
            found = msgpack.unpackb(data, object_pairs_hook=_object)
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            raise Unreadable(f"the message is no msgpack: {error}") from None
        return _map(found)

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
            raise Unreadable(f"{self.subprotocol} has text messages only", WRONG_KIND)
        data = text.encode()
        _check_size(len(data), rules)
        try:
            JsonGauge(rules.depth, rules.values).feed(data)
            return _map(read_document(data))
        except TooLarge as error:
            raise Unreadable(error.problem.message, TOO_LARGE) from None
        except InvalidJson as error:
            raise Unreadable(error.problem.message) from None

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
    found: dict[str, Any] | None = batch.written.get(key)
    if found is None:
        found = batch.written[key] = write(subscription, batch)
    return found


def _object(pairs: Iterable[tuple[Any, Any]]) -> dict[str, Any]:
    given = list(pairs)  # msgpack without its extension hands out a generator
    found = dict(given)
    if len(found) < len(given) or not all(type(key) is str for key in found):
        # As with JSON: the last one would win silently, and a node or an input be lost.
        raise ValueError("a member's name is no text, or occurs twice")
    return found


def _check_size(size: int, rules: SocketRules) -> None:
    if size > rules.frame:
        raise Unreadable(f"a message may have {rules.frame} bytes at most", TOO_LARGE)


def _map(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise Unreadable("a message is to be a map")
    return found
