"""Whether a cluster's head is there, by whether anybody answers at its port."""

from __future__ import annotations

import asyncio
import socket

import pytest

from nodegraph.jobs.cluster.failure_detection import ClusterHead


def listening(port: int = 0) -> tuple[socket.socket, int]:
    """What the system connects to before anybody accepts it; and its port."""
    server = socket.create_server(("127.0.0.1", port))
    return server, int(server.getsockname()[1])


def test_one_that_was_gone_stays_lost() -> None:
    """What was asked of the one before stays unanswered."""

    async def use() -> None:
        server, port = listening()
        head = ClusterHead("127.0.0.1", port)
        assert await head.probe()
        assert not head.is_lost
        server.close()
        assert not await head.probe()
        assert head.lost.done()
        server, _ = listening(port)
        with server:
            assert await head.probe()
            assert head.is_lost
            head.leave()

    asyncio.run(use())


@pytest.mark.parametrize("accepted", [False, True])
def test_one_that_is_back_before_the_next_look_was_gone(accepted: bool) -> None:
    async def use() -> None:
        server, port = listening()
        head = ClusterHead("127.0.0.1", port)
        assert await head.probe()
        if accepted:
            server.accept()[0].close()
        server.close()
        server, _ = listening(port)
        with server:
            assert await head.probe()
            await asyncio.wait_for(head.lost, 60)
            head.leave()

    asyncio.run(use())


def test_one_that_is_looked_at_again_or_left_is_not_lost_by_that() -> None:
    async def use() -> None:
        server, port = listening()
        with server:
            head = ClusterHead("127.0.0.1", port)
            assert await head.probe()
            first, _ = server.accept()
            assert await head.probe()
            second, _ = server.accept()
            loop = asyncio.get_running_loop()
            for each in (first, second):
                each.setblocking(False)
            # The connection of the look before is closed, that of this one isn't yet.
            assert await loop.sock_recv(first, 1) == b""
            head.leave()
            assert await loop.sock_recv(second, 1) == b""
            assert not head.is_lost
            first.close()
            second.close()

    asyncio.run(use())


@pytest.mark.parametrize("turns", range(6))
def test_a_look_that_is_cancelled_as_it_is_answered_goes_no_further(turns: int) -> None:
    """Else Ctrl-C would not stop who joins a cluster that says nothing."""

    async def use() -> None:
        server, port = listening()
        with server:
            server.setblocking(False)
            head = ClusterHead("127.0.0.1", port)
            look = asyncio.ensure_future(head.probe())
            accepted, _ = await asyncio.get_running_loop().sock_accept(server)
            with accepted:
                for _ in range(turns):
                    await asyncio.sleep(0)
                if look.cancel():
                    with pytest.raises(asyncio.CancelledError):
                        await look
                assert look.done()
            head.leave()

    asyncio.run(use())


def test_a_look_that_says_nothing_of_it_is_a_silence() -> None:
    """No other machine may be asked at that address, so that this one refuses to."""

    async def use() -> None:
        now = 0.0
        head = ClusterHead("255.255.255.255", 6379, clock=lambda: now)
        assert not await head.probe()
        assert not head.is_lost
        now = 31.0
        assert not await head.probe()
        assert head.is_lost

    asyncio.run(use())


def test_of_several_addresses_each_may_refuse() -> None:
    """The name stands for two on most machines, and for one on others."""

    async def use() -> None:
        server, port = listening()
        server.close()
        head = ClusterHead("localhost", port)
        assert not await head.probe()
        assert head.is_lost

    asyncio.run(use())
