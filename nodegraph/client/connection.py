"""TLS and HTTP options of a connection, and its network faults as errors."""

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
"""That an answer may keep one waiting."""
CONNECT_SECONDS = 10.0
_AGENT = f"nodegraph/{VERSION}"
_SUBPROTOCOL = Subprotocol("nodegraph.v1.msgpack")
_LARGEST_MESSAGE = 64 << 20
_FAREWELL_SECONDS = 1.0
# Of no hierarchy, so that nobody can have it log headers: the token is among them.
_SILENT = logging.Logger("nodegraph.client.websocket", logging.CRITICAL)
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


class SocketRefused(NodegraphError):
    """The server, or something before it, opens no websocket, or not one of ours.

    Attributes:
        status: HTTP status; 0 if the answer was none of HTTP.
        retry_after: Seconds after which to ask again, if it says so.
    """

    code = "websocket-refused"

    def __init__(self, status: int, retry_after: float | None = None) -> None:
        super().__init__("the server does not open a websocket", given=f"status {status}")
        self.status = status
        self.retry_after = retry_after


@dataclass(frozen=True)
class Connection:
    """How a server is reached.

    Attributes:
        seconds: That an answer may keep one waiting.
        tls: What certificates are good; None for the machine's usual ones.
    """

    address: Address
    token: Token | None
    seconds: float
    tls: ssl.SSLContext | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Of every request."""
        fields = {"User-Agent": _AGENT}
        if self.token is not None:
            fields["Authorization"] = self.token.header
        return fields

    def context(self) -> ssl.SSLContext:
        """What certificates are good."""
        if self.tls is not None:
            return self.tls
        if not self.address.is_secure:
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # unused; quicker made than a full one
        return ssl.create_default_context()

    def options(self) -> dict[str, Any]:
        """Of `httpx.Client` and `httpx.AsyncClient`."""
        return {
            "base_url": self.address.api,
            "headers": self.headers,
            "timeout": self.timeout(),
            # The token is for this server, not for where it leads.
            "follow_redirects": False,
            "verify": self.context(),
            # A proxy of the environment would not find this machine's own servers.
            "trust_env": not self.address.is_loopback,
        }

    def socket_options(self, seconds: float) -> dict[str, Any]:
        """Of both kinds of `websockets` clients, for a websocket that opens within some seconds."""
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
        """How long a request may take, where its answer takes so much longer than others'."""
        return httpx.Timeout(self.seconds + more, connect=min(CONNECT_SECONDS, self.seconds))

    def request_arguments(self, request: Request) -> dict[str, Any]:
        """A request but for its body, as `stream` of `httpx` takes it.

        Raises:
            InvalidFile: Its body is a file, and there is no such file.
        """
        return {
            "method": request.method,
            "url": request.path,
            "params": request.query,
            "headers": _headers(request),
            "timeout": self.timeout(request.extra_seconds),
        }

    def head(self, request: Request, response: httpx.Response) -> Reply:
        """An answer without its body."""
        headers = {name.lower(): self._shown(value) for name, value in response.headers.items()}
        return Reply(request, response.status_code, headers, b"", self.token is not None)

    def whole(self, head: Reply, body: bytes) -> Reply:
        """An answer with its body."""
        if not 200 <= head.status < 300 and self.token is not None:
            # It becomes an error's text; whoever answers may repeat what was sent.
            body = self._shown(body.decode(errors="replace")).encode()
        return replace(head, body=body)

    def _shown(self, text: str) -> str:
        return text if self.token is None else self.token.redact(text)

    def unreachable(self, reason: BaseException | str) -> NotReachable:
        """No connection can be made."""
        text = _reason_text(reason)
        return NotReachable(
            f"no server answers at {self.address.url}" + (f": {text}" if text else ""),
            hint="`nodegraph serve` starts one on this machine; NODEGRAPH_SERVER, or --server on "
            "the command line, selects another one.",
        )

    def lost(self, reason: BaseException | str) -> ConnectionLost:
        """The connection broke."""
        text = _reason_text(reason)
        return ConnectionLost(
            f"the connection to {self.address.url} was lost" + (f": {text}" if text else "")
        )

    def socket_fault(self, error: Exception) -> NodegraphError:
        """Why a websocket doesn't open, or brings nothing any more."""
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
        """Why a request brought no answer."""
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
    """How a server is reached; what isn't given is taken from the environment.

    Raises:
        InvalidValue: The address or the token can't be one.
    """
    return Connection(find_address(server), find_token(token), seconds, tls)


def _headers(request: Request) -> dict[str, str]:
    """Headers of a request, with the length of a file that is its body.

    Raises:
        InvalidFile: There is no such file.
    """
    headers = dict(request.headers)
    if isinstance(request.body, Path):
        try:
            headers["Content-Length"] = str(request.body.stat().st_size)
        except OSError as error:
            raise unreadable_file(request.body, error) from error
    return headers


def encode_message(message: Mapping[str, Any]) -> bytes:
    """A message as it goes over a websocket."""
    data: bytes = msgpack.packb(message)
    return data


def decode_message(data: bytes) -> Mapping[str, Any]:
    """A message as it came over a websocket.

    Raises:
        SocketRefused: Whatever this is, it is none of ours.
    """
    try:
        message = msgpack.unpackb(data, strict_map_key=False)
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise SocketRefused(0) from error
    if not isinstance(message, dict):
        raise SocketRefused(0)
    return message


def unreadable_file(path: Path, error: OSError) -> InvalidFile:
    """A file can't be sent."""
    return InvalidFile(f"cannot read {path}: {error.strerror or error}")


def _reason_text(reason: BaseException | str) -> str:
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return str(reason)
