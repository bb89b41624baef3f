"""Which job a worker is given: the next one in order, or one near it that suits the worker better.

A worker that holds a model's weights is given a job with that model from among the next few ones,
rather than one for which it would have to load another. One that has a job may be given company for
it in the same way. What was passed over is counted, so that no
job is passed over more than `MOST_PASSED` times by its client's others, nor when it is its client's
turn. One that was moved stands where it was put: it is passed over by none behind it, and passes
none. Priorities hold, and so do clients' shares: who goes before others is charged for it, and gets
no further ahead of them than by so many of its jobs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from nodegraph.jobs.queue.connection import Connection

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
