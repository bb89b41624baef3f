"""When a waiting job's turn will be: the order in which jobs would be claimed from now on.

It is what is known now: jobs that come later, other priorities and clients' limits on running jobs
may change it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from nodegraph.jobs.queue.changes import refusal, setting
from nodegraph.jobs.queue.connection import Connection
from nodegraph.jobs.queue.fairness import Limits, WaitingJob, order
from nodegraph.jobs.queue.job import JobSummary, summaries, summary

_CLASSES = "SELECT DISTINCT priority FROM shares WHERE ready > 0 ORDER BY priority DESC"
_WAITING = """
SELECT number, client, cost FROM jobs
WHERE state = 'queued' AND held = 0 AND priority = ? ORDER BY client, position, number
"""
_TAGS = "SELECT client, tag FROM shares WHERE priority = ?"
_CLOCK = "SELECT time FROM clocks WHERE priority = ?"


@dataclass(frozen=True, slots=True)
class Turn:
    """Where a job stands.

    Attributes:
        ahead: How many jobs would be claimed before it.
        seconds_ahead: Their work, in seconds of one worker; one where no plan says.
        running: How many jobs run now.
        is_paused: Whether nothing is claimed, as the queue is paused.
        is_held: Whether it isn't claimed at all until it is let go; `ahead` is then what would be
            claimed before all of it, that is everything.
    """

    ahead: int
    seconds_ahead: float
    running: int
    is_paused: bool
    is_held: bool


def forecast_turn(connection: Connection, id: str, limits: Callable[[str], Limits]) -> Turn:
    """Where a waiting job stands; the connection is in a transaction.

    Raises:
        JobNotFound, WrongState: It doesn't wait.
    """
    job = summary(connection, id)
    if job.state != "queued":
        raise refusal(connection, "move", id, None)
    ahead, seconds = 0, 0.0
    for waiting in _in_order(connection, limits):
        if waiting.number == job.number:
            break
        ahead += 1
        seconds += waiting.cost
    query = "SELECT coalesce(sum(count), 0) FROM tallies WHERE state = 'running'"
    (running,) = connection.execute(query).fetchone()
    return Turn(ahead, seconds, int(running), bool(setting(connection, "paused")), job.held)


def upcoming(
    connection: Connection, limits: Callable[[str], Limits], limit: int
) -> list[JobSummary]:
    """The next jobs, in the order of their turns; the connection is in a transaction."""
    numbers = [job.number for job in islice(_in_order(connection, limits), limit)]
    return summaries(connection, numbers)


def _in_order(connection: Connection, limits: Callable[[str], Limits]) -> Iterator[WaitingJob]:
    for (priority,) in connection.execute(_CLASSES).fetchall():
        waiting = [WaitingJob(*row) for row in connection.execute(_WAITING, (priority,))]
        clock = connection.execute(_CLOCK, (priority,)).fetchone()
        yield from order(
            waiting,
            dict(connection.execute(_TAGS, (priority,)).fetchall()),
            0.0 if clock is None else clock[0],
            {job.client: limits(job.client).weight for job in waiting},
        )
