"""Routes of jobs and of the queue: submit, find, change, cancel and delete."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nodegraph.client import shapes
from nodegraph.core.workflow import Workflow
from nodegraph.jobs.queue import Job, JobFilter, State
from nodegraph.jobs.queue.job_order import QueueEnd
from nodegraph.jobs.queue.job_queries import Order
from nodegraph.jobs.queue.submission import HIGHEST_PRIORITY, LOWEST_PRIORITY
from nodegraph.server.access.caller import Caller
from nodegraph.server.http.dependencies import MayAdmin, MayRead, MayRun, TheServices, may_run
from nodegraph.server.http.dependencies import services as services_of
from nodegraph.server.http.problems import responses
from nodegraph.server.http.request_bodies import JsonRoute, fast_path
from nodegraph.server.http.responses import json_response
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_entries import (
    JobList,
    job_detail,
    job_entry,
    job_list,
    job_path,
)
from nodegraph.server.workflows.job_requests import (
    JobWish,
    RowsWish,
    change_visible_job,
    get_visible_job,
    restrict_to_caller,
    submit,
    submit_rows,
)
from nodegraph.session.settings_kinds import NUMBER

queue_router = APIRouter(prefix="/queue", tags=["queue"])


class Cleared(BaseModel):
    """The number of cancelled jobs."""

    cancelled: int = Field(examples=[12])


@queue_router.get(
    "",
    summary="Get the state of the queue",
    response_model=shapes.QueueState,
    responses=responses(401, 403, 503),
)
async def get_queue(
    services: TheServices, caller: MayRead, limit: Annotated[int, Query(ge=0, le=1_000)] = 50
) -> Response:
    """Return the number of jobs in each state and the next jobs, as far as they are known now."""
    return json_response(await services.read_queue(_entry, services, caller, limit))


def _entry(services: Services, caller: Caller, limit: int) -> dict[str, Any]:
    queue, client = services.queue, caller.only_client
    upcoming = queue.upcoming(limit, client) if limit else ()
    return {
        "paused": queue.is_paused(),
        "counts": asdict(queue.counts(client)),
        "upcoming": [job_entry(job) for job in upcoming],
    }


@queue_router.post(
    "/pause",
    summary="Pause the queue",
    response_model=shapes.QueueState,
    responses=responses(401, 403, 503),
)
async def pause_queue(services: TheServices, caller: MayAdmin) -> Response:
    """Start no new jobs, also after a restart. Running jobs continue."""
    await services.queue_reads.changed(services.queue.pause())
    services.hub.notify("queue.changed", paused=True)
    return json_response(await services.read_queue(_entry, services, caller, 0))


@queue_router.post(
    "/resume",
    summary="Resume the queue",
    response_model=shapes.QueueState,
    responses=responses(401, 403, 503),
)
async def resume_queue(services: TheServices, caller: MayAdmin) -> Response:
    """Start jobs again."""
    await services.queue_reads.changed(services.queue.resume())
    services.hub.notify("queue.changed", paused=False)
    return json_response(await services.read_queue(_entry, services, caller, 0))


@queue_router.post(
    "/clear", summary="Cancel the waiting jobs", responses=responses(401, 403, 422, 503)
)
async def clear_queue(
    services: TheServices,
    caller: MayRun,
    client: Annotated[
        str | None, Query(max_length=256, description="Only jobs of this client.")
    ] = None,
    tag: Annotated[
        str | None, Query(max_length=256, description="Only jobs with this tag.")
    ] = None,
) -> Cleared:
    """Cancel the waiting jobs of the caller. For an admin, cancel those of all clients."""
    own_client = caller.only_client
    if own_client is not None and client not in (None, own_client):
        return Cleared(cancelled=0)
    which = JobFilter(client=own_client or client, tag=tag)
    return Cleared(cancelled=await services.run_long_change(services.queue.clear, which))


router = APIRouter(prefix="/jobs", tags=["jobs"], route_class=JsonRoute)

LARGEST_PAGE = 5_000
_LONGEST_KEY = 256
_UPLOADED = "uploads"
"""Part of the path of each uploaded file."""
JobId = Annotated[
    str,
    Path(description="Id of a job.", max_length=64, examples=["job_01hzy3m7q8r9s0t1v2w3x4y5z6"]),
]
_ENDS: dict[Literal["first", "last"], QueueEnd] = {"first": "front", "last": "back"}
_LOCATION = {"Location": {"description": "Path of the job.", "schema": {"type": "string"}}}
_STEERING = responses(401, 403, 404, 409, 503)


class Deleted(BaseModel):
    """The number of deleted jobs."""

    deleted: int = Field(examples=[12])


class Change(BaseModel):
    """Fields of a waiting job that can be changed."""

    model_config = ConfigDict(extra="forbid")

    priority: Annotated[int, NUMBER, Field(ge=LOWEST_PRIORITY, le=HIGHEST_PRIORITY)]


class MoveToEnd(BaseModel):
    """A move to the front or the end of the jobs of the same client and priority."""

    model_config = ConfigDict(extra="forbid")

    to: Literal["first", "last"]


class MoveBefore(BaseModel):
    """A move to the position directly before another job of the same client and priority."""

    model_config = ConfigDict(extra="forbid")

    before: Annotated[str, Field(max_length=64)]


async def _filter(
    state: Annotated[
        list[State] | None, Query(description="Only jobs in one of these states.")
    ] = None,
    tag: Annotated[str | None, Query(max_length=256)] = None,
    text: Annotated[
        str | None, Query(max_length=256, description="Part of the name or of a tag.")
    ] = None,
    client: Annotated[str | None, Query(max_length=256)] = None,
    created_after: Annotated[
        float | None, Query(allow_inf_nan=False, description="Unix time, included.")
    ] = None,
    created_before: Annotated[
        float | None, Query(allow_inf_nan=False, description="Unix time, not included.")
    ] = None,
) -> JobFilter:
    return JobFilter(state or (), client, tag, created_after, created_before, text)


Which = Annotated[JobFilter, Depends(_filter)]


async def _submit(request: Request, document: object) -> Response | None:
    """Submit a job as `submit_job` does if the request is valid; return None otherwise."""
    keys = request.headers.getlist("idempotency-key")
    if len(keys) > 1 or (keys and not 1 <= len(keys[0]) <= _LONGEST_KEY):
        return None
    try:
        job_request = JobWish.model_validate(document)
    except ValidationError:
        return None
    caller = await may_run(request)
    return await submit_job(
        await services_of(request), caller, job_request, keys[0] if keys else None
    )


@router.post(
    "",
    summary="Submit a job",
    status_code=202,
    response_model=shapes.JobSummary,
    responses={
        202: {"description": "The new job, which waits in the queue.", "headers": _LOCATION},
        200: {
            "description": "The job that was submitted before with this key.",
            "model": shapes.JobSummary,
        },
        **responses(400, 401, 403, 404, 413, 415, 422, 429, 503),
    },
)
@fast_path(_submit)
async def submit_job(
    services: TheServices,
    caller: MayRun,
    body: JobWish,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=_LONGEST_KEY,
            description="Requests with the same key and content create only one job.",
        ),
    ] = None,
) -> Response:
    """Add a job that runs a workflow. Once the server has answered, the job survives a crash.

    The workflow is checked first, as far as possible without running the code of node packs. A
    fault that only this code can find makes the job fail later.
    """
    submitted = await submit(services, caller, body, idempotency_key)
    return json_response(
        job_entry(submitted.job),
        202 if submitted.is_new else 200,
        {"Location": job_path(submitted.job.id)},
    )


@router.post(
    "/rows",
    summary="Submit a job per row of a table",
    status_code=202,
    responses=responses(400, 401, 403, 404, 413, 415, 422, 429, 503),
)
async def submit_job_rows(
    services: TheServices,
    caller: MayRun,
    body: RowsWish,
    idempotency_key: Annotated[
        str | None,
        Header(
            min_length=1,
            max_length=_LONGEST_KEY,
            description="Requests with the same key and content create the jobs only once.",
        ),
    ] = None,
) -> shapes.JobGroup:
    """Add a job for each row, up to 10,000: all of them, or none if a row has a problem.

    All have the tag `group`, which lists them (`GET /jobs?tag=`) and cancels the waiting ones
    (`POST /queue/clear?tag=`).
    """
    return await submit_rows(services, caller, body, idempotency_key)


@router.get(
    "",
    summary="List jobs",
    response_model=JobList,
    responses=responses(401, 403, 422, 503),
)
async def list_jobs(
    services: TheServices,
    caller: MayRead,
    which: Which,
    order: Annotated[Order, Query()] = "newest",
    limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 50,
    cursor: Annotated[str | None, Query(max_length=256)] = None,
) -> Response:
    """Return the jobs that the caller may see and that match all given filters."""
    chosen = restrict_to_caller(caller, which)
    if chosen is None:
        return json_response(job_list((), None))
    job_filter = chosen

    def listed() -> bytes:
        page = services.queue.page(job_filter, order=order, limit=limit, cursor=cursor)
        return json.dumps(job_list(page.jobs, page.next), separators=(",", ":")).encode()

    return Response(await services.read_queue(listed), media_type="application/json")


@router.get(
    "/{id}", summary="Get a job", response_model=shapes.Job, responses=responses(401, 403, 404, 503)
)
async def get_job(services: TheServices, caller: MayRead, id: JobId) -> Response:
    """Return a job with its request and its result."""
    job = await get_visible_job(services, caller, id)
    return json_response(job_detail(job, services.uploads.mask_paths))


@router.get(
    "/{id}/workflow",
    summary="Get a job's workflow",
    response_class=Response,
    responses={
        200: {"description": "The workflow.", "content": {"application/json": {"schema": {}}}},
        **responses(401, 403, 404, 503),
    },
)
async def get_job_workflow(
    services: TheServices,
    caller: MayRead,
    id: JobId,
    parameters: Annotated[
        Literal["true", "false"],
        Query(description="Insert the parameter values of the job."),
    ] = "false",
) -> Response:
    """Return the workflow as it was submitted. Uploaded files appear in it as `upload:…`."""
    job = await get_visible_job(services, caller, id)
    is_filled = parameters == "true"
    text = await services.read_queue(_workflow_text, services, job, is_filled)
    return Response(text, media_type="application/json")


def _workflow_text(services: Services, job: Job, is_filled: bool) -> str:
    text = services.queue.workflow(job.workflow)
    if is_filled and job.parameters:
        filled = Workflow.from_json(text).with_parameters(job.parameters)
        return json.dumps(services.uploads.mask_paths(filled.to_dict()))
    # Most workflows name no uploaded file and are returned without changes.
    return json.dumps(services.uploads.mask_paths(json.loads(text))) if _UPLOADED in text else text


@router.post(
    "/{id}/cancel", summary="Cancel a job", response_model=shapes.JobSummary, responses=_STEERING
)
async def cancel_job(services: TheServices, caller: MayRun, id: JobId) -> Response:
    """Cancel a waiting job at once, and a running job at its next step: see `wanted`."""
    return json_response(
        job_entry(await change_visible_job(services, caller, id, services.queue.cancel))
    )


@router.post(
    "/{id}/retry",
    summary="Queue a job again",
    response_model=shapes.JobSummary,
    responses=_STEERING | responses(429),
)
async def retry_job(services: TheServices, caller: MayRun, id: JobId) -> Response:
    """Queue a failed or cancelled job again. It continues from its last checkpoint."""
    return json_response(
        job_entry(await change_visible_job(services, caller, id, services.queue.retry))
    )


@router.post(
    "/{id}/hold", summary="Pause a job", response_model=shapes.JobSummary, responses=_STEERING
)
async def hold_job(services: TheServices, caller: MayRun, id: JobId) -> Response:
    """Hold a job until it is released. A running job returns to the queue at its next step."""
    return json_response(
        job_entry(await change_visible_job(services, caller, id, services.queue.hold))
    )


@router.post(
    "/{id}/unhold", summary="Release a job", response_model=shapes.JobSummary, responses=_STEERING
)
async def unhold_job(services: TheServices, caller: MayRun, id: JobId) -> Response:
    """Release a job that is paused or about to be paused."""
    return json_response(
        job_entry(await change_visible_job(services, caller, id, services.queue.unhold))
    )


@router.patch(
    "/{id}",
    summary="Change a job's priority",
    response_model=shapes.JobSummary,
    responses=_STEERING | responses(400, 413, 415, 422),
)
async def change_job(services: TheServices, caller: MayRun, id: JobId, change: Change) -> Response:
    """Change the priority of a waiting job."""
    queue = services.queue
    job = await change_visible_job(
        services, caller, id, lambda job: queue.prioritize(job, change.priority)
    )
    return json_response(job_entry(job))


@router.post(
    "/{id}/move",
    summary="Move a job in the queue",
    response_model=shapes.JobSummary,
    responses=_STEERING | responses(400, 413, 415, 422),
)
async def move_job(
    services: TheServices, caller: MayRun, id: JobId, to: MoveToEnd | MoveBefore
) -> Response:
    """Move a waiting job among the waiting jobs of the same client and priority."""
    queue = services.queue
    if isinstance(to, MoveToEnd):
        end = _ENDS[to.to]
        await change_visible_job(services, caller, id, lambda job: queue.move(job, end))
    else:
        other = (await get_visible_job(services, caller, to.before)).id
        await change_visible_job(services, caller, id, lambda job: queue.move_before(job, other))
    return json_response(job_entry(await get_visible_job(services, caller, id)))


@router.delete("/{id}", summary="Delete a job", status_code=204, responses=_STEERING)
async def delete_job(services: TheServices, caller: MayRun, id: JobId) -> None:
    """Delete an ended job and its events. Its files stay where they are."""
    await change_visible_job(services, caller, id, services.queue.delete)
    services.hub.notify("jobs.deleted")


@router.delete("", summary="Delete jobs", responses=responses(401, 403, 422, 503))
async def delete_jobs(services: TheServices, caller: MayRun, which: Which) -> Deleted:
    """Delete the ended jobs that match all given filters."""
    chosen = restrict_to_caller(caller, which)
    if chosen is None:
        return Deleted(deleted=0)
    deleted = await services.run_long_change(services.queue.delete_matching, chosen)
    if deleted:
        services.hub.notify("jobs.deleted")
    return Deleted(deleted=deleted)
