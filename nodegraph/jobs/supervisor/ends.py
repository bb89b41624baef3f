"""How an attempt at a job may end, and what the queue is told then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from nodegraph.errors import Problem
from nodegraph.jobs.queue import Death, JobQueue
from nodegraph.jobs.supervisor.messages import Ended

_NO_REASON = Problem("job-failed", "the job failed; its worker didn't say why").as_dict()


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """How an attempt ended.

    Attributes:
        write: The queue's method that is told: of queue, job, attempt, what is in `told`, and the
            run's last events if it takes them.
        told: What came of it, or what was wrong.
        takes_events: Whether the run's last events are written along with it.
    """

    write: Callable[..., Future[Any]]
    told: tuple[Any, ...] = ()
    takes_events: bool = True


RELEASED = AttemptEnd(JobQueue.release)
"""The job was given back, to be gone on with."""


def failed(error: Mapping[str, Any]) -> AttemptEnd:
    """The job can't be done."""
    return AttemptEnd(JobQueue.fail, (error,))


def died(death: Death) -> AttemptEnd:
    """Its worker died."""
    return AttemptEnd(JobQueue.died, (death,), takes_events=False)


def told_end(ended: Ended) -> AttemptEnd:
    """The end that a worker tells."""
    if ended.status == "finished":
        return AttemptEnd(JobQueue.finish, (ended.outputs or {},))
    if ended.status == "failed":
        return failed(ended.error or _NO_REASON)
    return AttemptEnd(JobQueue.stopped) if ended.status == "cancelled" else RELEASED
