"""Nodes that answer with more graph."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.api import Expand, Value, node
from tests.engine.conftest import Bench, link


@node
def Add(a: int, b: int) -> int:
    """Their sum."""
    return a + b


@node
def Fail(a: int) -> int:
    """Raise."""
    raise ValueError("inside")


@node
def Repeat(a: int, times: int) -> int:
    """Add a number to itself, as a chain of nodes."""
    nodes: dict[str, dict[str, Any]] = {"sum0": {"type": "Add", "inputs": {"a": Value(a), "b": 0}}}
    for at in range(1, times):
        nodes[f"sum{at}"] = {
            "type": "Add",
            "inputs": {"a": {"from": f"sum{at - 1}"}, "b": Value(a)},
        }
    return Expand(nodes, {"number": f"sum{times - 1}.number"})  # type: ignore[return-value]


@node
def Countdown(a: int) -> int:
    """Expand into itself until zero."""
    if a == 0:
        return 0
    inner = {"next": {"type": "Countdown", "inputs": {"a": a - 1}}}
    return Expand(inner, {"number": "next"})  # type: ignore[return-value]


@node
def Broken(kind: str) -> int:
    """Expand into something that can't run."""
    fragments = {
        "unknown": Expand({"x": {"type": "Ad", "inputs": {"a": 1, "b": 2}}}, {"number": "x"}),
        "outputs": Expand({"x": {"type": "Add", "inputs": {"a": 1, "b": 2}}}, {"sum": "x"}),
        "fails": Expand({"x": {"type": "Fail", "inputs": {"a": 1}}}, {"number": "x"}),
    }
    return fragments[kind]  # type: ignore[return-value]


@pytest.fixture(autouse=True)
def nodes(bench: Bench) -> None:
    bench.add(Add, Fail, Repeat, Countdown, Broken)


def repeat(a: int, times: int) -> dict[str, object]:
    return {"r": {"type": "Repeat", "inputs": {"a": a, "times": times}}}


def test_the_fragments_output_stands_for_the_nodes(bench: Bench) -> None:
    graph = {**repeat(5, 4), "s": {"type": "Add", "inputs": {"a": link("r"), "b": 1}}}
    assert bench.value(graph, "s.number") == 21


def test_inner_nodes_go_by_the_name_of_the_outer_one(bench: Bench) -> None:
    result = bench.run(repeat(5, 2))
    assert sorted(result.nodes) == ["r", "r/sum0", "r/sum1"]
    assert bench.kinds("node.expanded") == ["r"]


def test_an_expanded_result_is_cached_as_the_nodes_own(bench: Bench) -> None:
    bench.run(repeat(5, 3))
    result = bench.run(repeat(5, 3))
    assert {name: report.status for name, report in result.nodes.items()} == {"r": "cached"}


def test_inner_results_are_shared_with_other_expansions(bench: Bench) -> None:
    bench.run(repeat(5, 3))
    result = bench.run(repeat(5, 4))
    assert [name for name, report in result.nodes.items() if report.status == "cached"] == [
        "r/sum0",
        "r/sum1",
        "r/sum2",
    ]


def test_a_node_may_expand_into_itself(bench: Bench) -> None:
    assert bench.value({"c": {"type": "Countdown", "inputs": {"a": 20}}}, "c.number") == 0


def test_endless_expansion_is_ended(bench: Bench) -> None:
    result = bench.run({"c": {"type": "Countdown", "inputs": {"a": 10_000}}})
    assert "expands within itself more than 64 times" in str(result.errors[0])
    assert result.nodes["c"].status == "skipped"


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("unknown", "Did you mean `Add`?"),
        ("outputs", "the expansion's outputs are not the node's (given: sum; expected: number)"),
    ],
)
def test_a_bad_fragment_fails_its_node_with_the_reason(
    bench: Bench, kind: str, message: str
) -> None:
    result = bench.run({"b": {"type": "Broken", "inputs": {"kind": kind}}})
    assert message in str(result.errors[0])
    assert result.nodes["b"].status == "failed"


def test_a_failure_inside_is_told_by_the_inner_node(bench: Bench) -> None:
    result = bench.run({"b": {"type": "Broken", "inputs": {"kind": "fails"}}})
    assert [error.problem.node for error in result.errors] == ["b/x"]
    assert result.nodes["b"].status == "skipped"


def test_an_expanding_node_may_be_mapped(bench: Bench) -> None:
    @node
    def Some() -> list[int]:
        """Numbers."""
        return [1, 2, 3]

    bench.add(Some)
    graph = {
        "n": {"type": "Some"},
        "r": {"type": "Repeat", "inputs": {"a": link("n"), "times": 3}},
    }
    assert bench.value(graph, "r.number") == [3, 6, 9]
