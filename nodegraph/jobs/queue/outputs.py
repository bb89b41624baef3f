"""What jobs gave, in the order in which it was told: each file when written, all at the end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodegraph.core.words import to_well_formed
from nodegraph.jobs.queue.changes import refusal
from nodegraph.jobs.queue.connection import Connection
from nodegraph.jobs.queue.events import newest
from nodegraph.jobs.queue.job import read_kept, summary
from nodegraph.jobs.queue.states import ENDED
from nodegraph.store.packing import unpack

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
    event = to_well_formed(unpack(body))
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
