"""Variations of a workflow that differ in their seeds."""

from __future__ import annotations

from typing import Annotated, Any

import pytest

from nodegraph import Seed, node
from nodegraph.cli.variations import parse_seeds, with_incremented_seeds, with_seeds
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue
from nodegraph.packs.registry import Registry
from tests.messages import raises


@node
def Draw(seed: Annotated[int, Seed()] = 5) -> int:
    return seed


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    registry.add(Draw)
    return registry


def workflow(nodes: dict[str, Any], **more: Any) -> Workflow:
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes, **more})


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("7", [7]), ("1,2,5-8", [1, 2, 5, 6, 7, 8]), (" 3 , 3", [3, 3]), ("4-4", [4])],
)
def test_seeds_are_read_from_a_list(text: str, seeds: list[int]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "1,,2", "-1", "8-5", "1-", "0-999999", str(2**64)])
def test_what_is_no_list_of_seeds_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_seeds(text)


def test_literal_seeds_and_defaults_count_up(registry: Registry) -> None:
    made = workflow(
        {
            "written": {"type": "Draw", "inputs": {"seed": 9}},
            "wrapped": {"type": "Draw", "inputs": {"seed": {"value": 1}}},
            "default": {"type": "Draw"},
            "linked": {"type": "Draw", "inputs": {"seed": {"from": "written"}}},
        }
    )
    seeds = [variation.seeds for variation in with_incremented_seeds(made, registry, 2)]
    assert seeds == [
        {"written.seed": 9, "wrapped.seed": 1, "default.seed": 5},
        {"written.seed": 10, "wrapped.seed": 2, "default.seed": 6},
    ]
    assert made.nodes["written"].inputs == {"seed": 9}


def test_the_largest_seed_is_followed_by_zero(registry: Registry) -> None:
    made = workflow({"draw": {"type": "Draw", "inputs": {"seed": 2**64 - 1}}})
    assert with_incremented_seeds(made, registry, 2)[1].seeds == {"draw.seed": 0}


def test_given_seeds_are_set_everywhere(registry: Registry) -> None:
    made = workflow({"one": {"type": "Draw"}, "two": {"type": "Draw", "inputs": {"seed": 3}}})
    (variation,) = with_seeds(made, registry, [42])
    assert {entry.inputs["seed"] for entry in variation.workflow.nodes.values()} == {42}
    assert variation.title == "seed 42"


def test_seeds_inside_and_outside_of_subgraphs_are_set(registry: Registry) -> None:
    made = workflow(
        {"block": {"type": "Two", "inputs": {"outer": 1}}},
        subgraphs={
            "Two": {
                "inputs": {"outer": {"to": ["fed.seed"]}},
                "outputs": {"number": "fed"},
                "nodes": {"fed": {"type": "Draw"}, "own": {"type": "Draw", "inputs": {"seed": 3}}},
            }
        },
    )
    (variation,) = with_seeds(made, registry, [8])
    assert variation.seeds == {"block.outer": 8, "Two/own.seed": 8}


def test_without_a_seed_there_is_nothing_to_set(registry: Registry) -> None:
    with raises(InvalidValue):
        with_seeds(workflow({"unknown": {"type": "Nonsense"}}), registry, [1])


def test_far_too_many_runs_are_refused() -> None:
    with raises(InvalidValue):
        with_incremented_seeds(Workflow(), Registry(), 999_999_999)
