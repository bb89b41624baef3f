"""A websocket whose messages are waited for."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from typing import Any

from nodegraph.client.connection import CONNECT_SECONDS, Connection
from nodegraph.client.socket_talk import SocketTalk

_CHUNK = 1 << 18


class Socket:
    """An open websocket; for one thread.

    Args:
        seconds: That opening it may take.
    Raises:
        SocketRefused, NotReachable, ConnectionLost: There is none.
    """

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._connection = connection
        self._talk = SocketTalk(connection)
        end = time.monotonic() + seconds
        self._socket = _connected(connection, seconds)
        try:
            self._send(self._talk.to_send())
            while not self._talk.is_open:
                if not self._receive(end - time.monotonic()):
                    raise connection.lost("no answer came in time")
        except OSError as error:
            self._socket.close()
            raise connection.lost(error) from error
        except BaseException:
            self._socket.close()
            raise

    def say(self, message: Mapping[str, Any]) -> None:
        """Send a message."""
        try:
            self._send(self._talk.say(message))
        except OSError as error:
            raise self._connection.lost(error) from error

    def hear(self, seconds: float) -> Mapping[str, Any] | None:
        """The next message; None if none comes in time."""
        end = time.monotonic() + seconds
        while True:
            found = self._talk.next()
            if found is not None:
                return found
            try:
                if not self._receive(end - time.monotonic()):
                    return None
            except OSError as error:
                raise self._connection.lost(error) from error

    def _receive(self, seconds: float) -> bool:
        """Take in what comes next; whether anything came in time."""
        if seconds <= 0:
            return False
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(_CHUNK)
        except TimeoutError:
            return False
        self._talk.take(data)
        self._send(self._talk.to_send())
        return True

    def _send(self, data: bytes) -> None:
        if data:
            self._socket.settimeout(self._connection.seconds)
            self._socket.sendall(data)

    def close(self) -> None:
        """Take leave and close the connection."""
        try:
            self._send(self._talk.farewell())
        except OSError:
            return  # it is gone already
        finally:
            self._socket.close()


def _connected(connection: Connection, seconds: float) -> socket.socket:
    address = connection.address
    try:
        found = socket.create_connection(
            (address.host, address.port), timeout=min(seconds, CONNECT_SECONDS)
        )
    except OSError as error:
        raise connection.unreachable(error) from error
    try:
        # Short messages are to go out at once.
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.is_secure:
            return connection.context().wrap_socket(found, server_hostname=address.host)
    except OSError as error:
        found.close()
        raise connection.unreachable(error) from error
    return found
