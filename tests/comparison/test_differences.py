"""Differences of workflows: few entries, and a patch that gives the second workflow."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.core.comparison.changes import WorkflowChange, apply_changes, diff
from nodegraph.core.comparison.fields import canonical, same
from nodegraph.core.workflow import Workflow
from tests.comparison.editing import Document, calls_of, edited, random_workflow, with_other_names

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


def check_names(first: Document, names: dict[str, str]) -> None:
    """The difference of a document and the same with other names has one entry for each name."""
    second = with_other_names(first, names)
    changes = diff(first, second)
    assert len(changes) <= sum(old != new for old, new in names.items())
    assert same(apply_changes(changes, first), canonical(second))


@given(st.integers(0, 2**32), st.booleans())
def test_exchanged_names_are_one_entry_each(seed: int, is_open: bool) -> None:
    random = Random(seed)
    first = random_workflow(random)
    names = random.sample([*first["nodes"]], random.randint(1, min(4, len(first["nodes"]))))
    others = [*names[1:], "another"] if is_open else random.sample(names, len(names))
    check_names(first, dict(zip(names, others, strict=True)))


def test_two_nodes_of_one_type_that_change_their_names_are_two_entries() -> None:
    first = copied()
    first["nodes"]["other"] = {"type": "KSampler", "inputs": {"seed": 5, "steps": 30, "cfg": 2}}
    check_names(first, {"sample": "other", "other": "sample"})


def equal_nodes(count: int) -> Document:
    """Nodes that are equal in all but their names."""
    nodes = {f"n{at}": {"type": "Note", "inputs": {"text": "a"}} for at in range(count)}
    return {"format": "nodegraph/1", "nodes": nodes}


def equal_chain(count: int, *, seeds: bool = False) -> Document:
    """Nodes of one type that each use the one before."""
    nodes: Document = {"n0": {"type": "Load"}}
    for at in range(1, count):
        inputs = {"image": {"from": f"n{at - 1}.image"}, "seed": at if seeds else 1}
        nodes[f"n{at}"] = {"type": "Blur", "inputs": inputs}
    return {"format": "nodegraph/1", "nodes": nodes}


def wide(count: int) -> Document:
    """Random nodes of one type with links to nodes before."""
    random = Random(count)
    nodes: Document = {}
    for at in range(count):
        links = {
            port: {"from": f"n{random.randrange(at)}.out"}
            for port in "abc"
            if at and random.random() < 0.5
        }
        nodes[f"n{at}"] = {"type": "Mix", "inputs": {**links, "d": random.randint(0, 2)}}
    return {"format": "nodegraph/1", "nodes": nodes}


LARGE = [equal_nodes(1000), equal_chain(1000), equal_chain(1000, seeds=True), wide(1000)]


@pytest.mark.parametrize("first", LARGE)
def test_each_renamed_node_is_one_entry_in_a_large_workflow(first: Document) -> None:
    check_names(first, {name: f"new_{name}" for name in first["nodes"]})


@pytest.mark.parametrize("first", LARGE)
def test_numbers_in_names_that_all_rise_are_one_entry_each(first: Document) -> None:
    check_names(first, {name: f"n{int(name[1:]) + 1}" for name in first["nodes"]})


@pytest.mark.parametrize("first", LARGE[1:3])
def test_a_renamed_and_edited_node_is_found_beside_its_neighbors(first: Document) -> None:
    second = with_other_names(first, {name: f"new_{name}" for name in first["nodes"]})
    edits = [*second["nodes"].values()][::7]
    for node in edits:
        node.setdefault("inputs", {})["strength"] = 0.5
    changes = diff(first, second)
    assert len(changes) <= 1000 + len(edits)


def calls_of_diff(first: Document) -> int:
    """How many function calls a difference makes: its time, on any machine."""
    second = with_other_names(first, {name: f"new_{name}" for name in first["nodes"]})
    return calls_of(lambda: diff(first, second))


@pytest.mark.parametrize("made", [equal_nodes, equal_chain, wide])
def test_the_time_of_a_difference_grows_with_the_workflow(made: Any) -> None:
    assert calls_of_diff(made(400)) < 5 * calls_of_diff(made(100))


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


WITH_BLOCK: Document = {
    "format": "nodegraph/1",
    "parameters": {"words": "first.text"},
    "nodes": {
        "first": {"type": "Picture", "inputs": {"text": "a", "seed": 1}},
        "second": {"type": "Picture", "inputs": {"text": {"from": "first.image"}}},
        "loop": {"type": "ForEach", "inputs": {"body": "Picture", "text": "each"}},
        "save": {"type": "Save", "inputs": {"image": {"from": "second.image"}}},
    },
    "subgraphs": {
        "Picture": {
            "inputs": {"text": {"to": ["encode.text"]}, "seed": {"to": ["encode.seed"]}},
            "outputs": {"image": "decode.image"},
            "nodes": {"encode": {"type": "Encode"}, "decode": {"type": "Decode"}},
        },
        "Outer": {
            "inputs": {"text": {"to": ["inner.text"]}},
            "outputs": {"image": "inner.image"},
            "nodes": {"inner": {"type": "Picture"}},
        },
    },
    "ui": {
        "seeds": {"first.text": "random"},
        "shown": {"first": ["text"]},
        "reroutes": {"second.text": [[1, 2]]},
    },
}


def with_renamed_input() -> Document:
    second = copied(WITH_BLOCK)
    inner = second["subgraphs"]["Picture"]["inputs"]
    inner["prompt"] = inner.pop("text")
    for name in ("first", "second", "loop"):
        inputs = second["nodes"][name]["inputs"]
        inputs["prompt"] = inputs.pop("text")
    second["subgraphs"]["Outer"]["inputs"]["text"]["to"] = ["inner.prompt"]
    second["parameters"]["words"] = "first.prompt"
    second["ui"] = {
        "seeds": {"first.prompt": "random"},
        "shown": {"first": ["prompt"]},
        "reroutes": {"second.prompt": [[1, 2]]},
    }
    return second


def test_a_renamed_input_of_a_subgraph_is_one_entry_with_all_that_names_it() -> None:
    second = with_renamed_input()
    changes = diff(WITH_BLOCK, second)
    [change] = changes
    assert (change.verb, change.kind) == ("renamed", "subgraph input")
    assert (change.before, change.after) == ("text", "prompt")
    assert ("nodes", "first") in change.moved
    assert same(apply_changes(changes, WITH_BLOCK), canonical(second))


def test_a_renamed_output_of_a_subgraph_is_one_entry_without_its_links() -> None:
    second = copied(WITH_BLOCK)
    second["subgraphs"]["Picture"]["outputs"] = {"picture": "decode.image"}
    second["subgraphs"]["Outer"]["outputs"] = {"image": "inner.picture"}
    second["nodes"]["second"]["inputs"]["text"] = {"from": "first.picture"}
    second["nodes"]["save"]["inputs"]["image"] = {"from": "second.picture"}
    changes = diff(WITH_BLOCK, second)
    assert kinds(changes) == [("renamed", "subgraph output")]
    assert same(apply_changes(changes, WITH_BLOCK), canonical(second))


def test_a_node_that_keeps_the_old_name_of_a_port_is_an_entry() -> None:
    second = with_renamed_input()
    inputs = second["nodes"]["second"]["inputs"]
    inputs["text"] = inputs.pop("prompt")
    second["ui"]["reroutes"] = copied(WITH_BLOCK)["ui"]["reroutes"]
    changes = diff(WITH_BLOCK, second)
    assert kinds(changes) == [("renamed", "subgraph input")]
    assert ("nodes", "second") not in changes[0].moved
    assert same(apply_changes(changes, WITH_BLOCK), canonical(second))


def test_a_renamed_parameter_is_one_entry() -> None:
    second = copied()
    second["parameters"] = {"noise": "sample.seed"}
    [change] = diff(BASE, second)
    assert (change.verb, change.kind, change.after) == ("renamed", "parameter", "noise")


def test_comments_follow_a_renamed_node() -> None:
    first = copied()
    first["ui"]["comments"] = [{"id": "comment_1", "node": "load", "text": "Which?"}]
    second = json.loads(json.dumps(first).replace('"load', '"open'))
    changes = diff(first, second)
    assert kinds(changes) == [("renamed", "node")]
    assert same(apply_changes(changes, first), canonical(second))


def test_a_link_that_leads_nowhere_is_no_entry_besides_its_node() -> None:
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


def looped(name: str = "Body", text: str = "Body") -> Document:
    """A loop with a subgraph as its body, and a text that is the name of the subgraph."""
    block = {
        "inputs": {"item": {"to": ["inner.text"]}},
        "outputs": {"result": "inner.out"},
        "nodes": {"inner": {"type": "Encode", "inputs": {"text": "x"}}},
    }
    return {
        "format": "nodegraph/1",
        "nodes": {
            "loop": {"type": "ForEach", "inputs": {"body": name, "items": [1, 2]}},
            "prompt": {"type": "Prompt", "inputs": {"text": text}},
        },
        "subgraphs": {name: block},
    }


def test_a_renamed_body_of_a_loop_is_one_entry() -> None:
    first, second = looped("Body"), looped("Renamed")
    changes = diff(first, second)
    assert kinds(changes) == [("renamed", "subgraph")]
    assert same(apply_changes(changes, first), canonical(second))
    assert apply_changes(changes, first)["nodes"]["prompt"]["inputs"]["text"] == "Body"


def test_a_renamed_body_is_one_entry_beside_other_changes_of_loops() -> None:
    first, second = looped("Body"), looped("Renamed")
    second["nodes"]["loop"]["inputs"]["items"] = [3]
    second["nodes"]["other"] = {"type": "ForEach", "inputs": {"body": "Renamed"}}
    changes = diff(first, second)
    assert kinds(changes) == [("renamed", "subgraph"), ("added", "node"), ("changed", "input")]
    assert same(apply_changes(changes, first), canonical(second))
