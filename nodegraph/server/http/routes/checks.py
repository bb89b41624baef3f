"""Checking and planning workflows; nothing runs."""

from __future__ import annotations

from fastapi import APIRouter, Response

from nodegraph.client import shapes
from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.json_route import JsonRoute
from nodegraph.server.http.problems import responses
from nodegraph.server.http.sending import json_response
from nodegraph.server.workflows.planning import plan_request, validate_request
from nodegraph.server.workflows.requests import WorkflowWish

router = APIRouter(tags=["workflows"], route_class=JsonRoute)


@router.post(
    "/validate",
    summary="Check a workflow",
    response_model_exclude_none=True,
    responses=responses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def validate_workflow(
    services: TheServices, caller: MayRead, body: WorkflowWish
) -> shapes.Checked:
    """Everything that is wrong with a workflow and the values of its parameters, at once.

    A workflow that isn't valid is a fine request: the status is 200 in both cases.
    """
    return await validate_request(services, caller, body)


@router.post(
    "/plan",
    summary="Plan a workflow",
    response_model=shapes.Plan,
    responses=responses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def plan_workflow(services: TheServices, caller: MayRead, body: WorkflowWish) -> Response:
    """What a run would do, node by node, and what it is expected to take."""
    return json_response(await plan_request(services, caller, body))
