"""Topological order, and cycles where there is none."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.core.graph import topological_order
from tests.properties import examples

GRAPHS = st.integers(1, 12).flatmap(
    lambda count: st.dictionaries(
        st.integers(0, count - 1).map(str),
        st.lists(st.integers(0, count - 1).map(str), max_size=3),
    ).map(lambda needs: {str(name): needs.get(str(name), []) for name in range(count)})
)


@settings(max_examples=examples(200), deadline=None)
@given(GRAPHS)
def test_every_name_comes_after_what_it_needs_or_a_cycle_is_told(
    needs: dict[str, list[str]],
) -> None:
    order, cycles = topological_order(needs)
    for cycle in cycles:
        assert cycle[0] == cycle[-1]
        assert all(first in needs[second] for first, second in pairwise(cycle))
    members = {name for cycle in cycles for name in cycle}
    assert sorted([*order, *members]) == sorted(needs)
    place = {name: at for at, name in enumerate(order)}
    for name in order:
        assert all(place[other] < place[name] for other in needs[name] if other not in members)


@settings(max_examples=examples(100), deadline=None)
@given(GRAPHS)
def test_without_backward_links_there_is_no_cycle(needs: dict[str, list[str]]) -> None:
    forward = {
        name: [other for other in others if int(other) < int(name)]
        for name, others in needs.items()
    }
    order, cycles = topological_order(forward)
    assert len(order) == len(needs)
    assert not cycles


def test_separate_cycles_are_all_told_from_their_earliest_member() -> None:
    needs = {"a": ["c"], "b": ["a"], "c": ["b"], "x": ["y", "a"], "y": ["x"], "z": ["z"]}
    assert topological_order(needs)[1] == [["a", "b", "c", "a"], ["x", "y", "x"], ["z", "z"]]


def test_of_very_many_cycles_the_first_are_told() -> None:
    assert len(topological_order({str(name): [str(name)] for name in range(500)})[1]) == 20
