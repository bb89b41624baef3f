"""Random graphs: parallel, cached and naive evaluation agree, and nothing is computed twice."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodegraph.api import Lazy, node
from tests.engine.conftest import Bench, link
from tests.properties import examples

Graph = dict[str, dict[str, Any]]
calls: list[tuple[Any, ...]] = []


@node
def Leaf(value: int) -> int:
    """A number."""
    calls.append(("Leaf", value))
    return value


@node(lane="gpu")
def Mix(a: int, b: int, factor: int) -> int:
    """Many inputs give the same output, so that changes often stop here."""
    calls.append(("Mix", a, b, factor))
    return (a + factor * b) % 5


@node
def Risky(a: int) -> int:
    """Fails for some inputs."""
    calls.append(("Risky", a))
    if a == 3:
        raise ValueError("three")
    return a * 2


@node
async def Pick(a: int, first: Lazy[int], second: Lazy[int]) -> int:
    """One of two branches."""
    return await first() if a % 2 else await second()


def naive(graph: Graph) -> dict[str, int | None]:
    """Every node's value by plain recursion; None if it or something it needs fails."""
    values: dict[str, int | None] = {}

    def read(given: Any) -> int | None:
        return values[given["from"]] if isinstance(given, Mapping) else given

    for name, item in graph.items():
        given = {port: read(value) for port, value in item["inputs"].items()}
        values[name] = evaluate(item["type"], given)
    return values


def evaluate(kind: str, given: Mapping[str, int | None]) -> int | None:
    if kind == "Pick":
        if given["a"] is None:
            return None
        return given["first"] if given["a"] % 2 else given["second"]
    if any(value is None for value in given.values()):
        return None
    if kind == "Leaf":
        return given["value"]
    if kind == "Mix":
        return (given["a"] + given["factor"] * given["b"]) % 5  # type: ignore[operator]
    return None if given["a"] == 3 else given["a"] * 2  # type: ignore[operator]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    graph: Graph = {}
    for at in range(draw(st.integers(1, 12))):
        names = list(graph)
        kind = draw(st.sampled_from(["Leaf", "Mix", "Risky", "Pick"])) if names else "Leaf"
        source = st.sampled_from(names).map(link) if names else st.nothing()
        ports: dict[str, Any] = {
            "Leaf": {"value": st.integers(0, 4)},
            "Mix": {"a": source, "b": source, "factor": st.integers(0, 2)},
            "Risky": {"a": source},
            "Pick": {"a": source, "first": source, "second": source},
        }[kind]
        inputs = {port: draw(strategy) for port, strategy in ports.items()}
        graph[f"n{at}"] = {"type": kind, "inputs": inputs}
    return graph


@st.composite
def edits(draw: st.DrawFn) -> tuple[Graph, Graph]:
    """A graph, and the same one with some literals changed and nodes renamed."""
    graph = draw(graphs())
    prefix = draw(st.sampled_from(["n", "renamed"]))
    edited: Graph = {}
    for name, item in graph.items():
        inputs = dict(item["inputs"])
        for port, value in inputs.items():
            if isinstance(value, Mapping):
                inputs[port] = link(str(value["from"]).replace("n", prefix, 1))
            elif draw(st.booleans()):
                inputs[port] = draw(st.integers(0, 2))
        edited[name.replace("n", prefix, 1)] = {**item, "inputs": inputs}
    return graph, edited


def check(bench: Bench, graph: Graph) -> None:
    """A run agrees with plain recursion, node by node."""
    result = bench.run(graph, *graph)
    expected = naive(graph)
    assert {name: result.outputs.get(f"{name}.number") for name in graph} == expected


def fresh(folder: str) -> Bench:
    calls.clear()
    return Bench(Path(folder)).add(Leaf, Mix, Risky, Pick)


quiet = settings(
    deadline=None, max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow]
)


@quiet
@given(graphs())
def test_parallel_and_cached_runs_agree_with_plain_recursion(graph: Graph) -> None:
    with TemporaryDirectory() as folder:
        bench = fresh(folder)
        check(bench, graph)
        check(bench, graph)
        bench.engine.close()


@quiet
@given(edits())
def test_every_early_cut_off_is_sound(pair: tuple[Graph, Graph]) -> None:
    with TemporaryDirectory() as folder:
        bench = fresh(folder)
        for graph in (*pair, pair[0]):
            check(bench, graph)
        bench.engine.close()


@quiet
@given(edits())
def test_nothing_is_computed_twice(pair: tuple[Graph, Graph]) -> None:
    with TemporaryDirectory() as folder:
        bench = fresh(folder)
        for graph in (*pair, pair[0]):
            bench.run(graph, *graph)
        done = [call for call in calls if call != ("Risky", 3)]  # a failure is not kept
        assert len(done) == len(set(done))
        bench.engine.close()


@quiet
@given(graphs())
def test_a_run_lets_go_of_everything_but_its_targets(graph: Graph) -> None:
    from nodegraph.core.graph_builder import build_graph
    from nodegraph.core.workflow import Workflow
    from nodegraph.engine.options import DEFAULT_OPTIONS
    from nodegraph.engine.run import Run

    with TemporaryDirectory() as folder:
        import asyncio

        bench = fresh(folder)
        target = list(graph)[-1]
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": graph})
        built = build_graph(workflow, bench.registry, bench.environment, targets=[target])

        async def run() -> Run:
            run = Run(bench.engine.shared, built, DEFAULT_OPTIONS, {})
            await run.execute()
            return run

        states = asyncio.run(run()).states
        held = [
            name
            for name, state in states.items()
            if any(product.is_loaded for product in state.products or ())
        ]
        assert set(held) <= {target}
        bench.engine.close()
