"""Events of jobs in commit order, outputs found in them, and live events that are not kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from nodegraph.core.events import Event
from nodegraph.jobs.queue.backend import Connection
from nodegraph.jobs.queue.job import ENDED, Action, number_at, read_kept, refusal, summary
from nodegraph.store.packing import pack_well_formed, unpack, unpack_well_formed

LIVE = frozenset({"node.progress", "node.preview"})


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """Progress or a preview.

    Attributes:
        after: The number of the run's last event before it that is kept; -1 for none. Whoever
            shows it should have shown that one.
    """

    job: str
    client: str
    attempt: int
    after: int
    event: Event


def split_events(
    events: Sequence[Event], after: int
) -> tuple[list[Event], list[tuple[int, Event]]]:
    """The events that are kept, and the live ones, each with the number of the one it comes after.

    Args:
        after: Of the last one that was kept before.
    """
    kept: list[Event] = []
    live: list[tuple[int, Event]] = []
    for event in events:
        if event.kind in LIVE:
            live.append((after, event))
        elif event.kind not in NOT_KEPT:
            kept.append(event)
            after = event.number
    return kept, live


_OUTPUTS_AFTER = """
SELECT seq, jobs.id, jobs.client, events.at, kind, body, jobs.outputs
FROM events JOIN jobs ON jobs.number = events.job
WHERE seq > ? AND (kind = 'node.wrote' OR (kind = 'job.finished' AND jobs.state = 'finished'))
ORDER BY seq LIMIT ?
"""
_WROTE = "SELECT seq, body FROM events WHERE job = ? AND kind = 'node.wrote'"


@dataclass(frozen=True, slots=True)
class GivenOutputs:
    """What a job gave: a file that it has just written, or everything once it has finished.

    Attributes:
        seq: Of the event that tells of it.
        at: Unix time, for display.
        outputs: See `Job`; of a job that runs, with the one file.
    """

    seq: int
    id: str
    client: str
    at: float
    outputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutputsPage:
    """Some of what jobs gave.

    Attributes:
        last: Where to go on from, the number of an event.
        is_complete: Whether there was no more.
    """

    entries: tuple[GivenOutputs, ...]
    last: int
    is_complete: bool


def get_outputs_after(connection: Connection, seq: int, limit: int) -> OutputsPage:
    """What jobs that are still there gave after an event; all of one moment."""
    last = newest(connection)
    rows = connection.execute(_OUTPUTS_AFTER, (seq, limit)).fetchall()
    entries = tuple(
        GivenOutputs(number, job, client, at, _outputs(kind, body, outputs))
        for number, job, client, at, kind, body, outputs in rows
    )
    is_complete = len(entries) < limit
    return OutputsPage(entries, last if is_complete else entries[-1].seq, is_complete)


def _outputs(kind: str, body: bytes, outputs: str) -> Mapping[str, Any]:
    if kind == "job.finished":
        content: Mapping[str, Any] = read_kept(outputs)
        return content
    event = unpack_well_formed(body)
    data = event["data"]
    if "digest" not in data:  # it is told at the job's end
        return {}
    return {"files": [{**data, "node": event.get("node"), "kind": data.get("file")}]}


def forget_file(connection: Connection, id: str, digest: str) -> None:
    """Have a job that has ended no longer list a file.

    Raises:
        JobNotFound, WrongState: It waits or runs.
    """
    job = summary(connection, id)
    if job.state not in ENDED:
        raise refusal(connection, "delete", id, None)
    row = connection.execute("SELECT outputs FROM jobs WHERE id = ?", (id,)).fetchone()
    outputs = None if row[0] is None else json.loads(row[0])
    if outputs is not None and isinstance(outputs.get("files"), list):
        files = [file for file in outputs["files"] if not _is_of(file, digest)]
        text = json.dumps({**outputs, "files": files})
        connection.execute("UPDATE jobs SET outputs = ? WHERE id = ?", (text, id))
    written_events = connection.execute(_WROTE, (job.number,)).fetchall()
    gone = [(seq,) for seq, body in written_events if _is_of(unpack(body)["data"], digest)]
    connection.executemany("DELETE FROM events WHERE seq = ?", gone)


def _is_of(file: Any, digest: str) -> bool:
    return isinstance(file, Mapping) and file.get("digest") == digest


NOT_KEPT = frozenset(
    {"node.progress", "node.preview", "job.finished", "job.failed", "job.cancelled"}
)
"""Kinds of a run's events that aren't kept: some are of the moment only, the others are told by the
queue itself when the job's state changes."""

_INSERT = """
INSERT INTO events (job, attempt, number, kind, at, body) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""
_NEWEST_OF_ATTEMPT = """
SELECT number FROM events WHERE job = ? AND attempt = ? AND number IS NOT NULL
ORDER BY seq DESC LIMIT 1
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
        events: Along with an end, some may have been kept before; they are skipped.
        action: What is done with the job otherwise.
    Raises:
        JobNotFound, WrongState: The job isn't running.
        StaleAttempt: It is at another attempt.
    """
    number = number_at(connection, action, id, attempt)
    kept = [event for event in events if event.kind not in NOT_KEPT]
    if kept and action != "append":
        newest_kept = connection.execute(_NEWEST_OF_ATTEMPT, (number, attempt)).fetchone()
        kept = [event for event in kept if newest_kept is None or event.number > newest_kept[0]]
    connection.executemany(
        _INSERT,
        [(number, attempt, event.number, event.kind, now, _body(event)) for event in kept],
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
    body = unpack_well_formed(row[7])  # earlier versions kept halves of surrogate pairs
    about = {"node": body.get("node"), "seconds": body.get("seconds"), "data": body["data"]}
    return _upgrade_event(JobEvent(*row[:7], **about))


def _upgrade_event(event: JobEvent) -> JobEvent:
    """Each cached node had an event of its own once, and queues of that time are still read."""
    if event.kind != "node.cached":
        return event
    data = {**event.data, "nodes": [event.node]}
    return replace(event, kind="nodes.cached", node=None, data=data)
