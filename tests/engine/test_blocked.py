"""Outputs that have no value this time: what depends on them is skipped without an error."""

from __future__ import annotations

import copy
import pickle
from typing import Any, NamedTuple

import pytest

from nodegraph.api import BLOCKED, Lazy, node
from nodegraph.core.digests import digest_value
from nodegraph.core.summary import summarize
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
