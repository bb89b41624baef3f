"""Asynchronous network, thread and clock functions of the client."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from nodegraph.client.connection import Connection, decode_message, encode_message

T = TypeVar("T")
AsyncHttp = httpx.AsyncClient


async def pause(seconds: float) -> None:
    """Sleep for some seconds."""
    await asyncio.sleep(seconds)


async def in_thread(run: Callable[..., T], *arguments: Any) -> T:
    """Run a slow function in a thread and return its result."""
    return await asyncio.to_thread(run, *arguments)


class AsyncSocket:
    """An open websocket."""

    def __init__(self, connection: Connection, opened: ClientConnection) -> None:
        self._connection = connection
        self._opened = opened

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a message.

        Raises:
            ConnectionLost: The server has closed the websocket, or it was cut.
        """
        try:
            await asyncio.wait_for(
                self._opened.send(encode_message(message)), self._connection.seconds
            )
        except asyncio.TimeoutError as error:
            raise self._connection.lost("nothing can be sent") from error
        except ConnectionClosed as error:
            raise self._connection.socket_fault(error) from error

    async def receive(self, seconds: float) -> Mapping[str, Any] | None:
        """Receive the next message; None if none comes in time.

        Raises:
            ConnectionLost: The server has closed the websocket, or it was cut.
            SocketRefused: The data is not a message of the protocol.
        """
        try:
            return decode_message(await asyncio.wait_for(self._opened.recv(decode=False), seconds))
        except asyncio.TimeoutError:
            return None
        except ConnectionClosed as error:
            raise self._connection.socket_fault(error) from error


class _Connect(connect):
    """A websocket connector that follows no redirects."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc  # the token is not sent to other servers


@asynccontextmanager
async def opened_socket(
    connection: Connection, seconds: float
) -> AsyncGenerator[AsyncSocket, None]:
    """Open a websocket to the server, closed at the end of the `async with`.

    Args:
        seconds: Seconds that opening may take.
    Raises:
        SocketRefused, NotReachable, ConnectionLost: The websocket cannot be opened.
    """
    opening = _Connect(connection.address.socket, proxy=None, **connection.socket_options(seconds))
    async with AsyncExitStack() as stack:
        try:
            opened = await stack.enter_async_context(opening)
        except (OSError, asyncio.TimeoutError, WebSocketException) as error:
            raise connection.socket_fault(error) from error
        yield AsyncSocket(connection, opened)
