"""Links as inputs, and nodes that read the graph of the run: loops that copy a part of it."""

from __future__ import annotations

import asyncio
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodegraph.api import (
    Blocked,
    Context,
    Expand,
    Lazy,
    RawLink,
    RunGraph,
    Value,
    node,
)
from nodegraph.engine.cache import Cache, MemoryCache, NoCache
from nodegraph.engine.options import CancelToken
from nodegraph.store.store import Store
from tests.engine.conftest import Bench, link

ran: list[tuple[Any, ...]] = []
calls = count(1)


class Opened(NamedTuple):
    flow: str
    value: Any


class ForOpened(NamedTuple):
    flow: str
    index: int
    value: Any


@node
def WhileOpen(value: Any) -> Opened:
    """Begin a loop."""
    return Opened("", value)


def repeat(
    graph: RunGraph, first: str, ports: tuple[str, ...], given: dict[str, Any], suffix: str
) -> Expand:
    """One more turn: copies of the nodes from the first on, with other inputs."""
    copy = graph.copy(graph.between(first), suffix)
    copy.nodes[copy.names[first]]["inputs"] |= given
    own = graph[graph.node].inputs
    return Expand(copy.nodes, {port: copy.output(own[port]) for port in ports}, copy.subgraphs)


@node
def WhileClose(flow: RawLink[str], value: Any, again: bool, graph: RunGraph) -> Any:
    """End of a loop: while it is to go on, what is between the two nodes runs again."""
    ran.append(("close", graph.node))

    def turn(at: int, value: Any) -> Expand:
        made = repeat(graph, flow.node, ("value", "again"), {"value": value}, f"_{at}")
        return Expand(made.nodes, made.outputs, made.subgraphs, then=lambda out: ended(at, out))

    def ended(at: int, out: Any) -> Any:
        if out["again"].value:
            return turn(at + 1, out["value"])
        return Expand({}, {"output": out["value"]})

    return turn(1, Value(value)) if again else value


@node
def ForOpen(value: Any, index: int = 0) -> ForOpened:
    """Begin a loop that counts."""
    return ForOpened("", index, value)


@node
def ForClose(flow: RawLink[str], value: Any, count: int, graph: RunGraph) -> Any:
    """End of a loop that counts."""

    def turn(at: int, value: Any) -> Any:
        if at >= count:
            return Expand({}, {"output": value})
        made = repeat(graph, flow.node, ("value",), {"value": value, "index": at}, f"_{at}")
        return Expand(
            made.nodes, made.outputs, made.subgraphs, then=lambda out: turn(at + 1, out["value"])
        )

    return turn(1, Value(value))


@node
def Add(a: int, b: int = 1) -> int:
    """Their sum."""
    ran.append(("Add", a, b))
    return a + b


@node
def Below(a: int, limit: int) -> bool:
    """Whether it is below."""
    return a < limit


@node
def Late(a: int, b: int) -> int:
    """One more, or the other number more after the first turn."""
    ran.append(("Late", a, b))
    if b == 13:
        raise ValueError("thirteen")
    return a + 1 if a == 0 else a + b


@node
def FromFile(ctx: Context, name: str = "number.txt") -> int:
    """A number that is in a file."""
    return int(ctx.file(name).read_text())


@node(deterministic=False)
def Once(a: int) -> int:
    """Another number for each call."""
    ran.append(("Once",))
    return a + 100 * next(calls)


@node
def Hand(image: RawLink[int], take: bool = True) -> int:
    """Hand a link on, or not."""
    return Expand({}, {"number": image}) if take else 0


@node
def HandTwice(image: RawLink[int]) -> int:
    """Link a fragment to what it is linked to."""
    nodes = {"sum": {"type": "Add", "inputs": {"a": image, "b": Value(image)}}}
    return Expand(nodes, {"number": "sum"})


@node
def Name(image: RawLink[int] | None = None) -> str:
    """The link in words."""
    return "none" if image is None else str(image)


@node
def Wrong(kind: str, image: RawLink[int], graph: RunGraph) -> int:
    """Link to what can't be linked to."""
    links: dict[str, Any] = {
        "itself": RawLink(graph.node, "number"),
        "port": RawLink(image.node, "picture"),
    }
    if kind == "after":
        return len(graph["after"].inputs)
    if kind == "between":
        return len(graph.between("after"))
    return Expand({"x": {"type": "Add", "inputs": {"a": links[kind]}}}, {"number": "x"})


@node
def Describe(a: int, graph: RunGraph) -> str:
    """What is before it, in words."""
    ran.append(("Describe",))
    return " ".join(f"{name}:{graph[name].type}" for name in graph)


@node
def Blind(a: int, graph: RunGraph) -> int:
    """Ask for the graph and never read it."""
    ran.append(("Blind",))
    return a


@node
def Fragment(a: int) -> str:
    """Expand into one that reads the graph."""
    nodes = {
        "add": {"type": "Add", "inputs": {"a": a}},
        "words": {"type": "Where", "inputs": {"a": link("add")}, "origin": "here"},
    }
    return Expand(nodes, {"text": "words"})


@node
def Where(a: int, graph: RunGraph) -> str:
    """Parents and origins of what is before it."""
    return " ".join(f"{each.name}<{each.parent}>{each.origin}" for each in graph.values())


@node
async def Pick(first: bool, a: Lazy[int], b: Lazy[int]) -> int:
    """One of two."""
    return await a() if first else await b()


@node
def Numbers(count: int) -> list[int]:
    """The numbers below."""
    return list(range(count))


@node
def Sum(numbers: list[int]) -> int:
    """The sum of a list."""
    return sum(numbers)


@pytest.fixture(autouse=True)
def nodes(bench: Bench) -> None:
    ran.clear()
    bench.add(WhileOpen, WhileClose, ForOpen, ForClose, Add, Below, Late, FromFile, Once, Hand)
    bench.add(HandTwice, Name, Wrong, Describe, Blind, Fragment, Where, Pick, Numbers, Sum)


def while_loop(limit: int, start: int = 0, step: int = 1) -> dict[str, Any]:
    return {
        "open": {"type": "WhileOpen", "inputs": {"value": start}},
        "add": {"type": "Add", "inputs": {"a": link("open.value"), "b": step}},
        "below": {"type": "Below", "inputs": {"a": link("add"), "limit": limit}},
        "close": {
            "type": "WhileClose",
            "inputs": {"flow": link("open.flow"), "value": link("add"), "again": link("below")},
        },
    }


def late_loop(outside: dict[str, Any], limit: int = 20) -> dict[str, Any]:
    """A loop whose first turn is the same whatever comes from outside."""
    loop = while_loop(limit)
    loop["add"] = {"type": "Late", "inputs": {"a": link("open.value"), "b": link("outside")}}
    return {"outside": outside, **loop}


def nested(limit: int, inner: int, step: int) -> dict[str, Any]:
    """A counting loop, within a loop that goes on while its value is below a limit."""
    return {
        "step": {"type": "Add", "inputs": {"a": step, "b": 0}},
        "open": {"type": "WhileOpen", "inputs": {"value": 0}},
        "for": {"type": "ForOpen", "inputs": {"value": link("open.value")}},
        "add": {"type": "Add", "inputs": {"a": link("for.value"), "b": link("step")}},
        "more": {"type": "Add", "inputs": {"a": link("add"), "b": link("for.index")}},
        "end": {
            "type": "ForClose",
            "inputs": {"flow": link("for.flow"), "value": link("more"), "count": inner},
        },
        "below": {"type": "Below", "inputs": {"a": link("end"), "limit": limit}},
        "close": {
            "type": "WhileClose",
            "inputs": {"flow": link("open.flow"), "value": link("end"), "again": link("below")},
        },
    }


def in_python(limit: int, inner: int, step: int) -> int:
    value = 0
    while True:
        for index in range(max(inner, 1)):
            value += step + index
        if value >= limit:
            return value


def test_a_while_loop_copies_what_is_between_its_ends(bench: Bench) -> None:
    result = bench.run(while_loop(5))
    assert result["close"] == 5
    assert [each for each in ran if each[0] == "Add"] == [("Add", at, 1) for at in range(5)]
    assert "close/add_1" in result.nodes
    (expanded, *_) = [each for each in bench.events if each.kind == "node.expanded"]
    assert expanded.data["origins"]["close/add_1"] == "add"


def test_a_for_loop_counts(bench: Bench) -> None:
    loop = {
        "open": {"type": "ForOpen", "inputs": {"value": 10}},
        "add": {"type": "Add", "inputs": {"a": link("open.value"), "b": link("open.index")}},
        "close": {
            "type": "ForClose",
            "inputs": {"flow": link("open.flow"), "value": link("add"), "count": 5},
        },
    }
    assert bench.run(loop)["close"] == 10 + 0 + 1 + 2 + 3 + 4


def test_a_thousand_turns_are_not_nested(bench: Bench) -> None:
    assert bench.run(while_loop(300))["close"] == 300


@pytest.mark.parametrize(("limit", "inner", "step"), [(30, 3, 2), (1, 1, 1), (25, 4, 1)])
def test_loops_nest(bench: Bench, limit: int, inner: int, step: int) -> None:
    assert bench.run(nested(limit, inner, step))["close"] == in_python(limit, inner, step)


def test_a_loop_is_cached_as_a_whole_and_turn_by_turn(bench: Bench) -> None:
    bench.run(while_loop(5))
    ran.clear()
    result = bench.run(while_loop(5))
    assert (result["close"], result.nodes["close"].status) == (5, "cached")
    assert ran == []
    assert bench.run(while_loop(7))["close"] == 7
    assert [each for each in ran if each[0] == "Add"] == [("Add", 5, 1), ("Add", 6, 1)]


def test_a_loop_is_stored(bench: Bench, tmp_path: Path) -> None:
    for status in ("ran", "cached"):
        ran.clear()
        with Store(tmp_path / "store") as store:
            bench.cache = Cache(MemoryCache(), store)
            engine = bench.new_engine()
            result = bench.run(while_loop(5), engine=engine)
            assert (result["close"], result.nodes["close"].status) == (5, status)
            # One that holds another, which reads names around it, is kept turn by turn.
            assert bench.run(nested(20, 3, 2), engine=engine)["close"] == in_python(20, 3, 2)
            store.flush()
            engine.close()
    assert not [each for each in ran if each[0] == "Add"]


def test_an_edit_that_the_first_turn_does_not_show_is_no_stale_result(bench: Bench) -> None:
    two, three = ({"type": "Add", "inputs": {"a": value, "b": 0}} for value in (2, 3))
    assert bench.run(late_loop(two))["close"] == 21
    assert bench.run(late_loop(three))["close"] == 22
    ran.clear()
    assert bench.run(late_loop(two))["close"] == 21
    assert ran == []


def test_another_value_from_outside_is_no_stale_result(bench: Bench) -> None:
    file, outside = bench.environment.inputs / "number.txt", {"type": "FromFile"}
    for number, total in ((2, 21), (3, 22), (2, 21)):
        file.write_text(str(number))
        assert bench.run(late_loop(outside))["close"] == total
    ran.clear()
    assert bench.run(late_loop(outside)).nodes["close"].status == "cached"
    assert ran == []


def test_what_differs_each_time_is_one_value_in_all_turns(bench: Bench) -> None:
    for _ in range(2):
        ran.clear()
        bench.run(late_loop({"type": "Once", "inputs": {"a": 2}}, limit=1000))
        assert ran.count(("Once",)) == 1
        assert len({each[2] for each in ran if each[0] == "Late"}) == 1


def test_without_a_cache_nothing_before_a_loop_runs_twice(bench: Bench) -> None:
    bench.cache = NoCache()
    engine = bench.new_engine()
    outside = {"type": "Add", "inputs": {"a": 2, "b": 0}}
    assert bench.run(late_loop(outside), engine=engine)["close"] == 21
    assert ran.count(("Add", 2, 0)) == 1
    engine.close()


def test_an_error_in_a_later_turn_says_where(bench: Bench) -> None:
    loop = late_loop({"type": "Add", "inputs": {"a": 12, "b": 1}}, limit=100)
    loop["add"] = {"type": "Late", "inputs": {"a": link("open.value"), "b": link("b")}}
    loop["b"] = {"type": "Add", "inputs": {"a": link("open.value"), "b": 12}}
    result = bench.run(loop, "close")
    (error,) = result.errors
    assert error.problem.node == "close/add_1"
    (failed,) = [each for each in bench.events if each.kind == "node.failed"]
    assert (failed.node, failed.data["origin"]) == ("close/add_1", "add")


def test_a_cancelled_loop_ends(bench: Bench) -> None:
    async def run() -> str:
        cancel = CancelToken()
        task = asyncio.ensure_future(bench.run_async(while_loop(10**6), cancel=cancel))
        while not any(each.node == "close/add_5" for each in bench.events):
            await asyncio.sleep(0)
        cancel.cancel("enough")
        return (await asyncio.wait_for(task, 60)).status

    assert asyncio.run(run()) == "cancelled"


def test_a_link_is_handed_on_and_needed_only_then(bench: Bench) -> None:
    graph = {
        "add": {"type": "Add", "inputs": {"a": 3}},
        "hand": {"type": "Hand", "inputs": {"image": link("add"), "take": False}},
    }
    assert bench.run(graph)["hand"] == 0
    assert ran == []
    graph["hand"]["inputs"]["take"] = True
    assert bench.run(graph)["hand"] == 4
    assert ran == [("Add", 3, 1)]
    result = bench.run(graph)
    assert (result["hand"], result.nodes["hand"].status) == (4, "ran")


def test_a_handed_on_link_keys_by_its_value(bench: Bench) -> None:
    def graph(a: int) -> dict[str, Any]:
        return {
            "add": {"type": "Add", "inputs": {"a": a}},
            "use": {"type": "Add", "inputs": {"a": link("add"), "b": 0}},
            "hand": {"type": "HandTwice", "inputs": {"image": link("add")}},
            "all": {"type": "Add", "inputs": {"a": link("use"), "b": link("hand")}},
        }

    for a in (3, 4, 3):
        assert bench.run(graph(a))["all"] == 3 * (a + 1)


@pytest.mark.parametrize("passed", [False, True])
def test_a_link_to_a_blocked_node_is_no_stale_result(bench: Bench, passed: bool) -> None:
    @node
    def Even(a: int, why: str = "odd") -> int:
        """The number, if it is even."""
        return Blocked(why) if a % 2 else a

    bench.add(Even)

    def graph(a: int, why: str = "odd") -> dict[str, Any]:
        return {
            "even": {"type": "Even", "inputs": {"a": a, "why": why}},
            "add": {"type": "Add", "inputs": {"a": link("even")}},
            "hand": {"type": "Hand", "inputs": {"image": link("add" if passed else "even")}},
            "copy": {"type": "HandTwice", "inputs": {"image": link("add" if passed else "even")}},
        }

    for a, why in ((3, "odd"), (4, "odd"), (3, "other"), (4, "odd")):
        result = bench.run(graph(a, why), "hand", "copy")
        if a == 3:
            assert result["hand"].message == why
            assert result["copy"].message == why
        else:
            assert (result["hand"], result["copy"]) == ((5, 10) if passed else (4, 8))


def test_a_list_is_one_link(bench: Bench) -> None:
    graph = {
        "n": {"type": "Numbers", "inputs": {"count": 4}},
        "each": {"type": "Add", "inputs": {"a": link("n")}},
        "name": {"type": "Name", "inputs": {"image": link("each")}},
    }
    assert bench.run(graph)["name"] == "each.number"
    assert bench.run({"name": {"type": "Name"}})["name"] == "none"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("itself", "is linked to `w`, which is not a node before this one"),
        ("port", "linked to an output that `add` does not have"),
        ("after", "there is no node `after` before `w`"),
        ("between", "no links lead from `after` to `w`"),
    ],
)
def test_links_to_elsewhere_are_errors(bench: Bench, kind: str, words: str) -> None:
    graph = {
        "add": {"type": "Add", "inputs": {"a": 3}},
        "w": {"type": "Wrong", "inputs": {"kind": kind, "image": link("add")}},
        "after": {"type": "Add", "inputs": {"a": link("w")}},
    }
    (error,) = bench.run(graph).errors
    assert words in str(error)
    assert error.problem.node == "w"


def test_the_type_of_a_link_is_checked_before_the_run(bench: Bench) -> None:
    graph = {
        "words": {"type": "Name"},
        "hand": {"type": "Hand", "inputs": {"image": link("words")}},
    }
    with pytest.raises(Exception, match="does not fit"):
        bench.run(graph)


def test_the_graph_counts_only_where_it_is_read(bench: Bench) -> None:
    def graph(kind: str, name: str) -> dict[str, Any]:
        return {
            name: {"type": "Add", "inputs": {"a": 3}},
            "d": {"type": kind, "inputs": {"a": link(name)}},
        }

    assert bench.run(graph("Describe", "one"))["d"] == "d:Describe one:Add"
    assert bench.run(graph("Describe", "two"))["d"] == "d:Describe two:Add"
    bench.run(graph("Blind", "one"))
    bench.run(graph("Blind", "two"))
    assert ran.count(("Describe",)) == 2
    assert ran.count(("Blind",)) == 1


def test_equal_readers_at_the_same_time_read_their_own_graph(bench: Bench) -> None:
    graph = {
        "x": {"type": "Add", "inputs": {"a": 3}},
        **{name: {"type": "Describe", "inputs": {"a": link("x")}} for name in "abcd"},
    }
    result = bench.run(graph, *"abcd")
    assert [result[name] for name in "abcd"] == [f"{name}:Describe x:Add" for name in "abcd"]


def test_parents_and_origins(bench: Bench) -> None:
    graph = {"f": {"type": "Fragment", "inputs": {"a": 1}}}
    assert bench.run(graph)["f"] == "f/add<f>f f/words<f>here"


def test_a_graph_that_holds_a_reader_is_not_kept_for_other_names(bench: Bench) -> None:
    for name in ("f", "g"):
        text = bench.run({name: {"type": "Fragment", "inputs": {"a": 1}}})[name]
        assert text == f"{name}/add<{name}>{name} {name}/words<{name}>here"


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    edits=st.lists(
        st.tuples(st.integers(0, 30), st.integers(0, 4), st.integers(1, 5), st.booleans()),
        min_size=2,
        max_size=5,
    )
)
def test_no_edit_gives_a_stale_result(
    bench: Bench, edits: list[tuple[int, int, int, bool]]
) -> None:
    for limit, inner, step, is_late in edits:
        if is_late:
            outside = {"type": "Add", "inputs": {"a": step, "b": 0}}
            value, at = 1, 1
            while value < limit:
                value, at = value + step, at + 1
            assert bench.run(late_loop(outside, limit))["close"] == value
        else:
            assert bench.run(nested(limit, inner, step))["close"] == in_python(limit, inner, step)
