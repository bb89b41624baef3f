"""What the engine costs a node: first run, cached, after a restart, and as graphs grow.

    python benchmarks/engine.py [--json] [--quick]

The baseline calls the same functions in topological order, with a dictionary for the results: no
cache, no threads, no events. It can't do what the engine does; the ratio says what that costs. A
listener takes all events. "Anew" means that the graph was just built, so that all keys are
computed; that is what a session does. Times are the best of several.
"""

from __future__ import annotations

import io
import sys
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from itertools import count
from pathlib import Path
from typing import Any

from common import Figure, Process, best, options, show, taken, workflow_of

from nodegraph import Workflow, node
from nodegraph.cli.runner import EventLines
from nodegraph.core.graph import CheckedGraph
from nodegraph.core.node import definition_of
from nodegraph.engine.result import RunResult

DISK = 4 << 30
OTHERS = 20_000
"""Entries that a store has already."""
FRAMES = 200
"""Of Python's stack; far fewer than the nodes of the deep chain."""


@node
def Start(value: int) -> int:
    """A number."""
    return value


@node
def Next(a: int, by: int = 1) -> int:
    """A later number."""
    return a + by


def chain(size: int, last: int = 1) -> Workflow:
    """A node after a node."""
    nodes: dict[str, Any] = {"n0": {"type": "Start", "inputs": {"value": 1}}}
    for at in range(1, size):
        nodes[f"n{at}"] = {"type": "Next", "inputs": {"a": {"from": f"n{at - 1}"}}}
    nodes[f"n{size - 1}"]["inputs"]["by"] = last
    return workflow_of(nodes)


def fan(size: int, last: int = 1) -> Workflow:
    """One node that all others use."""
    nodes: dict[str, Any] = {"n0": {"type": "Start", "inputs": {"value": 1}}}
    for at in range(1, size):
        nodes[f"n{at}"] = {"type": "Next", "inputs": {"a": {"from": "n0"}, "by": at}}
    nodes[f"n{size - 1}"]["inputs"]["by"] = size + last
    return workflow_of(nodes)


Shape = Callable[..., Workflow]


def plain_loop(graph: CheckedGraph) -> dict[str, Any]:
    """The baseline: the functions one after the other."""
    functions = {kind.__name__: definition_of(kind).function for kind in (Start, Next)}
    results: dict[str, Any] = {}
    for name, item in graph.nodes.items():
        linked = {port: results[source.node] for port, source in item.links.items()}
        results[name] = functions[item.spec.type](**item.literals, **linked)
    return results


class Case:
    """One shape and size."""

    def __init__(self, shape: Shape, size: int, folder: Path, times: int) -> None:
        self.shape = shape
        self.size = size
        self.name = f"{shape.__name__} {size}"
        self._workflow = shape(size)
        self._folders = (folder / f"{self.name} {at}" for at in count())
        self._times = times
        with self._process() as process:
            self._graph = process.graph(self._workflow)
        self.loop = best(lambda: plain_loop(self._graph), 2 * times) / size

    def _process(self, folder: Path | None = None) -> Process:
        where, disk = (Path(), 0) if folder is None else (folder, DISK)
        return Process((Start, Next), where, disk=disk)

    def build(self) -> float:
        """Seconds a node to check the workflow and make the graph."""
        with self._process() as process:
            return best(lambda: process.graph(self._workflow), self._times) / self.size

    def first(self, *, stored: bool = False) -> float:
        """Seconds a node of a run with nothing in any cache."""
        found = []
        for _ in range(self._times):
            with self._process(next(self._folders) if stored else None) as process:
                graph = process.graph(self._workflow)
                found.append(taken(lambda p=process, g=graph: p.run(g)))  # type: ignore[misc]
        return min(found) / self.size

    def written(self) -> float:
        """Bytes a node that a first run writes, into a store with `OTHERS` entries."""
        folder = next(self._folders)
        with self._process(folder) as process:
            process.run(process.graph(fan(OTHERS)))
        with self._process(folder) as process:
            graph, before = process.graph(self._workflow), bytes_written()
            process.run(graph)
        return (bytes_written() - before) / self.size

    def cached(self, *, anew: bool = False) -> float:
        """Seconds a node of a run with everything in memory."""
        with self._process() as process:
            process.run(self._graph)
            check(process.run(self._graph), ran=0)
            graphs = [
                process.graph(self._workflow) if anew else self._graph for _ in range(self._times)
            ]
            return min(taken(lambda g=graph: process.run(g)) for graph in graphs) / self.size  # type: ignore[misc]

    def restarted(self) -> float:
        """Seconds a node of a run with everything in the index of the store, nothing in memory."""
        folder = next(self._folders)
        with self._process(folder) as process:
            process.run(process.graph(self._workflow))
        found = []
        for _ in range(self._times):
            with self._process(folder) as process:
                graph = process.graph(self._workflow)
                found.append(taken(lambda p=process, g=graph: check(p.run(g), ran=0)))  # type: ignore[misc]
        return min(found) / self.size

    def last_changed(self, *, built: bool) -> float:
        """Seconds of a run with one new node at the end, all else in memory.

        Args:
            built: Whether to count building the graph.
        """
        found = []
        with self._process() as process:
            process.run(process.graph(self._workflow))
            for last in range(2, 2 + self._times):
                workflow = self.shape(self.size, last)
                graph = process.graph(workflow)

                def run(workflow: Workflow = workflow, graph: CheckedGraph = graph) -> None:
                    check(process.run(process.graph(workflow) if built else graph), ran=1)

                found.append(taken(run))
        return min(found)

    def event_bytes(self) -> tuple[float, float]:
        """Bytes a node as `nodegraph run --events` prints them: of a first run, of a cached one."""
        with self._process() as process:
            return self._printed(process) / self.size, self._printed(process) / self.size

    def _printed(self, process: Process) -> int:
        with redirect_stdout(io.StringIO()) as printed:
            process.run(self._graph, EventLines().show)
        return len(printed.getvalue().encode())

    def peak(self) -> float:
        """Bytes a node that Python allocates at most during a first run, results included."""
        with self._process() as process:
            graph = process.graph(self._workflow)
            tracemalloc.start()
            process.run(graph)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        return peak / self.size

    def with_little_stack(self) -> None:
        """Build, run and run again with room for few frames; recursion would fail."""
        with few_frames(), self._process(next(self._folders)) as process:
            process.run(process.graph(self._workflow))
            check(process.run(process.graph(self._workflow)), ran=0)


def bytes_written() -> int:
    """What this process has handed to the system so far, as Linux counts it."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def check(result: RunResult, *, ran: int) -> None:
    """What was meant to come from the cache did."""
    found = sum(report.status == "ran" for report in result.nodes.values())
    assert found == ran, f"{found} nodes ran, not {ran}"


@contextmanager
def few_frames() -> Iterator[None]:
    """Little room for calls within calls, in all threads."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(FRAMES)
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def costs(case: Case) -> Iterator[Figure]:
    """What a node costs in each way of running; aims are those for 1,000 nodes."""
    loop = case.loop * 1e6

    def figure(what: str, seconds: float, aim: float | None = None) -> Figure:
        return Figure(f"{case.name}: {what}", seconds * 1e6, "µs", aim, loop, "loop")

    yield figure("build the graph", case.build())
    yield figure("first run, over the loop", case.first() - case.loop, 100)
    yield figure("first run into a store, over the loop", case.first(stored=True) - case.loop)
    yield Figure(f"{case.name}: written a node, of a store of {OTHERS:,}", case.written(), "B")
    yield figure("all in memory", case.cached(), 15)
    yield figure("all in memory, graph anew", case.cached(anew=True))
    yield figure("all in the store's index, graph anew", case.restarted(), 60)


def last_node(case: Case) -> Iterator[Figure]:
    """What one change at the end costs."""
    loop = case.loop * case.size * 1e3
    for what, built in (("run", False), ("build and run", True)):
        seconds = case.last_changed(built=built)
        name = f"{case.name}: last node changed, {what}"
        yield Figure(name, seconds * 1e3, "ms", None if built else 20, loop, "whole loop")


def growth(small: Case, large: Case) -> Iterator[Figure]:
    """How the cost of a node grows with the graph; both by turns."""
    ways: dict[str, Callable[[Case], float]] = {
        "build": Case.build,
        "first run": Case.first,
        "all in memory": Case.cached,
        "all in the index": Case.restarted,
    }
    for what, way in ways.items():
        pairs = [(way(small), way(large)) for _ in range(2)]
        before, after = (min(side) * 1e6 for side in zip(*pairs, strict=True))
        against = f"that of {small.size}"
        yield Figure(f"{large.name}: {what}", after, "µs", 1.5 * before, before, against)


def events(small: Case, large: Case) -> Iterator[Figure]:
    """What events weigh."""
    kinds = ("first run", "all in memory")
    for what, one, other in zip(kinds, small.event_bytes(), large.event_bytes(), strict=True):
        yield Figure(f"{small.name}: events, {what}", one, "B", 300)
        yield Figure(f"{large.name}: events, {what}", other, "B", 300, one, f"that of {small.size}")


def figures(*, quick: bool) -> Iterator[Figure]:
    times = 1 if quick else 9
    sizes = (2 * FRAMES,) if quick else (10_000, 100_000)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for shape in (chain, fan):
            first = Case(shape, 100 if quick else 1000, folder, times)
            yield from costs(first)
            yield from last_node(first)
            for size in sizes:
                repeated = 2 if size < 100_000 else 1
                yield from growth(first, Case(shape, size, folder, repeated))
        small, large = (Case(chain, size, folder, 1) for size in (100, sizes[0]))
        yield from events(small, large)
        for case in (small, large):
            yield Figure(f"{case.name}: memory at most, first run", case.peak() / 1024, "KiB")
        deep = Case(chain, sizes[-1], folder, 1)
        deep.with_little_stack()
        yield Figure(f"{deep.name}: frames of stack", FRAMES, "", None, deep.size, "depth")


def main() -> None:
    given = options(__doc__)
    show(figures(quick=given.quick), as_json=given.json)


if __name__ == "__main__":
    main()
