"""Check, plan and submit workflows, and find jobs, on behalf of a caller."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from nodegraph.client import shapes
from nodegraph.core.context import Environment
from nodegraph.core.declarations import parameter_values, with_texts
from nodegraph.core.digests import digest_bytes
from nodegraph.core.file_access import uploaded_paths
from nodegraph.core.rows import (
    MOST_PROBLEMS,
    Row,
    check_columns,
    parse_rows,
    row_problems,
    rows_from_objects,
)
from nodegraph.core.text_format import format_size, to_well_formed
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, InvalidValue, InvalidWorkflow, Problem
from nodegraph.jobs.queue import Job, JobFilter, Submission, Submitted
from nodegraph.jobs.queue.job import not_found
from nodegraph.jobs.queue.schedules import parse_moment
from nodegraph.jobs.queue.submission import HIGHEST_PRIORITY, LOWEST_PRIORITY
from nodegraph.jobs.supervisor.placement import JobPayload
from nodegraph.server.access.caller import Caller
from nodegraph.server.http.errors import TooLarge
from nodegraph.server.http.problems import limit_problems
from nodegraph.server.operations.webhooks import WebhookWish, resolve_webhook
from nodegraph.server.services import Services
from nodegraph.server.workflows.checks import (
    JobNeeds,
    missing_models,
    parse_workflow,
    validate_workflow,
)
from nodegraph.server.workflows.job_entries import plan_with_files
from nodegraph.session.settings_kinds import NUMBER

EXAMPLE: Mapping[str, Any] = {
    "format": "nodegraph/1",
    "title": "An apple",
    "parameters": {"path": "load.path"},
    "nodes": {
        "load": {"type": "LoadImage", "inputs": {"path": "upload:a5f0…c2e6/apple.png"}},
        "smaller": {
            "type": "ResizeImage",
            "inputs": {"image": {"from": "load.image"}, "width": 64, "height": 64},
        },
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "smaller"}, "name": "apple"}},
    },
}
Tag = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Target = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
StallSeconds = Annotated[float, NUMBER, Field(gt=0, le=86_400)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SavedReference(_Part):
    """A workflow that is saved on the server.

    Attributes:
        saved: Name of the workflow.
        version: Number of the version; the newest if not given.
    """

    saved: Annotated[str, StringConstraints(min_length=1, max_length=256)]
    version: Annotated[int, NUMBER, Field(ge=1, lt=1 << 53)] | None = None


class WorkflowWish(_Part):
    """A workflow with values of its parameters."""

    workflow: Annotated[SavedReference | dict[str, Any], Field(union_mode="left_to_right")] = Field(
        description="The content of a workflow file, or the name of a saved workflow.",
        examples=[EXAMPLE, {"saved": "apple", "version": 3}],
    )
    parameters: dict[str, Any] = Field(
        default={},
        description="Values of the workflow's named parameters.",
        examples=[{"path": "upload:17e3…09bd/pear.png"}],
    )
    targets: Annotated[list[Target], Field(max_length=10_000)] | None = Field(
        default=None,
        description="Nodes to run, with the nodes that they need. Default: all nodes that write "
        "a result.",
        examples=[["save"]],
    )


class RunOptions(_Part):
    """Options of a job's run."""

    # As default of a field, what may change is copied each time.
    model_config = ConfigDict(frozen=True)

    deadline: Annotated[float, NUMBER, Field(gt=0, le=30 * 86_400)] | None = Field(
        default=None, description="Seconds of run time after which the job is cancelled."
    )
    check_mutation: bool | None = Field(
        default=None, description="Find nodes that change their inputs; slow."
    )
    metadata: Literal["none", "minimal", "full"] | None = Field(
        default=None,
        description="What files of results carry to be made again: `none`; `minimal`, digests and "
        "versions; or `full`, also the workflow. Default: the server's setting.",
    )
    metadata_prompts: bool | None = Field(
        default=None,
        description="Whether files of results contain prompts. Default: the server's setting.",
    )
    sidecar: bool | None = Field(
        default=None,
        description="Also write the manifest of each result as a JSON file. Default: the server's "
        "setting.",
    )
    stall_seconds: StallSeconds | dict[str, StallSeconds] | None = Field(
        default=None,
        description="Seconds without news after which a node counts as stalled, for all nodes "
        "or by node.",
    )


class PlanWish(WorkflowWish):
    """The request for a plan. Of the options, it uses what the files of the run carry."""

    options: RunOptions = RunOptions()


class JobWish(PlanWish):
    """The request for a new job."""

    name: Annotated[str, StringConstraints(max_length=256)] = Field(
        default="", description="Display name; without one, the workflow's title."
    )
    tags: Annotated[list[Tag], Field(max_length=32)] = Field(
        default=[], description="Tags to find the job by.", examples=[["apples"]]
    )
    priority: Annotated[int, NUMBER, Field(ge=LOWEST_PRIORITY, le=HIGHEST_PRIORITY)] = Field(
        default=0, description="Jobs with the highest priority run before all others."
    )
    held: bool = Field(default=False, description="Hold the job until it is released.")
    not_before: Annotated[float, NUMBER] | Annotated[str, Field(max_length=64)] | None = Field(
        default=None,
        description="Time before which the job does not start: Unix time, or ISO 8601. Without an "
        "offset it is the server's local time.",
        examples=["2026-12-01T02:00:00+01:00"],
    )
    webhook: WebhookWish | Literal["none"] | None = Field(
        default=None,
        description="Where the job's events are sent. By default the webhook of the token; `none` "
        "for nowhere.",
    )
    plan: bool = Field(
        default=False,
        description="Plan the job first, and store the plan with it. This takes longer.",
    )


class RowsWish(JobWish):
    """The request for a job per row of a table."""

    rows: Annotated[
        str | list[dict[str, Any]],
        Field(
            description="The text of a CSV file with column names, or of a file with a JSON object "
            "per line; or the objects themselves. Columns are parameters of the workflow, or "
            "inputs such as `sampler.seed`. An empty cell or null leaves the workflow's value.",
            examples=["prompt,seed\na red cat,1\na blue cat,2\n", [{"prompt": "a cat", "seed": 1}]],
        ),
    ]


_CHECKED = TypeAdapter(shapes.Checked)


async def validate_request(
    services: Services, caller: Caller, request: WorkflowWish
) -> shapes.Checked:
    """Return all problems of a workflow and of its parameter values at once."""
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


async def find_missing_models(
    services: Services, caller: Caller, request: WorkflowWish
) -> tuple[Any, list[str]]:
    """Return a workflow's document, and the models that it names and the server lacks.

    Raises:
        InvalidFile, InvalidWorkflow: It cannot be read, or has no such parameters.
        NotFound: There is no such saved workflow.
    """
    resolved = await resolve_request(services, caller, request)
    types = await services.node_types.current()

    def find() -> list[str]:
        workflow = parse_workflow(resolved.document, services.server.limits.nodes)
        names = {model.name for model in services.listed_models()}
        folders = services.environment.models
        return missing_models(workflow.with_parameters(resolved.parameters), types, folders, names)

    return resolved.document, await services.run_in_thread(find)


def _checked(services: Services, problems: Sequence[Problem]) -> shapes.Checked:
    shown = map(services.places.redact_problem, limit_problems(problems))
    return shapes.Checked(not problems, tuple(shown))


async def plan_request(services: Services, caller: Caller, request: PlanWish) -> dict[str, Any]:
    """Return the fields of `shapes.Plan`, for the route and for websockets."""
    workflow = await resolve_request(services, caller, request)
    await services.run_in_thread(parse_workflow, workflow.document, services.server.limits.nodes)
    plan = await ask_planner(services, "plan", workflow, request)
    return await services.run_in_thread(
        plan_with_files, plan, services.artifacts, caller.only_client
    )


T = TypeVar("T")
_FILE_OPTIONS = {"metadata", "metadata_prompts", "sidecar"}
"""Options on which it depends whether a run writes the files again."""


async def get_visible_job(services: Services, caller: Caller, id: str) -> Job:
    """Return a job that the caller may see.

    Raises:
        JobNotFound: There is no such job, or it belongs to another client.
    """
    return await services.queue_reads.run(read_visible_job, services, caller, id)


def read_visible_job(services: Services, caller: Caller, id: str) -> Job:
    """Return a job that the caller may see, looked up in this thread."""
    job = services.queue.get(id)
    if not caller.sees(job.client):
        raise not_found(id)
    return job


async def change_visible_job(
    services: Services, caller: Caller, id: str, action: Callable[[str], Future[T]]
) -> T:
    """Change a job that the caller may see and return the result.

    Raises:
        JobNotFound, WrongState: See the queue's methods.
    """
    await get_visible_job(services, caller, id)
    return await services.queue_reads.changed(action(id))


def restrict_to_caller(caller: Caller, which: JobFilter) -> JobFilter | None:
    """Restrict a filter to the jobs that the caller may see; None if there are none."""
    if caller.only_client is None:
        return which
    if which.client not in (None, caller.only_client):
        return None
    return JobFilter(
        which.states,
        caller.only_client,
        which.tag,
        which.created_after,
        which.created_before,
        which.text,
    )


_QUICK = 200
"""Largest number of nodes to check on the event loop, which takes a few milliseconds."""
PLAN_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ResolvedWorkflow:
    """A workflow as it will be run.

    Attributes:
        document: Workflow, with references to uploads replaced by their paths.
        text: The document as JSON.
        parameters: Parameters, with the same replacement.
        granted: These paths: all uploads that it may read.
        original: Text and parameters with the references, as the client wrote them.
    """

    document: Mapping[str, Any]
    text: str
    parameters: Mapping[str, Any]
    granted: frozenset[Path]
    original: JobPayload

    def environment(self, services: Services) -> Environment:
        """Return the folders and permissions of its run."""
        return services.environment.with_granted(self.granted)


async def resolve_request(
    services: Services, caller: Caller, request: WorkflowWish
) -> ResolvedWorkflow:
    """Resolve a request: open saved workflows and find uploads.

    Raises:
        NotFound: There is no such saved workflow.
        InvalidWorkflow: There is no such upload, or it is named by its path.
    """
    document: Any = await load_document(services, request)
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


async def load_document(services: Services, request: WorkflowWish) -> Mapping[str, Any]:
    """Return the workflow file that a request has or names.

    Raises:
        NotFound: There is no such saved workflow.
    """
    if not isinstance(request.workflow, SavedReference):
        return request.workflow
    named = request.workflow
    saved = await services.run_in_thread(services.workflows.get, named.saved, named.version)
    document: Mapping[str, Any] = saved.document
    return document


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


async def submit(
    services: Services, caller: Caller, request: JobWish, key: str | None = None
) -> Submitted:
    """Add a job to the queue and wait until it is stored.

    Args:
        key: Idempotency key.
    Raises:
        NodegraphError: The job is refused; see `nodegraph.server.http.problems` for the kinds.
    """
    submission = await prepare_submission(services, caller, request, key)
    return await services.queue_reads.changed(services.dispatcher.submit(submission))


MOST_ROWS = 10_000
_LARGEST_ROWS = 256 << 20
"""Characters of the workflows and parameters of all rows, which are held until they are stored."""


async def submit_rows(
    services: Services, caller: Caller, request: RowsWish, key: str | None = None
) -> shapes.JobGroup:
    """Add a job for each row of a table, all or none, and wait until they are stored.

    Args:
        key: Idempotency key of them all.
    Raises:
        NodegraphError: As `submit`; problems name their rows.
    """
    rows = await services.run_in_thread(_rows, request.rows)
    document = await load_document(services, request)
    base = request.model_copy(update={"workflow": document})
    workflow = await services.run_in_thread(parse_workflow, document, services.server.limits.nodes)
    check_columns(rows, workflow)
    name = "" if key is None else digest_bytes(f"{caller.name}\n{key}".encode())[:32]
    group = f"rows-{name[:16] or secrets.token_hex(8)}"
    submissions, problems = [], []
    workflows: dict[str, str] = {}
    size = 0
    for number, row in enumerate(rows, 1):
        try:
            row_request = await _row_request(services, base, workflow, row, group)
            row_key = f"{name}-{number}" if name else None
            submission = await prepare_submission(services, caller, row_request, row_key)
            text = str(submission.workflow)
            # Rows that change only parameters share the workflow's text.
            size += 0 if text in workflows else len(text)
            size += len(_text([submission.parameters, submission.targets]))
            if size > _LARGEST_ROWS:
                raise _too_large_rows(number)
            shared = workflows.setdefault(text, text)
            submissions.append(replace(submission, workflow=shared))
        except InvalidWorkflow as error:
            problems += row_problems(number, error)
            if len(problems) >= MOST_PROBLEMS:
                break
        await asyncio.sleep(0)  # others have their turn
    if problems:
        raise InvalidWorkflow(problems)
    jobs = await services.queue_reads.changed(services.dispatcher.submit_all(submissions))
    return shapes.JobGroup(group, tuple(each.job.id for each in jobs))


def _too_large_rows(number: int) -> TooLarge:
    return TooLarge(
        "the jobs of all rows are too large",
        given=f"more than {format_size(_LARGEST_ROWS)} with row {number:,}",
        expected=f"at most {format_size(_LARGEST_ROWS)} of workflows and parameters",
        hint="Submit fewer rows at a time, or make inputs that differ parameters of the workflow.",
    )


def _rows(rows: str | Sequence[Mapping[str, Any]]) -> list[Row]:
    source = "`rows`"
    table = parse_rows(rows, source) if isinstance(rows, str) else rows_from_objects(rows, source)
    if len(table) > MOST_ROWS:
        raise InvalidValue(
            "there are too many rows", given=f"{len(table):,}", expected=f"at most {MOST_ROWS:,}"
        )
    return table


async def _row_request(
    services: Services, request: RowsWish, workflow: Workflow, row: Row, group: str
) -> JobWish:
    """The request for the job of a row.

    Raises:
        InvalidWorkflow: A value doesn't fit.
    """
    types = await services.node_types.current()
    texts = {name: text for name, text in row.items() if name in workflow.parameters}
    inputs = {name: text for name, text in row.items() if name not in texts}
    document = request.workflow
    changed = with_texts(workflow, types, inputs=inputs) if inputs else workflow
    filled, values = parameter_values(changed, types, texts)
    if filled is not workflow:
        document = filled.to_dict()
    # An input that is named itself counts more than a parameter of the request.
    parameters = {
        name: value
        for name, value in request.parameters.items()
        if name not in workflow.parameters or workflow.parameters[name].input not in inputs
    }
    # Parts stay what they are, as nothing is validated again.
    parts: dict[str, Any] = {"options": request.options, "webhook": request.webhook}
    fields = request.model_dump(include=set(JobWish.model_fields) - {"workflow", *parts})
    fields |= {"parameters": parameters | values, "tags": [*request.tags, group]}
    return JobWish.model_construct(workflow=document, **parts, **fields)


async def prepare_submission(
    services: Services, caller: Caller, request: JobWish, key: str | None
) -> Submission:
    """Return what is put into the queue for a request.

    Raises:
        NodegraphError: See `submit`.
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
    not_before = None if request.not_before is None else parse_moment(request.not_before)
    # Other servers have other folders.
    is_shared = services.uploads.is_shared
    text, parameters = workflow.original if is_shared else (workflow.text, workflow.parameters)
    return Submission(
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
        not_before,
        resolve_webhook(services.server, caller, request.webhook),
    )


def _sampling(needs: JobNeeds, request: JobWish) -> str:
    """Return the key of batches that its sampling may share; empty for no sharing.

    Jobs with a deadline do not share, because sharing takes time. Jobs that check for mutation do
    not share, because a changed value could be another job's.
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
    """Return the planner's answer about a workflow.

    Raises:
        QuestionFailed: The workflow cannot be read.
        NoAnswer: There is no planner, or it takes too long.
    """
    arguments = _planner_arguments(workflow, request)
    answer: Mapping[str, Any] = await services.supervisor.ask(question, arguments, PLAN_SECONDS)
    return answer


def _name(document: Mapping[str, Any]) -> str:
    """Return the workflow's title, shortened and cleaned for the queue."""
    title: str = to_well_formed(str(document.get("title", "")))
    return title.replace("\0", "\N{REPLACEMENT CHARACTER}")[:256]


def _planner_arguments(workflow: ResolvedWorkflow, request: WorkflowWish) -> dict[str, Any]:
    return {
        "workflow": workflow.text,
        "parameters": dict(workflow.parameters),
        "targets": request.targets,
        "options": request.options.model_dump(include=_FILE_OPTIONS, exclude_none=True)
        if isinstance(request, PlanWish)
        else {},
    }


def _seconds(plan: Mapping[str, Any] | None) -> float | None:
    seconds = None if plan is None else plan.get("totals", {}).get("seconds")
    return float(seconds) if isinstance(seconds, (int, float)) else None
