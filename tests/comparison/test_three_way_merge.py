"""Three-way merges: what differs is kept from both sides, and what collides is reported."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.core.comparison.changes import apply_changes, diff
from nodegraph.core.comparison.fields import (
    ABSENT,
    canonical,
    same,
    scope_of,
    scope_path,
    to_fields,
)
from nodegraph.core.comparison.references import references
from nodegraph.core.comparison.three_way_merge import merge
from nodegraph.core.workflow import Workflow
from tests.comparison.editing import (
    LOOP,
    Document,
    calls_of,
    edited,
    random_value,
    random_workflow,
    with_other_names,
)
from tests.comparison.test_differences import BASE, WITH_BLOCK, copied, looped, with_renamed_input

MERGES = 1000


def dangling(document: Document) -> set[object]:
    """References to nodes that are not there."""
    fields = to_fields(document)
    return {
        (path, name)
        for path, value in fields.items()
        if path[0] != "ui"
        for name in references(path, value)
        if (*scope_path(scope_of(path)), "nodes", name) not in fields
    }


def without_subgraphs(document: Document) -> set[object]:
    """Bodies of loops, and types of nodes that are subgraphs, which are not there."""
    blocks = document.get("subgraphs", {})
    names = {
        (name, key, value)
        for name, node in document["nodes"].items()
        for key, value in (("type", node["type"]), (LOOP, node.get("inputs", {}).get(LOOP)))
        if isinstance(value, str) and value.startswith(("Block", "Renamed"))
    }
    return {each for each in names if each[2] not in blocks}


def check_disjoint(seed: int) -> None:
    """Each side sets inputs and labels of its own half of the nodes, and adds nodes."""
    random = Random(seed)
    base = random_workflow(random)
    sides = [Workflow.from_dict(base).to_dict() for _ in range(2)]
    for at, name in enumerate(base["nodes"]):
        node = sides[at % 2]["nodes"][name]
        if random.random() < 0.6:
            node.setdefault("inputs", {})["strength"] = f"{seed} {name}"
        if random.random() < 0.4:
            node["label"] = f"label of {name}"
    for at, side in enumerate(sides):
        side["nodes"][f"added{at}"] = {"type": f"Type{at}", "inputs": {"a": random_value(random)}}
    ours, theirs = sides
    merged = merge(base, ours, theirs)
    assert merged.conflicts == (), f"seed {seed}"
    expected = apply_changes(diff(base, theirs), ours)
    assert same(merged.document, canonical(expected)), f"seed {seed}"


def check_conflicting(seed: int) -> None:
    """Both sides set the same input of some nodes: each is reported with both values."""
    random = Random(seed)
    base = random_workflow(random)
    ours, theirs = (Workflow.from_dict(base).to_dict() for _ in range(2))
    touched = random.sample([*base["nodes"]], random.randint(1, len(base["nodes"])))
    for name in touched:
        for side, value in ((ours, "ours"), (theirs, "theirs")):
            side["nodes"][name].setdefault("inputs", {})["strength"] = f"{value} {name}"
    merged = merge(base, ours, theirs)
    reported = {each.path: (each.ours, each.theirs) for each in merged.conflicts}
    assert reported == {
        ("nodes", name, "inputs", "strength"): (f"ours {name}", f"theirs {name}")
        for name in touched
    }, f"seed {seed}"
    assert same(merged.document, canonical(ours)), f"seed {seed}"


def check_any(seed: int) -> None:
    """Whatever both sides did: no broken file, and no change of theirs is lost in silence."""
    random = Random(seed)
    base = random_workflow(random)
    ours, theirs = (edited(base, random, random.randint(0, 4))[0] for _ in range(2))
    merged = merge(base, ours, theirs)
    Workflow.from_dict(merged.document)
    own = dangling(canonical(ours)) | dangling(canonical(theirs))
    assert dangling(merged.document) <= own, f"seed {seed}"
    lost = without_subgraphs(canonical(ours)) | without_subgraphs(canonical(theirs))
    assert without_subgraphs(merged.document) <= lost, f"seed {seed}"
    if not merged.conflicts:
        back = merge(base, theirs, ours)
        assert back.conflicts == (), f"seed {seed}"
        assert same(back.document, merged.document), f"seed {seed}"
    assert same(merge(base, ours, base).document, canonical(ours)), f"seed {seed}"
    assert same(merge(base, base, theirs).document, canonical(theirs)), f"seed {seed}"
    assert same(merge(base, ours, ours).document, canonical(ours)), f"seed {seed}"


@given(st.integers(0, 2**32))
def test_disjoint_edits_are_all_kept(seed: int) -> None:
    check_disjoint(seed)


@given(st.integers(0, 2**32))
def test_conflicting_edits_are_all_reported(seed: int) -> None:
    check_conflicting(seed)


@given(st.integers(0, 2**32))
def test_no_merge_breaks_a_workflow_or_depends_on_the_side(seed: int) -> None:
    check_any(seed)


@pytest.mark.slow
def test_a_thousand_merges() -> None:
    for seed in range(MERGES):
        check_disjoint(seed)
        check_conflicting(seed)
        check_any(seed)


def test_a_renamed_node_keeps_what_the_other_side_changed_in_it() -> None:
    ours, theirs = copied(), copied()
    ours["nodes"]["sampler"] = ours["nodes"].pop("sample")
    ours["nodes"]["decode"]["inputs"]["latent"] = {"from": "sampler"}
    ours["parameters"] = {"seed": "sampler.seed"}
    theirs["nodes"]["sample"]["inputs"]["steps"] = 30
    theirs["nodes"]["preview"] = {"type": "Preview", "inputs": {"latent": {"from": "sample"}}}
    merged = merge(BASE, ours, theirs)
    assert merged.conflicts == ()
    assert merged.document["nodes"]["sampler"]["inputs"]["steps"] == 30
    assert merged.document["nodes"]["preview"]["inputs"]["latent"] == {"from": "sampler"}


def test_a_renamed_port_of_a_subgraph_keeps_what_the_other_side_gives_it() -> None:
    ours, theirs = with_renamed_input(), copied(WITH_BLOCK)
    theirs["nodes"]["first"]["inputs"]["text"] = "b"
    theirs["nodes"]["third"] = {"type": "Picture", "inputs": {"text": "c"}}
    for merged in (merge(WITH_BLOCK, ours, theirs), merge(WITH_BLOCK, theirs, ours)):
        assert merged.conflicts == ()
        nodes = merged.document["nodes"]
        assert nodes["first"]["inputs"]["prompt"] == "b"
        assert nodes["third"]["inputs"] == {"prompt": "c"}


def test_two_new_names_of_one_port_are_a_conflict() -> None:
    sides = []
    for name in ("prompt", "words"):
        side = copied(WITH_BLOCK)
        inputs = side["subgraphs"]["Picture"]["inputs"]
        inputs[name] = inputs.pop("text")
        sides.append(side)
    merged = merge(WITH_BLOCK, *sides)
    [conflict] = merged.conflicts
    assert (conflict.kind, conflict.ours, conflict.theirs) == ("subgraph input", "prompt", "words")
    assert "prompt" in merged.document["subgraphs"]["Picture"]["inputs"]


def test_a_node_that_one_side_removed_and_the_other_changed_is_a_conflict() -> None:
    removed, changed = copied(), copied()
    del removed["nodes"]["decode"]
    changed["nodes"]["decode"]["label"] = "New"
    [conflict] = merge(BASE, removed, changed).conflicts
    assert (conflict.path, conflict.ours) == (("nodes", "decode"), ABSENT)
    assert conflict.theirs["label"] == "New"
    kept = merge(BASE, changed, removed)
    assert len(kept.conflicts) == 1
    assert kept.document["nodes"]["decode"]["label"] == "New"


def test_a_link_to_a_node_that_the_other_side_removed_is_a_conflict() -> None:
    removed, linked = copied(), copied()
    del removed["nodes"]["sample"], removed["nodes"]["decode"]["inputs"], removed["parameters"]
    linked["nodes"]["preview"] = {"type": "Preview", "inputs": {"latent": {"from": "sample"}}}
    ours = merge(BASE, removed, linked)
    assert [each.path for each in ours.conflicts] == [("nodes", "preview", "inputs", "latent")]
    assert ours.document["nodes"]["preview"] == {"type": "Preview"}
    theirs = merge(BASE, linked, removed)
    assert [each.path for each in theirs.conflicts] == [("nodes", "sample")]
    assert dangling(theirs.document) == set()


def test_two_nodes_that_were_added_under_one_name_are_both_kept_and_reported() -> None:
    ours, theirs = copied(), copied()
    ours["nodes"]["up"] = {"type": "Upscale"}
    theirs["nodes"]["up"] = {"type": "Sharpen"}
    theirs["nodes"]["save"] = {"type": "Save", "inputs": {"image": {"from": "up"}}}
    merged = merge(BASE, ours, theirs)
    assert len(merged.conflicts) == 1
    nodes = merged.document["nodes"]
    assert (nodes["up"]["type"], nodes["up_2"]["type"]) == ("Upscale", "Sharpen")
    assert nodes["save"]["inputs"]["image"] == {"from": "up_2"}


def test_two_new_names_of_one_node_are_a_conflict() -> None:
    sides = []
    for name in ("sampler", "ksampler"):
        side = copied()
        side["nodes"][name] = side["nodes"].pop("sample")
        side["nodes"]["decode"]["inputs"]["latent"] = {"from": name}
        side["parameters"] = {"seed": f"{name}.seed"}
        sides.append(side)
    merged = merge(BASE, *sides)
    [conflict] = merged.conflicts
    assert (conflict.ours, conflict.theirs) == ("sampler", "ksampler")
    assert "sampler" in merged.document["nodes"]


def test_links_of_both_sides_that_close_a_cycle_are_a_conflict() -> None:
    base = copied()
    base["nodes"]["blur"] = {"type": "Blur"}
    base["nodes"]["sharpen"] = {"type": "Sharpen"}
    ours, theirs = copied(base), copied(base)
    ours["nodes"]["blur"]["inputs"] = {"image": {"from": "sharpen"}}
    theirs["nodes"]["sharpen"]["inputs"] = {"image": {"from": "blur"}}
    merged = merge(base, ours, theirs)
    assert [each.path for each in merged.conflicts] == [("nodes", "sharpen", "inputs", "image")]
    assert "inputs" not in merged.document["nodes"]["sharpen"]


def test_a_node_that_both_moved_is_a_quiet_conflict() -> None:
    ours, theirs = copied(), copied()
    ours["ui"]["positions"]["load"] = [1, 1]
    theirs["ui"]["positions"]["load"] = [2, 2]
    [conflict] = merge(BASE, ours, theirs).conflicts
    assert conflict.is_quiet


def with_groups(*names: str) -> Document:
    document = copied()
    document["ui"]["groups"] = [{"id": name, "title": name} for name in names]
    return document


def test_a_new_order_of_groups_is_kept_from_either_side() -> None:
    base, ordered, more = with_groups(*"abc"), with_groups(*"cab"), with_groups(*"abcd")
    more["ui"]["groups"][0]["title"] = "New"
    for merged in (merge(base, ordered, more), merge(base, more, ordered)):
        assert merged.conflicts == ()
        groups = merged.document["ui"]["groups"]
        assert [each["title"] for each in groups] == ["c", "New", "b", "d"]


def test_two_new_orders_of_groups_are_a_quiet_conflict() -> None:
    merged = merge(with_groups(*"abc"), with_groups(*"cab"), with_groups(*"bac"))
    [conflict] = merged.conflicts
    assert (conflict.is_quiet, conflict.ours, conflict.theirs) == (True, [*"cab"], [*"bac"])
    assert [each["id"] for each in merged.document["ui"]["groups"]] == [*"cab"]


def test_a_comment_that_one_side_removed_and_the_other_changed_is_a_conflict() -> None:
    base = copied()
    base["ui"]["comments"] = [{"id": "comment_1", "text": "Why?", "box": [0, 0, 1, 1]}]
    removed, changed = copied(base), copied(base)
    del removed["ui"]["comments"]
    changed["ui"]["comments"][0]["text"] = "Because."
    merged = merge(base, changed, removed)
    assert [each.kind for each in merged.conflicts] == ["comment"]
    assert merged.document["ui"]["comments"] == changed["ui"]["comments"]


@pytest.mark.parametrize("renames", ["ours", "theirs"])
def test_a_loop_that_one_side_adds_follows_the_body_that_the_other_renames(renames: str) -> None:
    base, renamed, added = looped("Body"), looped("Renamed"), looped("Body")
    added["nodes"]["more"] = {"type": "ForEach", "inputs": {"body": "Body", "items": [3]}}
    sides = (renamed, added) if renames == "ours" else (added, renamed)
    merged = merge(base, *sides)
    assert merged.conflicts == ()
    bodies = {name: node["inputs"].get("body") for name, node in merged.document["nodes"].items()}
    assert bodies == {"loop": "Renamed", "prompt": None, "more": "Renamed"}
    assert merged.document["nodes"]["prompt"]["inputs"]["text"] == "Body"


def without_loop() -> Document:
    """The loop's workflow without the loop and its body."""
    document = looped()
    del document["subgraphs"], document["nodes"]["loop"]
    return document


def without_body() -> Document:
    document = looped()
    del document["subgraphs"]
    return document


@pytest.mark.parametrize("removed", [without_loop(), without_body()])
def test_a_subgraph_that_one_side_removed_and_the_other_renamed_is_a_conflict(
    removed: Document,
) -> None:
    for sides in ((removed, looped("Renamed")), (looped("Renamed"), removed)):
        merged = merge(looped(), *sides)
        assert [each.path for each in merged.conflicts] == [("subgraphs", "Renamed")]
        assert without_subgraphs(merged.document) == set()


@pytest.mark.parametrize("node", [{"type": "ForEach", "inputs": {LOOP: "Body"}}, {"type": "Body"}])
@pytest.mark.parametrize("removed", [without_loop(), without_body()])
def test_a_subgraph_that_one_side_removed_and_the_other_uses_stays(
    node: Document, removed: Document
) -> None:
    used = looped()
    used["nodes"]["more"] = node
    for sides in ((removed, used), (used, removed)):
        merged = merge(looped(), *sides)
        assert [each.path for each in merged.conflicts] == [("subgraphs", "Body")]
        assert merged.document["nodes"]["more"] == node
        assert "Body" in merged.document["subgraphs"]


def test_a_node_that_one_side_removed_and_the_other_renamed_is_a_conflict() -> None:
    removed = copied()
    del removed["nodes"]["decode"]
    renamed = copied()
    renamed["nodes"]["output"] = renamed["nodes"].pop("decode")
    for sides in ((removed, renamed), (renamed, removed)):
        merged = merge(BASE, *sides)
        assert [each.path for each in merged.conflicts] == [("nodes", "output")]


def test_a_node_gets_the_name_of_one_that_the_same_side_removed() -> None:
    side = with_other_names(copied(), {"load": "removed", "sample": "load"})
    del side["nodes"]["removed"], side["nodes"]["load"]["inputs"]["model"]
    del side["ui"]["positions"]["removed"]
    other = copied()
    other["nodes"]["sample"]["inputs"]["steps"] = 30
    for sides in ((side, other), (other, side)):
        merged = merge(BASE, *sides)
        assert merged.conflicts == ()
        assert {*merged.document["nodes"]} == {"load", "decode"}
        assert merged.document["nodes"]["load"]["inputs"] == {"seed": 1, "steps": 30}


def with_mask() -> Document:
    """The workflow with subgraphs, one of which has a second output."""
    document = copied(WITH_BLOCK)
    document["subgraphs"]["Picture"]["outputs"]["mask"] = "decode.mask"
    return document


def test_a_port_that_one_side_removed_and_the_other_uses_is_a_conflict() -> None:
    removed, linked = copied(WITH_BLOCK), with_mask()
    linked["nodes"]["more"] = {"type": "Save", "inputs": {"image": {"from": "first.mask"}}}
    ours = merge(with_mask(), removed, linked)
    assert [each.path for each in ours.conflicts] == [("nodes", "more", "inputs", "image")]
    assert ours.document["nodes"]["more"] == {"type": "Save"}
    theirs = merge(with_mask(), linked, removed)
    port = ("subgraphs", "Picture", "outputs", "mask")
    assert [each.path for each in theirs.conflicts] == [port]
    assert same(theirs.document, canonical(linked))


@pytest.mark.parametrize("side", ["inputs", "outputs"])
def test_a_port_that_one_side_removed_and_the_other_renamed_is_a_conflict(side: str) -> None:
    removed, renamed = with_mask(), with_mask()
    name = {"inputs": "seed", "outputs": "mask"}[side]
    for document in (removed, renamed):
        document["nodes"]["first"]["inputs"].pop("seed")
    base = copied(removed)
    del removed["subgraphs"]["Picture"][side][name]
    ports = renamed["subgraphs"]["Picture"][side]
    ports["another"] = ports.pop(name)
    for sides in ((removed, renamed), (renamed, removed)):
        merged = merge(base, *sides)
        assert [each.path for each in merged.conflicts] == [
            ("subgraphs", "Picture", side, "another")
        ]
        assert ("another" in merged.document["subgraphs"]["Picture"][side]) == (sides[0] is renamed)


def chain(count: int) -> Document:
    """A workflow whose nodes each use the one before."""
    nodes: Document = {"n0": {"type": "Load", "inputs": {"seed": 0}}}
    for at in range(1, count):
        nodes[f"n{at}"] = {"type": "Blur", "inputs": {"image": {"from": f"n{at - 1}"}, "seed": at}}
    return {"format": "nodegraph/1", "nodes": nodes}


def added_by_both(count: int) -> tuple[Document, Document, Document]:
    theirs = chain(count)
    for node in theirs["nodes"].values():
        node["inputs"]["seed"] += 1
    return {"format": "nodegraph/1", "nodes": {}}, chain(count), theirs


def removed_by_theirs(count: int) -> tuple[Document, Document, Document]:
    ours, theirs = chain(count), chain(count)
    last = f"n{count - 1}"
    ours["nodes"][last]["label"] = "New"
    theirs["nodes"] = {}
    return chain(count), ours, theirs


def removed_by_ours(count: int) -> tuple[Document, Document, Document]:
    base, changed, removed = removed_by_theirs(count)
    return base, removed, changed


@pytest.mark.parametrize("sides", [added_by_both, removed_by_theirs, removed_by_ours])
def test_the_time_of_a_merge_grows_with_the_workflow_not_with_its_square(sides: Any) -> None:
    assert calls_of(lambda: merge(*sides(160))) < 6 * calls_of(lambda: merge(*sides(40)))


def test_a_kept_node_keeps_all_that_it_needs() -> None:
    base, ours, theirs = removed_by_theirs(5)
    merged = merge(base, ours, theirs)
    assert same(merged.document, canonical(ours))
    assert {each.path[-1] for each in merged.conflicts} == {*base["nodes"]}
