"""How an attempt at a job may end, and what the queue is told then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from nodegraph.core.events import Event
from nodegraph.errors import Problem
from nodegraph.jobs.queue import Death, JobQueue
from nodegraph.jobs.supervisor.messages import Ended

_NO_REASON = Problem("job-failed", "the job failed; its worker didn't say why").as_dict()


class End(Protocol):
    """How an attempt ended.

    Attributes:
        takes_events: Whether the run's last events are written along with it.
    """

    takes_events: ClassVar[bool]

    def write(
        self, queue: JobQueue, job: str, attempt: int, events: Sequence[Event]
    ) -> Future[Any]:
        """Tell the queue."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The job is done."""

    outputs: Mapping[str, Any]
    takes_events: ClassVar[bool] = True

    def write(
        self, queue: JobQueue, job: str, attempt: int, events: Sequence[Event]
    ) -> Future[None]:
        return queue.finish(job, attempt, self.outputs, events)


@dataclass(frozen=True, slots=True)
class Failed:
    """It can't be done."""

    error: Mapping[str, Any]
    takes_events: ClassVar[bool] = True

    def write(
        self, queue: JobQueue, job: str, attempt: int, events: Sequence[Event]
    ) -> Future[None]:
        return queue.fail(job, attempt, self.error, events)


@dataclass(frozen=True, slots=True)
class Stopped:
    """It was cancelled."""

    takes_events: ClassVar[bool] = True

    def write(
        self, queue: JobQueue, job: str, attempt: int, events: Sequence[Event]
    ) -> Future[None]:
        return queue.stopped(job, attempt, events)


@dataclass(frozen=True, slots=True)
class Released:
    """It was given back, to be gone on with."""

    takes_events: ClassVar[bool] = True

    def write(
        self, queue: JobQueue, job: str, attempt: int, events: Sequence[Event]
    ) -> Future[Any]:
        return queue.release(job, attempt, events)


@dataclass(frozen=True, slots=True)
class Died:
    """Its worker died."""

    death: Death
    takes_events: ClassVar[bool] = False

    def write(
        self, queue: JobQueue, job: str, attempt: int, events: Sequence[Event]
    ) -> Future[Any]:
        return queue.died(job, attempt, self.death)


def told_end(ended: Ended) -> End:
    """The end that a worker tells."""
    if ended.status == "finished":
        return Finished(ended.outputs or {})
    if ended.status == "failed":
        return Failed(ended.error or _NO_REASON)
    if ended.status == "cancelled":
        return Stopped()
    return Released()
