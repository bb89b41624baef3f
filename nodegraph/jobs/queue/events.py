"""The events of all jobs, in the order in which they were committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from nodegraph.core.words import to_well_formed
from nodegraph.jobs.queue.changes import number_at
from nodegraph.jobs.queue.connection import Connection
from nodegraph.jobs.queue.job import summary
from nodegraph.jobs.queue.states import Action
from nodegraph.store.packing import pack_well_formed, unpack

NOT_KEPT = frozenset(
    {"node.progress", "node.preview", "job.finished", "job.failed", "job.cancelled"}
)
"""Kinds of a run's events that aren't kept: some are of the moment only, the others are told by the
queue itself when the job's state changes."""

_INSERT = """
INSERT INTO events (job, attempt, number, kind, at, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""
_NEWEST = "SELECT value FROM counters WHERE name = 'events'"
_AFTER = """
SELECT seq, jobs.id, jobs.client, events.attempt, events.number, kind, at, body
FROM events JOIN jobs ON jobs.number = events.job
WHERE seq > :after AND {which} ORDER BY seq LIMIT :limit
"""
_OF_ALL = _AFTER.format(which="TRUE")
# An expression keeps SQLite from going through all events of all the client's jobs.
_OF_CLIENT = _AFTER.format(which="coalesce(jobs.client, '') = :client")
_OF_JOB = _AFTER.format(which="events.job = :job")


class RunEvent(Protocol):
    """An event of a run; `nodegraph.core.events.Event` is one."""

    @property
    def number(self) -> int: ...
    @property
    def kind(self) -> str: ...
    @property
    def node(self) -> str | None: ...
    @property
    def seconds(self) -> float: ...
    @property
    def data(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job.

    Attributes:
        seq: Grows from event to event of all jobs, with gaps.
        job: Its id.
        attempt: The job's at that time.
        number: In the attempt's run; None for what the queue itself tells.
        at: Unix time, for display.
        node: The node it happened to, if any.
        seconds: Since the attempt's run started; None for what the queue itself tells.
    """

    seq: int
    job: str
    client: str
    attempt: int
    number: int | None
    kind: str
    at: float
    node: str | None
    seconds: float | None
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class EventPage:
    """Some events.

    Attributes:
        last: Where to go on from: all events up to this number are in this page or not asked for.
            Less than the number asked from only if that was never given by this queue.
        is_complete: Whether there were no more.
    """

    events: tuple[JobEvent, ...]
    last: int
    is_complete: bool


def append(
    connection: Connection,
    id: str,
    attempt: int,
    events: Iterable[RunEvent],
    now: float,
    action: Action = "append",
) -> None:
    """Keep events of a run, but for those that aren't; see `NOT_KEPT`.

    Args:
        action: What is done with the job otherwise.
    Raises:
        JobNotFound, WrongState: The job isn't running.
        StaleAttempt: It is at another attempt.
    """
    number = number_at(connection, action, id, attempt)
    connection.executemany(
        _INSERT,
        [
            (number, attempt, event.number, event.kind, now, _body(event))
            for event in events
            if event.kind not in NOT_KEPT
        ],
    )


def _body(event: RunEvent) -> bytes:
    return pack_well_formed({"node": event.node, "seconds": event.seconds, "data": event.data})


def get_events_after(
    connection: Connection, seq: int, job: str | None, client: str | None, limit: int
) -> EventPage:
    """The events after one, all of one moment; the connection is in a transaction.

    Raises:
        JobNotFound: There is no job of that id.
    """
    last = newest(connection)
    values: dict[str, Any] = {"after": seq, "limit": limit}
    query = _OF_ALL
    if job is not None:
        job_summary = summary(connection, job)
        query = _OF_JOB
        values["job"] = job_summary.number
        if client not in (None, job_summary.client):
            return EventPage((), last, True)
    elif client is not None:
        query = _OF_CLIENT
        values["client"] = client
    events = tuple(_event(row) for row in connection.execute(query, values))
    if not events or len(events) < limit:
        return EventPage(events, last, True)
    return EventPage(events, events[-1].seq, False)


def newest(connection: Connection) -> int:
    """The number of the last event; 0 before the first."""
    row = connection.execute(_NEWEST).fetchone()
    return 0 if row is None else int(row[0])


def _event(row: tuple[Any, ...]) -> JobEvent:
    body = to_well_formed(unpack(row[7]))  # earlier versions kept halves of surrogate pairs
    about = {"node": body.get("node"), "seconds": body.get("seconds"), "data": body["data"]}
    return _upgrade_event(JobEvent(*row[:7], **about))


def _upgrade_event(event: JobEvent) -> JobEvent:
    """Each cached node had an event of its own once, and queues of that time are still read."""
    if event.kind != "node.cached":
        return event
    data = {**event.data, "nodes": [event.node]}
    return replace(event, kind="nodes.cached", node=None, data=data)
