"""Muted and bypassed nodes on random graphs: as if the graph had been edited by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodegraph.api import node
from nodegraph.core.graph_builder import build_graph
from nodegraph.core.workflow import Workflow
from nodegraph.engine.result import RunResult
from nodegraph.errors import InvalidWorkflow
from tests.engine.conftest import Bench, link
from tests.properties import examples

Nodes = dict[str, dict[str, Any]]


@node
def Leaf(value: int) -> int:
    """A number."""
    return value


@node
def Pair(a: int, b: int | None = None, factor: float = 1.0) -> int:
    """One number that is needed and one that isn't."""
    return a * 2 + (7 if b is None else b)


@node
def Text(a: int) -> str:
    """A number as text: passes nothing on."""
    return str(a)


@node
def Read(text: str, a: int | None = None) -> int:
    """Text as a number."""
    return int(text) + (0 if a is None else a)


PORTS = {
    "Leaf": {},
    "Pair": {"a": "int", "b": "int"},
    "Text": {"a": "int"},
    "Read": {"text": "str", "a": "int"},
}
NEEDED = {"Leaf": [], "Pair": ["a"], "Text": ["a"], "Read": ["text"]}
OUTPUT = {"Leaf": "int", "Pair": "int", "Text": "str", "Read": "int"}


@st.composite
def graphs(draw: st.DrawFn) -> tuple[Nodes, dict[str, str]]:
    """Nodes, and the modes of some."""
    nodes: Nodes = {}
    modes: dict[str, str] = {}
    for at in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from([k for k in PORTS if _can_be_fed(k, nodes)]))
        inputs: dict[str, Any] = {"value": draw(st.integers(0, 9))} if kind == "Leaf" else {}
        for port, wanted in PORTS[kind].items():
            givers = [name for name, item in nodes.items() if OUTPUT[item["type"]] == wanted]
            if port in NEEDED[kind] or (givers and draw(st.booleans())):
                inputs[port] = link(draw(st.sampled_from(givers)))
        nodes[f"n{at}"] = {"type": kind, "inputs": inputs}
        mode = draw(st.sampled_from([None, None, "mute", "bypass"]))
        if mode is not None:
            modes[f"n{at}"] = mode
    return nodes, modes


def _can_be_fed(kind: str, nodes: Mapping[str, Any]) -> bool:
    there = {OUTPUT[item["type"]] for item in nodes.values()}
    return all(PORTS[kind][port] in there for port in NEEDED[kind])


def edited(nodes: Nodes, modes: Mapping[str, str]) -> Nodes | str:
    """The graph that somebody would make by hand: links led past, nodes taken out.

    A text names a node that needs what a bypassed one can't give.
    """
    stands: dict[str, str | None] = {}  # what a node's output comes from; None for left out
    missing: set[str] = set()
    left: Nodes = {}
    for name, item in nodes.items():
        kind = item["type"]
        sources = {p: g["from"] for p, g in item["inputs"].items() if isinstance(g, Mapping)}
        if modes.get(name) == "mute":
            stands[name] = None
        elif modes.get(name) == "bypass":
            fitting = [p for p in PORTS[kind] if p in sources and PORTS[kind][p] == OUTPUT[kind]]
            if not fitting:
                missing.add(name)
                stands[name] = name
            else:
                source = sources[fitting[0]]
                stands[name] = stands[source]
                if stands[source] in missing:
                    missing.add(name)
        else:
            inputs = {p: g for p, g in item["inputs"].items() if not isinstance(g, Mapping)}
            is_out = False
            for port, source in sources.items():
                found = stands[source]
                if source in missing:
                    if port in NEEDED[kind]:
                        return name
                elif found is None:
                    is_out |= port in NEEDED[kind]
                else:
                    inputs[port] = link(found)
            stands[name] = None if is_out else name
            if not is_out:
                left[name] = {"type": kind, "inputs": inputs}
    return left


def run(bench: Bench, nodes: Nodes, modes: Mapping[str, str]) -> RunResult:
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes}).with_modes(modes)
    probe = {"type": "Probe", "mode": "mute"}  # so that there is something muted in any case
    workflow = Workflow.from_dict(
        {**workflow.to_dict(), "nodes": {**nodes_of(workflow), "p": probe}}
    )
    live = edited(nodes, modes)
    graph = build_graph(workflow, bench.registry, bench.environment, targets=list(live))
    return asyncio.run(bench.engine.run(graph))


def nodes_of(workflow: Workflow) -> Nodes:
    found: Nodes = workflow.to_dict()["nodes"]
    return found


@settings(deadline=None, max_examples=examples(100), suppress_health_check=[HealthCheck.too_slow])
@given(graphs())
def test_modes_are_as_if_the_graph_was_edited_by_hand(drawn: tuple[Nodes, dict[str, str]]) -> None:
    nodes, modes = drawn
    by_hand = edited(nodes, modes)
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder)).add(Leaf, Pair, Text, Read)
        try:
            if isinstance(by_hand, str):
                workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
                try:
                    build_graph(
                        workflow.with_modes(modes),
                        bench.registry,
                        bench.environment,
                        targets=[name for name in nodes if name not in modes],
                    )
                except InvalidWorkflow as error:
                    codes = {(problem.node, problem.code) for problem in error.problems}
                    assert (by_hand, "nothing-to-pass") in codes
                else:
                    raise AssertionError("what nothing stands for was not told")
                return
            result = run(bench, nodes, modes)
            assert result.is_ok
            if by_hand:
                expected = bench.run(by_hand, *by_hand)
                assert dict(result.outputs) == dict(expected.outputs)
            assert set(result.nodes) == set(by_hand)
        finally:
            bench.engine.close()
