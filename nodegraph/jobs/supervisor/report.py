"""What a worker has told of a run, how its attempt ended, on the way into the queue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from nodegraph.core.events import Event
from nodegraph.errors import InvalidValue, Problem
from nodegraph.jobs.queue import Death, JobNotFound, JobQueue, WrongState
from nodegraph.jobs.supervisor.delays import DATABASE_FAULTS, Delays, Health, put, when_done
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


_LOG = logging.getLogger(__name__)

_TOGETHER = 0.002
"""Seconds that events wait for more: a short job's are then written with its end."""
_MOST_KEPT = 10_000
"""Events that wait for a queue that can't be written; older ones are given up."""
_NOT_KEPT = Problem(
    "end-not-kept",
    "the job ended, but the queue can't keep how",
    hint="The server's log says why.",
)


class AttemptReport:
    """Events of an attempt and how it ended: written in order, and kept until they are.

    A queue that can't be written is tried again, ever more slowly, until it can. An attempt that
    turns out to be over for the queue is dropped.

    Args:
        health: Is told how writing goes.
        closed: Is called once the end is written, or the attempt over anyway.
    """

    def __init__(
        self,
        queue: JobQueue,
        job: str,
        attempt: int,
        health: Health,
        closed: Callable[[AttemptReport], None],
    ) -> None:
        self.job = job
        self.attempt = attempt
        self._queue = queue
        self._health = health
        self._closed = closed
        self._events: list[Event] = []
        self._end: AttemptEnd | None = None
        self._delays = Delays()
        self._timer: asyncio.TimerHandle | None = None
        self._is_writing = False
        self._is_ill = False
        self._is_open = True

    @property
    def has_end(self) -> bool:
        """Whether it is known how the attempt ended."""
        return self._end is not None

    def tell(self, events: Sequence[Event]) -> None:
        """Take in events that are to be kept."""
        self._events += events
        excess = len(self._events) - _MOST_KEPT
        if excess > 0 and not self._is_writing:
            _LOG.warning("%d events of %s are given up: too many wait", excess, self.job)
            del self._events[:excess]
        self._write_in(_TOGETHER)

    def end(self, end: AttemptEnd, events: Sequence[Event] = ()) -> None:
        """Take in the last events, and how it ended; what comes later is ignored."""
        if self._end is not None:
            return
        self._events += events
        self._end = end
        if not self._is_ill:
            self._write()

    def hurry(self) -> None:
        """Try at once what waits to be tried again."""
        if self._is_ill:
            self._write()

    def give_up(self) -> None:
        """Write nothing more."""
        self._is_open = False
        self._cancel_timer()

    def _write_in(self, seconds: float) -> None:
        if self._timer is None and not self._is_writing and self._is_open:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._write)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _write(self) -> None:
        self._cancel_timer()
        if self._is_writing or not self._is_open:
            return
        events, end = tuple(self._events), self._end
        about = (self._queue, self.job, self.attempt)
        written: Future[Any]
        if end is not None and (end.takes_events or not events):
            arguments = (*end.told, events) if end.takes_events else end.told
            written = put(end.write, *about, *arguments)
            is_end = True
        elif events:
            written = put(JobQueue.append_events, *about, events)
            is_end = False
        else:
            return
        self._is_writing = True
        when_done(written, partial(self._written, len(events), is_end))

    def _written(self, count: int, is_end: bool, done: Future[Any]) -> None:
        self._is_writing = False
        error = done.exception()
        if error is None:
            self._go_on(count, is_end)
        elif isinstance(error, (JobNotFound, WrongState)):
            _LOG.warning("what a worker told of %s comes too late: %s", self.job, error)
            self._close()
        elif isinstance(error, DATABASE_FAULTS):
            self._is_ill = True
            self._health.failed(error)
            self._write_in(self._delays.next())
        else:
            self._make_do(error, count, is_end)

    def _go_on(self, count: int, is_end: bool) -> None:
        self._is_ill = False
        self._delays.reset()
        self._health.worked()
        del self._events[:count]
        if is_end:
            self._close()
        elif self._end is not None:
            self._write()
        elif self._events:
            self._write_in(_TOGETHER)

    def _make_do(self, error: BaseException, count: int, is_end: bool) -> None:
        """Write less than was told, as the queue can't keep it."""
        if isinstance(error, InvalidValue) and is_end:
            self._end = failed(error.problem.as_dict())
        elif count:
            _LOG.error("%d events of %s can't be kept", count, self.job, exc_info=error)
            del self._events[:count]
        elif self._end is None or self._end.write is not JobQueue.fail:
            _LOG.error("the end of %s can't be kept", self.job, exc_info=error)
            self._end = failed(_NOT_KEPT.as_dict())
        else:
            _LOG.error("%s can't even be failed", self.job, exc_info=error)
            self._close()
            return
        self._write()

    def _close(self) -> None:
        self.give_up()
        self._closed(self)
