"""Outputs that have no value this time: what depends on them is skipped without an error."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nodegraph.api import BLOCKED, Blocked, Expand, Lazy, Value, node
from nodegraph.core.digests import digest_value
from nodegraph.core.summary import summarize
from nodegraph.engine.cache import Cache, MemoryCache
from nodegraph.store.store import Store
from tests.engine.conftest import Bench, link

runs: list[tuple[str, Any]] = []


class Sorted(NamedTuple):
    even: int
    odd: int


@node
def Sort(a: int) -> Sorted:
    """A number at one of two outputs."""
    return Sorted(BLOCKED, a) if a % 2 else Sorted(a, BLOCKED)


@node
def Nothing(a: int) -> Sorted:
    """Neither output."""
    return BLOCKED  # type: ignore[no-any-return]


@node
def Negate(a: int) -> int:
    """The opposite."""
    runs.append(("Negate", a))
    return -a


@node
def Either(a: int, b: int | None = None) -> int:
    """One number, and maybe another."""
    return a + (b or 0)


@node
def Numbers(count: int) -> list[int]:
    """The odd ones below; the others are blocked."""
    return [at if at % 2 else BLOCKED for at in range(count)]


@node
def Total(numbers: list[int]) -> int:
    """The sum of a list."""
    return sum(numbers)


@node
def Whole(value: object) -> str:
    """A value in words."""
    return repr(value)


@node
async def Pick(first: bool, a: Lazy[int], b: Lazy[int]) -> int:
    """One of two."""
    return await a() if first else await b()


@node(output=True)
def Keep(a: int) -> None:
    """A sink."""
    runs.append(("Keep", a))


@pytest.fixture(autouse=True)
def nodes(bench: Bench) -> None:
    runs.clear()
    bench.add(Sort, Nothing, Negate, Either, Numbers, Total, Whole, Pick, Keep)


def sort(a: int, **more: Any) -> dict[str, Any]:
    return {"sort": {"type": "Sort", "inputs": {"a": a}}, **more}


def test_what_depends_on_a_blocked_output_is_skipped_silently(bench: Bench) -> None:
    graph = sort(
        4,
        even={"type": "Keep", "inputs": {"a": link("sort.even")}},
        odd={"type": "Keep", "inputs": {"a": link("sort.odd")}},
    )
    result = bench.run(graph, "even", "odd")
    assert result.status == "ok"
    assert not result.errors
    assert runs == [("Keep", 4)]
    assert (result.nodes["even"].status, result.nodes["odd"].status) == ("ran", "skipped")


def test_it_goes_on_along_the_links(bench: Bench) -> None:
    graph = sort(
        4,
        negate={"type": "Negate", "inputs": {"a": link("sort.odd")}},
        keep={"type": "Keep", "inputs": {"a": link("negate")}},
    )
    result = bench.run(graph)
    assert result.is_ok
    assert runs == []
    assert result.nodes["keep"].status == "skipped"


def test_one_value_may_block_all_outputs(bench: Bench) -> None:
    graph = {
        "none": {"type": "Nothing", "inputs": {"a": 1}},
        "sum": {"type": "Either", "inputs": {"a": link("none.even"), "b": link("none.odd")}},
    }
    result = bench.run(graph)
    assert result.is_ok
    assert "sum.number" not in result.outputs


def test_a_cached_blocked_output_blocks_as_well(bench: Bench) -> None:
    graph = sort(4, negate={"type": "Negate", "inputs": {"a": link("sort.odd")}})
    bench.run(graph)
    result = bench.run(graph)
    assert result.nodes["sort"].status == "cached"
    assert result.nodes["negate"].status == "skipped"
    assert runs == []


def test_calls_with_a_blocked_item_dont_run_and_give_blocked_items(bench: Bench) -> None:
    graph = {
        "numbers": {"type": "Numbers", "inputs": {"count": 6}},
        "negate": {"type": "Negate", "inputs": {"a": link("numbers")}},
        "total": {"type": "Total", "inputs": {"numbers": link("negate")}},
    }
    result = bench.run(graph, "negate", "total")
    assert result["total.number"] == -9
    assert result["negate.number"] == [BLOCKED, -1, BLOCKED, -3, BLOCKED, -5]
    assert sorted(runs) == [("Negate", 1), ("Negate", 3), ("Negate", 5)]


def test_a_list_that_is_taken_whole_comes_without_its_blocked_items(bench: Bench) -> None:
    graph = {
        "numbers": {"type": "Numbers", "inputs": {"count": 6}},
        "whole": {"type": "Whole", "inputs": {"value": link("numbers")}},
    }
    assert bench.value(graph, "whole.text") == "[1, 3, 5]"


def test_a_list_with_none_but_blocked_items_is_empty(bench: Bench) -> None:
    graph = {
        "numbers": {"type": "Numbers", "inputs": {"count": 1}},
        "total": {"type": "Total", "inputs": {"numbers": link("numbers")}},
    }
    assert bench.value(graph, "total.number") == 0


@pytest.mark.parametrize(("first", "expected"), [(True, "skipped"), (False, "ran")])
def test_a_lazy_input_blocks_only_who_asks_for_it(bench: Bench, first: bool, expected: str) -> None:
    inputs = {"first": first, "a": link("sort.odd"), "b": link("sort.even")}
    graph = sort(4, pick={"type": "Pick", "inputs": inputs})
    result = bench.run(graph)
    assert result.is_ok
    assert result.nodes["pick"].status == expected


def test_a_blocked_output_stays_blocked_where_a_link_converts_it(bench: Bench) -> None:
    @node
    def Half(number: float) -> float:
        """A half of it."""
        runs.append(("Half", number))
        return number / 2

    bench.add(Half)
    graph = sort(4, half={"type": "Half", "inputs": {"number": link("sort.odd")}})
    result = bench.run(graph)
    assert result.is_ok
    assert result.nodes["half"].status == "skipped"
    assert runs == []


def test_a_blocked_output_makes_no_list_of_one(bench: Bench) -> None:
    graph = sort(4, total={"type": "Total", "inputs": {"numbers": link("sort.odd")}})
    result = bench.run(graph)
    assert result.is_ok
    assert result.nodes["total"].status == "skipped"


# The value


def test_there_is_just_one() -> None:
    assert copy.copy(BLOCKED) is BLOCKED
    assert copy.deepcopy([BLOCKED])[0] is BLOCKED
    assert pickle.loads(pickle.dumps(BLOCKED)) is BLOCKED
    assert type(BLOCKED)() is BLOCKED


def test_it_has_a_digest_of_its_own_that_stays() -> None:
    assert digest_value(BLOCKED) == (
        "2dfc3ff29b365f68a8ff7111572db888470c1576a34bc0c2c3e9e5025dc13bf9"
    )
    assert digest_value([BLOCKED]) != digest_value([None])


def test_it_is_told_in_a_word() -> None:
    assert summarize(BLOCKED) == "blocked"
    assert summarize([BLOCKED, 1]) == "list of 2 (blocked, …)"


# With a message


@node
def Judge(a: int) -> Sorted:
    """A number at one output; the other says why it has none."""
    reason = Blocked(f"{a} has no such half")
    return Sorted(reason, a) if a % 2 else Sorted(a, reason)


@node
def Refuse(a: int) -> Sorted:
    """Neither output, with a reason."""
    return Blocked("refused")


@node
def Judged(count: int) -> list[int]:
    """The odd ones below; the others say why not."""
    return [at if at % 2 else Blocked(f"{at} is even") for at in range(count)]


@node
def Hand(a: int) -> Sorted:
    """Expand into one that blocks, through a node that doesn't run."""
    nodes = {
        "judge": {"type": "Judge", "inputs": {"a": a}},
        "even": {"type": "Negate", "inputs": {"a": link("judge.even")}},
        "odd": {"type": "Negate", "inputs": {"a": link("judge.odd")}},
    }
    return Expand(nodes, {"even": "even", "odd": "odd"})


@pytest.fixture(autouse=True)
def talking(bench: Bench) -> None:
    bench.add(Judge, Refuse, Judged, Hand)


def skips(bench: Bench) -> dict[str | None, dict[str, Any]]:
    return {each.node: dict(each.data) for each in bench.events if each.kind == "node.skipped"}


def behind(kind: str, port: str, sink: str = "Keep") -> dict[str, Any]:
    return {
        "judge": {"type": kind, "inputs": {"a": 3}},
        "first": {"type": "Negate", "inputs": {"a": link(f"judge.{port}")}},
        "second": {"type": "Negate", "inputs": {"a": link("first")}},
        "keep": {"type": sink, "inputs": {"a": link("second")}},
    }


@pytest.mark.parametrize("kind", ["Judge", "Hand", "Refuse"])
def test_a_sink_reports_why_it_did_not_run(bench: Bench, kind: str) -> None:
    message = "refused" if kind == "Refuse" else "3 has no such half"
    nodes = {**behind(kind, "even"), "other": {"type": "Keep", "inputs": {"a": 1}}}
    for _ in range(2):
        runs.clear()
        result = bench.run(nodes, "keep", "other")
        assert result.status == "ok"
        assert ("Keep", 1) in runs
        assert ("Keep", 3) not in runs
        assert result.nodes["keep"].status == "skipped"
        assert result.nodes["keep"].warnings == (f"did not run: {message}",)
        assert result.nodes["first"].warnings == result.nodes["second"].warnings == ()
        assert skips(bench)["keep"] == {"reason": "blocked", "message": message}
        assert "message" not in skips(bench)["second"]
        logs = [(each.node, each.data["message"]) for each in bench.events if each.kind == "log"]
        assert logs == [("keep", f"did not run: {message}")]


def test_a_silent_blocker_stays_silent(bench: Bench) -> None:
    result = bench.run(behind("Sort", "even"), "keep")
    assert result.nodes["keep"].warnings == ()
    assert "message" not in skips(bench)["keep"]
    assert bench.kinds("log") == []


def test_each_item_of_a_list_reports_its_own_reason(bench: Bench) -> None:
    nodes = {
        "n": {"type": "Judged", "inputs": {"count": 4}},
        "negate": {"type": "Negate", "inputs": {"a": link("n")}},
        "keep": {"type": "Keep", "inputs": {"a": link("negate")}},
        "total": {"type": "Total", "inputs": {"numbers": link("negate")}},
    }
    for _ in range(2):
        result = bench.run(nodes, "keep", "total")
        assert result["total"] == -4
        warned = result.nodes["keep"].warnings
        assert warned == ("did not run: 0 is even", "did not run: 2 is even")
        assert bench.kinds("log") == ["keep[0]", "keep[2]"]


def test_a_lazy_input_that_is_asked_for_hands_its_reason_on(bench: Bench) -> None:
    nodes = {
        **behind("Judge", "even"),
        "pick": {"type": "Pick", "inputs": {"first": True, "a": link("second"), "b": 1}},
        "last": {"type": "Keep", "inputs": {"a": link("pick")}},
    }
    assert bench.run(nodes, "last").nodes["last"].warnings == ("did not run: 3 has no such half",)
    nodes["pick"]["inputs"]["first"] = False
    assert bench.run(nodes, "last").nodes["last"].status == "ran"


def test_the_reason_is_stored_as_a_value_is(bench: Bench, tmp_path: Path) -> None:
    nodes = behind("Judge", "even")
    for status in ("ran", "cached"):
        with Store(tmp_path / "store") as store:
            bench.cache = Cache(MemoryCache(), store)
            engine = bench.new_engine()
            result = bench.run(nodes, "keep", engine=engine)
            assert result.nodes["judge"].status == status
            assert result.nodes["keep"].warnings == ("did not run: 3 has no such half",)
            store.flush()
            engine.close()


def test_a_blocker_is_the_same_content_whatever_its_message() -> None:
    said = Blocked("because")
    assert digest_value(said) == digest_value(BLOCKED)
    assert copy.deepcopy(said) == pickle.loads(pickle.dumps(said)) == said != BLOCKED
    assert Blocked() is BLOCKED is copy.deepcopy(BLOCKED) is pickle.loads(pickle.dumps(BLOCKED))
    assert summarize(said) == "blocked: because"
    assert len(Blocked("x" * 9000).message) == 2000
    with pytest.raises(TypeError, match="is a text"):
        Blocked(5)  # type: ignore[arg-type]


def test_reasons_in_a_list_are_stored_each(bench: Bench, tmp_path: Path) -> None:
    nodes = {
        "n": {"type": "Judged", "inputs": {"count": 4}},
        "keep": {"type": "Keep", "inputs": {"a": link("n")}},
    }
    for status in ("ran", "cached"):
        with Store(tmp_path / "store") as store:
            bench.cache = Cache(MemoryCache(), store)
            engine = bench.new_engine()
            result = bench.run(nodes, "keep", engine=engine)
            assert result.nodes["n"].status == status
            assert result.nodes["keep"].warnings == (
                "did not run: 0 is even",
                "did not run: 2 is even",
            )
            store.flush()
            engine.close()


@node
def Expanded(kind: str) -> Sorted:
    """A graph with an output that is not one of its nodes."""
    wrong = {"blocked": Blocked("no face"), "number": 5}[kind]
    return Expand({}, {"even": wrong, "odd": Value(1)})


def test_a_graph_may_have_blocked_outputs(bench: Bench) -> None:
    bench.add(Expanded)
    nodes = {
        "e": {"type": "Expanded", "inputs": {"kind": "blocked"}},
        "keep": {"type": "Keep", "inputs": {"a": link("e.even")}},
    }
    for _ in range(2):
        result = bench.run(nodes)
        assert (result.status, result.nodes["keep"].status) == ("ok", "skipped")
        assert result.nodes["keep"].warnings == ("did not run: no face",)
    nodes["e"]["inputs"] = {"kind": "number"}
    [error] = bench.run(nodes).errors
    assert "output `even` is neither an output nor a value" in error.problem.message
