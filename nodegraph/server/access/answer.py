"""An answer on its way out."""

from __future__ import annotations

from starlette.types import Message, Send

from nodegraph.server.access.headers import completed
from nodegraph.server.http.limits.body import Body

_STARTS = ("http.response.start", "websocket.http.response.start")


class Answer:
    """Completes an answer's headers, and holds it back once the request's body was refused.

    Args:
        send: What takes it.

    Attributes:
        status: Once it is out; 0 until then. 101 stands for a websocket that was accepted, 403 for
            one that was closed before.
        origin: The foreign page that may read it; None for none.
        body: Of the request, if it has any.
    """

    def __init__(self, send: Send) -> None:
        self.status = 0
        self.origin: str | None = None
        self.body: Body | None = None
        self._send = send

    async def send(self, message: Message) -> None:
        """Take a message."""
        if self.body is not None and self.body.refusal is not None and not self.status:
            return  # the application's view of a refused body; the gate gives its own
        kind = message["type"]
        if kind in _STARTS:
            self.status = message["status"]
            message = {**message, "headers": completed(message.get("headers", ()), self.origin)}
        elif kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.close" and not self.status:
            self.status = 403
        await self._send(message)
