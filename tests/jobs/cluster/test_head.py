"""Whether a cluster's head is there, by whether anybody answers at its port."""

from __future__ import annotations

import asyncio

from nodegraph.jobs.cluster.head import ClusterHead


async def listening(port: int = 0) -> tuple[asyncio.Server, int]:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
    return server, int(server.sockets[0].getsockname()[1])


def test_one_that_was_gone_is_lost_until_it_was_joined_again() -> None:
    async def use() -> None:
        server, port = await listening()
        head = ClusterHead("127.0.0.1", port)
        lost = head.lost
        assert await head.answers()
        assert not head.is_lost
        server.close()
        await server.wait_closed()
        assert not await head.answers()
        assert lost.done()
        server, _ = await listening(port)
        # What was asked of the one before stays unanswered.
        assert await head.answers()
        assert head.is_lost
        head.found("127.0.0.1", port)
        assert not head.is_lost
        assert lost.done()
        server.close()

    asyncio.run(use())


def test_a_look_that_says_nothing_of_it_is_a_silence() -> None:
    """No other machine may be asked at that address, so that this one refuses to."""

    async def use() -> None:
        now = 0.0
        head = ClusterHead("255.255.255.255", 6379, clock=lambda: now)
        assert not await head.answers()
        assert not head.is_lost
        now = 31.0
        assert not await head.answers()
        assert head.is_lost

    asyncio.run(use())


def test_of_several_addresses_each_may_refuse() -> None:
    """The name stands for two on most machines, and for one on others."""

    async def use() -> None:
        server, port = await listening()
        server.close()
        await server.wait_closed()
        head = ClusterHead("localhost", port)
        assert not await head.answers()
        assert head.is_lost

    asyncio.run(use())


def test_who_watches_notices_it_by_itself() -> None:
    async def use() -> None:
        server, port = await listening()
        head = ClusterHead("127.0.0.1", port)
        watching = asyncio.create_task(head.watch())
        server.close()
        await asyncio.wait_for(head.lost, 60)
        watching.cancel()

    asyncio.run(use())
