"""Checking and planning workflows; nothing runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import TypeAdapter

from nodegraph.client import shapes
from nodegraph.errors import InvalidFile, InvalidWorkflow, Problem
from nodegraph.server.access.caller import Caller
from nodegraph.server.content.artifacts import Artifacts
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.errors import NotFound
from nodegraph.server.http.json_route import JsonRoute
from nodegraph.server.http.problems import bounded, responses
from nodegraph.server.http.routes.artifacts import artifact_entry
from nodegraph.server.services import Services
from nodegraph.server.workflows.checking import check, readable
from nodegraph.server.workflows.submitting import ask, resolved
from nodegraph.server.workflows.wishes import WorkflowWish

router = APIRouter(tags=["workflows"], route_class=JsonRoute)
_CHECKED = TypeAdapter(shapes.Checked)


@router.post(
    "/validate",
    summary="Check a workflow",
    response_model_exclude_none=True,
    responses=responses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def validate_workflow(
    services: TheServices, caller: MayRead, wish: WorkflowWish
) -> shapes.Checked:
    """Everything that is wrong with a workflow and the values of its parameters, at once.

    A workflow that isn't valid is a fine request: the status is 200 in both cases.
    """
    try:
        found = await resolved(services, caller, wish)
        problems = await services.off_loop(
            check,
            *(found.document, found.text, found.parameters, wish.targets),
            *(await services.node_types.current(), found.environment(services)),
            services.server.limits.nodes,
            services.graphs,
        )
    except (InvalidWorkflow, InvalidFile) as error:
        return _checked(services, error.problems)
    if problems or not services.has_workers:
        return _checked(services, problems)
    # What is well so far is looked at by the packs' own checks.
    return _CHECKED.validate_python(await ask(services, "check", found, wish))


def _checked(services: Services, problems: Sequence[Problem]) -> shapes.Checked:
    told = map(services.places.problem, bounded(problems))
    return shapes.Checked(not problems, tuple(told))


@router.post(
    "/plan",
    summary="Plan a workflow",
    response_model=shapes.Plan,
    responses=responses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def plan_workflow(services: TheServices, caller: MayRead, wish: WorkflowWish) -> Response:
    """What a run would do, node by node, and what it is expected to take."""
    return JSONResponse(await planned(services, caller, wish))


async def planned(services: Services, caller: Caller, wish: WorkflowWish) -> dict[str, Any]:
    """As `shapes.Plan` says, for the route and for websockets."""
    found = await resolved(services, caller, wish)
    await services.off_loop(readable, found.document, services.server.limits.nodes)
    plan = await ask(services, "plan", found, wish)
    return await services.off_loop(_with_files, plan, services.artifacts, caller.only_client)


def _with_files(
    plan: Mapping[str, Any], artifacts: Artifacts, client: str | None
) -> dict[str, Any]:
    """A plan with the files of its hits as they are listed, but for those of others' jobs only."""
    nodes = {
        name: {**node, "files": [*_listed(node["files"], artifacts, client)]}
        if node.get("files")
        else node
        for name, node in plan.get("nodes", {}).items()
    }
    return {**plan, "nodes": nodes}


def _listed(
    digests: Iterable[str], artifacts: Artifacts, client: str | None
) -> Iterator[dict[str, Any]]:
    for digest in digests:
        with suppress(NotFound):
            yield asdict(artifact_entry(artifacts.find(digest, client)))
