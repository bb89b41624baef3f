"""Attempts of workers at jobs: claim, finish, fail, release, and recover after a death."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, groupby
from operator import attrgetter
from typing import Any

from nodegraph.core.text_format import to_well_formed
from nodegraph.errors import Problem
from nodegraph.jobs.queue.backend import Connection
from nodegraph.jobs.queue.events import RunEvent, append
from nodegraph.jobs.queue.job import (
    Job,
    JobSummary,
    append_queue_event,
    apply_transition,
    get_job,
    refusal,
    setting,
    summary,
)
from nodegraph.jobs.queue.job_order import (
    ANY_JOB,
    INFINITE,
    ClientShare,
    JobCriteria,
    Limits,
    charged,
    choose,
    has_candidates,
)
from nodegraph.jobs.queue.submission import json_text
from nodegraph.store.packing import unpack

_SHARES = """
SELECT shares.priority, shares.client, tag, coalesce(time, 0)
FROM shares LEFT JOIN clocks USING (priority)
WHERE ready > 0 ORDER BY shares.priority DESC, tag, shares.client
"""
_DEATHS = """
SELECT attempt, body FROM events WHERE job = ? AND kind = 'job.requeued' ORDER BY seq DESC
"""
_SET_CLOCK = """
INSERT INTO clocks VALUES (?, ?) ON CONFLICT (priority) DO UPDATE SET time = excluded.time
"""
_FORMER_LINES = 20
"""Of the log, that are told of each death but the last."""
_RUNNING = "SELECT count FROM tallies WHERE client = ? AND state = 'running'"
_RUNNING_OF = "SELECT id, attempt FROM jobs WHERE state = 'running' AND server = ?"
_FORMER = """
SELECT id FROM jobs WHERE state = 'running' AND server NOT IN (SELECT id FROM servers)
ORDER BY number
"""


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker died, as far as it is known.

    Attributes:
        signal: Name of the signal that killed it.
        exit_code: Of its process.
        node: Name of the last node that began.
        log: The last lines that it wrote.
        memory: Bytes that it used last.
        others: How many other jobs it ran at that time.
    """

    reason: str
    signal: str | None = None
    exit_code: int | None = None
    node: str | None = None
    log: Sequence[str] = ()
    memory: int | None = None
    others: int = 0

    def evidence(self) -> dict[str, Any]:
        """It as a job's error tells of it."""
        evidence = asdict(self)
        # Clients know the number by this name.
        evidence["beside"] = evidence.pop("others")
        return evidence


def claim(
    connection: Connection,
    worker: str,
    server: str,
    limits: Callable[[str], Limits],
    now: float,
    criteria: JobCriteria = ANY_JOB,
    best: Callable[[Job], str] | None = None,
) -> Job | None:
    """The next job, for a worker to run; None if none may be run.

    Args:
        best: Tells who is to run the job that was found; else the worker itself.
    """
    if setting(connection, "paused") or not has_candidates(connection, criteria):
        return None

    def may_have_more(share: ClientShare) -> bool:
        most = limits(share.client).running
        return most >= INFINITE or _running(connection, share.client) < most

    shares = map(ClientShare._make, connection.execute(_SHARES))
    for priority, each in groupby(shares, key=attrgetter("priority")):
        allowed = filter(may_have_more, each)
        first = next(allowed, None)
        if first is None:
            continue
        if criteria.partners is not None and priority < criteria.partners.priority:
            return None
        chosen = choose(connection, chain([first], allowed), criteria)
        if chosen is None:
            if criteria.partners is not None:
                return None  # what is less urgent goes on beside nothing while this waits
            continue
        share, job, turn = chosen
        weight = limits(share.client).weight
        tag, clock = charged(share.tag, share.clock, job.cost, weight)
        # Whoever is passed over keeps what is due to it.
        clock = min(clock, turn.start)
        _charge(connection, priority, share.client, tag, clock)
        if best is not None:
            worker = best(get_job(connection, job.id))
        columns = {"started": now, "worker": worker, "server": server}
        columns["attempt"] = job.attempt + 1
        apply_transition(connection, "claim", job.id, columns, attempt=job.attempt)
        append_queue_event(connection, job.id, "job.claimed", now, worker=worker)
        return get_job(connection, job.id)
    return None


def _charge(connection: Connection, priority: int, client: str, tag: float, clock: float) -> None:
    connection.execute(
        "UPDATE shares SET tag = ? WHERE priority = ? AND client = ?", (tag, priority, client)
    )
    connection.execute(_SET_CLOCK, (priority, clock))


def _running(connection: Connection, client: str) -> int:
    row = connection.execute(_RUNNING, (client,)).fetchone()
    return 0 if row is None else int(row[0])


def finish(
    connection: Connection,
    id: str,
    attempt: int,
    outputs: str,
    events: Sequence[RunEvent],
    now: float,
) -> None:
    """A worker has done its job.

    Args:
        outputs: JSON.
        events: The run's last ones.
    """
    columns = {"wanted": None, "finished": now, "outputs": outputs}
    append(connection, id, attempt, events, now, "finish")
    apply_transition(connection, "finish", id, columns, attempt=attempt)
    append_queue_event(connection, id, "job.finished", now)


def fail(
    connection: Connection,
    id: str,
    attempt: int,
    error: Mapping[str, Any],
    events: Sequence[RunEvent],
    now: float,
) -> None:
    """A worker could not do its job."""
    columns = {"wanted": None, "finished": now, "error": _error_text(error)}
    append(connection, id, attempt, events, now, "fail")
    apply_transition(connection, "fail", id, columns, attempt=attempt)
    append_queue_event(connection, id, "job.failed", now, error=error)


def _error_text(error: Mapping[str, Any]) -> str:
    return json_text(to_well_formed(error), "error")


def stop(
    connection: Connection, id: str, attempt: int, events: Sequence[RunEvent], now: float
) -> None:
    """A worker has stopped its job, as it was asked to."""
    append(connection, id, attempt, events, now, "stop")
    apply_transition(connection, "stop", id, {"wanted": None, "finished": now}, attempt=attempt)
    append_queue_event(connection, id, "job.cancelled", now)


def release(
    connection: Connection, id: str, attempt: int, events: Sequence[RunEvent], now: float
) -> JobSummary:
    """A worker gives its job back, to be gone on with later; no fault of the job."""
    append(connection, id, attempt, events, now, "requeue")
    return _put_back(connection, id, attempt, now, "released")


def died(
    connection: Connection, id: str, attempt: int, death: Death, most_deaths: int, now: float
) -> JobSummary:
    """A worker died of its job, perhaps: it gets another one, or has killed enough of them."""
    job = _running_at(connection, id, attempt)
    deaths = job.deaths + 1
    if deaths >= most_deaths and job.wanted != "cancel":
        error = _death_error(death, deaths, _former_deaths(connection, job.number, deaths - 1))
        text = _error_text(error)
        columns = {"wanted": None, "finished": now, "deaths": deaths, "error": text}
        apply_transition(connection, "fail", id, columns, attempt=attempt)
        append_queue_event(connection, id, "job.failed", now, error=error)
        return summary(connection, id)
    return _put_back(connection, id, attempt, now, "died", deaths=deaths, death=death.evidence())


def _former_deaths(connection: Connection, number: int, count: int) -> list[dict[str, Any]]:
    """The last deaths of a job's workers before this one, oldest first, with their attempts."""
    deaths: list[dict[str, Any]] = []
    for attempt, body in connection.execute(_DEATHS, (number,)):
        death = unpack(body)["data"].get("death")
        if death is not None and len(deaths) < count:
            deaths.append({"attempt": attempt, **death, "log": death["log"][-_FORMER_LINES:]})
    return deaths[::-1]


def _death_error(death: Death, deaths: int, former: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    times = {1: "once", 2: "twice"}.get(deaths, f"{deaths} times")
    alone = ", the last time on a new worker that ran nothing else" if deaths > 1 else ""
    problem = Problem(
        "worker-died",
        f"the job's worker died {times}{alone}: {death.reason}",
        node=death.node,
        hint="The evidence shows what happened last. Fix the cause, then retry the job.",
    )
    return {**problem.as_dict(), "evidence": death.evidence(), "former_deaths": former}


def recover(connection: Connection, now: float) -> list[JobSummary]:
    """Put back what servers ran that are gone; nothing if that was done already."""
    former = connection.execute(_FORMER).fetchall()
    return [_put_back(connection, each, None, now, "recovered") for (each,) in former]


def recover_servers(
    connection: Connection, servers: Mapping[str, int], now: float
) -> list[JobSummary]:
    """Put back what servers ran that are gone.

    Args:
        servers: What they had counted to; who has counted on since is alive.
    """
    for server, beat in servers.items():
        connection.execute("DELETE FROM servers WHERE id = ? AND beat = ?", (server, beat))
    return recover(connection, now)


def running_of(connection: Connection, server: str) -> list[tuple[str, int]]:
    """Ids and attempts of the jobs that a server runs."""
    return [(job, attempt) for job, attempt in connection.execute(_RUNNING_OF, (server,))]


def _put_back(
    connection: Connection, id: str, attempt: int | None, now: float, reason: str, **data: Any
) -> JobSummary:
    """A running job waits again, unless it was to be cancelled anyway."""
    job = _running_at(connection, id, attempt)
    deaths = data.get("deaths", job.deaths)
    if job.wanted == "cancel":
        columns = {"wanted": None, "finished": now, "deaths": deaths}
        apply_transition(connection, "stop", id, columns, attempt=attempt)
        append_queue_event(connection, id, "job.cancelled", now, reason=reason, **data)
    else:
        is_held = job.wanted == "pause"
        columns = {"wanted": None, "held": int(is_held), "deaths": deaths}
        apply_transition(connection, "requeue", id, columns, attempt=attempt)
        append_queue_event(connection, id, "job.requeued", now, reason=reason, held=is_held, **data)
    return summary(connection, id)


def _running_at(connection: Connection, id: str, attempt: int | None) -> JobSummary:
    job = summary(connection, id)
    if job.state != "running" or attempt not in (None, job.attempt):
        raise refusal(connection, "requeue", id, attempt)
    return job
