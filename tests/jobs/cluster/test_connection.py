"""Asking a cluster for actors, whatever becomes of it."""

from __future__ import annotations

import asyncio

import pytest

from nodegraph.jobs.cluster.connection import Cluster
from nodegraph.jobs.cluster.head import ClusterHead
from nodegraph.jobs.supervisor.rules import Needs
from tests.jobs.cluster.test_head import listening


def test_whatever_ray_raises_is_tried_again_as_a_lost_connection_is() -> None:
    pytest.importorskip("ray")

    async def use() -> None:
        server, port = await listening()
        async with server:
            cluster = Cluster("127.0.0.1", ClusterHead("127.0.0.1", port), is_own=False)
            # Ray refuses it with an error that is none of a connection, before it asks anybody.
            with pytest.raises(ConnectionError, match=r"Ray made no actor for it: .*num_cpus"):
                await cluster.actor(Needs(cpus=-1.0))

    asyncio.run(use())
