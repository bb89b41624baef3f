"""Lazy inputs: only what is asked for runs, and the cache remembers what was asked."""

from __future__ import annotations

import pytest

from nodegraph.api import Lazy, node
from tests.engine.conftest import Bench, link


@node
def Number(value: int) -> int:
    """A number."""
    return value


@node
def Fail(value: int) -> int:
    """Raise."""
    raise ValueError("no")


@node
async def Switch(choice: int, first: Lazy[int], second: Lazy[int]) -> int:
    """One of two numbers."""
    return await first() if choice == 0 else await second()


@node
async def FirstEven(a: Lazy[int], b: Lazy[int], fallback: int = -1) -> int:
    """The first even number."""
    for ask in (a, b):
        value = await ask()
        if value % 2 == 0:
            return value
    return fallback


@pytest.fixture(autouse=True)
def nodes(bench: Bench) -> None:
    bench.add(Number, Fail, Switch, FirstEven)


def graph(choice: int, other: str = "Number") -> dict[str, object]:
    return {
        "choice": {"type": "Number", "inputs": {"value": choice}},
        "a": {"type": "Number", "inputs": {"value": 10}},
        "b": {"type": other, "inputs": {"value": 20}},
        "s": {
            "type": "Switch",
            "inputs": {"choice": link("choice"), "first": link("a"), "second": link("b")},
        },
    }


def test_the_branch_not_taken_never_runs(bench: Bench) -> None:
    result = bench.run(graph(0, other="Fail"))
    assert result["s.number"] == 10
    assert sorted(result.nodes) == ["a", "choice", "s"]


def test_a_cached_switch_evaluates_just_what_was_asked_then(bench: Bench) -> None:
    bench.run(graph(0))
    result = bench.run(graph(0))
    assert {name: report.status for name, report in result.nodes.items()} == {
        "choice": "cached",
        "a": "cached",
        "s": "cached",
    }


def test_the_other_choice_is_another_result(bench: Bench) -> None:
    bench.run(graph(0))
    assert bench.value(graph(1), "s.number") == 20


def test_a_failing_branch_skips_the_switch(bench: Bench) -> None:
    result = bench.run(graph(1, other="Fail"))
    assert result.nodes["s"].status == "skipped"
    assert [error.problem.node for error in result.errors] == ["b"]


def test_a_changed_value_of_an_asked_input_runs_anew(bench: Bench) -> None:
    def evens(a: int, b: int) -> dict[str, object]:
        return {
            "a": {"type": "Number", "inputs": {"value": a}},
            "b": {"type": "Number", "inputs": {"value": b}},
            "f": {"type": "FirstEven", "inputs": {"a": link("a"), "b": link("b")}},
        }

    assert bench.value(evens(1, 2), "f.number") == 2
    assert bench.value(evens(1, 4), "f.number") == 4
    assert bench.value(evens(6, 4), "f.number") == 6
    assert bench.value(evens(1, 3), "f.number") == -1
    result = bench.run(evens(1, 2))
    assert result.nodes["f"].status == "cached"


def test_a_lazy_input_may_be_a_literal(bench: Bench) -> None:
    literal = {"s": {"type": "Switch", "inputs": {"choice": 1, "first": 1, "second": 2}}}
    assert bench.value(literal, "s.number") == 2


def test_two_consumers_may_ask_for_the_same_branch(bench: Bench) -> None:
    both = graph(1)
    both["t"] = {
        "type": "Switch",
        "inputs": {"choice": 1, "first": link("a"), "second": link("b")},
    }
    result = bench.run(both, "s", "t")
    assert (result["s.number"], result["t.number"]) == (20, 20)
