"""Lists on single-valued inputs: the node runs once an item."""

from __future__ import annotations

import pytest

from nodegraph.api import node
from tests.engine.conftest import Bench, link


@node
def Range_(count: int) -> list[int]:
    """The numbers below."""
    return list(range(count))


@node
def Square(a: int) -> int:
    """Its square."""
    if a == 13:
        raise ValueError("unlucky")
    return a * a


@node
def Pair(a: int, b: int) -> str:
    """Both."""
    return f"{a}{b}"


@node
def Total(numbers: list[int]) -> int:
    """The sum of a list."""
    return sum(numbers)


@node
def Join(parts: list[str]) -> str:
    """One text."""
    return " ".join(parts)


@node
def Triangle(count: int) -> list[list[int]]:
    """Rows of 1, 2, 3, ... numbers."""
    return [list(range(row + 1)) for row in range(count)]


@pytest.fixture(autouse=True)
def nodes(bench: Bench) -> None:
    bench.add(Range_, Square, Pair, Total, Join, Triangle)


def numbers(count: int) -> dict[str, object]:
    return {"type": "Range_", "inputs": {"count": count}}


def test_a_list_maps_the_node_and_its_outputs_make_a_list(bench: Bench) -> None:
    graph = {
        "n": numbers(4),
        "s": {"type": "Square", "inputs": {"a": link("n")}},
        "t": {"type": "Total", "inputs": {"numbers": link("s")}},
    }
    assert bench.value(graph, "t.number") == 0 + 1 + 4 + 9


def test_two_lists_are_zipped_and_the_shorter_repeats_its_last(bench: Bench) -> None:
    graph = {
        "a": numbers(4),
        "b": numbers(2),
        "p": {"type": "Pair", "inputs": {"a": link("a"), "b": link("b")}},
    }
    assert bench.value(graph, "p.text") == ["00", "11", "21", "31"]


def test_an_empty_list_makes_an_empty_list(bench: Bench) -> None:
    graph = {"n": numbers(0), "s": {"type": "Square", "inputs": {"a": link("n")}}}
    assert bench.value(graph, "s.number") == []


def test_lists_of_lists_keep_their_shape(bench: Bench) -> None:
    graph = {
        "n": {"type": "Triangle", "inputs": {"count": 3}},
        "s": {"type": "Square", "inputs": {"a": link("n")}},
    }
    assert bench.value(graph, "s.number") == [[0], [0, 1], [0, 1, 4]]


def test_a_single_value_becomes_a_list_of_one(bench: Bench) -> None:
    graph = {
        "s": {"type": "Square", "inputs": {"a": 3}},
        "t": {"type": "Total", "inputs": {"numbers": link("s")}},
    }
    assert bench.value(graph, "t.number") == 9


def test_each_item_is_cached_by_itself(bench: Bench) -> None:
    graph = {"n": numbers(4), "s": {"type": "Square", "inputs": {"a": link("n")}}}
    bench.run(graph)
    longer = {**graph, "n": numbers(6)}
    report = bench.run(longer).nodes["s"]
    assert (report.calls, report.cached) == (6, 4)


def test_a_failing_item_is_named_by_its_place(bench: Bench) -> None:
    graph = {"n": numbers(15), "s": {"type": "Square", "inputs": {"a": link("n")}}}
    result = bench.run(graph)
    assert "node `s[13]` (Square): ValueError: unlucky" in str(result.errors[0])


def test_the_other_items_of_a_failing_list_stay_cached(bench: Bench) -> None:
    graph = {"n": numbers(15), "s": {"type": "Square", "inputs": {"a": link("n")}}}
    bench.run(graph)
    report = bench.run(graph).nodes["s"]
    assert (report.calls, report.cached) == (15, 14)
