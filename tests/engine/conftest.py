"""A small engine for tests: nodes defined on the spot, runs told by what ran."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from nodegraph.api import node
from nodegraph.core.context import Environment
from nodegraph.core.events import Event
from nodegraph.core.graph_builder import build_graph
from nodegraph.core.workflow import Workflow
from nodegraph.engine.cache import Cache, MemoryCache
from nodegraph.engine.engine import Engine
from nodegraph.engine.lanes import Lanes
from nodegraph.engine.options import CancelToken, RunOptions
from nodegraph.engine.result import RunResult
from nodegraph.packs.registry import Registry


class Bench:
    """Runs workflows of node functions, and remembers the events."""

    def __init__(self, folder: Path) -> None:
        self.environment = Environment((), folder, folder, folder)
        self.registry = Registry()
        self.cache = Cache(MemoryCache())
        self.engine = self.new_engine()
        self.events: list[Event] = []

    def new_engine(self, registry: Registry | None = None) -> Engine:
        return Engine(
            registry or self.registry,
            environment=self.environment,
            cache=self.cache,
            lanes=Lanes(cpu_places=2, io_places=2),
        )

    def add(self, *functions: Callable[..., Any]) -> Bench:
        self.registry.add(*functions)
        return self

    async def run_async(
        self,
        nodes: Mapping[str, Any],
        *targets: str,
        cancel: CancelToken | None = None,
        engine: Engine | None = None,
        metadata: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> RunResult:
        engine = engine or self.engine
        document = {"format": "nodegraph/1", "nodes": dict(nodes), "metadata": metadata or {}}
        workflow = Workflow.from_dict(document)
        graph = build_graph(
            workflow, engine.shared.registry, self.environment, targets=targets or list(nodes)[-1:]
        )
        self.events = []
        return await engine.run(
            graph,
            RunOptions(listener=self.events.append, cancel=cancel, **options),
            workflow=workflow.to_dict(),
        )

    def run(self, nodes: Mapping[str, Any], *targets: str, **options: Any) -> RunResult:
        return asyncio.run(self.run_async(nodes, *targets, **options))

    def value(self, nodes: Mapping[str, Any], output: str) -> Any:
        """The value of one output, ``node.port``."""
        result = self.run(nodes, output.partition(".")[0])
        assert not result.errors, result.errors
        return result[output]

    def kinds(self, kind: str) -> list[str | None]:
        """The nodes that events of a kind were about, in order."""
        return [event.node for event in self.events if event.kind == kind]


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.engine.close()


def link(output: str) -> dict[str, str]:
    return {"from": output}


class Holder:
    """Brings a node `Deaf` that holds the compute lane until it is let go, cancelled or not."""

    def __init__(self, bench: Bench) -> None:
        self.started = threading.Event()
        self.go = threading.Event()

        @node(lane="gpu")
        def Deaf(value: int) -> int:
            """Wait to be let go."""
            self.started.set()
            self.go.wait(30)
            return value

        bench.add(Deaf)

    async def has_started(self) -> None:
        """Let the event loop turn until the node runs."""
        while not self.started.is_set():
            await asyncio.sleep(0)
