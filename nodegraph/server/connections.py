"""Connections whose clients stall: they are closed, as each takes a place of a limited number.

uvicorn waits for ever for the rest of a head or a body, and for a client to read on, and keeps a
head of any length.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nodegraph.server.cutting import cut
from nodegraph.server.problems import MEDIA_TYPE, problem_content
from nodegraph.server.security.refusals import LOG

_LOG = logging.getLogger(__name__)
_LARGEST_HEAD = 64 << 10
_LOOKS = 4
"""At a connection, in the time that it may stall."""


def patient_protocol(
    idle_seconds: float, refused: Callable[[int, str], None]
) -> type[HttpToolsProtocol]:
    """The HTTP protocol for `uvicorn.Config`.

    Args:
        idle_seconds: That a client may let pass.
        refused: Is told the status and code of what never becomes a request.
    """
    settings = {"idle_seconds": idle_seconds, "refused": staticmethod(refused)}
    return type("Patient", (PatientProtocol,), settings)


class _Piped(Exception):
    """A request before the one before it was answered."""


class PatientProtocol(HttpToolsProtocol):
    """An HTTP connection that is closed when its client stalls, or sends a head without end."""

    idle_seconds = 60.0
    refused: Callable[[int, str], None]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._heard = self._head_since = self.loop.time()
        self._head_bytes = 0
        self._is_in_head = True
        self._has_begun = False
        self._is_piped = False
        self._stuck_since: float | None = None
        self._look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._look_later()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._heard = self.loop.time()
        self._has_begun = False
        super().data_received(data)
        if self._is_in_head and not self.transport.is_closing():
            # How much of a piece is a head's that began within it, only the parser knows.
            self._head_bytes = 0 if self._has_begun else self._head_bytes + len(data)
            if self._head_bytes > _LARGEST_HEAD:
                self._refuse(431, "head-too-large", "Too large a head", "the head is too large")

    def on_message_begin(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            # A client that doesn't wait for its answers could have any number of requests kept
            # here. No browser does so; it gets its answer, and may come again.
            self.cycle.keep_alive = False
            self._is_piped = True
            raise _Piped
        super().on_message_begin()
        self._is_in_head = self._has_begun = True

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        self._head_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        self._stuck_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._stuck_since = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        if self._is_piped:
            self.flow.pause_reading()
            return
        self._refuse(400, "bad-request", "Bad request", "this is no HTTP request")

    def _refuse(self, status: int, code: str, title: str, detail: str) -> None:
        """Answer what never becomes a request, and hang up."""
        address = self.client[0] if self.client else ""
        fields = {"event": "refused", "status": str(status), "code": code, "address": address}
        self.refused(status, code)
        LOG.warning("refused: %s (address=%r)", detail, address, extra={"fields": fields})
        content = problem_content(status, code, title, detail, (), None)
        head = (
            f"HTTP/1.1 {status} {title}\r\ncontent-type: {MEDIA_TYPE}\r\n"
            f"content-length: {len(content)}\r\nconnection: close\r\n\r\n"
        )
        self._forget()
        self.transport.write(head.encode() + content)
        self.transport.close()

    def _forget(self) -> None:
        """Let what is still being answered go nowhere: there won't be a connection for it."""
        if self.cycle is not None:
            self.cycle.disconnected = True

    def _look_later(self) -> None:
        self._look = self.loop.call_later(self.idle_seconds / _LOOKS, self._look_at_client)

    def _look_at_client(self) -> None:
        if self.transport.get_protocol() is not self:
            return  # it is a websocket by now
        since = self._waiting_since()
        if since is None or self.loop.time() - since < self.idle_seconds:
            self._look_later()
            return
        _LOG.info("hung up on a client that stalled: %s", self.client)
        self._forget()
        # Closing would wait until what was written has been read.
        if self._stuck_since is None:
            self.transport.abort()
        else:
            cut(self.transport)

    def _waiting_since(self) -> float | None:
        """Since when the client's next step is waited for; None if it isn't the client's turn."""
        if self._stuck_since is not None:
            return self._stuck_since
        if self.flow.read_paused or self.transport.is_closing():
            return None
        if self.cycle is None or self.cycle.response_complete:
            # Of a head that comes byte by byte, the first one counts.
            return self._head_since
        return self._heard if self.cycle.more_body else None
