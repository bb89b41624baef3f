"""Taking jobs in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nodegraph.jobs.queue.changes import append_queue_event
from nodegraph.jobs.queue.connection import Connection
from nodegraph.jobs.queue.errors import KeyReused, QueueFull, TooMuchKept
from nodegraph.jobs.queue.fairness import Limits
from nodegraph.jobs.queue.job import JobSummary, new_id, summary
from nodegraph.jobs.queue.positions import initial_position
from nodegraph.jobs.queue.submission import PreparedSubmission, json_text

_BY_KEY = "SELECT id, request FROM jobs WHERE client = ? AND key = ?"
_WAITING = (
    "SELECT coalesce(sum(count), 0) FROM tallies WHERE client = ? AND state IN ('queued', 'held')"
)
_ALL_WAITING = "SELECT coalesce(sum(count), 0) FROM tallies WHERE state IN ('queued', 'held')"
_LAST = "SELECT value FROM counters WHERE name = 'jobs'"
_INSERT = """
INSERT INTO jobs (
    number, id, client, name, state, held, priority, position, cost, created, attempt, deaths,
    workflow, tags, key, request, size, gpu, models
) VALUES (?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?)
"""
_SIZE = "SELECT coalesce(sum(bytes), 0) FROM sizes WHERE client = ?"
_ADD = "INSERT INTO workflows (digest, content) VALUES (?, ?) RETURNING number"
_SMALL = 16 << 10
"""Bytes up to which jobs aren't counted but by their number."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """The job that a submission has become.

    Attributes:
        is_new: False if it was there already, under the same idempotency key.
    """

    job: JobSummary
    is_new: bool


def submit(
    connection: Connection,
    wanted: Sequence[PreparedSubmission],
    limits: Limits,
    most_waiting: int,
    now: float,
) -> list[Submitted]:
    """Take in some jobs of one client.

    Raises:
        QueueFull: They are more than may wait, or take more space than may be.
        KeyReused: A key came with another request before.
    """
    client = wanted[0].submission.client
    submitted = []
    added = 0
    for each in wanted:
        known = _known(connection, each)
        if known is None:
            added += 1
            submitted.append(Submitted(_insert(connection, each, now), True))
        else:
            submitted.append(Submitted(summary(connection, known), False))
    if added:
        # Counted last, as those under known keys take no place; a refusal takes all back.
        check_room(connection, client, limits.waiting, most_waiting, added)
        _check_size(connection, client, limits.bytes)
    return submitted


def _known(connection: Connection, wanted: PreparedSubmission) -> str | None:
    submission = wanted.submission
    if submission.key is None:
        return None
    row = connection.execute(_BY_KEY, (submission.client, submission.key)).fetchone()
    if row is None:
        return None
    if row[1] != wanted.request_digest:
        raise KeyReused(submission.key, row[0])
    return str(row[0])


def check_room(
    connection: Connection, client: str, limit: int, most_waiting: int, added: int
) -> None:
    """See that no more jobs wait than may, now that some were added.

    Raises:
        QueueFull: They do.
    """
    (own,) = connection.execute(_WAITING, (client,)).fetchone()
    if own > limit:
        raise QueueFull(f"the queue of {client} is", int(own) - added, limit, added)
    (all_,) = connection.execute(_ALL_WAITING).fetchone()
    if all_ > most_waiting:
        raise QueueFull("the queue is", int(all_) - added, most_waiting, added)


def _check_size(connection: Connection, client: str, limit: int) -> None:
    (size,) = connection.execute(_SIZE, (client,)).fetchone()
    if size > limit:
        raise TooMuchKept(client, int(size), limit)


def _insert(connection: Connection, wanted: PreparedSubmission, now: float) -> JobSummary:
    submission = wanted.submission
    last = connection.execute(_LAST).fetchone()
    job = JobSummary(
        number=1 if last is None else last[0] + 1,
        id=new_id(now),
        client=submission.client,
        name=submission.name,
        state="queued",
        held=submission.held,
        wanted=None,
        priority=submission.priority,
        created=now,
        started=None,
        finished=None,
        attempt=0,
        deaths=0,
        worker=None,
        tags=wanted.tags,
        fault=None,
    )
    about = (job.number, job.id, job.client, job.name, int(job.held), job.priority)
    position, (workflow, size) = initial_position(job.number), _workflow(connection, wanted)
    size += len(wanted.request)
    tags = json_text(job.tags, "tags") if job.tags else None
    request_columns = (
        workflow,
        tags,
        submission.key,
        wanted.request_digest,
        size if size > _SMALL else 0,
    )
    models = json_text(list(submission.models), "models") if submission.models else None
    needs = int(submission.gpu), models
    connection.execute(_INSERT, (*about, position, wanted.cost, now, *request_columns, *needs))
    connection.execute("INSERT INTO requests VALUES (?, ?)", (job.number, wanted.request))
    if tags:
        rows = [(tag, job.number) for tag in job.tags]
        connection.executemany("INSERT INTO tags VALUES (?, ?)", rows)
    append_queue_event(connection, job.id, "job.queued", now)
    return job


def _workflow(connection: Connection, wanted: PreparedSubmission) -> tuple[int, int]:
    """The number of its workflow, which is stored once, and the bytes that it takes more."""
    query = "SELECT number FROM workflows WHERE digest = ?"
    row = connection.execute(query, (wanted.digest,)).fetchone()
    if row is not None:
        return int(row[0]), 0
    (number,) = connection.execute(_ADD, (wanted.digest, wanted.workflow)).fetchone()
    return int(number), len(wanted.workflow)
