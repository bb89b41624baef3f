"""The websocket protocol for uvicorn: one whose frames are counted, and that can be cut."""

from __future__ import annotations

from asyncio import BaseTransport
from collections.abc import MutableMapping
from time import monotonic
from typing import Any

from uvicorn._types import ASGIReceiveEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import ProtocolError
from websockets.frames import DATA_OPCODES, Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol

from nodegraph.server.http.limits.connections import ConnectionLimiter, cut

_ABORT = "nodegraph.abort"


MOST_FRAGMENTS = 1_024
"""Frames of one message, those between them included; browsers send a few hundred at most."""
_MOST_CONTROL = 256
"""Pings and the like that come within a second."""
_SLICE = 8 << 10
"""Bytes that are taken apart at a time: of empty frames, that takes some milliseconds."""
_LAST_SECONDS = 5.0
_LAST_BYTES = 64 << 20
"""How much longer a client is listened to that has been told why its connection ends."""


class _Frames(ServerProtocol):
    """Counts frames before they are kept: an empty one is six bytes, and much more work."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._of_message = 0
        self._control = 0
        self._since = 0.0

    def recv_frame(self, frame: Frame) -> None:
        if frame.opcode in DATA_OPCODES:
            self._of_message += 1
            if self._of_message > MOST_FRAGMENTS:
                raise ProtocolError("a message in too many frames")
            if frame.fin:
                self._of_message = 0
        else:
            now = monotonic()
            if now - self._since >= 1:
                self._control, self._since = 0, now
            self._control += 1
            if self._control > _MOST_CONTROL:
                raise ProtocolError("too many control frames")
        super().recv_frame(frame)


class AbortableProtocol(WebSocketsSansIOProtocol):
    """Bounds the work that frames make, and lets the application cut a connection whose client
    reads nothing.

    ASGI has no means for it: a close frame waits behind what is unread, and so would the socket,
    its memory and the end of the server.
    """

    crowd: ConnectionLimiter | None = None

    def __init__(self, *args: Any, **options: Any) -> None:
        self._unread = bytearray()
        self._is_reading_on = False
        self._dropped = 0
        super().__init__(*args, **options)
        self.conn = _Frames(
            extensions=self.conn.available_extensions,
            max_size=self.config.ws_max_size,
            logger=self.conn.logger,
        )

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        if self.crowd is not None:
            self.crowd.enter(self, self._address)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.crowd is not None:
            self.crowd.leave(self, self._address)
        super().connection_lost(exc)

    @property
    def is_idle(self) -> bool:
        """A websocket is never silent for long, see `Connection`."""
        return False

    def close_for_other(self) -> None:
        """End at once."""
        self._abort()

    @property
    def _address(self) -> str:
        return self.client[0] if self.client else ""

    def data_received(self, data: bytes) -> None:
        if self.conn.parser_exc is not None:
            self._drop(data)
            return
        self._unread += data
        if not self._is_reading_on:
            self._read_on()

    def _read_on(self) -> None:
        """Take the next bytes apart, then let others have their turn."""
        self._is_reading_on = False
        if self.disconnected:
            self._unread.clear()
        elif self._unread and not self.read_paused:
            piece = bytes(self._unread[:_SLICE])
            del self._unread[: len(piece)]
            super().data_received(piece)
        if self.conn.parser_exc is not None:
            self._drop(self._unread)
            self._unread.clear()
        elif self._unread:
            self.transport.pause_reading()
            self._read_later()
        elif not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()

    def handle_parser_exception(self) -> None:
        """Say why the connection ends, then read on till the client has ended it, too.

        Were it closed while the rest of a message still comes, the system would answer that with a
        reset, and the client might never see the reason.
        """
        closing = self.conn.close_sent
        assert closing is not None
        self.queue.put_nowait(
            {"type": "websocket.disconnect", "code": closing.code, "reason": closing.reason}
        )
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.close_timer = self.loop.call_later(_LAST_SECONDS, self._abort)
        self.transport.resume_reading()

    def _drop(self, data: bytes | bytearray) -> None:
        """Take what comes after the end was told."""
        self._dropped += len(data)
        if self._dropped > _LAST_BYTES:
            self._abort()

    def _read_later(self) -> None:
        if not self.read_paused and not self._is_reading_on:
            self._is_reading_on = True
            self.loop.call_soon(self._read_on)

    @property
    def read_paused(self) -> bool:
        """Whether what was read waits for the application."""
        return self._is_paused

    @read_paused.setter
    def read_paused(self, is_paused: bool) -> None:
        self._is_paused = is_paused
        if self._unread:
            self._read_later()

    async def receive(self) -> ASGIReceiveEvent:
        message = await super().receive()
        if self._unread:
            # What came before is for its turn first.
            self.transport.pause_reading()
        return message

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        scope = getattr(self, "scope", None)
        if scope is not None:
            scope["extensions"][_ABORT] = {"abort": self._abort}

    def _abort(self) -> None:
        cut(self.transport)


def websocket_protocol(crowd: ConnectionLimiter) -> type[AbortableProtocol]:
    """The websocket protocol for `uvicorn.Config`, whose connections are among all others."""
    return type("Counted", (AbortableProtocol,), {"crowd": crowd})


def abort(scope: MutableMapping[str, Any]) -> None:
    """Cut a connection at once, if the server that serves it can."""
    extension = scope.get("extensions", {}).get(_ABORT)
    if extension is not None:
        extension["abort"]()
