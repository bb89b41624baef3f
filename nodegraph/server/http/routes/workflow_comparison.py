"""Routes that compare and merge workflows; nothing is stored.

The command line and the editor use the same comparison, so they never disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.client import shapes
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.problems import responses
from nodegraph.server.http.request_bodies import JsonRoute
from nodegraph.server.http.responses import json_response
from nodegraph.server.services import Services
from nodegraph.server.workflows.checks import parse_workflow
from nodegraph.server.workflows.job_requests import PLAN_SECONDS
from nodegraph.session.workflow_comparison import compare_documents, merge_documents

router = APIRouter(tags=["workflows"], route_class=JsonRoute)

_EXAMPLE = {
    "format": "nodegraph/1",
    "nodes": {"load": {"type": "LoadModel", "inputs": {"model": "tiny"}}},
}
_MOST_CHANGES = 100_000
_MOST_HERE = 1000
"""Nodes of all workflows of a request that are compared in this process: some 50 milliseconds."""
_MOST_ENTRIES_HERE = 20_000
"""Entries of all objects and lists in these workflows: a few nodes may have many."""
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
    responses=responses(400, 401, 403, 413, 415, 422, 503),
)
async def compare_workflows(services: TheServices, caller: MayRead, body: CompareWish) -> Response:
    """Return how two workflows differ, like `nodegraph diff`.

    Nodes are matched by name, then by structure, so a renamed node is one change. The workflows
    may be incomplete or not executable.
    """
    documents = {"first": body.first, "second": body.second}
    return json_response(await _computed(services, "compare", compare_documents, documents, {}))


@router.post(
    "/merge",
    summary="Merge two workflows",
    response_model=shapes.MergedWorkflow,
    responses=responses(400, 401, 403, 413, 415, 422, 503),
)
async def merge_workflows(services: TheServices, caller: MayRead, body: MergeWish) -> Response:
    """Merge two workflows with a common base, like `nodegraph merge`.

    Changes of both sides are kept where they differ in place. Each conflict names the changes that
    take part in it: leave out those of one side, and the conflict is settled for the other.
    """
    documents = {"base": body.base, "ours": body.ours, "theirs": body.theirs}
    skipped = {"skipped_ours": body.skipped_ours, "skipped_theirs": body.skipped_theirs}
    return json_response(await _computed(services, "merge", merge_documents, documents, skipped))


async def _computed(
    services: Services,
    question: Literal["compare", "merge"],
    compute: Callable[..., dict[str, Any]],
    documents: Mapping[str, dict[str, Any]],
    options: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Return the answer about some workflows; large ones are left to the planner's process.

    Matching thousands of nodes takes seconds, in which this process would answer others slowly.
    """
    most = services.server.limits.nodes

    def is_large() -> bool:
        workflows = [parse_workflow(each, most) for each in documents.values()]
        inner = (block for each in workflows for block in each.subgraphs.values())
        nodes = sum(len(each.nodes) for each in workflows) + sum(len(each.nodes) for each in inner)
        return nodes > _MOST_HERE or _count_entries(documents) > _MOST_ENTRIES_HERE

    arguments = {**documents, **options}
    if not await services.run_in_thread(is_large) or not services.has_workers:
        return await services.run_in_thread(compute, **arguments)
    answer: Mapping[str, Any] = await services.supervisor.ask(question, arguments, PLAN_SECONDS)
    return answer


def _count_entries(documents: Mapping[str, dict[str, Any]]) -> int:
    """Return how many entries all objects and lists in some documents have."""
    count, waiting = 0, list[Any](documents.values())
    while waiting:
        value = waiting.pop()
        count += len(value)
        inner = value.values() if isinstance(value, dict) else value
        waiting += (each for each in inner if isinstance(each, (dict, list)))
    return count
