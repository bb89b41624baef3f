"""Workflows as Python scripts; nothing is kept."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from nodegraph.server.http.dependencies import MayRead, TheServices
from nodegraph.server.http.json_route import JsonRoute
from nodegraph.server.http.problems import responses
from nodegraph.server.workflows.checking import parse_workflow

router = APIRouter(tags=["workflows"], route_class=JsonRoute)

_SECONDS = 60.0
_EXAMPLE = {
    "format": "nodegraph/1",
    "nodes": {"load": {"type": "LoadModel", "inputs": {"model": "tiny"}}},
}


class ScriptWish(BaseModel):
    """A workflow that a script is to build."""

    model_config = ConfigDict(extra="forbid")

    workflow: Annotated[
        dict[str, Any], Field(description="A workflow as its file says it.", examples=[_EXAMPLE])
    ]


class PythonScript(BaseModel):
    """A Python script."""

    text: Annotated[str, Field(examples=["from nodegraph import Graph\n\ng = Graph()\n"])]


@router.post(
    "/script",
    summary="Write a workflow as a Python script",
    responses=responses(400, 401, 403, 413, 415, 422, 503),
)
async def write_script(services: TheServices, caller: MayRead, body: ScriptWish) -> PythonScript:
    """The script that builds the very same workflow, as `nodegraph export --python` writes it.

    It need not be complete, nor able to run.
    """
    await services.run_in_thread(parse_workflow, body.workflow, services.server.limits.nodes)
    arguments = {"workflow": body.workflow}
    return PythonScript(text=await services.supervisor.ask("script", arguments, _SECONDS))
