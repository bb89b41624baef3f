"""A machine of its own: an engine on a local tier, before a place that others share."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

from nodegraph.api import node
from nodegraph.core.context import Environment
from nodegraph.core.graph_builder import build_graph
from nodegraph.core.workflow import Workflow
from nodegraph.engine.cache import Cache, MemoryCache
from nodegraph.engine.engine import Engine
from nodegraph.engine.lanes import Lanes
from nodegraph.engine.options import RunOptions
from nodegraph.packs.registry import Registry
from nodegraph.store.remote.object_storage import open_storage
from nodegraph.store.remote.tier import LeasedClaims
from nodegraph.store.store import Store


@node
def Job(number: int, log: str) -> str:
    """Note that it began, and give a text that is too long for a row."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(descriptor, f"{os.getpid()} {number}\n".encode())
    os.close(descriptor)
    time.sleep(0.05)
    return text_of(number)


def text_of(number: int) -> str:
    return f"{number:4}" * 4_000


class Machine:
    """One, in this process.

    Args:
        folder: Of its local tier.
        url: Of the place.
        seconds: After which a lease is over that isn't renewed.
    """

    def __init__(self, folder: str, url: str, seconds: float) -> None:
        self.store = Store(Path(folder) / "store", keep_cheap=True, storage=open_storage(url))
        assert self.store.remote is not None
        assert self.store.claims is not None
        self.store.remote.leases.seconds = seconds
        self._registry = Registry()
        self._registry.add(Job)
        here = Path(folder)
        self._environment = Environment((), here, here, here)
        self._engine = Engine(
            self._registry,
            environment=self._environment,
            cache=Cache(MemoryCache(1 << 30), self.store),
            lanes=Lanes(cpu_places=2, io_places=4),
            claims=LeasedClaims(self.store.claims, self.store.remote),
        )

    def run(self, numbers: list[int], log: str) -> int:
        """How many of some jobs gave what they should."""
        nodes = {
            f"j{number}": {"type": "Job", "inputs": {"number": number, "log": log}}
            for number in numbers
        }
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
        graph = build_graph(workflow, self._registry, self._environment, targets=list(nodes))
        result = asyncio.run(self._engine.run(graph, RunOptions()))
        return sum(result[f"j{number}.text"] == text_of(number) for number in numbers)
