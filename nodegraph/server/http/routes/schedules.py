"""Routes of what happens without a request: schedules, and deliveries to webhooks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from nodegraph.client import shapes
from nodegraph.client.shapes.schema import build_shape
from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue.schedules import (
    TAG,
    JobSchedule,
    MissedPolicy,
    NewSchedule,
    SeedChange,
    find_zone,
    parse_moment,
    parse_rule,
)
from nodegraph.jobs.queue.webhooks import Delivery, DeliveryState, not_found
from nodegraph.server.access.caller import Caller
from nodegraph.server.http.dependencies import MayRead, MayRun, TheServices
from nodegraph.server.http.problems import responses
from nodegraph.server.http.request_bodies import JsonRoute
from nodegraph.server.http.responses import json_response
from nodegraph.server.operations.webhooks import (
    TEST_EVENT,
    check_receiver,
    delivery_body,
    webhook_client,
)
from nodegraph.server.services import Services
from nodegraph.server.workflows.job_entries import job_entry, job_path
from nodegraph.server.workflows.job_requests import JobWish
from nodegraph.server.workflows.schedules import (
    add_checked_schedule,
    read_visible_schedule,
    stored_request,
    submit_now,
)
from nodegraph.session.settings_kinds import NUMBER

router = APIRouter(prefix="/schedules", tags=["schedules"], route_class=JsonRoute)

_HOUR = 3_600.0
_LARGEST_PAGE = 1_000
_CHANGING = responses(401, 403, 404, 409, 422, 503)
ScheduleId = Annotated[
    str,
    Path(
        description="Id of a schedule.", max_length=64, examples=["sch_01hzy3m7q8r9s0t1v2w3x4y5z6"]
    ),
]
Text = Annotated[str, StringConstraints(max_length=256)]


class ScheduleWish(BaseModel):
    """The request for a new schedule."""

    model_config = ConfigDict(extra="forbid")

    rule: Annotated[str, StringConstraints(min_length=1, max_length=256)] = Field(
        description="When jobs start: `every 90m`, `daily 02:00`, `weekdays 08:30`, "
        "`mon,thu 18:00`; or `endless`: the next one when the last has ended.",
        examples=["daily 02:00"],
    )
    job: JobWish
    name: Text = Field(default="", description="Display name of the schedule and of its jobs.")
    zone: Text = Field(
        default="",
        description="Time zone of days and hours; empty for that of the server.",
        examples=["Europe/Berlin"],
    )
    seeds: SeedChange = Field(
        default="random",
        description="Seeds of each job: new random ones, those of the last job plus one, or the "
        "same.",
    )
    missed: MissedPolicy = Field(
        default="once",
        description="If its time passed while no server ran: one job at the next start, or none.",
    )
    until: Annotated[float, NUMBER] | Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="Time after which it fires no more: Unix time, or ISO 8601."
    )
    count: Annotated[int, NUMBER, Field(ge=1, lt=1 << 31)] | None = Field(
        default=None, description="Number of jobs after which it ends."
    )


class ScheduleList(BaseModel):
    """Schedules, the oldest first."""

    model_config = ConfigDict(extra="forbid")

    items: list[shapes.Schedule]


def _schedule(schedule: JobSchedule) -> shapes.Schedule:
    return build_shape(shapes.Schedule, schedule, count=schedule.most, tag=f"{TAG}{schedule.id}")


@router.post(
    "",
    summary="Add a schedule",
    status_code=201,
    responses=responses(400, 401, 403, 404, 413, 415, 422, 429, 503),
)
async def add_schedule(
    services: TheServices, caller: MayRun, body: ScheduleWish
) -> shapes.Schedule:
    """Keep a request that becomes jobs at times, or one after the other until it is stopped.

    The workflow is checked now and with each job. The jobs belong to the caller and count towards
    the caller's limits. They have the tag `schedule:` and the schedule's id.
    """
    zone = find_zone(body.zone)
    until = None if body.until is None else parse_moment(body.until, zone)
    wanted = NewSchedule(
        caller.name,
        body.name,
        parse_rule(body.rule),
        body.zone,
        stored_request(body.job),
        body.seeds,
        body.missed,
        until,
        body.count,
    )
    return _schedule(await add_checked_schedule(services, caller, body.job, wanted))


@router.get("", summary="List the schedules", responses=responses(401, 403, 503))
async def list_schedules(services: TheServices, caller: MayRead) -> ScheduleList:
    """Return the caller's schedules; those of all clients for an admin."""
    listed = await services.read_queue(services.queue.schedules, caller.only_client)
    return ScheduleList(items=[_schedule(each) for each in listed])


async def _visible(services: Services, caller: Caller, id: str) -> JobSchedule:
    return await services.queue_reads.run(read_visible_schedule, services, caller, id)


@router.get("/{id}", summary="Get a schedule", responses=responses(401, 403, 404, 503))
async def get_schedule(services: TheServices, caller: MayRead, id: ScheduleId) -> shapes.Schedule:
    """Return a schedule."""
    return _schedule(await _visible(services, caller, id))


@router.post("/{id}/pause", summary="Pause a schedule", responses=_CHANGING)
async def pause_schedule(services: TheServices, caller: MayRun, id: ScheduleId) -> shapes.Schedule:
    """Have a schedule submit no more jobs until it is resumed. Jobs that wait or run continue."""
    await _visible(services, caller, id)
    return _schedule(await services.queue_reads.changed(services.queue.pause_schedule(id, True)))


@router.post("/{id}/resume", summary="Resume a schedule", responses=_CHANGING)
async def resume_schedule(services: TheServices, caller: MayRun, id: ScheduleId) -> shapes.Schedule:
    """Have a paused schedule fire again, from its next time on."""
    await _visible(services, caller, id)
    return _schedule(await services.queue_reads.changed(services.queue.pause_schedule(id, False)))


@router.post(
    "/{id}/run",
    summary="Run a schedule now",
    status_code=202,
    response_model=shapes.JobSummary,
    responses=_CHANGING | responses(429),
)
async def run_schedule(services: TheServices, caller: MayRun, id: ScheduleId) -> Response:
    """Submit the next job of a schedule now, also of one that is paused. Its times stay."""
    schedule = await _visible(services, caller, id)
    owner = caller if caller.name == schedule.client else services.tokens.owner(schedule.client)
    if owner is None:
        raise InvalidValue(
            f"no token of {schedule.client} may run jobs", hint="Remove the schedule."
        )
    job = await submit_now(services, owner, schedule)
    return json_response(job_entry(job), 202, {"Location": job_path(job.id)})


@router.delete(
    "/{id}", summary="Remove a schedule", status_code=204, responses=responses(401, 403, 404, 503)
)
async def delete_schedule(services: TheServices, caller: MayRun, id: ScheduleId) -> None:
    """Remove a schedule. Its jobs stay, and those that wait or run continue."""
    await _visible(services, caller, id)
    await services.queue_reads.changed(services.queue.remove_schedule(id))


webhooks_router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=JsonRoute)
DeliveryId = Annotated[
    str,
    Path(
        description="Id of a delivery.",
        max_length=64,
        examples=["job_01hzy3m7q8r9s0t1v2w3x4y5z6-57"],
    ),
]


class DeliveryList(BaseModel):
    """A page of deliveries, the newest first."""

    model_config = ConfigDict(extra="forbid")

    items: list[shapes.Delivery]
    next: str | None = Field(description="Cursor of the next page; null on the last page.")


class WebhookTestWish(BaseModel):
    """The request for a test of a webhook."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, StringConstraints(min_length=1, max_length=2_048)] | None = Field(
        default=None,
        description="Address of the receiver. By default the webhook of the token.",
        examples=["https://example.org/hooks"],
    )


class SecretWish(BaseModel):
    """The request for a new secret."""

    model_config = ConfigDict(extra="forbid")

    hours: Annotated[float, NUMBER, Field(ge=0, le=24 * 366)] = Field(
        default=24.0, description="Hours for which the former secret signs deliveries as well."
    )


class WebhookSecret(BaseModel):
    """A new secret, which is shown only in this answer."""

    model_config = ConfigDict(extra="forbid")

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])


@webhooks_router.get(
    "", summary="List deliveries to webhooks", responses=responses(401, 403, 422, 503)
)
async def list_deliveries(
    services: TheServices,
    caller: MayRead,
    state: Annotated[DeliveryState | None, Query()] = None,
    job: Annotated[str | None, Query(max_length=64, description="Only those of this job.")] = None,
    limit: Annotated[int, Query(ge=1, le=_LARGEST_PAGE)] = 50,
    cursor: Annotated[str | None, Query(pattern="^[0-9]{1,18}$")] = None,
) -> DeliveryList:
    """Return the deliveries of the caller's jobs; those of all jobs for an admin."""
    page = await services.read_queue(
        services.queue.deliveries,
        caller.only_client,
        state=state,
        job=job,
        before=None if cursor is None else int(cursor),
        limit=limit,
    )
    following = str(page[-1].number) if len(page) == limit else None
    return DeliveryList(items=[_delivery(each) for each in page], next=following)


def _delivery(delivery: Delivery) -> shapes.Delivery:
    return build_shape(shapes.Delivery, delivery)


async def _visible_delivery(services: Services, caller: Caller, id: str) -> Delivery:
    delivery = await services.queue_reads.run(services.queue.delivery, id)
    if not caller.sees(delivery.client):
        raise not_found(id)
    return delivery


@webhooks_router.post(
    "/test",
    summary="Test a webhook",
    responses=responses(400, 401, 403, 413, 415, 422, 503),
)
async def test_webhook(
    services: TheServices, caller: MayRun, body: WebhookTestWish
) -> shapes.WebhookTest:
    """Send an event of the kind `webhook.test` now, once, and return how it went."""
    url = body.url or caller.webhook
    if not url:
        raise InvalidValue(
            "there is no webhook to test",
            expected="an address, or a token with a webhook",
            hint="Give the address of the receiver.",
        )
    check_receiver(services.server, url)
    queue = services.queue
    secrets = await services.read_queue(queue.webhook_secrets, caller.name, queue.now)
    if not secrets:
        secret = await services.queue_reads.changed(queue.rotate_webhook_secret(caller.name, 0.0))
        secrets = (secret,)
    client = webhook_client(services.server)
    try:
        now = queue.now
        content = delivery_body(TEST_EVENT, now, {"client": caller.name})
        answer = await client.send(url, f"test-{now:.6f}", content, secrets, now)
    finally:
        await client.close()
    return shapes.WebhookTest(url, answer.error is None, answer.status, answer.error)


@webhooks_router.post(
    "/secret",
    summary="Make a new secret for webhooks",
    responses=responses(400, 401, 403, 413, 415, 422, 503),
)
async def rotate_webhook_secret(
    services: TheServices, caller: MayRun, body: SecretWish
) -> WebhookSecret:
    """Return a new secret, which signs the deliveries of the caller's jobs from now on."""
    change = services.queue.rotate_webhook_secret(caller.name, body.hours * _HOUR)
    return WebhookSecret(secret=await services.queue_reads.changed(change))


@webhooks_router.get("/{id}", summary="Get a delivery", responses=responses(401, 403, 404, 503))
async def get_delivery(services: TheServices, caller: MayRead, id: DeliveryId) -> shapes.Delivery:
    """Return what became of a delivery."""
    return _delivery(await _visible_delivery(services, caller, id))


@webhooks_router.post(
    "/{id}/replay", summary="Deliver again", responses=responses(401, 403, 404, 503)
)
async def replay_delivery(services: TheServices, caller: MayRun, id: DeliveryId) -> shapes.Delivery:
    """Deliver once more, from now on, under the same id, as often as needed."""
    await _visible_delivery(services, caller, id)
    change = services.queue.replay_delivery(id)
    return _delivery(await services.queue_reads.changed(change))
