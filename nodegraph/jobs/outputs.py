"""What finished jobs gave, in the order in which they finished."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from nodegraph.jobs.events import newest

_FINISHED = """
SELECT seq, jobs.id, jobs.client, jobs.finished, jobs.outputs
FROM events JOIN jobs ON jobs.number = events.job
WHERE seq > ? AND kind = 'job.finished' AND jobs.state = 'finished' ORDER BY seq LIMIT ?
"""


@dataclass(frozen=True, slots=True)
class FinishedJob:
    """A job that has finished.

    Attributes:
        seq: Of the event that tells of it.
        at: Unix time, for display.
        outputs: See `Job`.
    """

    seq: int
    id: str
    client: str
    at: float
    outputs: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FinishedPage:
    """Some jobs that have finished.

    Attributes:
        last: Where to go on from, the number of an event.
        is_complete: Whether there were no more.
    """

    jobs: tuple[FinishedJob, ...]
    last: int
    is_complete: bool


def finished_after(connection: Connection, seq: int, limit: int) -> FinishedPage:
    """The jobs that finished after an event and are still there; all of one moment."""
    last = newest(connection)
    rows = connection.execute(_FINISHED, (seq, limit)).fetchall()
    jobs = tuple(
        FinishedJob(number, job, client, at, json.loads(outputs))
        for number, job, client, at, outputs in rows
    )
    is_complete = len(jobs) < limit
    return FinishedPage(jobs, last if is_complete else jobs[-1].seq, is_complete)
