"""The websocket protocol for uvicorn: one whose connections can be cut."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from nodegraph.server.cutting import cut

_ABORT = "nodegraph.abort"


class AbortableProtocol(WebSocketsSansIOProtocol):
    """Lets the application cut a connection whose client reads nothing.

    ASGI has no means for it: a close frame waits behind what is unread, and so would the socket,
    its memory and the end of the server.
    """

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][_ABORT] = {"abort": self._abort}

    def _abort(self) -> None:
        cut(self.transport)


def abort(scope: MutableMapping[str, Any]) -> None:
    """Cut a connection at once, if the server that serves it can."""
    extension = scope.get("extensions", {}).get(_ABORT)
    if extension is not None:
        extension["abort"]()
