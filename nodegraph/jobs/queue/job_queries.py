"""Queries of jobs: filters, pages, counts."""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any, Literal, NamedTuple

from nodegraph.core.digests import digest_bytes
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue.backend import Connection, placeholders
from nodegraph.jobs.queue.job import STATES, JobSummary, State, summaries

Order = Literal["newest", "oldest"]
LARGEST_PAGE = 10_000
_TEXT = "(SELECT text FROM texts WHERE texts.number = jobs.number)"
_HAS_TEXT = f"instr(lower({_TEXT}), lower(?)) > 0"
_TALLIES = "SELECT state, sum(count) FROM tallies"
_WAITING = """
SELECT count(*) FROM (
    SELECT 1 FROM jobs
    WHERE finished IS NULL AND state = 'queued' AND held = 0 AND gpu = ? LIMIT ?
) AS found
"""
_COUNTED = 1000
"""Waiting jobs of a kind that are counted one by one."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs; all that is given must hold.

    Attributes:
        states: One of them; none for any.
        created_after, created_before: Unix times, the first included, the second not.
        text: A part of the name or of a tag, whatever the case of its (English) letters.
    """

    states: Sequence[State] = ()
    client: str | None = None
    tag: str | None = None
    created_after: float | None = None
    created_before: float | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        for state in self.states:
            if state not in STATES:
                raise InvalidValue(
                    "there is no such job state",
                    given=str(state),
                    hint=did_you_mean(str(state), STATES),
                )


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs of a list.

    Attributes:
        next: Cursor of the next page; None if this is the last.
    """

    jobs: tuple[JobSummary, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many jobs there are in each state.

    Attributes:
        held: Of those that are queued.
    """

    queued: int = 0
    running: int = 0
    finished: int = 0
    failed: int = 0
    cancelled: int = 0
    held: int = 0


@dataclass(frozen=True, slots=True)
class ReadyCounts:
    """How many jobs may be claimed now.

    Attributes:
        gpu: Need a GPU.
        others: Need none.
    """

    gpu: int = 0
    others: int = 0


def page(
    connection: Connection, which: JobFilter, order: Order, limit: int, cursor: str | None
) -> JobPage:
    """A page of jobs, of one moment; the connection is in a transaction.

    Jobs that are submitted meanwhile neither repeat nor hide others: pages are cut at numbers.

    Raises:
        InvalidValue: The cursor is of another list, or the limit no number of jobs.
    """
    if not 1 <= limit <= LARGEST_PAGE:
        raise InvalidValue(
            "a page cannot have that many jobs", given=str(limit), expected=f"1 to {LARGEST_PAGE}"
        )
    numbers = _numbers(connection, which, order, limit + 1, _read(cursor, which, order))
    jobs = summaries(connection, numbers[:limit])
    more = len(numbers) > limit
    return JobPage(tuple(jobs), _cursor(numbers[limit - 1], which, order) if more else None)


def _numbers(
    connection: Connection, which: JobFilter, order: Order, limit: int, beyond: int | None
) -> list[int]:
    # Each state by itself is read from an index that is in order, so no page sorts the history.
    text, values = condition(which)
    sign, direction = ("<", "DESC") if order == "newest" else (">", "ASC")
    if beyond is not None:
        text += f" AND number {sign} ?"
        values.append(beyond)
    per_state = f"""
    SELECT * FROM (
        SELECT number FROM jobs WHERE state = ? AND {text} ORDER BY number {direction} LIMIT ?
    ) AS of_state
    """  # noqa: S608
    states = list(dict.fromkeys(which.states)) or STATES
    query = " UNION ALL ".join([per_state] * len(states)) + f" ORDER BY number {direction} LIMIT ?"
    parameters = [value for state in states for value in (state, *values, limit)]
    return [number for (number,) in connection.execute(query, (*parameters, limit))]


def condition(which: JobFilter) -> tuple[str, list[Any]]:
    """A filter but for its states, as SQL and the values in it."""
    parts, values = ["TRUE"], []
    for part, value in (
        ("client = ?", which.client),
        ("created >= ?", which.created_after),
        ("created < ?", which.created_before),
        ("number IN (SELECT job FROM tags WHERE tag = ?)", which.tag),
        (_HAS_TEXT, which.text),
    ):
        if value is not None:
            parts.append(part)
            values.append(value)
    return " AND ".join(parts), values


def count(connection: Connection, which: JobFilter) -> int:
    """The number of jobs that match."""
    text, values = condition(which)
    states = list(dict.fromkeys(which.states)) or STATES
    query = f"SELECT count(*) FROM jobs WHERE state IN ({placeholders(states)}) AND {text}"  # noqa: S608
    (number,) = connection.execute(query, (*states, *values)).fetchone()
    return int(number)


def _cursor(number: int, which: JobFilter, order: Order) -> str:
    text = json.dumps([number, _mark(which, order)])
    return urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read(cursor: str | None, which: JobFilter, order: Order) -> int | None:
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        number, mark = json.loads(urlsafe_b64decode(padded.encode()))
        is_ours = type(number) is int and abs(number) < 1 << 62 and mark == _mark(which, order)
    except (ValueError, TypeError, RecursionError, binascii.Error):
        is_ours = False
    if not is_ours:
        raise InvalidValue(
            "this cursor belongs to another list",
            given=cursor[:80],
            hint="Use `next` of the previous page with the same filters and order, or omit the "
            "cursor.",
        )
    return int(number)


def _mark(which: JobFilter, order: Order) -> str:
    """Of a list: a cursor of another one would skip jobs."""
    return digest_bytes(json.dumps([astuple(which), order], default=list).encode())[:8]


def counts(connection: Connection, client: str | None = None) -> Counts:
    """How many jobs there are in each state, of one client or of all."""
    which = "TRUE" if client is None else "client = :client"
    query = f"{_TALLIES} WHERE {which} GROUP BY state"
    rows = connection.execute(query, {"client": client})
    tallies = {state: int(count) for state, count in rows}
    held = tallies.get("held", 0)
    return Counts(**tallies | {"queued": tallies.get("queued", 0) + held})


def waiting(connection: Connection) -> ReadyCounts:
    """How many jobs may be claimed now, by what they need.

    It takes no longer the more there are: where there are many of both kinds, only their sum is
    exact, and each is at least as many as are counted.
    """
    states = counts(connection)
    ready = states.queued - states.held
    gpu = _counted(connection, 1)
    if gpu < _COUNTED:
        return ReadyCounts(gpu, ready - gpu)
    others = _counted(connection, 0)
    return ReadyCounts(ready - others, others)


def _counted(connection: Connection, gpu: int) -> int:
    (count,) = connection.execute(_WAITING, (gpu, _COUNTED)).fetchone()
    return int(count)


class SubmittedRequest(NamedTuple):
    """What was submitted with a job.

    Attributes:
        number: Of the job, in the order of all jobs.
        created: Unix time.
        workflow: Digest of its workflow.
        content: Parameters, targets and options as JSON.
    """

    number: int
    created: float
    workflow: str
    content: str


_REQUESTS = """
SELECT jobs.number, created, workflows.digest, requests.content FROM jobs
JOIN workflows ON workflows.number = jobs.workflow
JOIN requests ON requests.job = jobs.number
WHERE jobs.number > ? ORDER BY jobs.number LIMIT ?
"""


def requests_after(connection: Connection, number: int, limit: int) -> list[SubmittedRequest]:
    """What was submitted with the jobs after one, the oldest first."""
    rows = connection.execute(_REQUESTS, (number, limit))
    return [SubmittedRequest(*row) for row in rows]
