"""Joining a cluster for as long as a server, or a command, has work for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from nodegraph.jobs.cluster.connection import Cluster
from nodegraph.jobs.cluster.exchange import Exchange
from nodegraph.jobs.cluster.starter import ActorStarter


@dataclass(frozen=True, slots=True)
class Joined:
    """A cluster that was joined, and who starts workers there."""

    cluster: Cluster
    starter: ActorStarter


@asynccontextmanager
async def joined(address: str) -> AsyncIterator[Joined]:
    """A cluster, until the end of the `async with`: then its workers of this process are gone.

    Raises:
        ClusterFault: It can't be joined.
    """
    cluster = await Cluster.connect(address)
    exchange = Exchange()
    watching = asyncio.create_task(cluster.watch(), name="nodegraph-head")
    try:
        if cluster.is_direct:
            await exchange.open(cluster.host)
        yield Joined(cluster, ActorStarter(cluster, exchange))
    finally:
        watching.cancel()
        await exchange.close()
        await cluster.close()
