"""Switches, gates and loops."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nodegraph_nodes import flow
from nodegraph_nodes import list as lists

from nodegraph.api import BLOCKED, node
from nodegraph.core.graph_builder import build_graph
from nodegraph.core.workflow import Workflow
from nodegraph.engine.cache import Cache, MemoryCache
from nodegraph.engine.result import RunResult
from nodegraph.errors import InvalidWorkflow
from nodegraph.store.store import Store
from tests.engine.conftest import Bench, link
from tests.messages import raises
from tests.properties import examples

ran: list[tuple[Any, ...]] = []


@node
def Number(value: int) -> int:
    """A number."""
    ran.append(("Number", value))
    return value


@node
def Fail(value: int) -> int:
    """Raise."""
    raise ValueError("no")


@node
def Mix(a: int, b: int, factor: int = 3) -> int:
    """Another number."""
    ran.append(("Mix", a, b, factor))
    return (factor * a + b) % 101


@node
def Below(a: int, limit: int) -> bool:
    """Whether it is less."""
    return a < limit


@node
def Odd(a: int) -> int:
    """Odd numbers only."""
    return a if a % 2 else BLOCKED


@node
def Half(a: float) -> float:
    """Its half."""
    return a / 2


@node(output=True)
def Keep(a: int) -> None:
    """A sink."""
    ran.append(("Keep", a))


TYPES = (
    *(Number, Fail, Mix, Below, Odd, Half, Keep),
    *(flow.Switch, flow.Select, flow.Gate, flow.ForEach, flow.Fold, flow.Repeat, flow.Scan),
    flow.While,
    *(lists.Numbers, lists.Item, lists.Length),
)


class Loops(Bench):
    """Runs workflows with subgraphs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.add(*TYPES)

    def built(self, nodes: Mapping[str, Any], subgraphs: Mapping[str, Any], *targets: str) -> Any:
        document = {"format": "nodegraph/1", "nodes": dict(nodes), "subgraphs": dict(subgraphs)}
        return build_graph(
            Workflow.from_dict(document),
            self.registry,
            self.environment,
            targets=targets or list(nodes)[-1:],
        )

    def loop(
        self, nodes: Mapping[str, Any], subgraphs: Mapping[str, Any], *targets: str
    ) -> RunResult:
        ran.clear()
        graph = self.built(nodes, subgraphs, *targets)
        return asyncio.run(self.engine.run(graph))

    def problems(
        self, nodes: Mapping[str, Any], subgraphs: Mapping[str, Any], *targets: str
    ) -> list[str]:
        try:
            self.built(nodes, subgraphs, *targets)
        except InvalidWorkflow as error:
            return [str(problem) for problem in error.problems]
        return []


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Loops]:
    made = Loops(tmp_path)
    ran.clear()
    yield made
    made.engine.close()


def use(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"type": kind, "inputs": inputs}


# Switches


def switch(kind: str, other: str, **inputs: Any) -> dict[str, Any]:
    return {
        "a": use("Number", value=1),
        "b": use(other, value=2),
        "s": use(kind, **inputs),
    }


def test_a_switch_runs_only_the_branch_that_it_takes(bench: Loops) -> None:
    inputs = {"on_true": link("a"), "on_false": link("b")}
    result = bench.run(switch("Switch", "Fail", condition=True, **inputs))
    assert result["s.output"] == 1
    assert "b" not in result.nodes


def test_a_switch_without_the_branch_to_take_skips_what_depends_on_it(bench: Loops) -> None:
    graph = {
        **switch("Switch", "Number", condition=False, on_true=link("a")),
        "after": use("Mix", a=link("s"), b=1),
    }
    result = bench.run(graph)
    assert result.is_ok
    assert result.nodes["after"].status == "skipped"
    assert ran == []


def test_a_selection_runs_only_what_it_takes(bench: Loops) -> None:
    inputs = {"option_0": link("b"), "option_5": link("a"), "option_6": 6}
    assert bench.value(switch("Select", "Fail", index=5, **inputs), "s.output") == 1
    assert bench.value(switch("Select", "Fail", index=6, **inputs), "s.output") == 6
    result = bench.run(switch("Select", "Fail", index=1, **inputs))
    assert result.is_ok
    assert result["s.output"] is BLOCKED


@pytest.mark.parametrize(("is_open", "status"), [(True, "ran"), (False, "skipped")])
def test_a_gate_passes_on_or_holds_back(bench: Loops, is_open: bool, status: str) -> None:
    graph = {
        "a": use("Number", value=1),
        "g": use("Gate", value=link("a"), open=is_open),
        "keep": use("Keep", a=link("g")),
    }
    result = bench.run(graph)
    assert result.is_ok
    assert result.nodes["keep"].status == status
    assert ("a" in result.nodes) is is_open


# For each

TRIPLE = {
    "inputs": {"item": {"to": ["mix.a"]}, "plus": {"to": ["mix.b"]}, "by": {"to": ["mix.factor"]}},
    "outputs": {"result": "mix"},
    "nodes": {"mix": {"type": "Mix"}},
}


def for_each(items: Any, **inputs: Any) -> dict[str, Any]:
    return {"loop": use("ForEach", items=items, body="Triple", **inputs)}


def test_each_item_goes_through_the_subgraph(bench: Loops) -> None:
    result = bench.loop(for_each([1, 2, 3], plus=1), {"Triple": TRIPLE})
    assert result["loop.results"] == [4, 7, 10]
    assert sorted(result.nodes) == ["loop", "loop/0/mix", "loop/1/mix", "loop/2/mix"]


def test_the_subgraphs_other_inputs_are_the_loops(bench: Loops) -> None:
    graph = {"n": use("Number", value=5), **for_each([1, 2], plus=link("n"), by=10)}
    assert bench.loop(graph, {"Triple": TRIPLE})["loop.results"] == [15, 25]


def test_an_input_that_isnt_given_keeps_the_subgraphs_own_value(bench: Loops) -> None:
    own = {**TRIPLE, "nodes": {"mix": {"type": "Mix", "inputs": {"factor": 7}}}}
    assert bench.loop(for_each([1], plus=0), {"Triple": own})["loop.results"] == [7]


def test_a_longer_list_computes_only_its_new_items(bench: Loops) -> None:
    bench.loop(for_each([1, 2, 3], plus=1), {"Triple": TRIPLE})
    result = bench.loop(for_each([1, 2, 3, 4], plus=1), {"Triple": TRIPLE})
    assert result["loop.results"] == [4, 7, 10, 13]
    assert ran == [("Mix", 4, 1, 3)]


def test_no_items_make_no_results(bench: Loops) -> None:
    assert bench.loop(for_each([], plus=1), {"Triple": TRIPLE})["loop.results"] == []


def test_a_body_may_take_the_number_of_the_item(bench: Loops) -> None:
    body = {**TRIPLE, "inputs": {"item": {"to": ["mix.a"]}, "index": {"to": ["mix.b"]}}}
    assert bench.loop(for_each([1, 1, 1]), {"Triple": body})["loop.results"] == [3, 4, 5]


def test_the_results_map_what_takes_one(bench: Loops) -> None:
    graph = {**for_each([1, 2], plus=1), "after": use("Mix", a=link("loop"), b=0)}
    assert bench.loop(graph, {"Triple": TRIPLE})["after.number"] == [12, 21]


def test_a_blocked_result_is_a_blocked_item(bench: Loops) -> None:
    body = {
        "inputs": {"item": {"to": ["odd.a"]}},
        "outputs": {"result": "odd"},
        "nodes": {"odd": {"type": "Odd"}},
    }
    graph = {**for_each([1, 2, 3]), "count": use("Length", items=link("loop"))}
    result = bench.loop(graph, {"Triple": body}, "loop", "count")
    assert result["loop.results"] == [1, BLOCKED, 3]
    assert result["count.number"] == 2


def test_a_failing_item_is_told_by_its_place(bench: Loops) -> None:
    body = {
        "inputs": {"item": {"to": ["x.value"]}},
        "outputs": {"result": "x"},
        "nodes": {"x": {"type": "Fail"}},
    }
    result = bench.loop(for_each([1]), {"Triple": body})
    assert [error.problem.node for error in result.errors] == ["loop/0/x"]
    assert result.nodes["loop"].status == "skipped"


def test_many_items_join_the_run_in_parts(bench: Loops) -> None:
    result = bench.loop(for_each(list(range(600)), plus=1), {"Triple": TRIPLE})
    assert result["loop.results"] == [(3 * at + 1) % 101 for at in range(600)]


def test_a_loop_with_a_sink_is_a_sink_and_keeps_the_order(bench: Loops) -> None:
    body = {
        "inputs": {"item": {"to": ["x.value"]}},
        "outputs": {"result": "x"},
        "nodes": {"x": {"type": "Number"}, "keep": {"type": "Keep", "inputs": {"a": link("x")}}},
    }
    graph = bench.built(for_each([3, 1, 2]), {"Triple": body})
    assert graph.targets == ("loop",)
    for _ in range(2):
        ran.clear()
        asyncio.run(bench.engine.run(graph))
        assert [item for item in ran if item[0] == "Keep"] == [
            ("Keep", 3),
            ("Keep", 1),
            ("Keep", 2),
        ]


def test_a_loop_in_a_loop(bench: Loops) -> None:
    outer = {
        "inputs": {"item": {"to": ["inner.items"]}, "plus": {"to": ["inner.plus"]}},
        "outputs": {"result": "inner"},
        "nodes": {"inner": use("ForEach", body="Triple")},
    }
    graph = {"loop": use("ForEach", items=[[1, 2], [3]], body="Outer", plus=1)}
    result = bench.loop(graph, {"Outer": outer, "Triple": TRIPLE})
    assert result["loop.results"] == [[4, 7], [10]]
    assert "loop/0/inner/1/mix" in result.nodes


def test_a_loop_inside_a_block_is_told_its_subgraph_from_outside(bench: Loops) -> None:
    block = {
        "inputs": {"how": {"to": ["each.body"]}},
        "outputs": {"all": "each"},
        "nodes": {"each": use("ForEach", items=[1, 2], plus=1)},
    }
    graph = {"block": use("Block", how="Triple"), "count": use("Length", items=link("block"))}
    result = bench.loop(graph, {"Block": block, "Triple": TRIPLE})
    assert result["count.number"] == 2
    assert "block/each/0/mix" in result.nodes


def test_values_are_converted_on_the_way_in(bench: Loops) -> None:
    body = {
        "inputs": {"item": {"to": ["half.a"]}},
        "outputs": {"result": "half"},
        "nodes": {"half": {"type": "Half"}},
    }
    graph = {"n": use("Range", stop=3), **for_each(link("n"))}
    assert repr(bench.loop(graph, {"Triple": body})["loop.results"]) == "[0.0, 0.5, 1.0]"


def test_a_changed_definition_computes_anew_and_a_changed_note_doesnt(bench: Loops) -> None:
    graph = for_each([1], plus=1)
    bench.loop(graph, {"Triple": TRIPLE})
    noted = {**TRIPLE, "nodes": {"mix": {"type": "Mix", "note": "a remark"}}}
    assert bench.loop(graph, {"Triple": noted}).nodes["loop"].status == "cached"
    changed = {**TRIPLE, "nodes": {"mix": {"type": "Mix", "inputs": {"factor": 4}}}}
    assert bench.loop(graph, {"Triple": changed})["loop.results"] == [5]


def test_changed_code_of_a_node_inside_computes_anew(bench: Loops, tmp_path: Path) -> None:
    def made(number: int) -> Any:
        @node
        def Changing(a: int) -> int:
            """A number of its own."""
            return a + number

        return Changing

    body = {
        "inputs": {"item": {"to": ["x.a"]}},
        "outputs": {"result": "x"},
        "nodes": {"x": {"type": "Changing"}},
    }
    bench.add(made(1))
    assert bench.loop(for_each([1]), {"Triple": body})["loop.results"] == [2]
    other = Loops(tmp_path)
    other.cache = bench.cache
    other.engine.close()
    other.engine = other.new_engine()
    other.add(made(2))
    assert other.loop(for_each([1]), {"Triple": body})["loop.results"] == [3]
    other.engine.close()


# Fold, repeat, while

TURN = {
    "inputs": {"item": {"to": ["mix.a"]}, "accumulated": {"to": ["mix.b"]}},
    "outputs": {"accumulated": "mix"},
    "nodes": {"mix": {"type": "Mix"}},
}
STEP = {
    "inputs": {"state": {"to": ["mix.a"]}, "limit": {"to": ["below.limit"]}},
    "outputs": {"state": "mix", "continue": "below"},
    "nodes": {
        "mix": {"type": "Mix", "inputs": {"b": 1}},
        "below": {"type": "Below", "inputs": {"a": link("mix")}},
    },
}
quiet = settings(
    deadline=None, max_examples=examples(25), suppress_health_check=[HealthCheck.too_slow]
)


def mix(a: int, b: int, factor: int = 3) -> int:
    return (factor * a + b) % 101


@quiet
@given(st.lists(st.integers(0, 50), max_size=90), st.integers(0, 100))
def test_a_fold_equals_a_plain_loop(items: list[int], initial: int) -> None:
    expected = initial
    for item in items:
        expected = mix(item, expected)
    with TemporaryDirectory() as folder:
        bench = Loops(Path(folder))
        graph = {"loop": use("Fold", items=items, initial=initial, body="Turn")}
        assert bench.loop(graph, {"Turn": TURN})["loop.result"] == expected
        bench.engine.close()


@quiet
@given(st.lists(st.integers(0, 50), max_size=300), st.integers(0, 100))
def test_a_scan_equals_a_plain_loop(items: list[int], initial: int) -> None:
    state, expected = initial, []
    for index, item in enumerate(items):
        expected.append(mix(state, index))
        state = mix(item, state)
    body = {
        "inputs": {
            "item": {"to": ["mix.a"]},
            "state": {"to": ["mix.b", "result.a"]},
            "index": {"to": ["result.b"]},
        },
        "outputs": {"state": "mix", "result": "result"},
        "nodes": {"mix": {"type": "Mix"}, "result": {"type": "Mix"}},
    }
    with TemporaryDirectory() as folder:
        bench = Loops(Path(folder))
        graph = {"loop": use("Scan", items=items, state=initial, body="Turn")}
        result = bench.loop(graph, {"Turn": body})
        assert (result["loop.state"], result["loop.results"]) == (state, expected)
        bench.engine.close()


def test_what_a_loop_passes_on_may_lead_to_a_switch(bench: Loops) -> None:
    body = {
        "inputs": {
            "item": {"to": ["small.a"]},
            "low": {"to": ["choose.on_true"]},
            "high": {"to": ["choose.on_false"]},
        },
        "outputs": {"result": "choose"},
        "nodes": {
            "small": {"type": "Below", "inputs": {"limit": 2}},
            "choose": {"type": "Switch", "inputs": {"condition": link("small")}},
        },
    }
    graph = {
        "low": use("Number", value=7),
        "loop": use("ForEach", items=[1, 2], body="Turn", low=link("low"), high=8),
    }
    assert bench.loop(graph, {"Turn": body})["loop.results"] == [7, 8]


@quiet
@given(st.integers(0, 100), st.integers(0, 101))
def test_a_while_equals_a_plain_loop(state: int, limit: int) -> None:
    expected, count = state, 0
    while count < 30:
        expected, count = mix(expected, 1), count + 1
        if expected >= limit:
            break
    is_endless = expected < limit
    with TemporaryDirectory() as folder:
        bench = Loops(Path(folder))
        inputs = {"state": state, "limit": limit, "max_iterations": 30}
        result = bench.loop({"loop": use("While", body="Step", **inputs)}, {"Step": STEP})
        if is_endless:
            assert "the loop does not end after 30 iterations" in str(result.errors[0])
        else:
            assert (result["loop.state"], result["loop.iterations"]) == (expected, count)
        bench.engine.close()


@quiet
@given(st.integers(0, 100), st.integers(0, 300))
def test_a_repetition_equals_a_plain_loop(state: int, times: int) -> None:
    expected = [state]
    for _ in range(times):
        expected.append(mix(expected[-1], 1))
    body = {
        "inputs": {"state": {"to": ["mix.a"]}},
        "outputs": {"state": "mix"},
        "nodes": {"mix": {"type": "Mix", "inputs": {"b": 1}}},
    }
    with TemporaryDirectory() as folder:
        bench = Loops(Path(folder))
        graph = {"loop": use("Repeat", state=state, times=times, body="Step")}
        result = bench.loop(graph, {"Step": body})
        assert (result["loop.state"], result["loop.states"]) == (expected[-1], expected[1:])
        bench.engine.close()


def test_a_fold_does_what_doesnt_depend_on_the_turn_before_in_any_order(bench: Loops) -> None:
    graph = {"loop": use("Fold", items=[1, 2, 3], initial=0, body="Turn")}
    bench.loop(graph, {"Turn": TURN})
    longer = {"loop": use("Fold", items=[1, 2, 3, 4], initial=0, body="Turn")}
    bench.loop(longer, {"Turn": TURN})
    assert len(ran) == 1


def test_equal_states_later_on_cut_off(bench: Loops) -> None:
    def forgetful(initial: int) -> RunResult:
        graph = {"loop": use("Fold", items=[1, 2, 3], initial=initial, body="Forget")}
        return bench.loop(graph, {"Forget": body})

    body = {
        "inputs": {"item": {"to": ["mix.a"]}, "accumulated": {"to": ["zero.b"]}},
        "outputs": {"accumulated": "mix"},
        "nodes": {
            "zero": {"type": "Mix", "inputs": {"a": 0, "factor": 0}},
            "odd": {"type": "Below", "inputs": {"a": link("zero"), "limit": 50}},
            "one": {
                "type": "Switch",
                "inputs": {"condition": link("odd"), "on_true": 1, "on_false": 2},
            },
            "mix": {"type": "Mix", "inputs": {"b": link("one")}},
        },
    }
    forgetful(5)
    forgetful(6)
    assert ran == [("Mix", 0, 6, 0)]


@pytest.mark.parametrize("turns", [300, pytest.param(1200, marks=pytest.mark.slow)])
def test_hundreds_of_turns_and_more(bench: Loops, turns: int) -> None:
    body = {
        "inputs": {"state": {"to": ["next.a"]}, "index": {"to": ["below.a"]}},
        "outputs": {"state": "next", "continue": "below"},
        "nodes": {
            "next": {"type": "Mix", "inputs": {"b": 1}},
            "below": {"type": "Below", "inputs": {"limit": turns - 1}},
        },
    }
    graph = {"loop": use("While", state=0, body="Step", max_iterations=turns)}
    assert bench.loop(graph, {"Step": body})["loop.iterations"] == turns


def test_turns_run_again_where_what_they_gave_is_gone(tmp_path: Path) -> None:
    """Values that were cheap to make are known by their digests only, in the next process."""

    @node
    def Grow(text: str, index: int = 0) -> str:
        """Long text, so that it isn't kept beside its digest."""
        return (text + str(index))[-9000:]

    @node
    def Sizes(texts: list[str]) -> list[int]:
        """The length of each."""
        return [len(text) for text in texts]

    body = {
        "inputs": {"state": {"to": ["grow.text"]}, "index": {"to": ["grow.index"]}},
        "outputs": {"state": "grow"},
        "nodes": {"grow": {"type": "Grow"}},
    }
    for times in (100, 101, 102):
        with closing(Store(tmp_path / "store")) as store:
            bench = Loops(tmp_path)
            bench.engine.close()
            bench.cache = Cache(MemoryCache(0), store)
            bench.engine = bench.new_engine()
            bench.add(Grow, Sizes)
            graph = {
                "loop": use("Repeat", state="x" * 9000, body="Step", times=times),
                "sizes": use("Sizes", texts=link("loop.states")),
            }
            assert bench.loop(graph, {"Step": body})["sizes.numbers"] == [9000] * times
            bench.engine.close()


def test_a_loop_without_end_is_told_with_its_node(bench: Loops) -> None:
    graph = {"loop": use("While", state=0, body="Step", limit=200, max_iterations=5)}
    result = bench.loop(graph, {"Step": STEP})
    assert str(result.errors[0]) == (
        "node `loop` (While), input `max_iterations`: the loop does not end after 5 iterations. "
        "Raise max_iterations, or make the subgraph's `continue` become false."
    )


def test_a_blocked_state_blocks_what_the_loop_gives(bench: Loops) -> None:
    body = {
        "inputs": {"state": {"to": ["odd.a"]}},
        "outputs": {"state": "odd", "continue": "more"},
        "nodes": {
            "odd": {"type": "Odd"},
            "more": {"type": "Below", "inputs": {"a": link("odd"), "limit": 100}},
        },
    }
    graph = {
        "loop": use("While", state=2, body="Step"),
        "after": use("Mix", a=link("loop.state"), b=1),
    }
    result = bench.loop(graph, {"Step": body})
    assert result.is_ok
    assert result.nodes["after"].status == "skipped"


def test_a_subgraph_may_loop_over_itself(bench: Loops) -> None:
    """Recursion that ends by a switch: a countdown."""
    body = {
        "inputs": {"state": {"to": ["mix.a", "more.a"]}, "depth": {"to": ["go.a", "less.a"]}},
        "outputs": {"state": "pick"},
        "nodes": {
            "mix": {"type": "Mix", "inputs": {"b": 1}},
            "more": {"type": "Mix", "inputs": {"b": 1}},
            "go": {"type": "Below", "inputs": {"limit": 3}},
            "less": {"type": "Mix", "inputs": {"b": 1, "factor": 1}},
            "again": use("Repeat", state=link("more"), body="Self", times=1, depth=link("less")),
            "pick": use(
                "Switch", condition=link("go"), on_true=link("again.state"), on_false=link("mix")
            ),
        },
    }
    graph = {"loop": use("Repeat", state=1, body="Self", times=1, depth=0)}
    expected = 1
    for _ in range(4):
        expected = mix(expected, 1)
    assert bench.loop(graph, {"Self": body})["loop.state"] == expected


# What is told before the run


def test_a_subgraph_that_there_isnt_is_told(bench: Loops) -> None:
    assert bench.problems(for_each([1], plus=1, by=2), {"Tripl": TRIPLE})[0] == (
        "node `loop` (ForEach), input `body`: does not name a subgraph of this workflow "
        "(given: Triple). Did you mean `Tripl`?"
    )


def test_a_linked_body_is_told(bench: Loops) -> None:
    graph = {"n": use("Number", value=1), "loop": use("ForEach", items=[1], body=link("n"))}
    assert bench.problems(graph, {"Triple": TRIPLE}) == [
        "node `loop` (ForEach), input `body`: takes the name of a subgraph, not a link "
        "(given: a link to `n`; expected: one of Triple)"
    ]


def test_what_a_subgraph_lacks_is_told(bench: Loops) -> None:
    body = {
        "inputs": {"itm": {"to": ["mix.a"]}},
        "outputs": {"res": "mix"},
        "nodes": {"mix": {"type": "Mix", "inputs": {"b": 1}}},
    }
    found = bench.problems(for_each([1], itm=2), {"Triple": body})
    assert found == [
        "node `loop` (ForEach), input `body`: the subgraph `Triple` has no input `item`. Did "
        "you mean `itm`? Add an input of that name to it.",
        "node `loop` (ForEach), input `body`: the subgraph `Triple` has no output `result`. "
        "Did you mean `res`? Add an output of that name to it.",
    ]


def test_a_while_without_continue_is_told(bench: Loops) -> None:
    body = {**STEP, "outputs": {"state": "mix"}}
    graph = {"loop": use("While", state=0, body="Step", limit=3)}
    [found] = bench.problems(graph, {"Step": body})
    assert "the subgraph `Step` has no output `continue`" in found


def test_a_missing_input_of_the_subgraph_is_told_at_the_loop(bench: Loops) -> None:
    assert bench.problems(for_each([1]), {"Triple": TRIPLE}) == [
        "node `loop` (ForEach), input `plus`: is missing (expected: a whole number)"
    ]


def test_an_input_of_another_type_is_told_at_the_loop(bench: Loops) -> None:
    found = bench.problems(for_each(["one"], plus="two"), {"Triple": TRIPLE})
    assert [text.split(":")[0] for text in found] == [
        "node `loop` (ForEach), input `items`",
        "node `loop` (ForEach), input `plus`",
    ]


def test_what_is_wrong_inside_is_told_once(bench: Loops) -> None:
    body = {**TRIPLE, "nodes": {"mix": {"type": "Mix"}, "bad": {"type": "Mx"}}}
    graph = {**for_each([1], plus=1), "more": use("ForEach", items=[2], plus=1, body="Triple")}
    told = "(Mx): there is no node type `Mx`. Did you mean `Mix`?"
    found = bench.problems(graph, {"Triple": body}, "loop", "more")
    assert found == [f"node `loop/bad` {told}"]
    assert bench.problems(graph, {"Triple": body}, "more") == [f"node `more/bad` {told}"]


def test_a_state_of_another_type_than_it_is_taken_is_told(bench: Loops) -> None:
    body = {
        "inputs": {"state": {"to": ["below.a"]}},
        "outputs": {"state": "below"},
        "nodes": {
            "below": {"type": "Below", "inputs": {"limit": 1}},
            "text": {"type": "Number", "inputs": {"value": 1}},
        },
    }
    graph = {"loop": use("Repeat", state=0, body="Step")}
    [found] = bench.problems(graph, {"Step": body})
    assert "passes its output `state` to its input of that name" in found
    assert "(given: bool; expected: int)" in found


def test_an_input_that_the_loop_has_itself_is_told(bench: Loops) -> None:
    body = {**TRIPLE, "inputs": {**TRIPLE["inputs"], "items": {"to": ["mix.factor"]}}}
    del body["inputs"]["by"]
    [found] = bench.problems(for_each([1], plus=1), {"Triple": body})
    assert "has an input `items`, and the node itself has an input of that name" in found


def test_loops_nested_too_deeply_are_told(bench: Loops) -> None:
    subgraphs = {
        f"L{at}": {
            "inputs": {"state": {"to": ["loop.state"]}},
            "outputs": {"state": "loop.state"},
            "nodes": {"loop": use("Repeat", body=f"L{at + 1}", times=1)},
        }
        for at in range(200)
    }
    subgraphs["L200"] = {
        "inputs": {"state": {"to": ["mix.a"]}},
        "outputs": {"state": "mix"},
        "nodes": {"mix": use("Mix", b=1)},
    }
    found = bench.problems({"loop": use("Repeat", state=1, body="L0")}, subgraphs)
    assert any("loops are nested too deeply" in text for text in found)


def test_the_loops_outputs_have_the_subgraphs_types(bench: Loops) -> None:
    graph = {**for_each([1], plus=1), "below": use("Half", a=link("loop"))}
    assert bench.problems(graph, {"Triple": TRIPLE}) == []
    text = {
        "inputs": {"item": {"to": ["lines.text"]}},
        "outputs": {"result": "lines"},
        "nodes": {"lines": {"type": "Lines"}},
    }
    bench.add(lists.Lines)
    graph = {"loop": use("ForEach", items=["a"], body="Text"), "half": use("Half", a=link("loop"))}
    [found] = bench.problems(graph, {"Text": text})
    assert "(given: list[list[str]]; expected: float)" in found


# Lists


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"stop": 3}, [0, 1, 2]),
        ({"start": 2, "stop": 4}, [2, 3]),
        ({"start": 5, "stop": 0, "step": -2}, [5, 3, 1]),
        ({"stop": -1}, []),
    ],
)
def test_ranges(inputs: dict[str, int], expected: list[int]) -> None:
    assert lists.Numbers(**inputs) == expected


def test_items_are_counted_from_either_end() -> None:
    assert [lists.Item([1, 2, 3], at) for at in (0, 2, -1, -3)] == [1, 3, 3, 1]
    with raises(Exception, port="index", given="3"):
        lists.Item([1, 2, 3], 3)
