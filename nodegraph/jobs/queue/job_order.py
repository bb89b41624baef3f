"""Order of waiting jobs: start-time fair queuing, forecasts, the best job for a worker.

Each class of priority has a virtual clock. A client's next job starts, in virtual time, where its
last one ended, but never before the clock; it ends its cost divided by the client's weight later.
The job with the earliest start is next, and the clock moves to its start. So each client with
waiting jobs gets its share by weight, a late client is next, and nobody saves up time by waiting.
Source: Goyal, Vin, Cheng 1996, "Start-time Fair Queueing", section 2. A client's tag is the start
of its next job; it is brought up to the clock when a job is picked, which gives the same order.

A worker that holds a model's weights gets a job with that model from among the next few jobs, and
batch partners are chosen in the same way. A job is passed over by jobs of the same client at most
`MOST_PASSED` times, and never when it is its client's turn; a job that was moved is never passed
over. Priorities and shares hold: a client that goes first is charged for it, and gets at most that
many of its jobs ahead. Forecasts use what is known now; later jobs, other priorities and limits on
running jobs may change them.

Among the jobs of a client and priority, positions give the order. Running jobs keep theirs for the
case that they are put back. Positions are whole numbers with room between them, so that a job can
be put between two others without touching these. Every job begins at a position that grows with its
number; putting one at the back stays below the position of the next job to come.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heapify, heappop, heapreplace
from itertools import islice
from typing import Any, Literal, NamedTuple

from nodegraph.errors import InvalidValue
from nodegraph.jobs.queue.backend import Connection
from nodegraph.jobs.queue.job import (
    JobSummary,
    append_queue_event,
    apply_transition,
    refusal,
    setting,
    summaries,
    summary,
)

_READY = "finished IS NULL AND state = 'queued' AND held = 0"
_LINE = f"""
SELECT number, id, attempt, cost, models, passed FROM jobs
WHERE {_READY} {{more}}AND client = ? AND priority = ? ORDER BY position, number LIMIT ?
"""  # noqa: S608 - nothing of it comes from outside
_ANY_BY_NEED = f"SELECT 1 FROM jobs WHERE {_READY} AND gpu = ? LIMIT 1"  # noqa: S608
_PASSED = "UPDATE jobs SET passed = passed + 1 WHERE number = ?"
_REQUEST_AND_DEATHS = """
SELECT content, deaths FROM requests JOIN jobs ON requests.job = jobs.number WHERE number = ?
"""
_CLIENTS, _JOBS = 8, 8
"""Clients that are looked at, and jobs of each, for one that suits."""
MOST_PASSED = 8
"""How often a job is passed over; one of which so much is told stays in its place."""


@dataclass(frozen=True, slots=True)
class BatchPartners:
    """What a job has to be like to run beside those that a worker runs.

    Attributes:
        sampling, models: As `Submission` has them.
        priority: At least; one of less would slow down what is more urgent.
        jobs: Those that it runs, perhaps at attempts that another server took for dead: none
            runs beside itself.
    """

    sampling: str
    models: frozenset[str]
    priority: int = 0
    jobs: frozenset[str] = frozenset()

    def fits(self, sampling: str, models: Iterable[str]) -> bool:
        """Whether a job of such a sampling, with some models, may come."""
        return sampling == self.sampling and frozenset(models) == self.models


@dataclass(frozen=True, slots=True)
class JobCriteria:
    """What a worker is for.

    Attributes:
        without_gpu: It is given only jobs that need no GPU.
        gpu_first: Others are there for jobs that need no GPU, so it is given one only if none of
            the next ones needs one.
        models: Whose weights it holds, as `Submission.models` names them.
        partners: It has jobs, and is given only what may run beside them.
        excluded: Jobs that it isn't given now; a few.
    """

    without_gpu: bool = False
    gpu_first: bool = False
    models: frozenset[str] = frozenset()
    partners: BatchPartners | None = None
    excluded: frozenset[str] = frozenset()


ANY_JOB = JobCriteria()


class ClientShare(NamedTuple):
    """A client that has jobs waiting in a class of priority, see `fairness`."""

    priority: int
    client: str
    tag: float
    clock: float

    @property
    def start(self) -> float:
        """Of its next job, in virtual time."""
        return max(self.tag, self.clock)


class JobInLine(NamedTuple):
    """A job that may be claimed."""

    number: int
    id: str
    attempt: int
    cost: float
    models: str | None
    passed: int

    def suits(self, models: frozenset[str]) -> bool:
        """Whether it has models, and a worker with these has them all."""
        return self.models is not None and models.issuperset(json.loads(self.models))


class ChosenJob(NamedTuple):
    """A job for a worker.

    Attributes:
        share: Of its client.
        turn: Of the client whose turn it was, of those that have anything for the worker.
    """

    share: ClientShare
    job: JobInLine
    turn: ClientShare


def has_candidates(connection: Connection, criteria: JobCriteria) -> bool:
    """Whether any job waits that a worker may be given; cheap, and none if it says so."""
    return not criteria.without_gpu or connection.execute(_ANY_BY_NEED, (0,)).fetchone() is not None


def choose(
    connection: Connection, shares: Iterable[ClientShare], criteria: JobCriteria
) -> ChosenJob | None:
    """The job for a worker, of one class of priority; None if none suits it.

    Args:
        shares: The clients that may have a job now, those first whose turn it is.
    """
    suits = partial(_suits, connection, criteria)
    usual = wanted = None
    heads: list[int] = []
    # Who may be given nothing else looks at all of them.
    looks_at_all = criteria.without_gpu or criteria.excluded
    for share in shares if looks_at_all else islice(shares, _CLIENTS):
        line = _line(connection, share, criteria)
        if not line:
            if usual is None and (whole_line := _whole_line(connection, share, criteria, 1)):
                usual = share, whole_line
            continue
        if wanted is None:
            wanted = share, line
            if not criteria.models or line[0].models is None:
                break
        at = _suiting(line, suits)
        if at is not None and _may_go_first(share, wanted[0], line[at]):
            passed = [*heads, *(job.number for job in line[:at])]
            connection.executemany(_PASSED, [(number,) for number in passed])
            return ChosenJob(share, line[at], wanted[0])
        if line[0].passed >= MOST_PASSED:
            break
        heads.append(line[0].number)
    if criteria.partners is not None:
        return None
    chosen = wanted or (None if criteria.without_gpu else usual)
    return None if chosen is None else ChosenJob(chosen[0], chosen[1][0], chosen[0])


def _may_go_first(share: ClientShare, first: ClientShare, job: JobInLine) -> bool:
    """Whether a client's job may be given before that of the one whose turn it is."""
    return share.start - first.start < MOST_PASSED * job.cost


def _suits(connection: Connection, criteria: JobCriteria, job: JobInLine) -> bool:
    """Whether a worker has all models of a job, and the company that it may be."""
    if not job.suits(criteria.models) or criteria.partners is None:
        return job.suits(criteria.models)
    if job.id in criteria.partners.jobs:
        return False
    content, deaths = connection.execute(_REQUEST_AND_DEATHS, (job.number,)).fetchone()
    sampling = json.loads(content).get("sampling", "")
    # One that a worker has died of is run by itself, so that it isn't another's fault.
    return not deaths and criteria.partners.fits(sampling, json.loads(job.models or "[]"))


def _suiting(line: list[JobInLine], suits: Callable[[JobInLine], bool]) -> int | None:
    """The place of the first job that suits; not behind one that is due."""
    for at, job in enumerate(line):
        is_due = job.passed >= MOST_PASSED
        if (at == 0 or not is_due) and suits(job):
            return at
        if is_due:
            return None
    return None


def _line(connection: Connection, share: ClientShare, criteria: JobCriteria) -> list[JobInLine]:
    """The first jobs of a client, of the kind that a worker is to be given."""
    count = _JOBS if criteria.models else 1
    if not (criteria.without_gpu or criteria.gpu_first):
        return _whole_line(connection, share, criteria, count)
    gpu = int(criteria.gpu_first and not criteria.without_gpu)
    return _whole_line(connection, share, criteria, count, ["gpu = ?"], [gpu])


def _whole_line(
    connection: Connection,
    share: ClientShare,
    criteria: JobCriteria,
    count: int,
    which: Sequence[str] = (),
    values: Sequence[Any] = (),
) -> list[JobInLine]:
    if criteria.excluded:
        which = [*which, f"id NOT IN ({', '.join('?' * len(criteria.excluded))})"]
        values = [*values, *criteria.excluded]
    more = "".join(f"AND {each} " for each in which)
    parameters = (*values, share.client, share.priority, count)
    return [JobInLine(*row) for row in connection.execute(_LINE.format(more=more), parameters)]


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
        is_held: Whether it isn't claimed at all until it is let go, or until its time; `ahead` is
            then what would be claimed before all of it, that is everything.
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
    is_held = job.held or job.is_timed
    return Turn(ahead, seconds, int(running), bool(setting(connection, "paused")), is_held)


def upcoming(
    connection: Connection, limits: Callable[[str], Limits], limit: int, client: str | None = None
) -> list[JobSummary]:
    """The next jobs, in the order of their turns; the connection is in a transaction.

    Args:
        client: Only its jobs.
    """
    waiting = (
        job for job in _in_order(connection, limits) if client is None or job.client == client
    )
    numbers = [job.number for job in islice(waiting, limit)]
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


INFINITE = 1 << 62


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may have.

    Attributes:
        weight: Its part of the work compared to others', above 0.
        waiting: Jobs of its own that may wait, those held included.
        running: Jobs of its own that may run at a time.
        bytes: That its large workflows may take, those of ended jobs included.
    """

    weight: float = 1.0
    waiting: int = 10_000
    running: int = INFINITE
    bytes: int = INFINITE

    def __post_init__(self) -> None:
        if not self.weight > 0 or self.waiting < 0 or self.running < 1:
            raise ValueError(f"no limits: {self}")


@dataclass(frozen=True, slots=True)
class WaitingJob:
    """A job that may be claimed, as far as its turn depends on it."""

    number: int
    client: str
    cost: float


def charged(tag: float, clock: float, cost: float, weight: float) -> tuple[float, float]:
    """The client's tag and the class's clock once a job was picked."""
    start = max(tag, clock)
    return start + cost / weight, start


def order(
    waiting: Iterable[WaitingJob],
    tags: Mapping[str, float],
    clock: float,
    weights: Mapping[str, float],
) -> Iterator[WaitingJob]:
    """The jobs of one class in the order in which they would be picked.

    Args:
        waiting: Each client's jobs in its own order.
        tags: Of the clients; 0 for those that it doesn't hold.
        weights: Of the clients; 1 for those that it doesn't hold.
    """
    queues: dict[str, list[WaitingJob]] = {}
    for job in waiting:
        queues.setdefault(job.client, []).append(job)
    heap = [(tags.get(client, 0.0), client) for client in queues]
    for queue in queues.values():
        queue.reverse()
    heapify(heap)
    while heap:
        tag, client = heap[0]
        job = queues[client].pop()
        tag, clock = charged(tag, clock, job.cost, weights.get(client, 1.0))
        yield job
        if queues[client]:
            heapreplace(heap, (tag, client))
        else:
            heappop(heap)


_ROOM = 1 << 20
_AMONG = "FROM jobs WHERE finished IS NULL AND client = ? AND priority = ? AND id <> ?"
_SELF = "SELECT client, priority FROM jobs WHERE id = ? AND state = 'queued'"
_NEXT_BELOW = f"SELECT max(position) {_AMONG} AND id <> ? AND position <= ?"
_LAST_NUMBER = "SELECT value FROM counters WHERE name = 'jobs'"

QueueEnd = Literal["front", "back"]


def initial_position(number: int) -> int:
    """Where the job of a number begins."""
    return number * _ROOM


def move(connection: Connection, id: str, to: QueueEnd, now: float) -> None:
    """Put a waiting job before or behind all others of its client and priority.

    Raises:
        JobNotFound, WrongState: It doesn't wait.
    """
    group = _group(connection, id)
    position = _back(connection, group, id) if to == "back" else _front(connection, group, id)
    _put(connection, id, position)
    append_queue_event(connection, id, "job.moved", now, to=to)


def put_last(connection: Connection, id: str) -> None:
    """Put a waiting job behind all others of its client and priority, without telling.

    Raises:
        JobNotFound, WrongState: It doesn't wait.
    """
    position = _back(connection, _group(connection, id), id)
    apply_transition(connection, "move", id, {"position": position})


def move_before(connection: Connection, id: str, other: str, now: float) -> None:
    """Put a waiting job right before another one of the same client and priority.

    Raises:
        JobNotFound, WrongState: One of them doesn't wait.
        InvalidValue: They are of two clients or priorities.
    """
    group, theirs = _group(connection, id), _group(connection, other)
    if id == other:
        return
    if group[0] != theirs[0]:
        raise InvalidValue(
            f"{id} cannot be moved before another client's job",
            given=other,
            expected="a job of the same client",
        )
    if group != theirs:
        raise InvalidValue(
            f"{id} cannot be moved before a job of another priority",
            given=f"{other}, priority {theirs[1]}",
            expected=f"priority {group[1]}",
            hint="Give them the same priority first.",
        )
    position = _before(connection, group, id, other)
    if position is None:
        _spread(connection, group)
        position = _before(connection, group, id, other)
        assert position is not None
    _put(connection, id, position)
    append_queue_event(connection, id, "job.moved", now, before=other)


def _put(connection: Connection, id: str, position: int) -> None:
    """Put a job where somebody wants it: there it stays, whatever suits a worker better."""
    apply_transition(connection, "move", id, {"position": position, "passed": MOST_PASSED})


def _group(connection: Connection, id: str) -> tuple[str, int]:
    row = connection.execute(_SELF, (id,)).fetchone()
    if row is None:
        raise refusal(connection, "move", id, None)
    return row[0], row[1]


def _front(connection: Connection, group: tuple[str, int], id: str) -> int:
    query = f"SELECT coalesce(min(position), ?) {_AMONG}"
    (first,) = connection.execute(query, (_ROOM, *group, id)).fetchone()
    return int(first) - _ROOM


def _back(connection: Connection, group: tuple[str, int], id: str) -> int:
    position = _behind_all(connection, group, id)
    if position >= initial_position(_next_number(connection)):
        _spread(connection, group)
        position = _behind_all(connection, group, id)
    return position


def _behind_all(connection: Connection, group: tuple[str, int], id: str) -> int:
    (last,) = connection.execute(f"SELECT max(position) {_AMONG}", (*group, id)).fetchone()
    newest = initial_position(_next_number(connection) - 1)
    return int(newest if last is None else max(last, newest)) + 1


def _before(connection: Connection, group: tuple[str, int], id: str, other: str) -> int | None:
    """A place between a job and the one before it; None if there is no room."""
    (theirs,) = connection.execute("SELECT position FROM jobs WHERE id = ?", (other,)).fetchone()
    # Also at theirs: two jobs may have come to one place, by a new priority for instance.
    (low,) = connection.execute(_NEXT_BELOW, (*group, id, other, theirs)).fetchone()
    if low is None:
        return int(theirs) - _ROOM
    position = (int(low) + int(theirs)) // 2
    return position if low < position < theirs else None


def _spread(connection: Connection, group: tuple[str, int]) -> None:
    """Make room between all jobs of a group, below the place of the next job to come."""
    numbers = connection.execute(
        """
        SELECT number FROM jobs WHERE finished IS NULL AND client = ? AND priority = ?
        ORDER BY position, number
        """,
        group,
    ).fetchall()
    first = _next_number(connection) - len(numbers)
    connection.executemany(
        "UPDATE jobs SET position = ? WHERE number = ?",
        [(initial_position(first + at), number) for at, (number,) in enumerate(numbers)],
    )


def _next_number(connection: Connection) -> int:
    row = connection.execute(_LAST_NUMBER).fetchone()
    return 1 if row is None else int(row[0]) + 1
