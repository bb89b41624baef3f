"""How two runs differ."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.observe.record import RunDifference, compare

NODE = {"type": "Sample", "status": "ran", "seconds": 2.0, "outputs": {"latent": "aa"}}
RECORD: dict[str, Any] = {
    "workflow": {
        "format": "nodegraph/1",
        "nodes": {
            "sample": {"type": "Sample", "inputs": {"seed": 3, "model": {"from": "load"}}},
            "load": {"type": "LoadModel", "inputs": {"name": "fox"}},
        },
        "subgraphs": {"Pair": {"nodes": {"first": {"type": "Add", "inputs": {"value": 1}}}}},
    },
    "environment": {"python": "3.11.1", "libraries": {"torch": "2.9"}, "packs": {}},
    "nodes": {"load": {**NODE, "type": "LoadModel", "outputs": {}}, "sample": NODE},
}


def changed(*path: str, to: Any) -> dict[str, Any]:
    copy = deepcopy(RECORD)
    place = copy
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = to
    return copy


def test_equal_runs_differ_in_nothing() -> None:
    found = compare(RECORD, RECORD)
    assert (found.inputs, found.environment) == ((), ())
    assert [(pair.name, pair.same_outputs, pair.ratio) for pair in found.nodes] == [
        ("load", None, 1.0),
        ("sample", True, 1.0),
    ]


@pytest.mark.parametrize(
    ("path", "value", "change"),
    [
        (["nodes", "sample", "inputs", "seed"], 4, RunDifference("sample.seed", 3, 4)),
        (["nodes", "sample", "inputs", "seed"], 3.0, RunDifference("sample.seed", 3, 3.0)),
        (["nodes", "sample", "inputs", "cfg"], None, RunDifference("sample.cfg", None, None)),
        (["nodes", "load", "type"], "Load", RunDifference("load (type)", "LoadModel", "Load")),
        (["nodes", "load", "mode"], "mute", RunDifference("load (mode)", None, "mute")),
        (["nodes", "save"], {"type": "Save"}, RunDifference("save", None, "Save")),
        (
            ["subgraphs", "Pair", "nodes", "first", "inputs", "value"],
            2,
            RunDifference("Pair/first.value", 1, 2),
        ),
    ],
)
def test_what_was_changed_in_the_workflow_is_named(
    path: list[str], value: Any, change: RunDifference
) -> None:
    assert compare(RECORD, changed("workflow", *path, to=value)).inputs == (change,)


def test_what_only_the_reader_sees_is_no_change() -> None:
    other = changed("workflow", "nodes", "load", "note", to="a remark")
    assert compare(RECORD, other).inputs == ()


def test_versions_that_differ_are_named() -> None:
    other = changed("environment", "libraries", "torch", to="2.10")
    assert compare(RECORD, other).environment == (RunDifference("libraries.torch", "2.9", "2.10"),)


def test_nodes_are_paired() -> None:
    other = changed("nodes", "sample", to={**NODE, "seconds": 3.0, "outputs": {"latent": "bb"}})
    del other["nodes"]["load"]
    other["nodes"]["save"] = {**NODE, "status": "cached"}
    load, sample, save = compare(RECORD, other).nodes
    assert (load.second, load.ratio, load.same_outputs) == (None, None, None)
    assert (sample.ratio, sample.same_outputs) == (1.5, False)
    assert (save.first, save.type) == (None, "Sample")


def test_times_are_compared_only_of_what_ran_twice() -> None:
    other = changed("nodes", "sample", to={**NODE, "status": "cached", "seconds": 0.0})
    assert compare(RECORD, other).nodes[1].ratio is None


def test_records_without_parts_are_compared_all_the_same() -> None:
    found = compare({}, RECORD)
    assert {pair.name for pair in found.nodes} == {"load", "sample"}
    assert compare({}, {}).as_dict() == {"inputs": [], "environment": [], "nodes": []}


INPUTS = st.dictionaries(
    st.sampled_from("abc"), st.integers(0, 2) | st.booleans() | st.floats(0, 2)
)


@given(INPUTS, INPUTS)
def test_comparing_the_other_way_round_swaps_old_and_new(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    first, second = (
        {"workflow": {"nodes": {"n": {"type": "N", "inputs": inputs}}}} for inputs in (one, other)
    )
    there = {
        (item.what, repr(item.first), repr(item.second)) for item in compare(first, second).inputs
    }
    back = {
        (item.what, repr(item.second), repr(item.first)) for item in compare(second, first).inputs
    }
    assert there == back
    assert bool(there) == (repr(sorted(one.items())) != repr(sorted(other.items())))
