"""What tests of the queue share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodegraph.core.events import Event, EventKind
from nodegraph.jobs.queue import JobEvent, JobQueue, Submission
from nodegraph.jobs.queue.job import Job, JobSummary
from nodegraph.jobs.queue.reader import QueueLocation

WORKFLOW = {"format": "nodegraph/1", "nodes": {}}


Places = Callable[[Path], QueueLocation]
"""Where the queue of a test's folder is."""


def in_files(folder: Path) -> QueueLocation:
    """In a file there."""
    return folder / "queue.sqlite"


places: list[Places] = [in_files]
"""The last one counts."""


def open_queue(folder: Path, **options: Any) -> JobQueue:
    """A queue that doesn't wait for the disk."""
    return JobQueue(places[-1](folder), synced=False, **options)


def wanted(client: str = "ann", **options: Any) -> Submission:
    """Something to submit."""
    return Submission(client, options.pop("workflow", WORKFLOW), **options)


def submit(queue: JobQueue, client: str = "ann", **options: Any) -> JobSummary:
    """A job that was just submitted."""
    return queue.submit(wanted(client, **options)).result().job


def claim(queue: JobQueue) -> Job:
    """The next job, which must be there."""
    job = queue.claim("worker").result()
    assert job is not None
    return job


def claimed(queue: JobQueue, count: int = 1_000) -> list[str]:
    """Names of the next jobs, in the order in which they were claimed and finished."""
    found = []
    while len(found) < count and (job := queue.claim("worker").result()) is not None:
        queue.finish(job.id, job.attempt, {}).result()
        found.append(job.name)
    return found


def event(number: int, kind: EventKind = "node.started", **data: Any) -> Event:
    """An event of a run."""
    return Event(number, kind, "node", 0.5, data)


def told(queue: JobQueue, **which: Any) -> list[JobEvent]:
    """All events."""
    return list(queue.events_after(0, **which, limit=100_000).events)
