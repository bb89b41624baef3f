"""What a message of a client says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.errors import NodegraphError
from nodegraph.server.events.sockets.codec import Codec
from nodegraph.server.events.sockets.requests import Request, id_of, read_request
from nodegraph.server.events.sockets.rules import SocketRules

_LARGE = 128 << 10


class Wrong(Exception):
    """A message that can be read, and makes no sense."""

    def __init__(self, id: str | int | None, refusal: NodegraphError) -> None:
        super().__init__(str(refusal))
        self.id = id
        self.refusal = refusal


def request_in(received: Mapping[str, Any], codec: Codec, rules: SocketRules) -> Request | None:
    """The request in a message; None if it is a sign of life.

    Raises:
        Unreadable: Nothing of it can be read.
        Wrong: It is no request.
    """
    message = codec.read(received, rules)
    if message.get("type") == "heartbeat":
        return None
    try:
        return read_request(message)
    except NodegraphError as error:
        raise Wrong(id_of(message), error) from None


def is_large(received: Mapping[str, Any]) -> bool:
    """Whether a message takes more than some milliseconds to read."""
    return len(received.get("bytes") or received.get("text") or "") > _LARGE
