"""Nodes that answer with more graph."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nodegraph.api import BLOCKED, Expand, Value, node
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
        (
            "outputs",
            "the expansion's outputs differ from the node's outputs (given: sum; expected: number)",
        ),
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


def one(kind: str, inputs: dict[str, Any], output: str = "x") -> Expand:
    return Expand({"x": {"type": kind, "inputs": inputs}}, {"number": output})


def test_an_output_that_its_node_lacks_is_told(bench: Bench) -> None:
    @node
    def Astray(a: int) -> int:
        """Name no output."""
        return one("Add", {"a": a, "b": 1}, "x.nope")  # type: ignore[return-value]

    bench.add(Astray)
    result = bench.run({"e": {"type": "Astray", "inputs": {"a": 1}}})
    assert "does not name an output of its node (given: x.nope; expected: x.number)" in str(
        result.errors[0]
    )


def test_an_output_of_another_type_is_told(bench: Bench) -> None:
    @node
    def Text(a: int) -> str:
        """Say text, give a number."""
        return Expand({"x": {"type": "Add", "inputs": {"a": a, "b": 1}}}, {"text": "x"})  # type: ignore[return-value]

    bench.add(Text)
    result = bench.run({"e": {"type": "Text", "inputs": {"a": 1}}})
    assert "has a different type from the one that the node declares" in str(result.errors[0])


def test_an_output_is_converted_like_a_link(bench: Bench) -> None:
    @node
    def Float(a: int) -> float:
        """A whole number as a float."""
        return one("Add", {"a": a, "b": 1})  # type: ignore[return-value]

    @node
    def Listed(a: int) -> list[int]:
        """A number as a list of one."""
        return Expand({"x": {"type": "Add", "inputs": {"a": a, "b": 1}}}, {"numbers": "x"})  # type: ignore[return-value]

    bench.add(Float, Listed)
    value = bench.value({"e": {"type": "Float", "inputs": {"a": 1}}}, "e.number")
    assert repr(value) == "2.0"
    mapped = {
        "e": {"type": "Listed", "inputs": {"a": 1}},
        "s": {"type": "Add", "inputs": {"a": link("e"), "b": 1}},
    }
    assert bench.value(mapped, "s.number") == [3]


def test_a_node_that_expands_into_its_equal_is_ended(bench: Bench) -> None:
    @node
    def Self(a: int) -> int:
        """Expand into the very same call."""
        return one("Self", {"a": a})  # type: ignore[return-value]

    bench.add(Self)
    result = bench.run({"s": {"type": "Self", "inputs": {"a": 1}}})
    assert "expands within itself more than 64 times" in str(result.errors[0])


def test_what_must_run_each_time_does_so_at_any_depth(bench: Bench) -> None:
    rolls = iter(range(10))

    @node(deterministic=False)
    def Roll() -> int:
        """Another number each time."""
        return next(rolls)

    @node
    def Inner(a: int) -> int:
        """Expand into a roll."""
        return one("Roll", {})  # type: ignore[return-value]

    @node
    def Outer(a: int) -> int:
        """Expand into what expands into a roll."""
        return one("Inner", {"a": a})  # type: ignore[return-value]

    bench.add(Roll, Inner, Outer)
    graph = {"o": {"type": "Outer", "inputs": {"a": 1}}}
    assert [bench.value(graph, "o.number") for _ in range(3)] == [0, 1, 2]


def test_values_without_a_digest_of_a_changing_node_are_new_each_time(bench: Bench) -> None:
    class Handle:
        def __init__(self, number: int) -> None:
            self.number = number

    handles = iter(map(Handle, range(10)))

    @node
    def Read(handle: object) -> int:
        """What the handle holds."""
        return handle.number  # type: ignore[attr-defined, no-any-return]

    @node(deterministic=False)
    def Fresh() -> int:
        """Read a new handle."""
        return one("Read", {"handle": Value(next(handles))})  # type: ignore[return-value]

    bench.add(Read, Fresh)
    assert [bench.value({"f": {"type": "Fresh"}}, "f.number") for _ in range(3)] == [0, 1, 2]


def test_a_sink_inside_runs_for_each_of_two_jobs_in_flight(bench: Bench) -> None:
    taken = []

    @node(output=True)
    def Take(a: int) -> None:
        """Take a number."""
        taken.append(a)

    @node
    def Both(a: int) -> int:
        """Take the number on the way."""
        return Expand(  # type: ignore[return-value]
            {
                "x": {"type": "Add", "inputs": {"a": a, "b": 1}},
                "t": {"type": "Take", "inputs": {"a": {"from": "x"}}},
            },
            {"number": "x"},
        )

    bench.add(Take, Both)
    graph = {"b": {"type": "Both", "inputs": {"a": 1}}}

    async def twice() -> None:
        results = await asyncio.gather(bench.run_async(graph), bench.run_async(graph))
        assert [result["b.number"] for result in results] == [2, 2]

    asyncio.run(twice())
    assert taken == [2, 2]


# Answers in steps


@node
def Count(start: int, until: int) -> int:
    """Add one until it is enough, a node a step."""

    def step(at: int, before: Value) -> Expand:
        nodes = {str(at): {"type": "Add", "inputs": {"a": before, "b": 1}}}
        return Expand(nodes, {"sum": str(at)}, then=lambda found: go_on(at, found))

    def go_on(at: int, found: Mapping[str, Value]) -> Any:
        return found["sum"].value if found["sum"].value >= until else step(at + 1, found["sum"])

    return step(0, Value(start))  # type: ignore[return-value]


def count(start: int, until: int) -> dict[str, Any]:
    return {"c": {"type": "Count", "inputs": {"start": start, "until": until}}}


@pytest.mark.parametrize("steps", [400, pytest.param(2000, marks=pytest.mark.slow)])
def test_an_answer_may_come_in_thousands_of_steps(bench: Bench, steps: int) -> None:
    bench.add(Count)
    result = bench.run(count(0, steps))
    assert result["c.number"] == steps
    assert f"c/{steps - 1}" in result.nodes


def test_every_step_is_cached_by_itself(bench: Bench) -> None:
    bench.add(Count)
    bench.run(count(0, 10))
    result = bench.run(count(3, 12))
    ran = [name for name, report in result.nodes.items() if report.status == "ran"]
    assert ran == ["c/7", "c/8", "c"]
    assert bench.run(count(3, 12)).nodes["c"].status == "cached"


def test_steps_stand_at_one_level(bench: Bench) -> None:
    @node
    def Nested(depth: int) -> int:
        """Steps within steps."""
        if not depth:
            return 0
        inner = {"n": {"type": "Nested", "inputs": {"depth": depth - 1}}}
        return Expand(inner, {"number": "n"}, then=lambda found: found["number"].value + 1)  # type: ignore[return-value]

    bench.add(Nested)
    assert bench.value({"n": {"type": "Nested", "inputs": {"depth": 50}}}, "n.number") == 50
    result = bench.run({"n": {"type": "Nested", "inputs": {"depth": 140}}})
    assert "expands within itself more than 64 times" in str(result.errors[0])


def test_what_a_step_raises_is_the_nodes_failure(bench: Bench) -> None:
    @node
    def Late(a: int) -> int:
        """Raise in the second step."""

        def then(found: Mapping[str, Value]) -> Any:
            raise ValueError(f"after {found['x'].value}")

        inner = {"x": {"type": "Add", "inputs": {"a": a, "b": 1}}}
        return Expand(inner, {"x": "x"}, then=then)  # type: ignore[return-value]

    bench.add(Late)
    result = bench.run({"l": {"type": "Late", "inputs": {"a": 1}}})
    assert "node `l` (Late): ValueError: after 2" in str(result.errors[0])
    assert result.nodes["l"].status == "failed"


def test_the_last_answer_is_checked_like_a_returned_one(bench: Bench) -> None:
    @node
    def Wrong(a: int) -> int:
        """Give text in the end."""
        inner = {"x": {"type": "Add", "inputs": {"a": a, "b": 1}}}
        return Expand(inner, {"x": "x"}, then=lambda found: "text")  # type: ignore[return-value]

    bench.add(Wrong)
    result = bench.run({"w": {"type": "Wrong", "inputs": {"a": 1}}})
    assert "returned 'text', but declares int" in str(result.errors[0])


def test_a_failure_in_a_step_ends_the_node(bench: Bench) -> None:
    @node
    def Doomed(a: int) -> int:
        """Fail in the first step."""
        inner = {"x": {"type": "Fail", "inputs": {"a": a}}}
        return Expand(inner, {"x": "x"}, then=lambda found: 1)  # type: ignore[return-value]

    bench.add(Doomed)
    result = bench.run({"d": {"type": "Doomed", "inputs": {"a": 1}}})
    assert [error.problem.node for error in result.errors] == ["d/x"]
    assert result.nodes["d"].status == "skipped"


@pytest.mark.filterwarnings("ignore:results of node")  # it captures the control of its run
def test_a_run_is_cancelled_between_steps(bench: Bench) -> None:
    from nodegraph.engine.options import CancelToken

    token = CancelToken()

    @node
    def Stop(a: int) -> int:
        """Count on; the run is cancelled at 5."""
        if a == 5:
            token.cancel()
        return a + 1

    @node
    def Forever(a: int) -> int:
        """Steps without end."""

        def step(at: int, before: Value) -> Expand:
            nodes = {str(at): {"type": "Stop", "inputs": {"a": before}}}
            return Expand(nodes, {"x": str(at)}, then=lambda found: step(at + 1, found["x"]))

        return step(0, Value(a))  # type: ignore[return-value]

    bench.add(Stop, Forever)
    result = bench.run({"f": {"type": "Forever", "inputs": {"a": 0}}}, cancel=token)
    assert result.status == "cancelled"


class Two(NamedTuple):
    number: int
    numbers: list[int]


def test_outputs_may_be_values_and_lists(bench: Bench) -> None:
    @node
    def Listed(a: int) -> Two:
        """A value, and a list of inner outputs and values."""
        nodes = {
            "x": {"type": "Add", "inputs": {"a": a, "b": 1}},
            "y": {"type": "Add", "inputs": {"a": {"from": "x"}, "b": 1}},
        }
        return Expand(nodes, {"number": Value(a), "numbers": ["x", Value(7), "y.number"]})  # type: ignore[return-value]

    bench.add(Listed)
    graph = {
        "l": {"type": "Listed", "inputs": {"a": 1}},
        "s": {"type": "Add", "inputs": {"a": link("l.numbers"), "b": link("l.number")}},
    }
    result = bench.run(graph, "l", "s")
    assert (result["l.number"], result["l.numbers"]) == (1, [2, 7, 3])
    assert result["s.number"] == [3, 8, 4]


def test_an_expansion_may_hold_no_nodes(bench: Bench) -> None:
    @node
    def Same(a: int) -> int:
        """Hand a value on."""
        return Expand({}, {"number": Value(a)})  # type: ignore[return-value]

    bench.add(Same)
    assert bench.value({"s": {"type": "Same", "inputs": {"a": 4}}}, "s.number") == 4


TWICE = {
    "inputs": {"x": {"to": ["first.a", "first.b"]}},
    "outputs": {"sum": "second"},
    "nodes": {
        "first": {"type": "Add"},
        "second": {"type": "Add", "inputs": {"a": link("first"), "b": link("first")}},
    },
}


def test_a_fragment_may_define_the_types_that_it_uses(bench: Bench) -> None:
    @node
    def FourTimes(a: int) -> int:
        """By a block."""
        nodes = {"b": {"type": "Twice", "inputs": {"x": Value(a)}}}
        return Expand(nodes, {"number": "b.sum"}, {"Twice": TWICE})  # type: ignore[return-value]

    bench.add(FourTimes)
    result = bench.run({"f": {"type": "FourTimes", "inputs": {"a": 3}}})
    assert result["f.number"] == 12
    assert sorted(result.nodes) == ["f", "f/b/first", "f/b/second"]


def test_a_fragments_definition_hides_a_node_type_of_its_name(bench: Bench) -> None:
    @node
    def Hiding(a: int) -> int:
        """Use a block called as a node type is."""
        block = {**TWICE, "nodes": {"second": {"type": "Repeat", "inputs": {"times": 3}}}}
        block["inputs"] = {"x": {"to": ["second.a"]}}
        nodes = {"b": {"type": "Add", "inputs": {"x": Value(a)}}}
        return Expand(nodes, {"number": "b.sum"}, {"Add": block})  # type: ignore[return-value]

    bench.add(Hiding)
    result = bench.run({"h": {"type": "Hiding", "inputs": {"a": 3}}})
    assert result["h.number"] == 9


def test_what_reads_the_world_outside_is_asked_each_time(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "number"
    file.write_text("1")

    @node(fingerprint=lambda inputs: file.read_text())
    def ReadFile(a: int) -> int:
        """What the file says."""
        return int(file.read_text())

    @node
    def Outer(a: int) -> int:
        """Read in a fragment."""
        return one("ReadFile", {"a": a})  # type: ignore[return-value]

    bench.add(ReadFile, Outer)
    graph = {"o": {"type": "Outer", "inputs": {"a": 1}}}
    assert bench.value(graph, "o.number") == 1
    file.write_text("2")
    assert bench.value(graph, "o.number") == 2


def test_a_blocked_output_of_a_fragment_blocks_the_nodes(bench: Bench) -> None:
    @node
    def Odd(a: int) -> int:
        """Odd numbers only."""
        return a if a % 2 else BLOCKED

    @node
    def Odds(numbers: list[int]) -> list[int]:
        """Each through a node of its own."""
        nodes = {str(at): {"type": "Odd", "inputs": {"a": a}} for at, a in enumerate(numbers)}
        return Expand(nodes, {"numbers": list(nodes)})  # type: ignore[return-value]

    @node
    def Total(numbers: list[int]) -> int:
        """Their sum."""
        return sum(numbers)

    bench.add(Odd, Odds, Total)
    graph = {
        "o": {"type": "Odds", "inputs": {"numbers": [1, 2, 3, 4, 5]}},
        "t": {"type": "Total", "inputs": {"numbers": link("o")}},
    }
    assert bench.value(graph, "t.number") == 9


def test_a_muted_node_of_a_fragment_blocks_what_it_gives(bench: Bench) -> None:
    @node
    def Muting(a: int) -> int:
        """Mute the only node."""
        inner = {"x": {"type": "Add", "inputs": {"a": a, "b": 1}, "mode": "mute"}}
        return Expand(inner, {"number": "x"})  # type: ignore[return-value]

    bench.add(Muting)
    graph = {
        "m": {"type": "Muting", "inputs": {"a": 1}},
        "s": {"type": "Add", "inputs": {"a": link("m"), "b": 1}},
    }
    result = bench.run(graph)
    assert result.is_ok
    assert result.nodes["s"].status == "skipped"
