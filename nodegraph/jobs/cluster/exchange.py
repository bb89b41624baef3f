"""Where workers on other machines call the server, each with a secret that it was given."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from hashlib import sha256
from typing import Protocol, cast

SECRET_BYTES = 32
_PATIENCE = 10.0
"""Seconds to say a secret in."""
_MOST_STRANGERS = 256
"""Callers at a time that haven't said one yet."""


class CallbackHandler(Protocol):
    """Who waits for a call."""

    def connected(self, line: asyncio.Transport) -> None:
        """It came."""

    def data_received(self, data: bytes) -> None:
        """The caller says something."""

    def connection_lost(self) -> None:
        """Nothing more will come."""


class CallbackServer:
    """Listens at one address of this machine, and joins each caller with whoever waits for it.

    What goes over a line is as open as what Ray itself sends: a cluster's network must be its own.
    """

    def __init__(self) -> None:
        self._waiting: dict[bytes, CallbackHandler] = {}
        self._strangers = 0
        self._server: asyncio.Server | None = None
        self._address: tuple[str, int] | None = None

    async def open(self, host: str) -> None:
        """Listen at any free port.

        Raises:
            OSError: That isn't an address of this machine.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Caller(self), host, 0)
        self._address = self._server.sockets[0].getsockname()[:2]

    @property
    def address(self) -> tuple[str, int] | None:
        """Where it listens, if it does."""
        return self._address

    def expect(self, called: CallbackHandler) -> bytes:
        """What a caller has to say to reach somebody, once."""
        secret = secrets.token_bytes(SECRET_BYTES)
        self._waiting[_key(secret)] = called
        return secret

    def forget(self, secret: bytes) -> None:
        """Nobody waits for that caller any more."""
        self._waiting.pop(_key(secret), None)

    def called(self, secret: bytes) -> CallbackHandler | None:
        """Who waits for a caller that says this."""
        return self._waiting.pop(_key(secret), None)

    def admit(self) -> bool:
        """Whether one more stranger may try."""
        if self._strangers >= _MOST_STRANGERS:
            return False
        self._strangers += 1
        return True

    def known(self) -> None:
        """A stranger is one no more, or is gone."""
        self._strangers -= 1

    async def close(self) -> None:
        """Listen no more; lines that stand stay."""
        if self._server is not None:
            self._server.close()
            self._server = None


def _key(secret: bytes) -> bytes:
    # Looking it up takes as long for a secret that is almost right as for any other.
    return sha256(secret).digest()


class _Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, exchange: CallbackServer) -> None:
        self._exchange = exchange
        self._said = b""
        self._called: CallbackHandler | None = None
        self._done: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._line = cast(asyncio.Transport, transport)
        if not self._exchange.admit():
            self._line.abort()
            return
        late = asyncio.get_running_loop().call_later(_PATIENCE, self._line.abort)

        def done() -> None:
            self._done = None
            late.cancel()
            self._exchange.known()

        self._done = done

    def data_received(self, data: bytes) -> None:
        if self._called is not None:
            self._called.data_received(data)
            return
        self._said += data
        if len(self._said) < SECRET_BYTES:
            return
        secret, remaining = self._said[:SECRET_BYTES], self._said[SECRET_BYTES:]
        self._called = self._exchange.called(secret)
        if self._called is None:
            self._line.abort()
            return
        if self._done is not None:
            self._done()
        self._called.connected(self._line)
        if remaining:
            self._called.data_received(remaining)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done is not None:
            self._done()
        if self._called is not None:
            self._called.connection_lost()
