"""An actor of Ray's, asked so that nothing waits for a head that is gone."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from nodegraph.jobs.cluster.calls import apart, unless_lost
from nodegraph.jobs.cluster.head import ClusterHead


class RayActor:
    """An actor of Ray; see `nodegraph.jobs.cluster.process.Actor`."""

    def __init__(self, ray: Any, handle: Any, head: ClusterHead) -> None:
        self._ray = ray
        self._handle = handle
        self._head = head

    async def call(self, method: str, *arguments: Any) -> Any:
        # Over `ray://` even to begin a call is to wait for an answer.
        begun = await unless_lost(apart(self._begin, method, *arguments), self._head)
        # Ray's own thread ends with an error where an answer finds its future cancelled.
        answer = asyncio.shield(asyncio.wrap_future(begun))
        return await unless_lost(answer, self._head)

    def _begin(self, method: str, *arguments: Any) -> Future[Any]:
        found: Future[Any] = getattr(self._handle, method).remote(*arguments).future()
        return found

    def kill(self) -> None:
        if not self._head.is_lost:
            # It asks the head, which may be gone without anybody knowing it yet.
            threading.Thread(target=self._kill, name="nodegraph-kill", daemon=True).start()

    def _kill(self) -> None:
        with suppress(Exception):  # it is gone already, or the cluster is
            self._ray.kill(self._handle)
