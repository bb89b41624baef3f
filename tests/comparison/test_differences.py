"""Differences of workflows: few entries, and a patch that gives the second workflow."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.core.comparison.changes import WorkflowChange, apply_changes, diff
from nodegraph.core.comparison.fields import canonical, same
from nodegraph.core.workflow import Workflow
from tests.comparison.editing import Document, edited, random_workflow

PAIRS = 10_000

BASE: Document = {
    "format": "nodegraph/1",
    "parameters": {"seed": "sample.seed"},
    "nodes": {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "sample": {"type": "KSampler", "inputs": {"model": {"from": "load.model"}, "seed": 1}},
        "decode": {"type": "VAEDecode", "inputs": {"latent": {"from": "sample"}}},
    },
    "ui": {"positions": {"load": [0, 0], "sample": [9, 0]}},
}


def copied(document: Document = BASE) -> Document:
    return Workflow.from_dict(document).to_dict()


def kinds(changes: list[WorkflowChange]) -> list[tuple[str, str]]:
    return [(change.verb, change.kind) for change in changes]


def check_pair(seed: int) -> None:
    random = Random(seed)
    first = random_workflow(random)
    second, count = edited(first, random, random.randint(0, 6))
    changes = diff(first, second)
    assert len(changes) <= count, f"seed {seed}"
    assert same(apply_changes(changes, first), canonical(second)), f"seed {seed}"


@given(st.integers(0, 2**32))
def test_edits_give_no_more_entries_and_these_give_the_second_workflow(seed: int) -> None:
    check_pair(seed)


@pytest.mark.slow
def test_ten_thousand_pairs() -> None:
    for seed in range(PAIRS):
        check_pair(seed)


@given(st.integers(0, 2**32))
def test_any_two_workflows_have_a_patch(seed: int) -> None:
    random = Random(seed)
    first, second = random_workflow(random), random_workflow(random)
    assert same(apply_changes(diff(first, second), first), canonical(second))


def test_a_renamed_node_is_one_entry_with_all_that_names_it() -> None:
    second = copied()
    second["nodes"]["sampler"] = second["nodes"].pop("sample")
    second["nodes"]["decode"]["inputs"]["latent"] = {"from": "sampler"}
    second["parameters"] = {"seed": "sampler.seed"}
    second["ui"]["positions"]["sampler"] = second["ui"]["positions"].pop("sample")
    [change] = diff(BASE, second)
    assert (change.verb, change.before, change.after) == ("renamed", "sample", "sampler")


def test_two_nodes_that_change_their_names_are_two_entries_at_most() -> None:
    second = copied()
    nodes = second["nodes"]
    nodes["load"], nodes["sample"] = nodes["sample"], nodes["load"]
    nodes["load"]["inputs"]["model"] = {"from": "sample.model"}
    nodes["decode"]["inputs"]["latent"] = {"from": "load"}
    second["parameters"] = {"seed": "load.seed"}
    positions = second["ui"]["positions"]
    positions["load"], positions["sample"] = positions["sample"], positions["load"]
    changes = diff(BASE, second)
    assert kinds(changes) == [("renamed", "node")] * 2
    assert same(apply_changes(changes, BASE), canonical(second))


def test_a_removed_node_takes_the_links_to_it_along() -> None:
    second = copied()
    del second["nodes"]["sample"], second["nodes"]["decode"]["inputs"], second["parameters"]
    del second["ui"]["positions"]["sample"]
    [change] = diff(BASE, second)
    assert (change.verb, change.path) == ("removed", ("nodes", "sample"))
    assert ("nodes", "decode", "inputs", "latent") in change.moved


def test_a_link_that_leads_nowhere_is_told_by_what_it_was() -> None:
    second = copied()
    del second["nodes"]["sample"]
    changes = diff(BASE, second)
    assert kinds(changes) == [("removed", "node")]
    assert same(apply_changes(changes, BASE), canonical(second))


@pytest.mark.parametrize(
    ("path", "value", "kind"),
    [
        (("nodes", "load", "type"), "LoadCheckpoint", "type"),
        (("nodes", "load", "version"), 2, "version"),
        (("nodes", "load", "mode"), "mute", "mode"),
        (("nodes", "load", "note"), "Which one?", "note"),
        (("nodes", "load", "inputs", "model"), "other", "input"),
        (("nodes", "load", "inputs", "model"), {"from": "decode"}, "link"),
        (("parameters", "seed"), "load.seed", "parameter"),
        (("ui", "positions", "load"), [1, 1], "layout"),
        (("ui", "notes"), [{"id": "note_1", "text": "hello"}], "comment"),
        (("metadata",), {"models": []}, "model"),
        (("requires",), {"pack": ">=1"}, "requirement"),
        (("title",), "Apples", "title"),
    ],
)
def test_an_entry_has_its_kind(path: tuple[str, ...], value: Any, kind: str) -> None:
    second = copied()
    container: Any = second
    for key in path[:-1]:
        container = container.setdefault(key, {})
    container[path[-1]] = value
    [change] = diff(BASE, second)
    assert change.kind == kind
    assert change.is_quiet == (kind == "layout")


def test_one_and_true_are_different_values() -> None:
    second = copied()
    second["nodes"]["sample"]["inputs"]["seed"] = True
    assert kinds(diff(BASE, second)) == [("changed", "input")]


def test_the_order_of_nodes_is_no_difference() -> None:
    second = copied()
    second["nodes"] = dict(reversed(second["nodes"].items()))
    assert diff(BASE, second) == []


def test_the_order_of_groups_is_one() -> None:
    groups = [{"id": "group_1", "title": "A"}, {"id": "group_2", "title": "B"}]
    first, second = copied(), copied()
    first["ui"]["groups"], second["ui"]["groups"] = groups, groups[::-1]
    changes = diff(first, second)
    assert kinds(changes) == [("changed", "layout")]
    assert same(apply_changes(changes, first), canonical(second))
