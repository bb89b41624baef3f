"""Schedules: requests that become jobs at times, or one after the other until they are stopped.

A rule is `every 90m`, `daily 02:00`, `weekdays 08:30`, `mon,thu 18:00` or `endless`. Times are
Unix times; days and hours are those of a time zone. Where the clock is put forward, an hour that is
left out happens an hour later; where it is put back, the first of two equal hours counts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone, tzinfo
from datetime import time as time_of_day
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from nodegraph.errors import InvalidValue, NodegraphError
from nodegraph.jobs.queue.backend import Connection
from nodegraph.jobs.queue.errors import WrongState
from nodegraph.jobs.queue.job import (
    SCHEDULE_PREFIX,
    TIMED,
    append_queue_event,
    apply_transition,
    new_id,
    storable,
)

ENDLESS = "endless"
SeedChange = Literal["random", "increment", "same"]
MissedPolicy = Literal["once", "skip"]
ScheduleState = Literal["active", "paused", "ended"]
MOST_SCHEDULES = 100
"""Of one client."""
LATE_SECONDS = 60.0
"""Seconds after its time from which a firing counts as missed."""
TAG = "schedule:"
"""Before the id of a schedule, in the tag of its jobs."""

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_SETS = {"daily": range(7), "weekdays": range(5), "weekends": range(5, 7)}
_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_PERIOD = re.compile(r"(?:\d{1,9}[smhdw]\s*)+")
_PERIOD_PART = re.compile(r"(\d+)([smhdw])")
_CLOCK_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_LEAST_PERIOD, _LONGEST_PERIOD = 10, 366 * 86_400
_AT_ONCE = 200
"""Jobs that are let go in one transaction."""
LATEST = 253_370_764_800.0
"""Unix time of the year 9999, after which there are no dates."""
_RULES = "`every 90m`, `daily 02:00`, `weekdays 08:30`, `mon,thu 18:00` or `endless`"


class ScheduleNotFound(NodegraphError):
    """No schedule of that id."""

    code = "schedule-not-found"


class TooManySchedules(NodegraphError):
    """A client has as many schedules as it may have."""

    code = "too-many-schedules"


@dataclass(frozen=True, slots=True)
class Rule:
    """When a schedule fires.

    Attributes:
        text: As it is written.
        period: Seconds between two firings; 0 for a rule of days or an endless one.
        days: Days of the week, 0 for Monday; empty for other rules.
        hour, minute: Time of these days.
    """

    text: str
    period: int = 0
    days: frozenset[int] = frozenset()
    hour: int = 0
    minute: int = 0

    @property
    def is_endless(self) -> bool:
        """Whether each job begins when the last has ended."""
        return self.text == ENDLESS

    def next_after(self, now: float, zone: tzinfo | None, last: float | None = None) -> float:
        """Unix time of the first firing after a moment; of an endless rule, the moment.

        Args:
            zone: Of days and hours; None for that of this machine.
            last: The firing before, from which periods are counted.
        """
        if self.is_endless:
            return now
        if self.period:
            if last is None or last > now + self.period:  # the clock was put back
                return now + self.period
            return last + self.period * max(1, int((now - last) // self.period) + 1)
        day = datetime.fromtimestamp(now, zone).date() - timedelta(days=1)
        while True:
            if day.weekday() in self.days:
                moment = _moment(day, self.hour, self.minute, zone)
                if moment > now:
                    return moment
            day += timedelta(days=1)


def _moment(day: date, hour: int, minute: int, zone: tzinfo | None) -> float:
    # Without a zone, `timestamp` takes the local time of this machine.
    return datetime.combine(day, time_of_day(hour, minute), zone).timestamp()


def parse_rule(text: str) -> Rule:
    """Read a rule.

    Raises:
        InvalidValue: It is none.
    """
    words = text.strip().lower().split(maxsplit=1)
    name, when = (*words, "", "")[:2]
    if name == ENDLESS and not when:
        return Rule(ENDLESS)
    if name == "every" and when:
        seconds = parse_period(when)
        if not _LEAST_PERIOD <= seconds <= _LONGEST_PERIOD:
            raise InvalidValue(
                "a schedule cannot have this period", given=when, expected="10s to 366d"
            )
        return Rule(f"every {' '.join(when.split())}", seconds)
    days = _days(name)
    if days:
        clock = _CLOCK_TIME.fullmatch(when)
        if clock is None:
            raise InvalidValue(
                "the rule of a schedule needs a time of day",
                given=text[:80],
                expected=f"`{name} HH:MM`, such as `{name} 02:00`",
            )
        hour, minute = int(clock[1]), int(clock[2])
        return Rule(f"{name} {hour:02}:{minute:02}", 0, days, hour, minute)
    raise InvalidValue("this is not the rule of a schedule", given=text[:80], expected=_RULES)


def _days(name: str) -> frozenset[int]:
    if name in _DAY_SETS:
        return frozenset(_DAY_SETS[name])
    names = [each[:3] for each in name.split(",")]
    full = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    whole = {*_DAYS, *full, *(f"{each}s" for each in full)}
    if not all(each in whole for each in name.split(",")):
        return frozenset()
    return frozenset(_DAYS.index(each) for each in names)


def parse_period(text: str) -> int:
    """Seconds of a period such as ``90m`` or ``1h 30m``.

    Raises:
        InvalidValue: It is none.
    """
    plain = text.strip().lower()
    if not _PERIOD.fullmatch(plain):
        raise InvalidValue(
            "this is not a period", given=text[:80], expected="such as 30s, 90m, 2h, 1d or 1h 30m"
        )
    return sum(int(count) * _UNITS[unit] for count, unit in _PERIOD_PART.findall(plain))


def find_zone(name: str) -> tzinfo | None:
    """A time zone by its name; None for an empty name, which stands for that of this machine.

    Raises:
        InvalidValue: There is none of that name.
    """
    if not name:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidValue(
            "there is no such time zone",
            given=name[:80],
            expected="a name such as Europe/Berlin or UTC",
            hint="Where the system has no time zones, `pip install tzdata` brings them.",
        ) from None


def parse_moment(value: float | str, zone: tzinfo | None = None) -> float:
    """Unix time of a number or of an ISO 8601 text such as ``2026-12-01T02:00``.

    Args:
        zone: Of a text without an offset; None for that of this machine.
    Raises:
        InvalidValue: It is none, or out of range.
    """
    if isinstance(value, str):
        text = value.strip()
        try:
            parsed = datetime.fromisoformat(f"{text[:-1]}+00:00" if text[-1:] in "zZ" else text)
            # Years at the ends of the calendar have no Unix time in some zones.
            moment = (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).timestamp()
        except (ValueError, OverflowError, OSError):
            raise InvalidValue(
                "this is not a time",
                given=value[:80],
                expected="Unix time, or such as 2026-12-01T02:00 or 2026-12-01T02:00:00+01:00",
            ) from None
    else:
        moment = float(value)
    if not 0 <= moment <= LATEST:  # also what is not a number
        raise InvalidValue(
            "this time is out of range", given=str(value)[:80], expected="the years 1970 to 9999"
        )
    return moment


def parse_clock_time(text: str, now: float, zone: tzinfo | None = None) -> float:
    """Unix time of ``02:00``, the next one, or of what `parse_moment` reads.

    Raises:
        InvalidValue: It is neither.
    """
    if _CLOCK_TIME.fullmatch(text.strip()):
        return parse_rule(f"daily {text.strip()}").next_after(now, zone)
    return parse_moment(text, zone)


def format_moment(moment: float) -> str:
    """A Unix time as ISO 8601 in UTC, to the second."""
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="seconds")


# Jobs that wait for their time.

_NEXT_TIMED = "SELECT min(not_before) FROM jobs WHERE held = 2"
_TIMED_NOW = """
SELECT id, not_before FROM jobs WHERE held = 2 AND not_before <= ? ORDER BY not_before, number
LIMIT ?
"""


def release_due(connection: Connection, now: float) -> int:
    """Let jobs go whose time has come; how many. More may be due if it is a few hundred."""
    rows = connection.execute(_TIMED_NOW, (now, _AT_ONCE)).fetchall()
    for job, moment in rows:
        apply_transition(connection, "unhold", job, {"held": 0, "not_before": None})
        append_queue_event(connection, job, "job.unheld", now, reason="due", not_before=moment)
    return len(rows)


def initial_hold(held: bool, not_before: float | None, now: float) -> tuple[int, float | None]:
    """The columns `held` and `not_before` of a new job."""
    moment = not_before if not_before is not None and not_before > now else None
    return (1 if held else TIMED if moment is not None else 0), moment


# Schedules.


@dataclass(frozen=True, slots=True)
class NewSchedule:
    """A schedule to be.

    Attributes:
        request: JSON of the request for its jobs.
        seeds: What happens to seeds with each job.
        missed: What happens if its time passed while no server ran: one job, or none.
        until: Unix time after which it fires no more.
        most: Jobs that it submits.
    """

    client: str
    name: str
    rule: Rule
    zone: str
    request: str
    seeds: SeedChange = "random"
    missed: MissedPolicy = "once"
    until: float | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class JobSchedule:
    """A schedule; see `NewSchedule`.

    Attributes:
        due: Unix time of the next firing; None if it waits for its job to end, or fires no more.
        fired: Jobs that it has submitted.
        skipped: Times at which it submitted none, as the last job still waited or the time was
            missed.
        job: Id of its last job.
        error: Why the last time came to nothing; None if it did not.
    """

    id: str
    client: str
    name: str
    rule: str
    zone: str
    request: str
    seeds: SeedChange
    missed: MissedPolicy
    until: float | None
    most: int | None
    state: ScheduleState
    created: float
    due: float | None
    fired: int
    skipped: int
    job: str | None
    error: str | None

    def next_due(self, now: float) -> float | None:
        """Unix time of its next firing after a moment; None if it fires no more by then.

        Raises:
            InvalidValue: Its time zone is there no more.
        """
        zone = find_zone(self.zone)
        due = parse_rule(self.rule).next_after(now, zone, self.due)
        return None if self.until is not None and due > self.until else due


_COLUMNS = (
    "id, client, name, rule, zone, request, seeds, missed, until, most, state, created, due, "
    "fired, skipped, job, error"
)
_SELECT = f"SELECT {_COLUMNS} FROM schedules"  # noqa: S608
# Requests may be large, and many at once need much memory.
_SELECT_SHORT = _SELECT.replace("request", "'' AS request")
_LAST_HAS_ENDED = (
    "NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.id = schedules.job AND finished IS NULL)"
)
_DUE = f"""
{_SELECT_SHORT} WHERE state = 'active' AND (due <= :now OR due IS NULL)
    AND (rule <> 'endless' AND due IS NOT NULL OR rule = 'endless' AND {_LAST_HAS_ENDED})
ORDER BY due, id
"""
_NEXT_DUE = "SELECT min(due) FROM schedules WHERE state = 'active'"
_LATER = f"{_SELECT_SHORT} WHERE state = 'active' AND due > ?"
_INSERT = f"INSERT INTO schedules ({_COLUMNS}) VALUES ({', '.join('?' * 17)})"  # noqa: S608


def add(connection: Connection, wanted: NewSchedule, now: float) -> JobSchedule:
    """Keep a schedule.

    Raises:
        TooManySchedules: Its client has too many.
        InvalidValue: It would never fire.
    """
    query = "SELECT count(*) FROM schedules WHERE client = ?"
    (count,) = connection.execute(query, (wanted.client,)).fetchone()
    if count >= MOST_SCHEDULES:
        raise TooManySchedules(
            f"{wanted.client} has too many schedules",
            given=str(count),
            expected=f"at most {MOST_SCHEDULES}",
            hint="Remove one that is no longer needed.",
        )
    due = wanted.rule.next_after(now, find_zone(wanted.zone))
    if wanted.until is not None and due > wanted.until:
        raise InvalidValue(
            "the schedule would never fire",
            given=f"until {format_moment(wanted.until)}",
            expected=f"a time after {format_moment(due)}",
        )
    name = new_id(now, SCHEDULE_PREFIX)
    own = (wanted.client, wanted.name, wanted.rule.text, wanted.zone, wanted.request)
    how = (wanted.seeds, wanted.missed, wanted.until, wanted.most)
    # An endless one is due whenever its job has ended, and at first.
    first = None if wanted.rule.is_endless else due
    values = (name, *own, *how, "active", now, first, 0, 0, None, None)
    connection.execute(_INSERT, values)
    return get(connection, name)


def get(connection: Connection, id: str) -> JobSchedule:
    """The schedule of an id.

    Raises:
        ScheduleNotFound: There is none.
    """
    row = connection.execute(f"{_SELECT} WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise not_found(id)
    return JobSchedule(*row)


def not_found(id: str) -> ScheduleNotFound:
    """No schedule has this id."""
    return ScheduleNotFound("there is no such schedule", given=id[:100])


def listed(connection: Connection, client: str | None) -> list[JobSchedule]:
    """The schedules of a client or of all, the oldest first, without their requests."""
    where, values = ("", ()) if client is None else (" WHERE client = ?", (client,))
    rows = connection.execute(f"{_SELECT_SHORT}{where} ORDER BY id", values)
    return [JobSchedule(*row) for row in rows]


def remove(connection: Connection, id: str) -> None:
    """Delete a schedule; its jobs stay.

    Raises:
        ScheduleNotFound: There is none.
    """
    if not connection.execute("DELETE FROM schedules WHERE id = ?", (id,)).rowcount:
        raise not_found(id)


def set_paused(connection: Connection, id: str, is_paused: bool, now: float) -> JobSchedule:
    """Have a schedule fire no more, or fire again from its next time on.

    Raises:
        ScheduleNotFound: There is none.
        WrongState: It has ended.
        InvalidValue: Its time zone is there no more.
    """
    schedule = get(connection, id)
    if schedule.state == "ended":
        raise WrongState(
            f"this schedule cannot be {'paused' if is_paused else 'resumed'}",
            given="ended",
            expected="active or paused",
            hint="Add a new schedule instead.",
        )
    if is_paused is (schedule.state == "paused"):
        return schedule
    if is_paused:
        _change(connection, id, state="paused", due=None)
    else:
        due = schedule.next_due(now)
        state = "ended" if due is None else "active"
        due = None if schedule.rule == ENDLESS else due
        _change(connection, id, state=state, due=due, error=None)
    return get(connection, id)


def check_due(connection: Connection, now: float) -> int:
    """Give schedules another time whose next one is later than it can be; how many.

    So none waits for years that fired while the clock was far ahead. One whose last firing is later
    than now, by less than a period, keeps its time.
    """
    changed = 0
    for row in connection.execute(_LATER, (now,)).fetchall():
        schedule = JobSchedule(*row)
        try:
            rule, zone = parse_rule(schedule.rule), find_zone(schedule.zone)
        except InvalidValue:
            continue  # the firing tells why
        following = now + LATE_SECONDS if rule.is_endless else rule.next_after(now, zone)
        if schedule.due is not None and schedule.due > rule.next_after(following, zone):
            _change(connection, schedule.id, due=None if rule.is_endless else following)
            changed += 1
    return changed


def due_now(connection: Connection, now: float) -> list[JobSchedule]:
    """The schedules that fire at a moment, without their requests."""
    return [JobSchedule(*row) for row in connection.execute(_DUE, {"now": now})]


def next_moment(connection: Connection) -> float | None:
    """Unix time at which a job or a schedule is due next; None for none."""
    moments = [connection.execute(query).fetchone()[0] for query in (_NEXT_TIMED, _NEXT_DUE)]
    return min((float(each) for each in moments if each is not None), default=None)


def settle(
    connection: Connection,
    schedule: JobSchedule,
    *,
    job: str | None,
    error: str | None,
    due: float | None,
    state: ScheduleState,
) -> JobSchedule | None:
    """Keep what came of a firing; None if another server did so first.

    A schedule that was paused or resumed meanwhile stays so.

    Args:
        schedule: As it was before.
        job: Id of the job that it submitted; None if it submitted none.
        due, state: From now on.
    """
    values = {
        "id": schedule.id,
        "fired": schedule.fired,
        "skipped": schedule.skipped,
        "new": int(job is not None),
        "none": int(job is None),
        "job": job if job is not None else schedule.job,
        "error": None if error is None else storable(error),
        "due": due,
        "state": state,
        "before": schedule.state,
    }
    query = """
    UPDATE schedules SET fired = fired + :new, skipped = skipped + :none, job = :job,
        error = :error, due = CASE WHEN state = :before THEN :due ELSE due END,
        state = CASE WHEN state = :before THEN :state ELSE state END
    WHERE id = :id AND fired = :fired AND skipped = :skipped
    """
    if not connection.execute(query, values).rowcount:
        return None
    return get(connection, schedule.id)


def _change(connection: Connection, id: str, **columns: Any) -> None:
    names = ", ".join(f"{name} = ?" for name in columns)
    connection.execute(f"UPDATE schedules SET {names} WHERE id = ?", (*columns.values(), id))  # noqa: S608
