"""What clients do with the network and the clock while their callers wait; see `async_wire`."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import ClientConnection, connect

from nodegraph.client.connection import CONNECT_SECONDS, Connection, packed, unpacked

T = TypeVar("T")
Http = httpx.Client


def pause(seconds: float) -> None:
    """Do nothing for some seconds."""
    time.sleep(seconds)


def in_thread(run: Callable[..., T], *arguments: Any) -> T:
    """What comes of something that takes its time, for which the caller waits."""
    return run(*arguments)


class Socket:
    """An open websocket."""

    def __init__(self, connection: Connection, opened: ClientConnection) -> None:
        self._connection = connection
        self._opened = opened

    def say(self, message: Mapping[str, Any]) -> None:
        """Send a message.

        Raises:
            ConnectionLost: The server has closed the websocket, or it was cut.
        """
        try:
            self._opened.send(packed(message))
        except ConnectionClosed as error:
            raise self._connection.socket_fault(error) from error

    def hear(self, seconds: float) -> Mapping[str, Any] | None:
        """The next message; None if none comes in time.

        Raises:
            ConnectionLost: The server has closed the websocket, or it was cut.
            SocketRefused: What comes is none of ours.
        """
        try:
            return unpacked(self._opened.recv(seconds, decode=False))
        except TimeoutError:
            return None
        except ConnectionClosed as error:
            raise self._connection.socket_fault(error) from error


@contextmanager
def opened_socket(connection: Connection, seconds: float) -> Generator[Socket, None, None]:
    """A websocket to the server, closed at the end of the `with`.

    Args:
        seconds: That opening it may take.
    Raises:
        SocketRefused, NotReachable, ConnectionLost: There is none.
    """
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(_opened(connection, seconds))
        except (OSError, WebSocketException) as error:
            raise connection.socket_fault(error) from error
        yield Socket(connection, opened)


def _opened(connection: Connection, seconds: float) -> ClientConnection:
    address = connection.address
    end = time.monotonic() + seconds
    patience = min(seconds, CONNECT_SECONDS)
    plain = socket.create_connection((address.host, address.port), patience)
    plain.settimeout(None)
    try:
        # With a socket of one's own, no redirect is followed: the token isn't taken elsewhere.
        options = connection.socket_options(max(end - time.monotonic(), 0.001))
        opened: ClientConnection = connect(address.socket, sock=plain, **options)
    except ValueError as error:
        if isinstance(error.__cause__, InvalidStatus):
            raise error.__cause__ from None
        raise
    return opened
