"""Timed and repeated jobs of a server: one job per due time, by a clock that the test sets."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from nodegraph.errors import InvalidValue, InvalidWorkflow
from nodegraph.jobs.queue import JobSummary, WrongState
from nodegraph.jobs.queue.schedules import JobSchedule, NewSchedule, parse_rule
from nodegraph.server.access.caller import LOCAL
from nodegraph.server.access.tokens import TOKENS_FILE, TokenFile
from nodegraph.server.services import Services
from nodegraph.server.settings import ClientLimits, ServerSettings
from nodegraph.server.workflows.job_requests import JobWish, submit
from nodegraph.server.workflows.schedules import (
    Timetable,
    _submitted,
    add_checked_schedule,
    next_seed,
    stored_request,
    submit_now,
)
from nodegraph.session.settings import Settings
from tests.messages import raises
from tests.server.hosting import read_packs, workflow

START = 1_764_000_000.0
HOUR = 3_600.0


class Clock:
    """The machine's clock, set by hand."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@asynccontextmanager
async def opened(
    home: Path, clock: Clock, **settings: Any
) -> AsyncIterator[tuple[Services, Timetable]]:
    """A server's services and timetable, which go by a test's clock."""
    services = Services(Settings(home=home), ServerSettings(**settings), has_workers=False)
    await services.open()
    services.queue._clock = clock
    try:
        yield services, Timetable(services)
    finally:
        await services.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(test)


async def added(
    services: Services, rule: str = "every 1h", wish: dict[str, Any] | None = None, **options: Any
) -> JobSchedule:
    request = JobWish.model_validate({"workflow": workflow(), **(wish or {})})
    wanted = NewSchedule(
        LOCAL.name, "nightly", parse_rule(rule), "UTC", stored_request(request), **options
    )
    return await add_checked_schedule(services, LOCAL, request, wanted)


def jobs(services: Services) -> list[JobSummary]:
    return list(services.queue.page(order="oldest", limit=100).jobs)


def finish(services: Services) -> None:
    """Run the next job."""
    job = services.queue.claim("worker").result()
    assert job is not None
    services.queue.finish(job.id, job.attempt, {}).result()


def test_a_timed_job_is_let_go_at_its_time(home: Path) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            request = JobWish.model_validate(
                {"workflow": workflow(), "not_before": "2025-11-24T17:00:00+00:00"}
            )
            job = (await submit(services, LOCAL, request)).job
            assert job.not_before == START + HOUR
            assert await timetable.round() == 10.0
            clock.now = job.not_before - 2
            assert await timetable.round() == 2.0
            clock.now = job.not_before
            await timetable.round()
            assert services.queue.get(job.id).not_before is None

    run(test())


def test_a_schedule_submits_a_job_at_each_of_its_times(home: Path) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            schedule = await added(services, wish={"tags": ["night"]})
            await timetable.round()
            assert jobs(services) == []
            for number in range(1, 4):
                clock.now = START + number * HOUR
                await timetable.round()
                await timetable.round()
                assert len(jobs(services)) == number
                finish(services)
            last = jobs(services)[-1]
            assert last.tags == ("night", f"schedule:{schedule.id}")
            assert (last.client, last.name) == (LOCAL.name, "nightly")
            now = services.queue.schedule(schedule.id)
            assert (now.fired, now.skipped, now.job, now.error) == (3, 0, last.id, None)
            assert now.due == START + 4 * HOUR

    run(test())


def test_a_server_that_dies_after_a_submission_submits_no_second_job(home: Path) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            schedule = await added(services)
            clock.now += HOUR
            # All but the note that it has fired.
            first = await _submitted(services, LOCAL, schedule)
        async with opened(home, clock) as (services, timetable):
            await timetable.round()
            assert [job.id for job in jobs(services)] == [first.id]
            assert services.queue.schedule(schedule.id).fired == 1

    run(test())


def test_a_job_before_a_time_that_was_missed_takes_no_other_time(home: Path) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            schedule = await added(services, missed="skip")
            clock.now += HOUR
            first = await _submitted(services, LOCAL, schedule)
            finish(services)
        clock.now += 600
        async with opened(home, clock) as (services, timetable):
            await timetable.round()
            clock.now = START + 2 * HOUR
            await timetable.round()
            assert len(jobs(services)) == 2
            assert services.queue.schedule(schedule.id).job != first.id

    run(test())


@pytest.mark.parametrize("rule", ["every 1h", "daily 18:00", "endless"])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_a_clock_that_was_far_ahead_stops_no_schedule(
    home: Path, rule: str, is_restarted: bool
) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            schedule = await added(services, rule)
            clock.now += 365 * 24 * HOUR
            await timetable.round()
            job = services.queue.claim("worker").result()
            assert job is not None
            services.queue.fail(job.id, job.attempt, {"code": "x", "message": "x"}).result()
            await timetable.round()
            clock.now = START + HOUR
            await (Timetable(services) if is_restarted else timetable).round()
            clock.now += 24 * HOUR
            await timetable.round()
            assert services.queue.schedule(schedule.id).fired == 2

    run(test())


def test_a_clock_that_is_put_back_a_little_fires_no_time_twice(home: Path) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            schedule = await added(services, "daily 18:00")
            due = clock.now = schedule.due or 0.0
            await timetable.round()
            finish(services)
            clock.now = due - HOUR
            await timetable.round()
            clock.now = due
            await timetable.round()
            assert services.queue.schedule(schedule.id).fired == 1

    run(test())


def test_two_servers_fire_once(home: Path) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            await added(services)
            clock.now += HOUR
            await asyncio.gather(timetable.round(), Timetable(services).round())
            assert len(jobs(services)) == 1

    run(test())


@pytest.mark.parametrize(("missed", "count"), [("once", 1), ("skip", 0)])
def test_times_that_passed_while_no_server_ran(home: Path, missed: Any, count: int) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, _):
            schedule = await added(services, missed=missed)
        clock.now += 10.5 * HOUR
        async with opened(home, clock) as (services, timetable):
            await timetable.round()
            await timetable.round()
            assert len(jobs(services)) == count
            assert services.queue.schedule(schedule.id).due == START + 11 * HOUR

    run(test())


def test_it_does_not_pile_up(home: Path) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            schedule = await added(services)
            for _ in range(5):
                clock.now += HOUR
                await timetable.round()
            (job,) = jobs(services)
            now = services.queue.schedule(schedule.id)
            assert (now.fired, now.skipped, now.error) == (1, 4, f"{job.id} still waits")
            finish(services)
            clock.now += HOUR
            await timetable.round()
            assert services.queue.schedule(schedule.id).error is None
            assert len(jobs(services)) == 2

    run(test())


def test_an_endless_one_goes_on_when_its_job_has_ended(home: Path) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            schedule = await added(services, "endless")
            for number in range(1, 4):
                await timetable.round()
                await timetable.round()
                assert len(jobs(services)) == number
                finish(services)
            await timetable.round()
            services.queue.cancel(jobs(services)[-1].id).result()
            await timetable.round()
            now = services.queue.schedule(schedule.id)
            assert (now.state, len(jobs(services))) == ("paused", 4)
            assert now.error == f"{now.job} was cancelled"
            services.queue.pause_schedule(schedule.id, False).result()

    run(test())


def test_an_endless_one_whose_job_fails_waits_a_while(home: Path) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            schedule = await added(services, "endless")
            await timetable.round()
            job = services.queue.claim("worker").result()
            assert job is not None
            services.queue.fail(job.id, job.attempt, {"code": "x", "message": "y"}).result()
            await timetable.round()
            await timetable.round()
            assert len(jobs(services)) == 1
            due = services.queue.schedule(schedule.id).due
            assert due == clock.now + 30
            clock.now = due
            await timetable.round()
            assert len(jobs(services)) == 2

    run(test())


def test_it_ends_after_so_many_jobs_or_at_its_time(home: Path) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            counted = await added(services, most=2)
            timed = await added(services, until=START + 1.5 * HOUR)
            for _ in range(4):
                clock.now += HOUR
                await timetable.round()
                while services.queue.counts().queued:
                    finish(services)
            ends = [services.queue.schedule(each.id) for each in (counted, timed)]
            assert [(each.state, each.fired, each.due) for each in ends] == [
                ("ended", 2, None),
                ("ended", 1, None),
            ]

    run(test())


@pytest.mark.parametrize("rule", ["endless", "every 1h"])
def test_nothing_starts_after_its_end(home: Path, rule: str) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            schedule = await added(services, rule, until=START + 1.5 * HOUR)
            clock.now += 3 * HOUR
            await timetable.round()
            assert jobs(services) == []
            assert services.queue.schedule(schedule.id).state == "ended"

    run(test())


def test_what_is_refused_is_noted_and_tried_at_the_next_time(home: Path) -> None:
    async def test() -> None:
        clock = Clock()
        limits = ClientLimits(waiting=1)
        async with opened(home, clock, clients=limits) as (services, timetable):
            both = [await added(services), await added(services)]
            first, second = sorted(both, key=lambda each: each.id)
            clock.now += HOUR
            await timetable.round()
            one, other = (services.queue.schedule(each.id) for each in (first, second))
            assert (one.fired, other.fired, other.skipped) == (1, 0, 1)
            assert other.error == "the queue of local is full: one more job was submitted"
            finish(services)
            clock.now += HOUR
            await timetable.round()
            assert services.queue.schedule(first.id).fired == 2

    run(test())


def test_a_client_without_a_token_submits_nothing(home: Path) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            schedule = await added(services)
            TokenFile(home / TOKENS_FILE).add("studio", ["admin"])
            services.tokens.refresh_seconds = 0.0
            clock.now += HOUR
            await timetable.round()
            assert jobs(services) == []
            assert services.queue.schedule(schedule.id).error == "no token of local may run jobs"

    run(test())


def test_it_can_be_run_at_once(home: Path) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, _):
            schedule = await added(services)
            services.queue.pause_schedule(schedule.id, True).result()
            paused = services.queue.schedule(schedule.id)
            job = await submit_now(services, LOCAL, paused)
            now = services.queue.schedule(schedule.id)
            assert (now.state, now.fired, now.job) == ("paused", 1, job.id)

    run(test())


def test_it_ends_after_so_many_jobs_however_they_started(home: Path) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            schedule = await added(services, most=2)
            for _ in range(2):
                await submit_now(services, LOCAL, services.queue.schedule(schedule.id))
                finish(services)
            last = services.queue.schedule(schedule.id)
            assert (last.state, last.due, last.fired) == ("ended", None, 2)
            clock.now += HOUR
            await timetable.round()
            with raises(WrongState):
                await submit_now(services, LOCAL, last)
            assert len(jobs(services)) == 2

    run(test())


@pytest.mark.parametrize(
    ("column", "value", "state"),
    [("zone", "Mars/Olympus", "paused"), ("request", '{"x": 1}', "active")],
)
def test_one_that_cannot_fire_keeps_no_other_waiting(
    home: Path, column: str, value: str, state: str
) -> None:
    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            schedule, other = await added(services), await added(services)
            # As after a move to another machine, or from another version.
            with closing(sqlite3.connect(home / "queue.sqlite")) as database, database:
                change = f"UPDATE schedules SET {column} = ? WHERE id = ?"
                database.execute(change, (value, schedule.id))
            clock.now += HOUR
            await timetable.round()
            now = services.queue.schedule(schedule.id)
            assert (now.state, now.fired) == (state, 0)
            assert now.error is not None
            assert services.queue.schedule(other.id).fired == 1

    run(test())


@pytest.mark.parametrize("wish", [{"name": "\0"}, {"tags": ["\0"]}])
def test_what_the_queue_would_refuse_is_refused_at_once(home: Path, wish: dict[str, Any]) -> None:
    async def test() -> None:
        async with opened(home, Clock()) as (services, _):
            with raises(InvalidValue):
                await added(services, wish=wish)
            assert services.queue.schedules() == []

    run(test())


def test_a_schedule_of_a_faulty_request_is_refused(home: Path) -> None:
    async def test() -> None:
        async with opened(home, Clock()) as (services, _):
            with raises(InvalidWorkflow):
                await added(services, wish={"parameters": {"b": "text"}})
            with raises(InvalidValue):
                await added(services, wish={"held": True})
            with raises(InvalidValue):
                await added(services, wish={"not_before": START})
            assert services.queue.schedules() == []

    run(test())


def test_seeds_are_those_of_the_number_of_the_job() -> None:
    first, second = (next_seed("random", "sch_x", fired, 7) for fired in range(2))
    assert first != second
    assert first == next_seed("random", "sch_x", 0, 7)
    assert next_seed("random", "sch_x", 0, 8) != first
    assert [next_seed("increment", "sch_x", fired, 7) for fired in range(3)] == [7, 8, 9]


SEEDED = {
    "format": "nodegraph/1",
    "parameters": {"seed": "noise.seed"},
    "nodes": {
        "noise": {"type": "seeds:Noise", "inputs": {"seed": 5}},
        "other": {"type": "seeds:Noise", "inputs": {"seed": 6}},
    },
}
SEED_PACK = '''
from typing import Annotated
from nodegraph import Context, Seed, node

@node(output=True)
def Noise(ctx: Context, seed: Annotated[int, Seed()] = 0) -> None:
    """Takes a seed."""
'''


@pytest.mark.parametrize(
    ("how", "expected"), [("increment", [(5, 6), (6, 7)]), ("same", [(5, 6), (5, 6)])]
)
def test_each_job_has_other_seeds(home: Path, how: Any, expected: Any) -> None:
    (home / "packs" / "seeds.py").write_text(SEED_PACK)
    read_packs(home)

    async def test() -> None:
        clock = Clock()
        async with opened(home, clock) as (services, timetable):
            wish = {"workflow": SEEDED, "parameters": {"seed": 5}}
            ids = [(await added(services, wish=wish, seeds=each)).id for each in (how, "random")]
            seen: dict[str, list[tuple[int, int]]] = {}
            for _ in range(2):
                clock.now += HOUR
                await timetable.round()
                while (job := services.queue.claim("worker").result()) is not None:
                    nodes = json.loads(services.queue.workflow(job.workflow))["nodes"]
                    seeds = job.parameters["seed"], nodes["other"]["inputs"]["seed"]
                    seen.setdefault(job.tags[0], []).append(seeds)
                    services.queue.finish(job.id, job.attempt, {}).result()
            first, second = (seen[f"schedule:{each}"] for each in ids)
            assert first == expected
            assert len({seed for pair in second for seed in pair}) == 4

    run(test())
