"""The engine: what runs share. It runs plain functions and knows neither torch nor a server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from nodegraph.core.context import Environment, Numerics, Weights
from nodegraph.core.events import EventStream, Listener
from nodegraph.core.graph import Graph
from nodegraph.engine.cache import Cache, MemoryCache
from nodegraph.engine.cancel import CancelToken
from nodegraph.engine.lanes import Lanes
from nodegraph.engine.registry import Registry
from nodegraph.engine.result import RunResult
from nodegraph.engine.run import Run
from nodegraph.engine.shared import Shared


class Engine:
    """Runs graphs. Runs on one event loop may overlap: they share cache, lanes and equal calls.

    Args:
        registry: The node types.
        environment: Folders and permissions.
        weights: Turns recipes into live modules; None if no node needs any.
        numerics: Describes device and libraries, for nodes whose results depend on them.
        cache: Where results are kept; in memory if not given.
        lanes: Where calls run.
    """

    def __init__(
        self,
        registry: Registry,
        *,
        environment: Environment,
        weights: Weights | None = None,
        numerics: Numerics | None = None,
        cache: Cache | None = None,
        lanes: Lanes | None = None,
    ) -> None:
        self.shared = Shared(
            registry,
            environment,
            cache if cache is not None else MemoryCache(),
            lanes or Lanes(environment.device),
            weights,
            numerics,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runs: set[object] = set()
        self._closed = False

    async def run(
        self,
        graph: Graph,
        *,
        workflow: Mapping[str, Any] | None = None,
        listener: Listener | None = None,
        cancel: CancelToken | None = None,
    ) -> RunResult:
        """Run a graph's targets and all that they need.

        A node's failure ends what depends on it; the rest runs on. Nothing is raised for it: the
        result tells.

        Args:
            workflow: The document that the graph was built from, for sinks that keep it.
            listener: Is handed every event, in order, from any thread.
            cancel: Stops the run at the next step once set.
        Raises:
            RuntimeError: A run of this engine goes on on another event loop.
        """
        token = cancel or CancelToken()
        entry = self._enter(asyncio.get_running_loop())
        try:
            run = Run(self.shared, graph, EventStream(listener), token, workflow or {})
            return await run.execute()
        finally:
            self._runs.discard(entry)

    def _enter(self, loop: asyncio.AbstractEventLoop) -> object:
        """Note that a run begins; what is returned stands for it until it ends."""
        if self._closed:
            raise RuntimeError("the engine is closed")
        if self._loop is not loop:
            if self._runs and self._loop is not None and not self._loop.is_closed():
                raise RuntimeError("an engine's runs may overlap on one event loop, not on two")
            # What an earlier loop left behind, if it ended in the middle of a run.
            self._runs.clear()
            self.shared.in_flight.clear()
            self.shared.lanes.forget_waiting()
        if not self._runs:
            self.shared.forget_identities()
        self._loop = loop
        entry = object()
        self._runs.add(entry)
        return entry

    def close(self) -> None:
        """End the lanes; the engine can't be used any more."""
        self._closed = True
        self.shared.lanes.close()
