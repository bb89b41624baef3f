"""Jobs wait for their time, and schedules know theirs, whatever happens to the clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue import JobQueue, KeyReused, WrongState
from nodegraph.jobs.queue.schedules import (
    MOST_SCHEDULES,
    NewSchedule,
    ScheduleNotFound,
    TooManySchedules,
    find_zone,
    parse_clock_time,
    parse_moment,
    parse_period,
    parse_rule,
)
from tests.jobs.queue.support import claim, claimed, open_queue, submit, told, wanted
from tests.messages import raises

BERLIN = ZoneInfo("Europe/Berlin")
START = 1_764_000_000.0


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tmp_path: Path, clock: Clock, either_place: None) -> Iterator[JobQueue]:
    with open_queue(tmp_path, clock=clock) as queue:
        yield queue


def test_a_timed_job_waits_for_its_time(queue: JobQueue, clock: Clock) -> None:
    timed = submit(queue, name="timed", not_before=START + 60)
    assert (timed.state, timed.held, timed.not_before) == ("queued", False, START + 60)
    submit(queue, name="other")
    assert queue.next_moment() == START + 60
    assert claimed(queue) == ["other"]
    assert queue.release_due().result() == 0
    clock.now += 60
    assert queue.release_due().result() == 1
    assert queue.get(timed.id).not_before is None
    assert queue.next_moment() is None
    assert claimed(queue) == ["timed"]
    unheld = next(each for each in told(queue) if each.kind == "job.unheld")
    assert unheld.data == {"reason": "due", "not_before": START + 60}


def test_a_time_that_has_passed_is_no_reason_to_wait(queue: JobQueue) -> None:
    submit(queue, name="late", not_before=START - 1)
    assert claimed(queue) == ["late"]


def test_a_timed_job_survives_a_restart(tmp_path: Path, clock: Clock, either_place: None) -> None:
    with open_queue(tmp_path, clock=clock) as queue:
        submit(queue, name="timed", not_before=START + 60)
    clock.now += 3_600
    with open_queue(tmp_path, clock=clock) as queue:
        assert queue.claim("worker").result() is None
        assert queue.release_due().result() == 1
        assert claimed(queue) == ["timed"]


def test_a_clock_that_is_put_back_lets_no_job_go_twice(queue: JobQueue, clock: Clock) -> None:
    job = submit(queue, not_before=START + 60)
    clock.now += 61
    queue.release_due().result()
    clock.now -= 3_600
    assert queue.release_due().result() == 0
    assert claim(queue).id == job.id


def test_others_keep_their_order_and_shares(queue: JobQueue, clock: Clock) -> None:
    for number in range(3):
        submit(queue, "bob", name=f"timed {number}", not_before=START + 10)
    for number in range(2):
        submit(queue, "ann", name=f"ann {number}")
        submit(queue, "bob", name=f"bob {number}")
    assert claimed(queue, 2) == ["ann 0", "bob 0"]
    clock.now += 10
    queue.release_due().result()
    # They keep the place in the line of their client that they had when they were submitted.
    assert claimed(queue) == ["ann 1", "timed 0", "timed 1", "timed 2", "bob 1"]


def test_a_timed_job_can_be_held_let_go_and_cancelled(queue: JobQueue, clock: Clock) -> None:
    job = submit(queue, not_before=START + 60)
    held = queue.hold(job.id).result()
    assert (held.held, held.not_before) == (True, START + 60)
    clock.now += 10
    assert queue.release_due().result() == 0
    waits = queue.unhold(job.id).result()
    assert (waits.held, waits.is_timed) == (False, True)
    goes = queue.unhold(job.id).result()
    assert (goes.is_timed, goes.not_before) == (False, None)
    assert claim(queue).id == job.id
    other = submit(queue, not_before=START + 600)
    assert queue.turn(other.id).is_held
    assert queue.cancel(other.id).result().state == "cancelled"
    assert queue.retry(other.id).result().is_timed is False


def test_one_that_is_held_past_its_time_goes_when_it_is_let_go(
    queue: JobQueue, clock: Clock
) -> None:
    job = submit(queue, not_before=START + 60, held=True)
    clock.now += 61
    assert queue.release_due().result() == 0
    assert queue.unhold(job.id).result().not_before is None
    assert claim(queue).id == job.id


def test_the_same_request_at_another_time_is_another_request(queue: JobQueue) -> None:
    first = queue.submit(wanted(key="k", not_before=START + 5)).result()
    assert not queue.submit(wanted(key="k", not_before=START + 5)).result().is_new
    assert first.is_new
    with raises(KeyReused):
        queue.submit(wanted(key="k", not_before=START + 6)).result()


def test_times_that_are_none_are_refused(queue: JobQueue) -> None:
    for moment in (-1.0, float("nan"), 1e20):
        with raises(InvalidValue):
            queue.submit(wanted(not_before=moment))


# Rules.


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("rule", "now", "then"),
    [
        ("daily 02:00", "2026-11-28 01:59", "2026-11-28 02:00"),
        ("daily 02:00", "2026-11-28 02:00", "2026-11-29 02:00"),
        ("daily 2:00", "2026-11-28 03:00", "2026-11-29 02:00"),
        ("weekdays 08:30", "2026-11-27 09:00", "2026-11-30 08:30"),
        ("weekends 10:00", "2026-11-30 09:00", "2026-12-05 10:00"),
        ("mon,Thu 18:00", "2026-11-30 18:30", "2026-12-03 18:00"),
        ("Sundays 00:05", "2026-11-28 12:00", "2026-11-29 00:05"),
        # The clock is put forward from 2 to 3, and back from 3 to 2.
        ("daily 02:30", "2026-03-28 12:00", "2026-03-29 03:30"),
        ("daily 02:30", "2026-10-24 12:00", "2026-10-25 02:30"),
        ("daily 02:30", "2026-10-25 02:40", "2026-10-26 02:30"),
    ],
)
def test_rules_of_days_go_by_the_time_of_their_zone(rule: str, now: str, then: str) -> None:
    assert parse_rule(rule).next_after(at(now), BERLIN) == at(then)


def test_periods_are_counted_from_the_firing_before() -> None:
    rule = parse_rule("every 1h 30m")
    assert rule.next_after(START, None) == START + 5_400
    assert rule.next_after(START + 10, None, START) == START + 5_400
    # Firings that passed while no server ran are left out.
    assert rule.next_after(START + 50_000, None, START) == START + 54_000
    # The clock was put back by a day.
    assert rule.next_after(START - 86_400, None, START) == START - 86_400 + 5_400


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "every",
        "every 5s",
        "every 2y",
        "every 400d",
        "daily",
        "daily 25:00",
        "hourly",
        "0 2 * * *",
    ],
)
def test_what_is_no_rule_says_what_is(rule: str) -> None:
    with raises(InvalidValue):
        parse_rule(rule)


def test_times_are_read() -> None:
    assert parse_moment(START) == START
    assert parse_moment("2026-12-01T02:00", BERLIN) == at("2026-12-01 02:00")
    assert parse_moment("2026-12-01T02:00Z") == parse_moment("2026-12-01T03:00:00+01:00")
    assert parse_clock_time("02:00", at("2026-11-28 12:00"), BERLIN) == at("2026-11-29 02:00")
    assert parse_period("1d 2h") == 93_600
    for text in ("tomorrow", "2026-13-01T02:00", "9999999-01-01"):
        with raises(InvalidValue):
            parse_moment(text, timezone.utc)
    with raises(InvalidValue):
        parse_period("1 hour")
    with raises(InvalidValue):
        find_zone("Mars/Olympus")
    with raises(InvalidValue):
        find_zone("../../etc/passwd")


# Schedules in the queue.


def schedule(rule: str = "every 1h", client: str = "ann", **options: object) -> NewSchedule:
    return NewSchedule(client, "s", parse_rule(rule), "UTC", "{}", **options)  # type: ignore[arg-type]


def test_a_schedule_is_due_at_its_time(queue: JobQueue, clock: Clock) -> None:
    added = queue.add_schedule(schedule()).result()
    assert (added.state, added.due, added.fired) == ("active", START + 3_600, 0)
    assert queue.due_schedules(clock.now) == []
    assert queue.next_moment() == START + 3_600
    assert [each.id for each in queue.due_schedules(START + 3_600)] == [added.id]


def test_one_firing_is_settled_once(queue: JobQueue) -> None:
    added = queue.add_schedule(schedule()).result()
    options = {"job": "job_x", "error": None, "due": START + 7_200, "state": "active"}
    first = queue.settle_schedule(added, **options).result()  # type: ignore[arg-type]
    assert first is not None
    assert (first.fired, first.due, first.job) == (1, START + 7_200, "job_x")
    assert queue.settle_schedule(added, **options).result() is None  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_whatever_a_refusal_says_is_kept(queue: JobQueue, text: str) -> None:
    added = queue.add_schedule(schedule()).result()
    options: dict[str, Any] = {"job": None, "due": added.due, "state": "active"}
    settled = queue.settle_schedule(added, error=text, **options).result()
    assert settled is not None
    assert settled.error == "a\ufffdb"


def test_lists_hold_no_requests(queue: JobQueue, clock: Clock) -> None:
    added = queue.add_schedule(schedule()).result()
    clock.now += 3_600
    for listed in (queue.schedules(), queue.due_schedules(clock.now)):
        assert listed == [replace(added, request="")]
    assert queue.schedule(added.id).request == added.request == "{}"


def test_a_pause_during_a_firing_stays(queue: JobQueue) -> None:
    added = queue.add_schedule(schedule()).result()
    queue.pause_schedule(added.id, True).result()
    settled = queue.settle_schedule(
        added, job="job_x", error=None, due=START + 7_200, state="active"
    ).result()
    assert settled is not None
    assert (settled.state, settled.due, settled.fired) == ("paused", None, 1)


def test_an_endless_one_is_due_when_its_job_has_ended(queue: JobQueue, clock: Clock) -> None:
    added = queue.add_schedule(schedule("endless")).result()
    assert [each.id for each in queue.due_schedules(clock.now)] == [added.id]
    job = submit(queue)
    options = {"job": job.id, "error": None, "due": None, "state": "active"}
    queue.settle_schedule(added, **options).result()  # type: ignore[arg-type]
    assert queue.due_schedules(clock.now) == []
    assert queue.next_moment() is None
    claimed(queue)
    assert [each.fired for each in queue.due_schedules(clock.now)] == [1]


def test_schedules_are_paused_resumed_and_removed(queue: JobQueue, clock: Clock) -> None:
    added = queue.add_schedule(schedule()).result()
    assert queue.pause_schedule(added.id, True).result().state == "paused"
    assert queue.next_moment() is None
    clock.now += 10_000
    resumed = queue.pause_schedule(added.id, False).result()
    assert (resumed.state, resumed.due) == ("active", clock.now + 3_600)
    assert [each.id for each in queue.schedules("ann")] == [added.id]
    assert queue.schedules("bob") == []
    queue.remove_schedule(added.id).result()
    assert queue.schedules() == []
    with raises(ScheduleNotFound):
        queue.schedule("sch_x")
    with raises(ScheduleNotFound):
        queue.remove_schedule("sch_x").result()


def test_one_that_has_ended_stays_so(queue: JobQueue, clock: Clock) -> None:
    added = queue.add_schedule(schedule(until=START + 5_000)).result()
    assert added.next_due(START + 3_600) is None
    queue.settle_schedule(added, job="x", error=None, due=None, state="ended").result()
    with raises(WrongState):
        queue.pause_schedule(added.id, False).result()
    with raises(InvalidValue):
        queue.add_schedule(schedule(until=START + 60)).result()


def test_a_client_has_so_many_schedules(queue: JobQueue) -> None:
    for _ in range(MOST_SCHEDULES):
        queue.add_schedule(schedule()).result()
    with raises(TooManySchedules):
        queue.add_schedule(schedule()).result()
    queue.add_schedule(schedule(client="bob")).result()
