"""Routes that compare and merge workflows; nothing is stored.

The command line and the editor use the same comparison, so they never disagree.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.client import shapes
from nodegraph.core.comparison.changes import WorkflowChange, diff
from nodegraph.core.comparison.merge_review import MergeReview, review_merge
from nodegraph.core.workflow import Workflow
from nodegraph.models.remote.declared_models import pinned_digests
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.problems import responses
from nodegraph.server.http.request_bodies import JsonRoute
from nodegraph.server.http.responses import json_response
from nodegraph.server.workflows.checks import parse_workflow

router = APIRouter(tags=["workflows"], route_class=JsonRoute)

_EXAMPLE = {
    "format": "nodegraph/1",
    "nodes": {"load": {"type": "LoadModel", "inputs": {"model": "tiny"}}},
}
_MOST_CHANGES = 100_000
_Document = Annotated[
    dict[str, Any], Field(description="The content of a workflow file.", examples=[_EXAMPLE])
]
_Indices = Annotated[
    list[Annotated[int, Field(ge=0, lt=_MOST_CHANGES)]],
    Field(max_length=_MOST_CHANGES, description="Indices of changes to leave out.", examples=[[0]]),
]


class CompareWish(BaseModel):
    """Two workflows."""

    model_config = ConfigDict(extra="forbid")

    first: _Document
    second: _Document


class MergeWish(BaseModel):
    """Two workflows with a common base, and what to leave out of their changes since."""

    model_config = ConfigDict(extra="forbid")

    base: _Document
    ours: _Document
    theirs: _Document
    skipped_ours: _Indices = []
    skipped_theirs: _Indices = []


@router.post(
    "/compare",
    summary="Compare two workflows",
    response_model=shapes.WorkflowComparison,
    responses=responses(400, 401, 403, 413, 415, 422),
)
async def compare_workflows(services: TheServices, caller: MayRead, body: CompareWish) -> Response:
    """Return how two workflows differ, like `nodegraph diff`.

    Nodes are matched by name, then by structure, so a renamed node is one change. The workflows
    may be incomplete or not executable.
    """
    most = services.server.limits.nodes

    def compared() -> dict[str, Any]:
        sides = {"first": body.first, "second": body.second}
        workflows = {name: parse_workflow(each, most) for name, each in sides.items()}
        changes = diff(workflows["first"], workflows["second"])
        models = {name: _pinned(each) for name, each in workflows.items()}
        return {"changes": [_change(each) for each in changes], "models": models}

    return json_response(await services.run_in_thread(compared))


@router.post(
    "/merge",
    summary="Merge two workflows",
    response_model=shapes.MergedWorkflow,
    responses=responses(400, 401, 403, 413, 415, 422),
)
async def merge_workflows(services: TheServices, caller: MayRead, body: MergeWish) -> Response:
    """Merge two workflows with a common base, like `nodegraph merge`.

    Changes of both sides are kept where they differ in place. Each conflict names the changes that
    take part in it: leave out those of one side, and the conflict is settled for the other.
    """
    most = services.server.limits.nodes

    def merged() -> dict[str, Any]:
        documents = (body.base, body.ours, body.theirs)
        base, ours, theirs = (parse_workflow(each, most) for each in documents)
        return _review(review_merge(base, ours, theirs, body.skipped_ours, body.skipped_theirs))

    return json_response(await services.run_in_thread(merged))


def _pinned(workflow: Workflow) -> dict[str, str]:
    return pinned_digests(workflow.to_dict())


def _change(change: WorkflowChange) -> dict[str, Any]:
    """Return the fields of `shapes.WorkflowChange`."""
    absent: dict[str, Any] = {"before": None, "after": None, "moved": []}
    return absent | change.as_dict() | {"quiet": change.is_quiet}


def _review(review: MergeReview) -> dict[str, Any]:
    """Return the fields of `shapes.MergedWorkflow`."""
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
