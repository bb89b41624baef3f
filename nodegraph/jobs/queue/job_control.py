"""Control of jobs and of the queue: cancel, hold, prioritize, retry, clear, pause."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nodegraph.jobs.queue.backend import Connection, placeholders
from nodegraph.jobs.queue.job import (
    HELD,
    TIMED,
    Interruption,
    JobSummary,
    append_queue_event,
    apply_transition,
    refusal,
    set_setting,
    setting,
    summary,
)
from nodegraph.jobs.queue.job_order import Limits, put_last
from nodegraph.jobs.queue.job_queries import JobFilter, condition
from nodegraph.jobs.queue.submission import check_room
from nodegraph.store.packing import pack

_WAITING = "SELECT number FROM jobs WHERE state = 'queued' AND {which} ORDER BY number"
_CANCEL = """
UPDATE jobs SET state = 'cancelled', held = 0, not_before = NULL, finished = ?
WHERE state = 'queued' AND number IN ({numbers})
"""
_CLEARED = pack({"data": {"reason": "cleared"}})
_TELL = """
INSERT INTO events (job, attempt, kind, at, body)
SELECT number, attempt, 'job.cancelled', ?, ? FROM jobs
WHERE state = 'queued' AND number IN ({numbers}) ORDER BY number
"""


def cancel(connection: Connection, id: str, now: float) -> JobSummary:
    """Cancel a job: a waiting one at once, a running one as soon as its worker sees it.

    Raises:
        JobNotFound, WrongState: It has ended.
    """
    job = summary(connection, id)
    if job.state == "running":
        return _want(connection, job, "cancel", "job.cancelling", now)
    columns = {"held": 0, "not_before": None, "finished": now}
    apply_transition(connection, "cancel", id, columns)
    append_queue_event(connection, id, "job.cancelled", now)
    return summary(connection, id)


def hold(connection: Connection, id: str, now: float) -> JobSummary:
    """Let a job wait until it is let go; a running one is put back as soon as its worker sees it.

    Raises:
        JobNotFound, WrongState: It has ended, or is being cancelled.
    """
    job = summary(connection, id)
    if job.state == "running":
        if job.wanted == "cancel":
            raise refusal(connection, "hold", id, None)
        return _want(connection, job, "pause", "job.pausing", now)
    if job.held:
        return job
    apply_transition(connection, "hold", id, {"held": HELD})
    append_queue_event(connection, id, "job.held", now)
    return summary(connection, id)


def unhold(connection: Connection, id: str, now: float) -> JobSummary:
    """Let a job go that was held; of a running one, take back what was asked.

    One that was held before its time waits for it again. One that waits for its time waits no more.

    Raises:
        JobNotFound, WrongState: It has ended, or is being cancelled.
    """
    job = summary(connection, id)
    if job.state == "running":
        if job.wanted == "cancel":
            raise refusal(connection, "unhold", id, None)
        return _want(connection, job, None, "job.unheld", now)
    if job.state == "queued" and not (job.held or job.is_timed):
        return job
    waits = job.held and job.not_before is not None and job.not_before > now
    columns = {"held": TIMED} if waits else {"held": 0, "not_before": None}
    apply_transition(connection, "unhold", id, columns)
    append_queue_event(connection, id, "job.unheld", now)
    return summary(connection, id)


def _want(
    connection: Connection, job: JobSummary, wanted: Interruption | None, kind: str, now: float
) -> JobSummary:
    if job.wanted == wanted:
        return job
    apply_transition(connection, "interrupt", job.id, {"wanted": wanted})
    append_queue_event(connection, job.id, kind, now)
    return summary(connection, job.id)


def prioritize(connection: Connection, id: str, priority: int, now: float) -> JobSummary:
    """Give a waiting job another priority.

    Raises:
        JobNotFound, WrongState: It doesn't wait.
    """
    apply_transition(connection, "prioritize", id, {"priority": priority})
    append_queue_event(connection, id, "job.prioritized", now, priority=priority)
    return summary(connection, id)


def retry(
    connection: Connection,
    id: str,
    limits: Callable[[str], Limits],
    most_waiting: int,
    now: float,
) -> JobSummary:
    """Let a job that failed or was cancelled wait once more, behind its client's others.

    Raises:
        JobNotFound, WrongState: It waits, runs or has finished.
        QueueFull: More jobs wait than may.
    """
    apply_transition(connection, "retry", id, {"finished": None, "error": None, "deaths": 0})
    put_last(connection, id)
    append_queue_event(connection, id, "job.retried", now)
    job = summary(connection, id)
    check_room(connection, job.client, limits(job.client).waiting, most_waiting, 1)
    return job


def select_waiting(connection: Connection, which: JobFilter) -> list[int]:
    """Numbers of the waiting jobs that match."""
    text, values = condition(which)
    return [number for (number,) in connection.execute(_WAITING.format(which=text), values)]


def clear(connection: Connection, numbers: Sequence[int], now: float) -> int:
    """Cancel jobs, but for those that don't wait any more; how many.

    A database keeps each count of jobs as often as it changes within a transaction, and reads all
    of that again for the next one: the time grows as the square of their number.
    """
    places = placeholders(numbers)
    connection.execute(_TELL.format(numbers=places), (now, _CLEARED, *numbers))
    return connection.execute(_CANCEL.format(numbers=places), (now, *numbers)).rowcount


def pause(connection: Connection, is_paused: bool) -> None:
    """Give out no more jobs, or do so again; kept until it is changed."""
    if bool(setting(connection, "paused")) is not is_paused:
        set_setting(connection, "paused", int(is_paused))
