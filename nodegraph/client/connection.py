"""TLS and HTTP options of a connection, and errors for its network faults."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import msgpack
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus
from websockets.typing import Subprotocol

from nodegraph.client.endpoint import Address, Token, find_address, find_token
from nodegraph.client.errors import ConnectionLost, NotReachable, UnexpectedAnswer
from nodegraph.client.requests import Reply, Request
from nodegraph.core.version import VERSION
from nodegraph.errors import InvalidFile, NodegraphError

SECONDS = 30.0
"""Seconds to wait for an answer."""
CONNECT_SECONDS = 10.0
_AGENT = f"nodegraph/{VERSION}"
_SUBPROTOCOL = Subprotocol("nodegraph.v1.msgpack")
_LARGEST_MESSAGE = 64 << 20
_FAREWELL_SECONDS = 1.0
# Outside the hierarchy of loggers, so that it never logs headers: they contain the token.
_SILENT = logging.Logger("nodegraph.client.websocket", logging.CRITICAL)
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class SocketRefused(NodegraphError):
    """The server or a proxy opens no websocket, or one with another protocol.

    Attributes:
        status: HTTP status; 0 if the answer was not HTTP.
        retry_after: Seconds after which to try again, if the server gave them.
    """

    code = "websocket-refused"

    def __init__(self, status: int, retry_after: float | None = None) -> None:
        super().__init__("the server does not open a websocket", given=f"status {status}")
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True)
class Connection:
    """The connection options of a server.

    Attributes:
        seconds: Seconds to wait for an answer.
        tls: TLS context with the trusted certificates; None for the machine's defaults.
    """

    address: Address
    token: Token | None
    seconds: float
    tls: ssl.SSLContext | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Headers of every request."""
        fields = {"User-Agent": _AGENT}
        if self.token is not None:
            fields["Authorization"] = self.token.header
        return fields

    def context(self) -> ssl.SSLContext:
        """Return the TLS context with the trusted certificates."""
        if self.tls is not None:
            return self.tls
        if not self.address.is_secure:
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # unused; quicker made than a full one
        return ssl.create_default_context()

    def options(self) -> dict[str, Any]:
        """Return the options of `httpx.Client` and `httpx.AsyncClient`."""
        return {
            "base_url": self.address.api,
            "headers": self.headers,
            "timeout": self.timeout(),
            # The token is for this server, not for the target of a redirect.
            "follow_redirects": False,
            "verify": self.context(),
            # A proxy of the environment would not find this machine's own servers.
            "trust_env": not self.address.is_loopback,
        }

    def socket_options(self, seconds: float) -> dict[str, Any]:
        """Return the options of `websockets` clients, with a timeout for opening."""
        secure = {"ssl": self.context()} if self.address.is_secure else {}
        return {
            "subprotocols": [_SUBPROTOCOL],
            "additional_headers": self.headers,
            "user_agent_header": None,
            "compression": None,
            "open_timeout": seconds,
            # The server's own heartbeats tell whether it is there.
            "ping_interval": None,
            "close_timeout": _FAREWELL_SECONDS,
            "max_size": _LARGEST_MESSAGE,
            "logger": _SILENT,
            **secure,
        }

    def timeout(self, more: float = 0.0) -> httpx.Timeout:
        """Return the timeouts of a request whose answer may take `more` seconds longer."""
        return httpx.Timeout(self.seconds + more, connect=min(CONNECT_SECONDS, self.seconds))

    def request_arguments(self, request: Request) -> dict[str, Any]:
        """Return a request without its body as arguments of `stream` of `httpx`.

        Raises:
            InvalidFile: The body is a file that does not exist.
        """
        return {
            "method": request.method,
            "url": request.path,
            "params": request.query,
            "headers": _headers(request),
            "timeout": self.timeout(request.extra_seconds),
        }

    def head(self, request: Request, response: httpx.Response) -> Reply:
        """Return an answer without its body."""
        headers = {name.lower(): self._shown(value) for name, value in response.headers.items()}
        return Reply(request, response.status_code, headers, b"", self.token is not None)

    def whole(self, head: Reply, body: bytes) -> Reply:
        """Return an answer with its body."""
        if not 200 <= head.status < 300 and self.token is not None:
            # It becomes the text of an error, and the answer may repeat the token that was sent.
            body = self._shown(body.decode(errors="replace")).encode()
        return replace(head, body=body)

    def _shown(self, text: str) -> str:
        return text if self.token is None else self.token.redact(text)

    def unreachable(self, reason: BaseException | str) -> NotReachable:
        """Return the error for a server that cannot be reached."""
        text = _reason_text(reason)
        return NotReachable(
            f"no server answers at {self.address.url}" + (f": {text}" if text else ""),
            hint="`nodegraph serve` starts one on this machine; NODEGRAPH_SERVER, or --server on "
            "the command line, selects another one.",
        )

    def lost(self, reason: BaseException | str) -> ConnectionLost:
        """Return the error for a broken connection."""
        text = _reason_text(reason)
        return ConnectionLost(
            f"the connection to {self.address.url} was lost" + (f": {text}" if text else "")
        )

    def socket_fault(self, error: Exception) -> NodegraphError:
        """Return the error for a websocket that does not open or has ended."""
        if isinstance(error, ConnectionClosed):
            code, reason = (1006, "it was closed")
            if error.rcvd is not None:
                code, reason = error.rcvd.code, error.rcvd.reason[:200]
            suffix = f": {reason}" if reason else ""
            return ConnectionLost(f"the server has closed the connection (code {code}){suffix}")
        if isinstance(error, (OSError, asyncio.TimeoutError)):
            return self.unreachable(error)
        if isinstance(error, InvalidStatus):
            headers = {name.lower(): value for name, value in error.response.headers.raw_items()}
            answer = Reply(Request("GET", "/events"), error.response.status_code, headers)
            return SocketRefused(answer.status, answer.retry_after)
        if isinstance(error, InvalidMessage) and isinstance(error.__cause__, (EOFError, OSError)):
            return self.lost("it was closed")
        return SocketRefused(0)

    def fault(self, error: httpx.RequestError) -> NodegraphError:
        """Return the error for a request without an answer."""
        if isinstance(error, _UNSENT):
            return self.unreachable(error)
        if isinstance(error, httpx.TimeoutException):
            return self.lost("no answer came in time")
        if isinstance(error, httpx.TransportError):
            return self.lost(error)
        return UnexpectedAnswer(f"the answer cannot be read: {_reason_text(error)}")


def connection_to(
    server: str | None, token: str | None, seconds: float, tls: ssl.SSLContext | None
) -> Connection:
    """Return the connection options of a server, with defaults from the environment.

    Raises:
        InvalidValue: The address or the token is not valid.
    """
    return Connection(find_address(server), find_token(token), seconds, tls)


def _headers(request: Request) -> dict[str, str]:
    """Return the headers of a request, with the length of a file that is its body.

    Raises:
        InvalidFile: The file does not exist.
    """
    headers = dict(request.headers)
    if isinstance(request.body, Path):
        try:
            headers["Content-Length"] = str(request.body.stat().st_size)
        except OSError as error:
            raise unreadable_file(request.body, error) from error
    return headers


def encode_message(message: Mapping[str, Any]) -> bytes:
    """Encode a message for a websocket."""
    data: bytes = msgpack.packb(message)
    return data


def decode_message(data: bytes) -> Mapping[str, Any]:
    """Decode a message of a websocket.

    Raises:
        SocketRefused: It is not a message of the protocol.
    """
    try:
        message = msgpack.unpackb(data, strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise SocketRefused(0) from error
    if not isinstance(message, dict):
        raise SocketRefused(0)
    return message


def unreadable_file(path: Path, error: OSError) -> InvalidFile:
    """Return the error for a file that cannot be sent."""
    return InvalidFile(f"cannot read {path}: {error.strerror or error}")


def _reason_text(reason: BaseException | str) -> str:
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason)
