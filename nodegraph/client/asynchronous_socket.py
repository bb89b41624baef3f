"""A websocket within an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from nodegraph.client.connection import CONNECT_SECONDS, Connection
from nodegraph.client.socket_talk import SocketTalk

_CHUNK = 1 << 18


async def opened(connection: Connection, seconds: float) -> Socket:
    """A websocket that the server has opened.

    Args:
        seconds: That this may take.
    Raises:
        SocketRefused, NotReachable, ConnectionLost: There is none.
    """
    address = connection.address
    opening = asyncio.open_connection(
        address.host, address.port, ssl=connection.context() if address.is_secure else None
    )
    try:
        reader, writer = await asyncio.wait_for(opening, min(seconds, CONNECT_SECONDS))
    except (OSError, asyncio.TimeoutError) as error:
        raise connection.unreachable(error) from error
    found = Socket(connection, reader, writer)
    try:
        await asyncio.wait_for(found.shake_hands(), seconds)
    except asyncio.TimeoutError as error:
        await found.close()
        raise connection.lost("no answer came in time") from error
    except BaseException:
        await found.close()
        raise
    return found


class Socket:
    """A websocket over an open connection."""

    def __init__(
        self, connection: Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._connection = connection
        self._talk = SocketTalk(connection)
        self._reader = reader
        self._writer = writer

    async def shake_hands(self) -> None:
        """Have the server open it."""
        await self._send(self._talk.to_send())
        while not self._talk.is_open:
            await self._receive()

    async def say(self, message: Mapping[str, Any]) -> None:
        """Send a message."""
        await self._send(self._talk.say(message))

    async def hear(self, seconds: float) -> Mapping[str, Any] | None:
        """The next message; None if none comes in time."""
        found = self._talk.next()
        if found is not None:
            return found
        try:
            return await asyncio.wait_for(self._heard(), seconds)
        except asyncio.TimeoutError:
            return None

    async def _heard(self) -> Mapping[str, Any]:
        while True:
            found = self._talk.next()
            if found is not None:
                return found
            await self._receive()

    async def _receive(self) -> None:
        try:
            self._talk.take(await self._reader.read(_CHUNK))
        except OSError as error:
            raise self._connection.lost(error) from error
        await self._send(self._talk.to_send())

    async def _send(self, data: bytes) -> None:
        if not data:
            return
        try:
            self._writer.write(data)
            await asyncio.wait_for(self._writer.drain(), self._connection.seconds)
        except (OSError, asyncio.TimeoutError) as error:
            raise self._connection.lost(error) from error

    async def close(self) -> None:
        """Take leave and close the connection."""
        try:
            data = self._talk.farewell()
            if data:
                self._writer.write(data)
            self._writer.close()
            await asyncio.wait_for(self._writer.wait_closed(), 1.0)
        except (OSError, asyncio.TimeoutError):
            self._writer.transport.abort()  # it is gone already, or reads nothing
