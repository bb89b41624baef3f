"""A websocket to a server without the socket: bytes go in, messages come out, and the other way.

The library's own clients follow redirects, or open other connections than are asked for, in some of
their versions; here a connection is one, to this server.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgpack
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from nodegraph.client.connection import Connection
from nodegraph.client.requests import Answer, Request
from nodegraph.client.steps import SocketClosed, SocketRefused
from nodegraph.errors import NodegraphError

SUBPROTOCOL = "nodegraph.v1.msgpack"
_LARGEST = 64 << 20
_CUT = 1006
# Of no hierarchy, so that nobody can have it log headers: the token is among them.
_SILENT = logging.Logger("nodegraph.client.websocket", logging.CRITICAL)


class SocketTalk:
    """One websocket."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._protocol = ClientProtocol(
            parse_uri(connection.address.socket),
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            max_size=_LARGEST,
            logger=_SILENT,
        )
        request = self._protocol.connect()
        for name, value in connection.headers.items():
            request.headers[name] = value
        self._protocol.send_request(request)
        self._messages: deque[Mapping[str, Any]] = deque()
        self._frames: list[bytes] = []
        self._is_open = False
        self._fault: NodegraphError | None = None

    def to_send(self) -> bytes:
        """What is to be sent now."""
        return b"".join(self._protocol.data_to_send())

    def say(self, message: Mapping[str, Any]) -> bytes:
        """What is to be sent for a message."""
        self._check()
        self._protocol.send_binary(msgpack.packb(message))
        return self.to_send()

    def farewell(self) -> bytes:
        """What is to be sent before the connection is closed."""
        if not self._is_open or self._fault is not None or self._protocol.close_rcvd is not None:
            return b""
        self._protocol.send_close(1000)
        return self.to_send()

    def take(self, data: bytes) -> None:
        """Take in what came; nothing means that nothing comes any more."""
        if data:
            self._protocol.receive_data(data)
        else:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._opened(event)
            elif isinstance(event, Frame):
                self._framed(event)
        if self._fault is None:
            self._fault = self._end(is_cut=not data)

    @property
    def is_open(self) -> bool:
        """Whether the server has opened it.

        Raises:
            SocketRefused, ConnectionLost: It never will be, or is no more.
        """
        if not self._is_open:
            self._check()
        return self._is_open

    def next(self) -> Mapping[str, Any] | None:
        """The next message; None if there is none yet.

        Raises:
            ConnectionLost: There will be none.
        """
        if self._messages:
            return self._messages.popleft()
        self._check()
        return None

    def _check(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _opened(self, response: Response) -> None:
        if self._protocol.handshake_exc is None:
            self._is_open = True
            return
        status = response.status_code
        headers = {name.lower(): value for name, value in response.headers.raw_items()}
        answer = Answer(Request("GET", "/events"), status, headers)
        self._fault = SocketRefused(status, answer.retry_after)

    def _framed(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return
        self._frames.append(bytes(frame.data))
        if not frame.fin:
            return
        data, self._frames = b"".join(self._frames), []
        try:
            found = msgpack.unpackb(data, strict_map_key=False)
        except (ValueError, TypeError, msgpack.UnpackException):
            found = None
        if isinstance(found, dict):
            self._messages.append(found)
        else:
            self._fault = SocketRefused(0)  # whatever this is, it is none of ours

    def _end(self, *, is_cut: bool) -> NodegraphError | None:
        protocol = self._protocol
        if protocol.handshake_exc is not None:
            return self._connection.lost("it was cut") if is_cut else SocketRefused(0)
        if protocol.close_rcvd is not None:
            return SocketClosed(protocol.close_rcvd.code, protocol.close_rcvd.reason[:200])
        if protocol.parser_exc is not None or is_cut:
            return SocketClosed(_CUT, "it was cut")
        return None
