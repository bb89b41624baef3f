"""A cluster of one machine whose actors are threads of this process: all but Ray itself is real."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, cast

from nodegraph.jobs.cluster.actor_process import ActorStarter, CallbackServer
from nodegraph.jobs.cluster.connection import Cluster
from nodegraph.jobs.cluster.worker_host import WorkerHost
from nodegraph.jobs.supervisor.worker_spec import Needs


class NodeDied(Exception):
    """What is raised by calls of an actor whose node is gone."""

    preempted = True


class ThreadActor:
    """A `WorkerHost` that is called from threads."""

    def __init__(self, host: WorkerHost) -> None:
        self._host = host
        self._threads = ThreadPoolExecutor(8, thread_name_prefix="actor")
        self._lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def call(self, method: str, *arguments: Any) -> Any:
        call = asyncio.wrap_future(self._threads.submit(getattr(self._host, method), *arguments))
        waiting: list[Awaitable[Any]] = [call, self._lost]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)  # type: ignore[type-var]
        # What both have come to by then, the node has told to nobody any more.
        return (self._lost if self._lost.done() else call).result()

    def kill(self) -> None:
        self._host.signal("kill")
        self._threads.shutdown(wait=False)

    def lose(self) -> None:
        """Its node is gone."""
        # First: what it ran can't tell any more how it ended.
        self._lost.set_exception(NodeDied())
        self._host.signal("kill")


class Threads:
    """Makes actors; has the part of `Cluster` that a starter needs.

    Attributes:
        actors: That were made, the last one last.
    """

    def __init__(self, host: type[WorkerHost] = WorkerHost) -> None:
        self._host = host
        self.actors: list[ThreadActor] = []

    async def actor(self, needs: Needs) -> ThreadActor:
        self.actors.append(ThreadActor(self._host()))
        return self.actors[-1]


@asynccontextmanager
async def starting(threads: Threads, *, is_direct: bool = True) -> AsyncIterator[ActorStarter]:
    """Starts workers by such actors.

    Args:
        is_direct: Whether workers have a line of their own.
    """
    exchange = CallbackServer()
    if is_direct:
        await exchange.open("127.0.0.1")
    try:
        yield ActorStarter(cast(Cluster, threads), exchange)
    finally:
        await exchange.close()
