"""Taking jobs in: for the route, for websockets, for apps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nodegraph.core.context import Environment
from nodegraph.core.uploads import uploaded_paths
from nodegraph.core.words import to_well_formed
from nodegraph.errors import InvalidWorkflow
from nodegraph.jobs.queue import Submission, Submitted
from nodegraph.jobs.supervisor.worker_jobs import JobPayload
from nodegraph.server.access.caller import Caller
from nodegraph.server.services import Services
from nodegraph.server.workflows.checking import validate_workflow
from nodegraph.server.workflows.needs import JobNeeds
from nodegraph.server.workflows.requests import JobWish, SavedReference, WorkflowWish

_QUICK = 200
"""Nodes up to which a workflow is checked on the event loop: it takes a few milliseconds."""
PLAN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ResolvedWorkflow:
    """A workflow as it will be run.

    Attributes:
        document: References to uploads replaced by their paths.
        text: The same as JSON.
        parameters: Likewise.
        granted: Those paths: all of the uploads that it may read.
        original: Text and parameters with the references, as the client wrote them.
    """

    document: Mapping[str, Any]
    text: str
    parameters: Mapping[str, Any]
    granted: frozenset[Path]
    original: JobPayload

    def environment(self, services: Services) -> Environment:
        """The world around its run."""
        return services.environment.with_granted(self.granted)


async def resolve_request(
    services: Services, caller: Caller, request: WorkflowWish
) -> ResolvedWorkflow:
    """What a wish comes to: saved workflows opened, uploads found.

    Raises:
        NotFound: No such saved workflow.
        InvalidWorkflow: No such upload, or one by its path.
    """
    if isinstance(request.workflow, SavedReference):
        saved = await services.run_in_thread(
            services.workflows.get, request.workflow.saved, request.workflow.version
        )
        document: Any = saved.document
    else:
        document = request.workflow
    parameters: Any = request.parameters
    is_small = isinstance(document, dict) and _is_small(document)
    text = _text(document) if is_small else await services.run_in_thread(_text, document)
    granted: frozenset[Path] = frozenset()
    original = text, parameters
    if services.uploads.mentions_uploads(text) or services.uploads.mentions_uploads(
        _text(parameters)
    ):
        document, parameters = await services.run_file_task(
            services.uploads.resolve, [document, parameters], caller.only_client
        )
        text = _text(document)
        granted = uploaded_paths(text, parameters, services.uploads.files)
    return ResolvedWorkflow(document, text, parameters, granted, original)


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


async def submit(
    services: Services, caller: Caller, request: JobWish, key: str | None = None
) -> Submitted:
    """Take a job in; the future of the queue has ended.

    Args:
        key: Idempotency key.
    Raises:
        NodegraphError: Why not; see `nodegraph.server.http.problems` for the kinds.
    """
    workflow = await resolve_request(services, caller, request)
    types = await services.node_types.current()
    arguments = (workflow.document, workflow.text, workflow.parameters, request.targets, types)
    limits = (workflow.environment(services), services.server.limits.nodes, services.graphs)
    if _is_small(workflow.document):
        problems, needs = validate_workflow(*arguments, *limits)
    else:
        problems, needs = await services.run_in_thread(validate_workflow, *arguments, *limits)
    if problems:
        raise InvalidWorkflow(problems)
    question = _planner_arguments(workflow, request)
    if found_by_packs := await services.pack_checks.problems(workflow.document, question, types):
        raise InvalidWorkflow(found_by_packs)
    plan = await ask_planner(services, "plan", workflow, request) if request.plan else None
    # Other servers have other folders.
    is_shared = services.uploads.is_shared
    text, parameters = workflow.original if is_shared else (workflow.text, workflow.parameters)
    submission = Submission(
        caller.name,
        text,
        request.name or _name(workflow.document),
        parameters,
        request.targets,
        request.options.model_dump(exclude_none=True),
        plan,
        request.tags,
        request.priority,
        key,
        _seconds(plan),
        request.held,
        needs.gpu,
        needs.models,
        _sampling(needs, request),
    )
    return await services.queue_reads.changed(services.queue.submit(submission))


def _sampling(needs: JobNeeds, request: JobWish) -> str:
    """What its sampling may share batches with: nobody's where time counts, or changes are watched.

    Company takes time of its own, and a value that was changed might be another job's.
    """
    is_alone = request.options.deadline is not None or bool(request.options.check_mutation)
    return "" if is_alone else needs.sampling


def _is_small(document: Mapping[str, Any]) -> bool:
    nodes = document.get("nodes")
    return "subgraphs" not in document and isinstance(nodes, dict) and len(nodes) <= _QUICK


async def ask_planner(
    services: Services,
    question: Literal["check", "plan"],
    workflow: ResolvedWorkflow,
    request: WorkflowWish,
) -> Mapping[str, Any]:
    """What the planner says of a workflow.

    Raises:
        QuestionFailed: It can't be read.
        NoAnswer: There is no planner, or it takes too long.
    """
    arguments = _planner_arguments(workflow, request)
    answer: Mapping[str, Any] = await services.supervisor.ask(question, arguments, PLAN_SECONDS)
    return answer


def _name(document: Mapping[str, Any]) -> str:
    """The workflow's title, as far as the queue can hold it."""
    title: str = to_well_formed(str(document.get("title", "")))
    return title.replace("\0", "\N{REPLACEMENT CHARACTER}")[:256]


def _planner_arguments(workflow: ResolvedWorkflow, request: WorkflowWish) -> dict[str, Any]:
    return {
        "workflow": workflow.text,
        "parameters": dict(workflow.parameters),
        "targets": request.targets,
    }


def _seconds(plan: Mapping[str, Any] | None) -> float | None:
    seconds = None if plan is None else plan.get("totals", {}).get("seconds")
    return float(seconds) if isinstance(seconds, (int, float)) else None
