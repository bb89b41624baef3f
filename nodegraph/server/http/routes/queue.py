"""The queue as a whole: how much waits, what is next, and whether it goes on."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from nodegraph.client import shapes
from nodegraph.jobs.queue import JobFilter
from nodegraph.server.access.caller import Caller
from nodegraph.server.http.dependencies import MayAdmin, MayRead, MayRun, TheServices
from nodegraph.server.http.problems import responses
from nodegraph.server.http.sending import json_response
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_entries import job_entry

queue_router = APIRouter(prefix="/queue", tags=["queue"])

_LOOKAHEAD = 1_000
"""Jobs whose order is looked up to find the caller's among them."""


class Cleared(BaseModel):
    """How many jobs were cancelled."""

    cancelled: int = Field(examples=[12])


@queue_router.get(
    "",
    summary="Look at the queue",
    response_model=shapes.QueueState,
    responses=responses(401, 403, 503),
)
async def get_queue(
    services: TheServices, caller: MayRead, limit: Annotated[int, Query(ge=0, le=1_000)] = 50
) -> Response:
    """How many jobs there are, and which come next as far as that is known now."""
    return json_response(await services.read_queue(_entry, services, caller, limit))


def _entry(services: Services, caller: Caller, limit: int) -> dict[str, Any]:
    queue, client = services.queue, caller.only_client
    foreseen = queue.upcoming(limit if client is None else _LOOKAHEAD) if limit else ()
    visible_jobs = [job for job in foreseen if caller.sees(job.client)][:limit]
    return {
        "paused": queue.is_paused(),
        "counts": asdict(queue.counts(client)),
        "upcoming": [job_entry(job) for job in visible_jobs],
    }


@queue_router.post(
    "/pause",
    summary="Pause the queue",
    response_model=shapes.QueueState,
    responses=responses(401, 403, 503),
)
async def pause_queue(services: TheServices, caller: MayAdmin) -> Response:
    """Begin no more jobs, also after a restart. What runs goes on."""
    await services.queue_reads.changed(services.queue.pause())
    services.hub.notify("queue.changed", paused=True)
    return json_response(await services.read_queue(_entry, services, caller, 0))


@queue_router.post(
    "/resume",
    summary="Let the queue go on",
    response_model=shapes.QueueState,
    responses=responses(401, 403, 503),
)
async def resume_queue(services: TheServices, caller: MayAdmin) -> Response:
    """Begin jobs again."""
    await services.queue_reads.changed(services.queue.resume())
    services.hub.notify("queue.changed", paused=False)
    return json_response(await services.read_queue(_entry, services, caller, 0))


@queue_router.post("/clear", summary="Cancel what waits", responses=responses(401, 403, 422, 503))
async def clear_queue(
    services: TheServices,
    caller: MayRun,
    client: Annotated[str | None, Query(max_length=256, description="Only its jobs.")] = None,
    tag: Annotated[str | None, Query(max_length=256, description="Only jobs with it.")] = None,
) -> Cleared:
    """Cancel the caller's jobs that wait; for an admin, everybody's."""
    own_client = caller.only_client
    if own_client is not None and client not in (None, own_client):
        return Cleared(cancelled=0)
    which = JobFilter(client=own_client or client, tag=tag)
    return Cleared(cancelled=await services.run_long_change(services.queue.clear, which))
