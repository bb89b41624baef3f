"""Timed and repeated jobs: let jobs go when their time comes, and submit those of schedules."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from nodegraph.core.digests import digest_bytes
from nodegraph.core.hints import Seed
from nodegraph.core.subgraphs import with_changed_seeds
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue, NodegraphError
from nodegraph.jobs.queue import JobEvent, JobNotFound, JobSummary, KeyReused, WrongState
from nodegraph.jobs.queue.schedules import (
    ENDLESS,
    LATE_SECONDS,
    TAG,
    JobSchedule,
    NewSchedule,
    ScheduleNotFound,
    ScheduleState,
    SeedChange,
    not_found,
)
from nodegraph.jobs.queue.submission import prepare_submission as check_submission
from nodegraph.server.access.caller import Caller
from nodegraph.server.services import Services
from nodegraph.server.workflows.checks import parse_workflow
from nodegraph.server.workflows.job_requests import (
    JobWish,
    load_document,
    prepare_submission,
    submit,
)

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 10.0
"""Seconds between two looks at most, as the machine's clock may be put forward."""
_LEAST_WAIT = 0.05
_ENDS = frozenset({"job.finished", "job.failed", "job.cancelled"})
_PAUSE_SECONDS = 30.0
"""Until an endless schedule tries again whose job failed, or was refused."""
_RELEASED_AT_ONCE = 200


async def add_checked_schedule(
    services: Services, caller: Caller, request: JobWish, wanted: NewSchedule
) -> JobSchedule:
    """Keep a schedule, after a check of the request for its jobs.

    Raises:
        NodegraphError: A job of it would be refused, or the schedule is.
    """
    if request.not_before is not None or request.held:
        raise InvalidValue(
            "the job of a schedule can be neither held nor have a time of its own",
            given="held" if request.held else "not_before",
            expected="a rule of the schedule, which says when jobs start",
        )
    submission = await prepare_submission(services, caller, request, None)
    for name in dict.fromkeys((submission.name, wanted.name)):
        check_submission(replace(submission, name=name))
    return await services.queue_reads.changed(services.queue.add_schedule(wanted))


def read_visible_schedule(services: Services, caller: Caller, id: str) -> JobSchedule:
    """Return a schedule that the caller may see, looked up in this thread.

    Raises:
        ScheduleNotFound: There is no such schedule, or it belongs to another client.
    """
    schedule = services.queue.schedule(id)
    if not caller.sees(schedule.client):
        raise not_found(id)
    return schedule


async def submit_now(services: Services, caller: Caller, schedule: JobSchedule) -> JobSummary:
    """Submit a job of a schedule now, also of one that is paused; its times stay.

    Raises:
        WrongState: It has ended.
        NodegraphError: The job is refused.
    """
    if schedule.state == "ended":
        raise WrongState(
            "this schedule starts no more jobs",
            given="ended",
            expected="active or paused",
            hint="Add a new schedule instead.",
        )
    job = await _submitted(services, caller, schedule)
    state: ScheduleState = schedule.state
    due = None if schedule.rule == ENDLESS else schedule.due
    if _is_last(schedule):
        state, due = "ended", None
    change = services.queue.settle_schedule(schedule, job=job.id, error=None, due=due, state=state)
    await services.queue_reads.changed(change)
    return job


async def _submitted(services: Services, caller: Caller, schedule: JobSchedule) -> JobSummary:
    """Submit the next job of a schedule: always the same one, whichever server does.

    Raises:
        NodegraphError: The job is refused.
    """
    try:
        request = JobWish.model_validate_json(schedule.request)
    except ValidationError:
        raise InvalidValue(
            "this version cannot read the request of the schedule",
            hint="Remove the schedule, and add it again.",
        ) from None
    request = await _with_seeds(services, request, schedule)
    request.tags = [*request.tags[:31], f"{TAG}{schedule.id}"]
    request.name = request.name or schedule.name
    try:
        submitted = await submit(services, caller, request, f"{schedule.id}-{_number(schedule)}")
    except KeyReused as error:
        # Another server was first, from a saved workflow that has changed since.
        return await services.queue_reads.run(services.queue.get, error.job)
    return submitted.job


def _is_last(schedule: JobSchedule) -> bool:
    """Whether it ends with its next job."""
    return schedule.most is not None and schedule.fired + 1 >= schedule.most


def _number(schedule: JobSchedule) -> int:
    """The number of its next firing, from 1."""
    return schedule.fired + schedule.skipped + 1


async def _with_seeds(services: Services, request: JobWish, schedule: JobSchedule) -> JobWish:
    """The request with the seeds of the schedule's next job."""
    if schedule.seeds == "same":
        return request
    document = await load_document(services, request)
    types = await services.node_types.current()
    limit = services.server.limits.nodes
    workflow: Workflow = await services.run_in_thread(parse_workflow, document, limit)

    def change(seed: int) -> int:
        return next_seed(schedule.seeds, schedule.id, schedule.fired, seed)

    changed, seeds = await services.run_in_thread(with_changed_seeds, workflow, types, change)
    parameters = dict(request.parameters)
    for name, parameter in workflow.parameters.items():
        value = parameters.get(name)
        if parameter.input in seeds and isinstance(value, int):
            parameters[name] = change(value)
    return request.model_copy(update={"workflow": changed.to_dict(), "parameters": parameters})


def next_seed(how: SeedChange, id: str, fired: int, seed: int) -> int:
    """A seed of a schedule's job, the same on all servers.

    Args:
        fired: Jobs that the schedule has submitted before.
        seed: In the request.
    """
    if how == "increment":
        return (seed + fired) % (Seed.LARGEST + 1)
    return int(digest_bytes(f"{id}\n{fired}\n{seed}".encode())[:16], 16) % (Seed.LARGEST + 1)


class Timetable:
    """Lets jobs go when their time has come, and submits the jobs of schedules that are due.

    Every server of a queue does so; the queue lets the first one, and a second finds it done.

    Args:
        services: Of the server; the clock is that of their queue.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._wake = asyncio.Event()
        self._last_round: float | None = None

    async def run(self) -> None:
        """Do so until it is cancelled."""
        tail, problem = self._services.tail, "timed jobs cannot be started now"
        await tail.run_rounds(self.round, _is_of_interest, self._wake, problem)

    async def round(self) -> float:
        """Do what is due; seconds until it is worth to look again."""
        services, queue = self._services, self._services.queue
        now = queue.now
        if self._last_round is None or now < self._last_round:
            await services.queue_reads.changed(queue.check_schedules())
        self._last_round = now
        moment = await services.read_queue(queue.next_moment)
        if moment is not None and moment <= queue.now:
            released = await services.queue_reads.changed(queue.release_due())
            if released >= _RELEASED_AT_ONCE:
                return _LEAST_WAIT
        for each in await services.read_queue(queue.due_schedules, queue.now):
            with suppress(ScheduleNotFound):  # removed meanwhile
                schedule = await services.read_queue(queue.schedule, each.id)
                if replace(schedule, request="") == each:
                    await self._fire(schedule)
        moment = await services.read_queue(queue.next_moment)
        wait = _LOOK_SECONDS if moment is None else moment - queue.now
        return min(max(wait, _LEAST_WAIT), _LOOK_SECONDS)

    async def _fire(self, schedule: JobSchedule) -> None:
        """Submit a job of a schedule, or note why there is none, and when the next is due."""
        services = self._services
        now = services.queue.now
        job, error, state = None, None, schedule.state
        try:
            last = await self._last(schedule)
            due, state = _following(schedule, now)
            if _is_over(schedule, now):
                state = "ended"
            elif schedule.rule == ENDLESS and last is not None and last.state == "cancelled":
                state, error = "paused", f"{last.id} was cancelled"
            elif _is_missed(schedule, now):
                error = "its time passed while no server ran"
            elif last is not None and last.state == "queued":
                error = f"{last.id} still waits"
            elif _must_pause(schedule, last):
                error = f"{last.id} failed" if last is not None else None
                due = now + _PAUSE_SECONDS
            else:
                caller = self._owner(schedule)
                job = (await _submitted(services, caller, schedule)).id
        except Exception as refusal:  # noqa: BLE001 - schedules that are due later do not wait
            error = "an unexpected error, which the server's log has"
            if isinstance(refusal, NodegraphError):
                error = services.places.redact(refusal.problem.message)
            else:
                _LOG.exception("%s of %s fails", schedule.id, schedule.client)
            due, state = _following_refusal(schedule, now)
            _LOG.warning("%s of %s submits no job: %s", schedule.id, schedule.client, error)
        if job is not None and _is_last(schedule):
            state, due = "ended", None
        change = services.queue.settle_schedule(
            schedule, job=job, error=error, due=None if state != "active" else due, state=state
        )
        await services.queue_reads.changed(change)

    def _owner(self, schedule: JobSchedule) -> Caller:
        """Who submits the jobs of a schedule.

        Raises:
            InvalidValue: Its client has no token any more that may.
        """
        caller = self._services.tokens.owner(schedule.client)
        if caller is None or not caller.may("run"):
            raise InvalidValue(
                f"no token of {schedule.client} may run jobs",
                hint="Add one, or remove the schedule.",
            )
        return caller

    async def _last(self, schedule: JobSchedule) -> JobSummary | None:
        if schedule.job is None:
            return None
        try:
            return await self._services.queue_reads.run(self._services.queue.get, schedule.job)
        except JobNotFound:
            return None


def _is_of_interest(event: JobEvent) -> bool:
    return event.kind in _ENDS or "not_before" in event.data or event.kind == "job.unheld"


def _following(schedule: JobSchedule, now: float) -> tuple[float | None, ScheduleState]:
    """When a schedule fires next, and whether it does."""
    due = schedule.next_due(now)
    if due is None:
        return None, "ended"
    # An endless one waits for the end of its job.
    return None if schedule.rule == ENDLESS else due, schedule.state


def _following_refusal(schedule: JobSchedule, now: float) -> tuple[float | None, ScheduleState]:
    """When a schedule tries again whose job was refused; paused if nobody knows."""
    if schedule.rule == ENDLESS:
        return now + _PAUSE_SECONDS, schedule.state
    try:
        return _following(schedule, now)
    except InvalidValue:  # its time zone is there no more
        return None, "paused"


def _is_missed(schedule: JobSchedule, now: float) -> bool:
    is_late = schedule.due is not None and now - schedule.due > LATE_SECONDS
    return schedule.missed == "skip" and is_late and schedule.rule != ENDLESS


def _is_over(schedule: JobSchedule, now: float) -> bool:
    """Whether it has all its jobs, or its end has passed, for a timed one while no server ran."""
    if schedule.most is not None and schedule.fired >= schedule.most:
        return True
    late = 0.0 if schedule.rule == ENDLESS else LATE_SECONDS
    return schedule.until is not None and now - schedule.until > late


def _must_pause(schedule: JobSchedule, last: JobSummary | None) -> bool:
    """Whether an endless schedule waits a while, as its job failed and it has not waited yet."""
    has_failed = last is not None and last.state == "failed"
    return schedule.rule == ENDLESS and has_failed and schedule.due is None


def stored_request(request: JobWish) -> str:
    """The JSON of a request, as a schedule keeps it."""
    document: dict[str, Any] = request.model_dump(mode="json", exclude_defaults=True)
    return json.dumps(document, separators=(",", ":"))
