"""Changes that are taken back one by one, and merges whose conflicts are settled that way."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.core.comparison.changes import diff
from nodegraph.core.comparison.fields import canonical, same
from nodegraph.core.comparison.merge_review import MergeReview, review_merge
from nodegraph.core.comparison.reversal import with_dependent, without_changes
from nodegraph.core.workflow import Workflow
from tests.comparison.editing import Document, edited, random_workflow
from tests.comparison.test_differences import BASE, WITH_BLOCK, copied, looped, with_renamed_input
from tests.comparison.test_three_way_merge import dangling

ROUNDS = 20


@given(st.integers(0, 2**32))
def test_all_changes_taken_back_give_the_first_and_none_the_second_workflow(seed: int) -> None:
    random = Random(seed)
    first = random_workflow(random)
    second, _ = edited(first, random, random.randint(0, 6))
    changes = diff(first, second)
    assert same(without_changes(first, second, changes, []), canonical(second))
    every = range(len(changes))
    assert same(without_changes(first, second, changes, every), canonical(first))


@given(st.integers(0, 2**32))
def test_any_changes_taken_back_leave_a_workflow_without_broken_links(seed: int) -> None:
    random = Random(seed)
    first = random_workflow(random)
    second, _ = edited(first, random, random.randint(0, 6))
    changes = diff(first, second)
    skipped = with_dependent(changes, [at for at, _ in enumerate(changes) if random.random() < 0.4])
    document = without_changes(first, second, changes, skipped)
    Workflow.from_dict(document)
    known = dangling(canonical(first)) | dangling(canonical(second))
    assert {name for _, name in dangling(document)} <= {name for _, name in known}


def settled(base: Document, ours: Document, theirs: Document, *, mine: bool) -> MergeReview:
    """The merge with every conflict settled for one side."""
    skipped: tuple[set[int], set[int]] = set(), set()
    for _ in range(ROUNDS):
        review = review_merge(base, ours, theirs, *skipped)
        if not review.sides:
            return review
        for own, other in review.sides:
            skipped[1 if mine else 0].update(other if mine else own)
    raise AssertionError("conflicts stay")


@given(st.integers(0, 2**32), st.booleans())
def test_every_conflict_is_settled_for_either_side(seed: int, mine: bool) -> None:
    random = Random(seed)
    base = random_workflow(random)
    ours, theirs = (edited(base, random, random.randint(0, 4))[0] for _ in range(2))
    review = settled(base, ours, theirs, mine=mine)
    Workflow.from_dict(review.merge.document)


def edits() -> tuple[Document, Document]:
    ours, theirs = copied(), copied()
    ours["nodes"]["sample"]["inputs"]["seed"] = 7
    ours["nodes"]["load"]["label"] = "Mine"
    theirs["nodes"]["sample"]["inputs"]["seed"] = 8
    theirs["title"] = "Theirs"
    return ours, theirs


@pytest.mark.parametrize(("mine", "seed"), [(True, 7), (False, 8)])
def test_a_settled_conflict_keeps_the_other_changes(mine: bool, seed: int) -> None:
    document = settled(BASE, *edits(), mine=mine).merge.document
    assert document["nodes"]["sample"]["inputs"]["seed"] == seed
    assert document["nodes"]["load"]["label"] == "Mine"
    assert document["title"] == "Theirs"


def test_a_conflict_names_the_changes_of_both_sides() -> None:
    review = review_merge(BASE, *edits())
    [(own, other)] = review.sides
    path = ("nodes", "sample", "inputs", "seed")
    assert [review.ours[at].path for at in own] == [path]
    assert [review.theirs[at].path for at in other] == [path]


def test_a_change_that_is_left_out_is_the_base_again() -> None:
    ours, theirs = edits()
    review = review_merge(BASE, ours, theirs, [0, 1], [0, 1])
    assert same(review.merge.document, canonical(BASE))


def test_a_link_goes_with_the_added_node_that_it_comes_from() -> None:
    second = copied()
    second["nodes"]["up"] = {"type": "Upscale"}
    second["nodes"]["decode"]["inputs"]["latent"] = {"from": "up"}
    changes = diff(BASE, second)
    added = next(at for at, each in enumerate(changes) if each.verb == "added")
    skipped = with_dependent(changes, [added])
    assert same(without_changes(BASE, second, changes, skipped), canonical(BASE))


def test_a_renamed_port_that_is_taken_back_has_its_old_name_everywhere() -> None:
    second = with_renamed_input()
    second["nodes"]["first"]["inputs"]["seed"] = 2
    changes = diff(WITH_BLOCK, second)
    renamed = next(at for at, each in enumerate(changes) if each.verb == "renamed")
    expected = copied(WITH_BLOCK)
    expected["nodes"]["first"]["inputs"]["seed"] = 2
    document = without_changes(WITH_BLOCK, second, changes, [renamed])
    assert same(document, canonical(expected))


def test_a_renamed_body_of_a_renamed_loop_is_taken_back_alone() -> None:
    first, second = looped("Body"), looped("Renamed")
    second["nodes"]["each"] = second["nodes"].pop("loop")
    changes = diff(first, second)
    renamed = next(at for at, change in enumerate(changes) if change.kind == "subgraph")
    document = without_changes(first, second, changes, [renamed])
    assert [*document["subgraphs"]] == ["Body"]
    assert document["nodes"]["each"]["inputs"]["body"] == "Body"
