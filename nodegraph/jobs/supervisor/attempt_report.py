"""Report of an attempt: its events and its end, written to the queue in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from nodegraph.core.events import Event
from nodegraph.errors import InvalidValue, Problem
from nodegraph.jobs.queue import Death, JobNotFound, JobQueue, WrongState
from nodegraph.jobs.supervisor.messages import Ended
from nodegraph.jobs.supervisor.worker_spec import DATABASE_FAULTS, Health, RetryDelay

_NO_REASON = Problem("job-failed", "the job failed, and its worker gave no reason").as_dict()


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """How an attempt ended.

    Attributes:
        write: The queue's method that is told: of queue, job, attempt, what is in `told`, and the
            run's last events if it takes them.
        arguments: What came of it, or what was wrong.
        takes_events: Whether the run's last events are written along with it.
    """

    write: Callable[..., Future[Any]]
    arguments: tuple[Any, ...] = ()
    takes_events: bool = True


RELEASED = AttemptEnd(JobQueue.release)
"""The job was given back, to be gone on with."""


def failed(error: Mapping[str, Any]) -> AttemptEnd:
    """The job can't be done."""
    return AttemptEnd(JobQueue.fail, (error,))


def died(death: Death) -> AttemptEnd:
    """Its worker died."""
    return AttemptEnd(JobQueue.died, (death,), takes_events=False)


def end_from_message(ended: Ended) -> AttemptEnd:
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
    "the job ended, but the queue cannot store its result",
    hint="The server's log shows why.",
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
        self._early: Future[Any] | None = None
        self._delays = RetryDelay()
        self._due = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._is_under_way = False
        self._is_ill = False
        self._is_open = True

    @property
    def has_end(self) -> bool:
        """Whether it is known how the attempt ended."""
        return self._end is not None

    def add_events(self, events: Sequence[Event]) -> None:
        """Take in events that are to be kept."""
        self._events += events
        excess = len(self._events) - _MOST_KEPT
        if excess > 0 and not self._is_under_way:
            _LOG.warning("%d events of %s are dropped: too many are waiting", excess, self.job)
            del self._events[:excess]
        self._begin_writing()

    def end(self, end: AttemptEnd, events: Sequence[Event] = ()) -> None:
        """Take in the last events, and how it ended; what comes later is ignored."""
        if self._end is not None:
            return
        self._events += events
        self._end = end
        if self._is_under_way and not self._is_ill and end.takes_events:
            # The next job may end while events of this one are written, and its end must not come
            # first. The queue skips those of the events that it has by then.
            self._early = self._put(tuple(self._events), end)
        if not self._is_ill:
            self._due.set()
        self._begin_writing()

    def hurry(self) -> None:
        """Try at once what waits to be tried again."""
        if self._is_ill:
            self._due.set()

    def give_up(self) -> None:
        """Write nothing more."""
        self._is_open = False
        if self._writing is not None:
            self._writing.cancel()

    def _begin_writing(self) -> None:
        if self._is_open and (self._writing is None or self._writing.done()):
            self._writing = asyncio.get_running_loop().create_task(self._write_all())

    async def _write_all(self) -> None:
        """Write what there is, events before the end; return once nothing is left."""
        while self._is_open and (self._events or self._end is not None):
            if await self._is_end_written():
                self._close()
                return
            if self._is_ill:
                await self._wait(self._delays.next())
            elif self._end is None:
                await self._wait(_TOGETHER)
            events, end = tuple(self._events), self._end
            if end is not None and events and not end.takes_events:
                end = None  # the events go first
            self._is_under_way = True
            try:
                await asyncio.wrap_future(self._put(events, end))
            except (JobNotFound, WrongState) as error:
                _LOG.warning("a message of a worker about %s came too late: %s", self.job, error)
                self._close()
            except DATABASE_FAULTS as error:
                self._is_ill = True
                self._health.failed(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the end has to be kept
                self._is_ill = False
                self._make_do(error, len(events), end is not None)
            else:
                self._is_ill = False
                self._delays.reset()
                self._health.worked()
                del self._events[: len(events)]
                if end is not None:
                    self._close()
            finally:
                self._is_under_way = False

    async def _is_end_written(self) -> bool:
        """Whether the end was put early and is written; if it isn't, it is put again as others."""
        if self._early is None:
            return False
        early, self._early = asyncio.wrap_future(self._early), None
        await asyncio.wait([early])
        return early.exception() is None

    async def _wait(self, seconds: float) -> None:
        """Wait for a time, or until the end is known or somebody is in a hurry."""
        self._due.clear()
        timer = asyncio.get_running_loop().call_later(seconds, self._due.set)
        try:
            await self._due.wait()
        finally:
            timer.cancel()

    def _put(self, events: tuple[Event, ...], end: AttemptEnd | None) -> Future[Any]:
        attempt = (self._queue, self.job, self.attempt)
        try:
            if end is None:
                return JobQueue.append_events(*attempt, events)
            return end.write(*attempt, *end.arguments, *([events] if end.takes_events else []))
        except Exception as error:  # noqa: BLE001 - it is raised where the future is awaited
            refused: Future[Any] = Future()
            refused.set_exception(error)
            return refused

    def _make_do(self, error: BaseException, count: int, is_end: bool) -> None:
        """Write less than was told, as the queue can't keep it."""
        if isinstance(error, InvalidValue) and is_end:
            self._end = failed(error.problem.as_dict())
        elif count:
            _LOG.error("%d events of %s cannot be stored", count, self.job, exc_info=error)
            del self._events[:count]
        elif self._end is None or self._end.write is not JobQueue.fail:
            _LOG.error("the end of %s cannot be stored", self.job, exc_info=error)
            self._end = failed(_NOT_KEPT.as_dict())
        else:
            _LOG.error("%s cannot even be marked as failed", self.job, exc_info=error)
            self._close()

    def _close(self) -> None:
        self._is_open = False
        self._closed(self)
