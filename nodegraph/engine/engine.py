"""The engine: what runs share. It runs plain functions and knows neither torch nor a server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from nodegraph.core.context import Environment, Numerics, Weights
from nodegraph.core.digests import Digest
from nodegraph.core.events import EventStream, Listener
from nodegraph.core.graph import Graph, GraphNode
from nodegraph.core.keys import Key, base_key
from nodegraph.core.spec import NodeSpec
from nodegraph.engine.cache import Cache, MemoryCache
from nodegraph.engine.cancel import CancelToken
from nodegraph.engine.lanes import Lanes
from nodegraph.engine.registry import Registry
from nodegraph.engine.result import RunResult
from nodegraph.engine.states import Call


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
        self.registry = registry
        self.environment = environment
        self.weights = weights
        self.cache: Cache = cache if cache is not None else MemoryCache()
        self.lanes = lanes or Lanes(environment.device)
        self.in_flight: dict[Key, Call] = {}
        self._numerics = numerics
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runs = 0
        self._identities: dict[str, tuple[NodeSpec, Digest, str]] = {}

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
        from nodegraph.engine.run import Run

        loop = asyncio.get_running_loop()
        if self._runs and self._loop is not loop:
            raise RuntimeError("an engine's runs may overlap on one event loop, not on two")
        self._loop = loop
        self._runs += 1
        try:
            run = Run(self, graph, EventStream(listener), cancel or CancelToken(), workflow or {})
            return await run.execute()
        finally:
            self._runs -= 1

    def base_of(self, node: GraphNode) -> Digest:
        """The part of a node's key that is known before it runs."""
        _, code, profile = self._identity(node.spec)
        digesters = self.registry.digesters
        return base_key(node.spec, node.literals, code=code, profile=profile, digesters=digesters)

    def _identity(self, spec: NodeSpec) -> tuple[NodeSpec, Digest, str]:
        known = self._identities.get(spec.type)
        if known is None or known[0] is not spec:
            profile = ""
            if spec.numerics and self._numerics is not None:
                profile = self._numerics.profile(self.lanes.device)
            known = (spec, self.registry.code_digest(spec.type), profile)
            self._identities[spec.type] = known
        return known

    def close(self) -> None:
        """End the lanes; the engine can't be used any more."""
        self.lanes.close()
