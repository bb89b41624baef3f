"""Checking and planning what a client asks about, for routes and websockets alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter

from nodegraph.client import shapes
from nodegraph.errors import InvalidFile, InvalidWorkflow, Problem
from nodegraph.server.access.caller import Caller
from nodegraph.server.content.artifacts import Artifacts
from nodegraph.server.http.errors import NotFound
from nodegraph.server.http.problems import limit_problems
from nodegraph.server.services import Services
from nodegraph.server.workflows.checking import parse_workflow, validate_workflow
from nodegraph.server.workflows.job_entries import artifact_entry
from nodegraph.server.workflows.requests import WorkflowWish
from nodegraph.server.workflows.submitting import ask_planner, resolve_request

_CHECKED = TypeAdapter(shapes.Checked)


async def validate_request(
    services: Services, caller: Caller, request: WorkflowWish
) -> shapes.Checked:
    """Everything that is wrong with a workflow and the values of its parameters, at once."""
    try:
        workflow = await resolve_request(services, caller, request)
        problems, _ = await services.run_in_thread(
            validate_workflow,
            *(workflow.document, workflow.text, workflow.parameters, request.targets),
            *(await services.node_types.current(), workflow.environment(services)),
            services.server.limits.nodes,
            services.graphs,
        )
    except (InvalidWorkflow, InvalidFile) as error:
        return _checked(services, error.problems)
    if problems or not services.has_workers:
        return _checked(services, problems)
    # What is well so far is looked at by the packs' own checks.
    return _CHECKED.validate_python(await ask_planner(services, "check", workflow, request))


def _checked(services: Services, problems: Sequence[Problem]) -> shapes.Checked:
    shown = map(services.places.redact_problem, limit_problems(problems))
    return shapes.Checked(not problems, tuple(shown))


async def plan_request(services: Services, caller: Caller, request: WorkflowWish) -> dict[str, Any]:
    """As `shapes.Plan` says, for the route and for websockets."""
    workflow = await resolve_request(services, caller, request)
    await services.run_in_thread(parse_workflow, workflow.document, services.server.limits.nodes)
    plan = await ask_planner(services, "plan", workflow, request)
    return await services.run_in_thread(_with_files, plan, services.artifacts, caller.only_client)


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
