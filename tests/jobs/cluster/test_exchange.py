"""Only who has a secret is put through, and only once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nodegraph.jobs.cluster.actor_process import SECRET_BYTES, CallbackServer


class Desk:
    """Notes what a caller says."""

    def __init__(self) -> None:
        self.line: asyncio.Transport | None = None
        self.said = b""
        self.is_over = asyncio.Event()

    def connected(self, line: asyncio.Transport) -> None:
        self.line = line

    def data_received(self, data: bytes) -> None:
        self.said += data

    def connection_lost(self) -> None:
        self.is_over.set()


def with_exchange(use: Callable[[CallbackServer, tuple[str, int]], Awaitable[None]]) -> None:
    async def run() -> None:
        exchange = CallbackServer()
        await exchange.open("127.0.0.1")
        assert exchange.address is not None
        try:
            await use(exchange, exchange.address)
        finally:
            await exchange.close()

    asyncio.run(run())


async def call(address: tuple[str, int], *said: bytes) -> bytes:
    """What a caller is told until it is hung up on."""
    reader, writer = await asyncio.open_connection(*address)
    for part in said:
        writer.write(part)
        await writer.drain()
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def test_a_caller_with_the_secret_reaches_who_waits_for_it_and_no_second_one_does() -> None:
    async def use(exchange: CallbackServer, address: tuple[str, int]) -> None:
        desk = Desk()
        secret = exchange.expect(desk)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(secret[:5])
        await writer.drain()
        writer.write(secret[5:] + b"hello")
        while desk.said != b"hello":
            await asyncio.sleep(0.001)
        assert desk.line is not None
        desk.line.write(b"yes?")
        assert await reader.readexactly(4) == b"yes?"
        assert await call(address, secret, b"me, too") == b""
        writer.close()
        await desk.is_over.wait()
        assert desk.said == b"hello"

    with_exchange(use)


def test_strangers_are_hung_up_on() -> None:
    async def use(exchange: CallbackServer, address: tuple[str, int]) -> None:
        desk = Desk()
        secret = exchange.expect(desk)
        assert await call(address, bytes(SECRET_BYTES)) == b""
        exchange.forget(secret)
        assert await call(address, secret) == b""
        assert desk.line is None

    with_exchange(use)
