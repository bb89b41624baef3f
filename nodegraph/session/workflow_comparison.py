"""Comparisons and merges of workflows as JSON values, for the server and its planner."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from nodegraph.core.comparison.changes import WorkflowChange, diff
from nodegraph.core.comparison.merge_review import MergeReview, review_merge
from nodegraph.core.workflow import Workflow
from nodegraph.models.remote.declared_models import pinned_digests

Document = Mapping[str, Any]


def compare_documents(first: Document, second: Document) -> dict[str, Any]:
    """Return how two workflows differ: ``changes``, and digests of the ``models`` of both.

    Raises:
        InvalidFile, InvalidWorkflow: One is no workflow, or parts of it have the wrong form.
    """
    workflows = {"first": _workflow(first), "second": _workflow(second)}
    changes = diff(workflows["first"], workflows["second"])
    models = {name: pinned_digests(each.to_dict()) for name, each in workflows.items()}
    return {"changes": [_change(each) for each in changes], "models": models}


def merge_documents(
    base: Document,
    ours: Document,
    theirs: Document,
    skipped_ours: Collection[int] = (),
    skipped_theirs: Collection[int] = (),
) -> dict[str, Any]:
    """Return the merge of two workflows, with its conflicts and the changes of both sides.

    Args:
        skipped_ours, skipped_theirs: Indices of changes to leave out.
    Raises:
        InvalidFile, InvalidWorkflow: One is no workflow, or parts of it have the wrong form.
    """
    sides = (_workflow(base), _workflow(ours), _workflow(theirs))
    return _review(review_merge(*sides, skipped_ours, skipped_theirs))


def _workflow(document: Document) -> Workflow:
    return Workflow.from_dict(dict(document))


def _change(change: WorkflowChange) -> dict[str, Any]:
    absent: dict[str, Any] = {"before": None, "after": None, "moved": []}
    return absent | change.as_dict() | {"quiet": change.is_quiet}


def _review(review: MergeReview) -> dict[str, Any]:
    values = ("base", "ours", "theirs")
    conflicts = []
    for conflict, (own, other) in zip(review.merge.conflicts, review.sides, strict=True):
        document = conflict.as_dict()
        conflicts.append(
            dict.fromkeys(values)
            | document
            | {
                "absent": [name for name in values if name not in document],
                "quiet": conflict.is_quiet,
                "our_changes": own,
                "their_changes": other,
            }
        )
    return {
        "workflow": review.merge.document,
        "conflicts": conflicts,
        "ours": [_change(each) for each in review.ours],
        "theirs": [_change(each) for each in review.theirs],
        "skipped_ours": review.skipped_ours,
        "skipped_theirs": review.skipped_theirs,
    }
