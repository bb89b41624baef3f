"""What the engine costs: nodes a second, start-up, memory, against a plain loop in the same run.

    python benchmarks/engine.py [--json] [--quick]

Every figure is the best of several runs, so that other work on the machine disturbs little. The
baseline calls the same functions in topological order, with a dictionary for the results: no cache,
no threads, no events. It can't do what the engine does; the ratio says what that costs.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nodegraph import Workflow, node
from nodegraph.core.building import build_graph
from nodegraph.core.context import Environment
from nodegraph.core.graph import Graph
from nodegraph.core.node import definition_of
from nodegraph.engine.engine import Engine
from nodegraph.engine.registry import Registry

SIZES = (10, 100, 1000, 10_000)


@node
def Start(value: int) -> int:
    """A number."""
    return value


@node
def Next(a: int, by: int = 1) -> int:
    """A later number."""
    return a + by


@dataclass(frozen=True)
class Row:
    """One shape and size; times in microseconds a node."""

    shape: str
    nodes: int
    build: float
    loop: float
    first: float
    cached: float
    peak_kib_per_node: float

    @property
    def ratio(self) -> float:
        return self.cached / self.loop


def chain(size: int) -> Workflow:
    """A node after a node."""
    nodes: dict[str, Any] = {"n0": {"type": "Start", "inputs": {"value": 1}}}
    for at in range(1, size):
        nodes[f"n{at}"] = {"type": "Next", "inputs": {"a": {"from": f"n{at - 1}"}}}
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})


def fan(size: int) -> Workflow:
    """One node that all others use."""
    nodes: dict[str, Any] = {"n0": {"type": "Start", "inputs": {"value": 1}}}
    for at in range(1, size):
        nodes[f"n{at}"] = {"type": "Next", "inputs": {"a": {"from": "n0"}, "by": at}}
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})


def plain_loop(graph: Graph) -> dict[str, tuple[Any, ...]]:
    """The baseline: the functions one after the other."""
    functions = {kind.__name__: definition_of(kind).function for kind in (Start, Next)}
    results: dict[str, tuple[Any, ...]] = {}
    for name, item in graph.nodes.items():
        linked = {port: results[source.node][0] for port, source in item.links.items()}
        results[name] = (functions[item.spec.type](**item.literals, **linked),)
    return results


def best(action: Callable[[], Any], times: int) -> float:
    """Shortest time of several, in seconds."""
    taken = []
    for _ in range(times):
        gc.collect()
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return min(taken)


def measure(shape: str, workflow: Workflow, times: int) -> Row:
    registry = Registry()
    registry.add(Start, Next)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = Environment((), folder, folder, folder)
        targets = _ends(workflow)

        def built() -> Graph:
            return build_graph(workflow, registry, environment, targets=targets)

        graph = built()
        size = len(graph.nodes)

        def engine() -> Engine:
            return Engine(registry, environment=environment)

        def first() -> None:
            fresh = engine()
            asyncio.run(fresh.run(graph))
            fresh.close()

        warm = engine()
        asyncio.run(warm.run(graph))
        result = asyncio.run(warm.run(graph))
        assert all(report.status == "cached" for report in result.nodes.values())
        micro = 1e6 / size
        row = Row(
            shape,
            size,
            build=best(built, times) * micro,
            loop=best(lambda: plain_loop(graph), times) * micro,
            first=best(first, times) * micro,
            cached=best(lambda: asyncio.run(warm.run(graph)), times) * micro,
            peak_kib_per_node=_peak(first) / 1024 / size,
        )
        warm.close()
        return row


def _ends(workflow: Workflow) -> list[str]:
    used = {
        given["from"]
        for entry in workflow.nodes.values()
        for given in entry.inputs.values()
        if isinstance(given, dict)
    }
    return [name for name in workflow.nodes if name not in used]


def _peak(action: Callable[[], Any]) -> int:
    gc.collect()
    tracemalloc.start()
    action()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def start_up(times: int) -> dict[str, float]:
    """Milliseconds of whole commands, caches warm."""
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import nodegraph": [sys.executable, "-c", "import nodegraph"],
        "nodegraph --help": _command("--help"),
        "nodegraph validate": _command("validate", str(_gallery() / "text_to_image.json")),
        "nodegraph nodes": _command("nodes"),
    }
    return {
        name: best(lambda c=command: _run(c), times) * 1e3 for name, command in commands.items()
    }


def _command(*arguments: str) -> list[str]:
    return [str(Path(sys.executable).with_name("nodegraph")), *arguments]


def _gallery() -> Path:
    return Path(__file__).parents[1] / "workflows"


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--quick", action="store_true", help="up to 1000 nodes, fewer repetitions")
    options = parser.parse_args()
    sizes = SIZES[:3] if options.quick else SIZES
    times = 3 if options.quick else 7
    rows = [measure(shape.__name__, shape(size), times) for shape in (chain, fan) for size in sizes]
    starts = start_up(times)
    if options.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "start_up_ms": starts}, indent=2))
        return
    print("µs a node    build   loop  first  cached  cached/loop  peak KiB a node")
    for row in rows:
        print(
            f"{row.shape:6}{row.nodes:6} {row.build:6.1f} {row.loop:6.2f} {row.first:6.1f}"
            f" {row.cached:7.1f} {row.ratio:12.0f} {row.peak_kib_per_node:16.1f}"
        )
    for name, taken in starts.items():
        print(f"{name:20} {taken:6.0f} ms")


if __name__ == "__main__":
    main()
