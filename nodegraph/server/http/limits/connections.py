"""Limits on connections: how many there are, and how long a client may stall.

uvicorn waits forever for the rest of a head or body and for a client that stops reading, and
accepts a head of any length.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import sys
from collections.abc import Callable, Container
from typing import Any, Protocol

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nodegraph.server.access.authentication import network
from nodegraph.server.access.gate import LOG
from nodegraph.server.access.head import HEALTH
from nodegraph.server.http.problems import MEDIA_TYPE, problem_content
from nodegraph.server.settings import BodyLimits

SPARE = 32


class Member(Protocol):
    """A connection."""

    @property
    def is_idle(self) -> bool:
        """Whether nothing goes on but for what the client has yet to send."""

    def close_for_other(self) -> None:
        """End at once."""


class ConnectionLimiter:
    """Keeps places free: who has most connections that only wait loses the oldest of those.

    So nobody is kept out by others that send half of something, or nothing; from their own address
    neither. On one event loop.

    Args:
        most: Connections at a time.
        most_of_address: The same of one address.
        exempt: Addresses of proxies, which bring many clients.
    """

    def __init__(self, most: int, most_of_address: int, exempt: Container[str] = ()) -> None:
        self._most = most
        self._most_of_address = most_of_address
        self._exempt = exempt
        # The oldest ones first.
        self._of: dict[str, dict[Member, None]] = {}
        self._count = 0
        self._spare: dict[Member, None] = {}

    def enter(self, member: Member, address: str) -> bool:
        """A connection is made; False if there is no place for it but a spare one.

        Those are few, for who asks whether the server lives: the oldest gives way to the newest.
        """
        whose = network(address)
        own = self._of.setdefault(whose, {})
        own[member] = None
        self._count += 1
        has_place = True
        if len(own) > self._most_of_address and address not in self._exempt:
            has_place = self._make_room((whose,), member)
        if has_place and self._count > self._most:
            most_first = sorted(self._of, key=lambda each: len(self._of[each]), reverse=True)
            has_place = self._make_room(most_first, member)
        if not has_place:
            self.leave(member, address)
            self._spare[member] = None
            if len(self._spare) > SPARE:
                oldest = next(iter(self._spare))
                del self._spare[oldest]
                oldest.close_for_other()
        return has_place

    def leave(self, member: Member, address: str) -> None:
        """A connection has ended, or is no longer this member's."""
        self._spare.pop(member, None)
        whose = network(address)
        own = self._of.get(whose, {})
        if member in own:
            del own[member]
            self._count -= 1
            if not own:
                del self._of[whose]

    def _make_room(self, addresses: list[str] | tuple[str], newest: Member) -> bool:
        for address in addresses:
            for member in self._of[address]:
                if member is not newest and member.is_idle:
                    self.leave(member, address)
                    member.close_for_other()
                    return True
        return False


def cut(transport: asyncio.Transport) -> None:
    """End a connection at once; what the client hasn't read yet is dropped.

    `abort` alone would have the system keep that, and offer it for minutes to come.
    """
    connection = transport.get_extra_info("socket")
    if connection is not None:
        linger = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


_LOG = logging.getLogger(__name__)
_LARGEST_HEAD = 64 << 10
_FIELD = 4
"""Bytes that part a header's name, its value and the next one."""
_LOOKS = 4
"""At a connection, in the time that it may stall."""


def http_protocol(
    limits: BodyLimits,
    crowd: ConnectionLimiter,
    refused: Callable[[int, str], None],
    *,
    root: str = "",
) -> type[HttpToolsProtocol]:
    """The HTTP protocol for `uvicorn.Config`.

    Args:
        limits: How long a client may take.
        crowd: All connections.
        refused: Is told the status and code of what never becomes a request.
        root: Path that a proxy may leave before the server's own.
    """
    settings = {
        "health": HEALTH | {root.encode() + path for path in HEALTH},
        "idle_seconds": limits.idle_seconds,
        "head_seconds": min(limits.head_seconds, limits.idle_seconds),
        "crowd": crowd,
        "refused": staticmethod(refused),
    }
    return type("Patient", (TimeoutProtocol,), settings)


class _Piped(Exception):
    """A request before the one before it was answered."""


class _TooLong(Exception):
    """A head beyond what may be."""


def _is_chunked(coding: bytes) -> bool:
    return coding.strip().lower() == b"chunked"


class TimeoutProtocol(HttpToolsProtocol):
    """An HTTP connection that is closed when its client stalls, or sends a head without end."""

    idle_seconds = 60.0
    head_seconds = 10.0
    health = HEALTH
    crowd: ConnectionLimiter
    refused: Callable[[int, str], None]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._last_received = self._head_since = self.loop.time()
        self._head_bytes = self._fields_bytes = 0
        self._is_too_long = self._is_spare = False
        self._address = ""
        self._is_in_head = True
        self._has_begun = False
        self._is_piped = False
        self._stuck_since: float | None = None
        self._look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._look_later()
        self._is_spare = not self.crowd.enter(self, self._address)

    def handle_websocket_upgrade(self) -> None:
        self.crowd.leave(self, self._address)
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.leave(self, self._address)
        if self._look is not None:
            self._look.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._last_received = self.loop.time()
        self._has_begun = False
        super().data_received(data)
        if self._is_in_head and not self.transport.is_closing():
            # How much of a piece is a head's that began within it, only the parser knows.
            self._head_bytes = 0 if self._has_begun else self._head_bytes + len(data)
            if self._head_bytes > _LARGEST_HEAD:
                self._refuse_head()

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value) + _FIELD)
        super().on_header(name, value)

    def _count_head(self, size: int) -> None:
        # A head that comes in one piece is over before it is known how much of it there was.
        self._fields_bytes += size
        if self._fields_bytes > _LARGEST_HEAD:
            self._is_too_long = True
            raise _TooLong

    def on_message_begin(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            # A client that doesn't wait for its answers could have any number of requests kept
            # here. No browser does so; it gets its answer, and may come again.
            self.cycle.keep_alive = False
            self._is_piped = True
            raise _Piped
        super().on_message_begin()
        self._fields_bytes = 0
        self._is_in_head = self._has_begun = True

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        # However many there are: whoever looks after the server has to know that it lives.
        is_health = self.url in self.health
        self.limit_concurrency = None if is_health else self.config.limit_concurrency
        if self._is_spare and not is_health:
            self._refuse(503, "busy", "Busy", "there are too many connections")
            raise _Piped
        if any(
            name == b"transfer-encoding" and not _is_chunked(value) for name, value in self.headers
        ):
            # Taken as chunked alone, a compressed body would be read as what it isn't.
            self._refuse(
                501,
                "unknown-transfer-coding",
                "Not implemented",
                "a body may be plain or chunked; other transfer codings are not supported",
            )
            raise _Piped
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
        if self.transport.is_closing():
            return  # it was answered already
        if self._is_too_long:
            self._refuse_head()
            return
        self._refuse(400, "bad-request", "Bad request", "this is not an HTTP request")

    def _refuse_head(self) -> None:
        self._refuse(431, "head-too-large", "Head too large", "the head is too large")

    def _refuse(self, status: int, code: str, title: str, detail: str) -> None:
        """Answer what never becomes a request, and hang up."""
        address = self._address
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
        self._look = self.loop.call_later(self.head_seconds / _LOOKS, self._look_at_client)

    def _look_at_client(self) -> None:
        if self.transport.get_protocol() is not self:
            return  # it is a websocket by now
        since = self._waiting_since()
        patience = self.head_seconds if self._is_between_requests else self.idle_seconds
        if since is None or self.loop.time() - since < patience:
            self._look_later()
            return
        _LOG.info("closed the connection of a client that stalled: %s", self.client)
        self._forget()
        # Closing would wait until what was written has been read.
        if self._stuck_since is None:
            self.transport.abort()
        else:
            cut(self.transport)

    @property
    def is_idle(self) -> bool:
        """Whether nothing goes on but for what the client has yet to send."""
        return self._stuck_since is None and self._waiting_since() is not None

    def close_for_other(self) -> None:
        """End at once, for a connection that may bring a request."""
        _LOG.info("closed the connection of an idle client to accept a new one: %s", self.client)
        self._forget()
        cut(self.transport)

    @property
    def _is_between_requests(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _waiting_since(self) -> float | None:
        """Since when the client's next step is waited for; None if it isn't the client's turn."""
        if self._stuck_since is not None:
            return self._stuck_since
        if self.flow.read_paused or self.transport.is_closing():
            return None
        if self._is_between_requests:
            # Of a head that comes byte by byte, the first one counts.
            return self._head_since
        return self._last_received if self.cycle.more_body else None
