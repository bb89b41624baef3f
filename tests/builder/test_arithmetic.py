"""Reckoning with outputs: operators add a node that works the expression out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nodegraph import Graph
from tests.messages import raises


def value(g: Graph, output: Any) -> Any:
    """What an output gives in a run."""
    shown = g.Item(items=g.List(item_1=output), index=0)
    return g.run(shown).outputs[f"{shown}.output"]


WHOLE: list[Callable[[Any], Any]] = [
    lambda n: n + 1,
    lambda n: 1 - n,
    lambda n: n * 2 + 8,
    lambda n: (n * 2 + 8) // 16 * 16,
    lambda n: -n % 5,
    lambda n: n - -3,
    lambda n: n * (n + 1) * (n + 2),
    lambda n: np.int64(3) * n,
]
FRACTIONS: list[Callable[[Any], Any]] = [
    lambda n: n / 4,
    lambda n: 1 / n,
    lambda n: n**2 * 0.5,
    lambda n: 2.0**-n,
    lambda n: n + 0.5,
]


@pytest.mark.parametrize("index", range(len(WHOLE)))
def test_whole_numbers_stay_whole(g: Graph, index: int) -> None:
    made = WHOLE[index](g.Integer(value=13))
    assert str(made) == "formula.integer"
    assert value(g, made) == WHOLE[index](13)


@pytest.mark.parametrize("index", range(len(FRACTIONS)))
def test_fractions_are_told_apart(g: Graph, index: int) -> None:
    made = FRACTIONS[index](g.Integer(value=13))
    assert str(made) == "formula.number"
    assert value(g, made) == pytest.approx(FRACTIONS[index](13))


def test_seeds_are_exact(g: Graph) -> None:
    seed = 2**64 - 100
    assert value(g, g.Seed(seed=seed) + 1) == seed + 1


@pytest.mark.parametrize("name", [None, "formula"])
def test_a_node_keeps_its_name_from_those_that_are_added_for_it(g: Graph, name: str | None) -> None:
    count = g.Integer(value=3)
    doubled = g.Formula(name, expression="a * 2", a=count + 1)
    assert list(g) == ["integer", "formula_2", "formula"]
    assert g.run(g.List(item_1=[count, doubled.integer]))["list"] == [3, 8]


def test_a_sum_of_many_is_quick(g: Graph) -> None:
    total = sum(g.Integer(value=each) for each in range(100))
    assert value(g, total) == sum(range(100))


def test_an_expression_is_one_node(g: Graph) -> None:
    size = g.ImageSize(image=g.EmptyImage(width=64, height=32))
    g.EmptyLatent(width=size.width * 2, height=(size.width + size.height) * 4 - 64)
    assert {name: entry.inputs for name, entry in g.nodes.items() if entry.type == "Formula"} == {
        "formula": {"expression": "a * 2", "a": {"from": "image_size.width"}},
        "formula_2": {
            "expression": "((a + b) * 4) - 64",
            "a": {"from": "image_size.width"},
            "b": {"from": "image_size.height"},
        },
    }


def test_one_that_is_too_large_is_several(g: Graph) -> None:
    numbers = [g.Integer(value=2**at) for at in range(6)]
    total = numbers[0]
    for number in numbers[1:]:
        total = total + number
    assert value(g, total * total) == 63**2
    assert sum(entry.type == "Formula" for entry in g.nodes.values()) == 2


def test_nothing_is_added_for_what_is_not_used(g: Graph) -> None:
    assert repr((g.Integer(value=1) + 1) * 2) == "<calculation (integer + 1) * 2>"
    assert "formula" not in Graph.from_json(g.to_json())


def test_lists_are_reckoned_with_item_by_item(g: Graph) -> None:
    squares = g.Range(stop=4) * g.Range(stop=4)
    assert g.run(squares).outputs["formula.integer"] == [0, 1, 4, 9]


def test_only_numbers_are_reckoned_with(g: Graph) -> None:
    image = g.EmptyImage()
    with raises(TypeError):
        image * 2
    with pytest.raises(TypeError, match="unsupported operand"):
        g.Integer() + "1"


def test_an_input_of_a_subgraph_is_told_from_a_node_called_like_it(g: Graph) -> None:
    block = g.subgraph("block")
    number = block.input("item", "int")
    item = block.Item(items=[7, 8, 9], index=0)
    block.output("result", block.Calculate(a=number * 10 + item, operation="+", b=0))
    loop = g.ForEach(items=[1, 2], body=block)
    assert repr(number + item) == "<calculation item + item>"
    assert g.run(loop)["for_each.results"] == [17, 27]
