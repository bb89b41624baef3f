"""Lazy inputs: only what is asked for runs, and the cache remembers what was asked."""

from __future__ import annotations

import asyncio
from enum import Enum

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


def test_a_failure_that_a_node_swallows_is_not_kept_as_its_result(bench: Bench) -> None:
    fails = [True]

    @node(deterministic=False)
    def Sometimes(value: int) -> int:
        """Fail the first time."""
        if fails.pop() if fails else False:
            raise ValueError("not now")
        return value

    @node
    async def Fallback(a: Lazy[int], b: Lazy[int]) -> int:
        """The first that works, or so it hopes."""
        try:
            return await a()
        except Exception:  # noqa: BLE001
            return await b()

    bench.add(Sometimes, Fallback)
    graph = {
        "a": {"type": "Sometimes", "inputs": {"value": 1}},
        "b": {"type": "Number", "inputs": {"value": 2}},
        "f": {"type": "Fallback", "inputs": {"a": link("a"), "b": link("b")}},
    }
    assert bench.run(graph).nodes["f"].status == "skipped"
    assert bench.value(graph, "f.number") == 1


@pytest.mark.filterwarnings("ignore:results of node")  # it captures the whole bench
def test_an_input_asked_for_too_late_is_a_fault_of_the_node(bench: Bench) -> None:
    told: list[str] = []
    tasks = []

    @node
    async def Late(x: Lazy[int]) -> int:
        """Ask after the end."""

        async def later() -> None:
            while "l" not in bench.kinds("node.finished"):
                await asyncio.sleep(0)
            try:
                await x()
            except RuntimeError as error:
                told.append(str(error))

        tasks.append(asyncio.ensure_future(later()))
        return 1

    @node
    async def Wait() -> int:
        """Wait until the other has been told off."""
        while not told:
            await asyncio.sleep(0)
        return 1

    bench.add(Late, Wait)
    graph = {
        "a": {"type": "Number", "inputs": {"value": 1}},
        "l": {"type": "Late", "inputs": {"x": link("a")}},
        "w": {"type": "Wait"},
    }
    assert bench.run(graph, "l", "w").status == "ok"
    assert told == ["input `x` was requested after its node had ended"]


def test_a_lazy_choice_becomes_a_member_of_its_enum(bench: Bench) -> None:
    class Colour(Enum):
        RED = "red"

    @node
    def Word() -> str:
        """A word."""
        return "red"

    @node
    async def Name(colour: Lazy[Colour]) -> str:
        """The member's name."""
        return (await colour()).name

    bench.add(Word, Name)
    linked = {"w": {"type": "Word"}, "n": {"type": "Name", "inputs": {"colour": link("w")}}}
    literal = {"n": {"type": "Name", "inputs": {"colour": "red"}}}
    assert bench.value(linked, "n.text") == bench.value(literal, "n.text") == "RED"


def test_an_async_node_that_exits_fails_and_ends_nothing_else(bench: Bench) -> None:
    @node
    async def Exit(a: int) -> int:
        """Try to end the program."""
        raise SystemExit(3)

    bench.add(Exit)
    result = bench.run({"e": {"type": "Exit", "inputs": {"a": 1}}})
    assert "SystemExit" in str(result.errors[0])
