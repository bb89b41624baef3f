"""The engine: what runs share. It runs plain functions and knows neither torch nor a server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from nodegraph.core.context import CPU_PRECISION, Environment, Merging, Numerics, Weights
from nodegraph.core.graph import CheckedGraph
from nodegraph.engine.cache import Cache, CallOutputs, Entry, MemoryCache
from nodegraph.engine.checkpointing import Saver
from nodegraph.engine.lanes import Lanes
from nodegraph.engine.options import DEFAULT_OPTIONS, RunOptions
from nodegraph.engine.product import leaves
from nodegraph.engine.result import RunResult
from nodegraph.engine.run import Run
from nodegraph.engine.runtime import Claiming, EngineState, ModelFinder, TextReader
from nodegraph.packs.registry import Registry
from nodegraph.store.costs import Costs
from nodegraph.store.file_records import SinkFiles
from nodegraph.store.history import CodeModules


class Engine:
    """Runs graphs. Runs on one event loop may overlap: they share cache, lanes and equal calls.

    Args:
        registry: The node types.
        environment: Folders and permissions.
        weights: Turns recipes into live modules; None if no node needs any.
        numerics: Describes device and libraries, for nodes whose results depend on them.
        cache: Where results are kept; in memory if not given.
        lanes: Where calls run.
        costs: What calls took, for priorities and plans.
        claims: Who works on what, where several processes share a store.
        written: Remembers the files of sinks that need not run again.
        codes: Remembers what is behind code digests, to tell later what changed.
        saver: Saves checkpoints; kept in memory if not given.
        merging: Says which calls may run beside each other; none may if not given.
        texts_of: Reads the texts of input files, so that manifests name the results among them.
        model_path: Finds the file or folder that a model's name means, for manifests.
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
        costs: Costs | None = None,
        claims: Claiming | None = None,
        written: SinkFiles | None = None,
        codes: CodeModules | None = None,
        saver: Saver | None = None,
        merging: Merging | None = None,
        texts_of: TextReader | None = None,
        model_path: ModelFinder | None = None,
    ) -> None:
        self.shared = EngineState(
            registry,
            environment,
            cache if cache is not None else Cache(MemoryCache()),
            lanes or Lanes(environment.device, merging=merging),
            weights,
            numerics,
            costs,
            claims,
            written,
            codes,
            saver or Saver(),
            merging=merging,
            texts_of=texts_of,
            model_path=model_path,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._runs: set[object] = set()
        self._closed = False

    async def run(
        self,
        graph: CheckedGraph,
        options: RunOptions = DEFAULT_OPTIONS,
        *,
        workflow: Mapping[str, Any] | None = None,
        run_id: str = "",
    ) -> RunResult:
        """Run a graph's targets and all that they need.

        A node's failure ends what depends on it; the rest runs on. Nothing is raised for it: the
        result tells.

        Args:
            options: How; the parameters and targets are the graph's already.
            workflow: The document that the graph was built from, for sinks that keep it.
            run_id: Names the run in the store's records.
        Raises:
            RuntimeError: A run of this engine goes on on another event loop.
        """
        entry = self._enter(asyncio.get_running_loop())
        try:
            precision = (workflow or {}).get(CPU_PRECISION, "")
            shared = self.shared.for_run(options, precision, measures=True)
            if workflow:
                shared = shared.with_document(lambda: workflow)
            shared.identify(graph, is_growing=bool((workflow or {}).get("subgraphs")))
            return await Run(shared, graph, options, workflow or {}, run_id).execute()
        finally:
            self._runs.discard(entry)
            if not self._runs:
                self.shared.registry.rebaseline()

    def _enter(self, loop: asyncio.AbstractEventLoop) -> object:
        """Note that a run begins; what is returned stands for it until it ends."""
        if self._closed:
            raise RuntimeError("the engine is closed")
        if self._loop is not loop:
            if self._runs and self._loop is not None and not self._loop.is_closed():
                raise RuntimeError(
                    "runs of one engine may overlap on one event loop, but not on two"
                )
            # What an earlier loop left behind, if it ended in the middle of a run.
            self._runs.clear()
            self.shared.forget_calls()
            self.shared.lanes.forget_waiting()
        self.look_at_code_anew()
        self._loop = loop
        entry = object()
        self._runs.add(entry)
        return entry

    @property
    def is_running(self) -> bool:
        """Whether a run goes on."""
        return bool(self._runs)

    def replace_registry(self, registry: Registry) -> None:
        """Use other node types from now on; no run may go on.

        Values of classes that were imported anew leave memory: to the new code they would be
        strangers.
        """
        self.shared.registry = registry
        self.shared.forget_identities()
        self.shared.cache.memory.forget_if(holds_stale_classes)

    def look_at_code_anew(self) -> None:
        """Notice where the code behind node types has changed, unless a run goes on."""
        if not self._runs:
            self.shared.forget_identities()

    def close(self) -> None:
        """End the lanes; the engine can't be used any more."""
        self._closed = True
        self.shared.lanes.close()
        self.shared.saver.close()


_MOST = 1000
"""Parts of a value that are looked at; what has more is taken to hold a stranger."""


def holds_stale_classes(entry: Entry) -> bool:
    """Whether a result holds anything of a class whose module was imported anew, or is gone."""
    if not isinstance(entry, CallOutputs):
        return False
    return any(
        product.is_loaded and _holds_strangers(product.value) for product in leaves(entry.products)
    )


def _holds_strangers(value: Any) -> bool:
    waiting, count = [value], 0
    while waiting:
        part = waiting.pop()
        count += 1
        if count > _MOST or _is_stranger(type(part)):
            return True
        waiting.extend(_parts(part))
    return False


def _parts(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple, set, frozenset)):
        yield from value
    elif isinstance(value, Mapping):
        yield from value.keys()
        yield from value.values()
    elif is_dataclass(value) and not isinstance(value, type):
        yield from (getattr(value, item.name, None) for item in fields(value))


def _is_stranger(kind: type) -> bool:
    if "<locals>" in kind.__qualname__:
        return False
    resolved: Any = sys.modules.get(kind.__module__)
    if resolved is None:
        return True
    for name in kind.__qualname__.split("."):
        resolved = getattr(resolved, name, None)
    # Some classes tell of another place than their own: those were never imported anew.
    return isinstance(resolved, type) and resolved is not kind
