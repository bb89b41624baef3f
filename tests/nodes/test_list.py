"""Lists for mapping."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from nodegraph_nodes.list import (
    ChunkList,
    CrossLists,
    Lines,
    MakeList,
    NumberList,
    NumberRange,
    PartOfList,
    ReorderList,
    RepeatItems,
    UniqueItems,
)

from nodegraph.errors import InvalidValue
from tests.messages import raises
from tests.nodes.conftest import Bench, link


def test_lines_leave_out_empty_ones_and_space_around() -> None:
    assert Lines(" a red apple \n\n\n a fox\n") == ["a red apple", "a fox"]


def test_no_text_is_no_lines() -> None:
    assert Lines("") == []


def test_a_list_is_made_of_values_and_of_lists() -> None:
    assert MakeList(1, None, ["a", [2]], item_8=0) == [1, "a", [2], 0]


def test_numbers_as_they_are_written() -> None:
    assert NumberList("1, 2.5;-3\n 4e-1") == [1.0, 2.5, -3.0, 0.4]
    assert NumberList("") == []
    with raises(InvalidValue, port="numbers", given="two"):
        NumberList("1, two")


def test_numbers_between_two() -> None:
    assert NumberRange(0.0, 1.0, 5) == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert NumberRange(2.0, -2.0, 2) == [2.0, -2.0]
    assert NumberRange(3.0, 9.0, 1) == [3.0]


@given(st.lists(st.integers()), st.integers(-9, 9), st.integers(-9, 9) | st.none())
def test_a_part_is_python_s(items: list[int], start: int, stop: int | None) -> None:
    assert PartOfList(items, start, stop) == items[start:stop]
    assert PartOfList(items, 0, None, -1) == items[::-1]


@given(st.lists(st.integers()), st.integers(0, 2**64 - 1))
def test_another_order_has_the_same_items(items: list[int], seed: int) -> None:
    assert ReorderList(items) == items[::-1]
    assert ReorderList(items, "sorted downwards") == sorted(items, reverse=True)
    shuffled = ReorderList(items, "shuffled", seed)
    assert shuffled == ReorderList(items, "shuffled", seed)
    assert sorted(shuffled) == sorted(items)


def test_texts_are_sorted_whatever_their_case() -> None:
    assert ReorderList(["b", "A", "a", "B"], "sorted") == ["A", "a", "B", "b"]
    with raises(InvalidValue, port="items"):
        ReorderList([1, "a"], "sorted")


def test_each_item_once() -> None:
    picture = torch.ones(1, 2, 2, 3)
    found = UniqueItems(["a", picture, "b", picture.clone(), "a", 1, 1.0])
    assert found[0] == "a"
    assert found[1] is picture
    assert found[2:] == ["b", 1, 1.0]


def test_items_again() -> None:
    assert RepeatItems([1, 2], 2) == [1, 2, 1, 2]
    assert RepeatItems([1, 2], 2, each=True) == [1, 1, 2, 2]
    assert RepeatItems([1], 0) == []
    with raises(InvalidValue, port="times", given="10000000"):
        RepeatItems([0] * 1000, 10_000)


def test_pairs_come_row_by_row() -> None:
    assert CrossLists([1, 2], ["a", "b"]) == ([1, 1, 2, 2], ["a", "b", "a", "b"])
    assert CrossLists([], [1]) == ([], [])


def test_parts_of_a_list() -> None:
    assert ChunkList([1, 2, 3], 2) == [[1, 2], [3]]
    assert ChunkList([], 2) == []


def test_a_node_with_a_list_runs_once_for_each_part(bench: Bench) -> None:
    nodes = {
        "lines": {"type": "Lines", "inputs": {"text": "a\nb\nc"}},
        "chunks": {"type": "ChunkList", "inputs": {"items": link("lines"), "size": 2}},
        "join": {"type": "JoinTexts", "inputs": {"texts": link("chunks")}},
    }
    assert bench.value(nodes, "join.text") == ["a, b", "c"]
