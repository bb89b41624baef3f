"""Claiming jobs for free workers: when there may be some, and never in vain for long."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial

from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue import Job, JobEvent, JobQueue
from nodegraph.jobs.supervisor.delays import Delays, Health, put, when_done
from nodegraph.jobs.supervisor.held import Workers
from nodegraph.jobs.supervisor.placement import WorkerPlace, best_first

_READY = frozenset({"job.queued", "job.requeued", "job.retried", "job.unheld"})
"""Kinds of events after which there may be one more job to claim."""
_FREED = frozenset({"job.finished", "job.failed", "job.cancelled"})
"""Kinds after which a client that has as many running as it may can have one more."""


class JobIntake:
    """Asks the queue for jobs, at most as many at a time as workers would take.

    The queue isn't asked without a reason, as it commits even that there is no job. Reasons are
    events, workers that get free, and the end of a pause; jobs that can't be claimed now, as their
    client has too many, are asked for again after a while.

    Args:
        health: Is told how claiming goes.
        claimed: Is handed each job with the worker that it was claimed for.
        answered: Is called after each answer.
    """

    def __init__(
        self,
        queue: JobQueue,
        health: Health,
        claimed: Callable[[str, Job], None],
        answered: Callable[[], None],
    ) -> None:
        self._queue = queue
        self._health = health
        self._claimed = claimed
        self._answered = answered
        self._asking: Counter[str] = Counter()
        self._free: Callable[[], Sequence[str]] = tuple
        self._workers: Workers
        self._is_paused = False
        self._failures = Delays()
        self._waits = Delays(0.05, 1.0)
        self._timer: asyncio.TimerHandle | None = None
        self._rests = False
        self._is_missed = False

    @property
    def count(self) -> int:
        """How many the queue hasn't answered yet."""
        return self._asking.total()

    def start(self, free: Callable[[], Sequence[str]], workers: Workers) -> None:
        """Ask from now on.

        Args:
            free: The workers that would take a job now, each as often as it would.
        """
        self._free, self._workers = free, workers
        self.want(len(free()))

    def stop(self) -> None:
        """Ask no more."""
        self._free = tuple
        if self._timer is not None:
            self._timer.cancel()

    def unclaimed(self, workers: Iterable[str]) -> list[str]:
        """Those of some workers for which no job is being claimed; any may be there repeatedly."""
        asking = Counter(self._asking)
        found = []
        for worker in workers:
            if asking[worker]:
                asking[worker] -= 1
            else:
                found.append(worker)
        return found

    def want(self, count: int) -> None:
        """Ask for some jobs, as far as there are workers for them."""
        if self._rests or count < 1:
            return
        free = self.unclaimed(self._free())
        asking = free[:count]
        # An answer that is on its way may be older than the reason to ask.
        self._is_missed = self._is_missed or len(asking) < count
        # Who asks first may leave its job to one that suits it better and asks for none.
        others = [name for name in dict.fromkeys(free[count:]) if name not in asking]
        for worker in asking:
            self._ask(worker, others)
            others = []

    def _ask(self, worker: str, others: Sequence[str]) -> None:
        asker, *rest = self._workers.places([worker, *others])
        # Behind the job of a busy one it might wait for long, and be taken back.
        idle = [] if asker.is_busy else [place for place in rest if not place.is_busy]
        names = [worker, *(place.worker for place in idle)]
        self._asking.update(names)
        best = partial(_best, [asker, *idle]) if idle else None
        claim = put(self._queue.claim, worker, self._workers.wish(worker), best)
        when_done(claim, partial(self._told, names))

    def happened(self, events: Sequence[JobEvent]) -> None:
        """Look at what happened in the queue.

        Args:
            events: None after a commit that has told nothing.
        """
        kinds = _READY if self._timer is None else _READY | _FREED
        count = sum(event.kind in kinds for event in events)
        if count:
            self.want(count)
        elif self._has_resumed():
            self.want(len(self._free()))

    def rest(self) -> None:
        """Ask no more for a moment, as something is wrong with the queue."""
        self._rests = True
        self._ask_in(self._failures.next())

    def hurry(self) -> None:
        """Ask again at once, if that waits for the queue to get well."""
        if self._rests and self._timer is not None:
            self._timer.cancel()
            self._ask_again()

    def _has_resumed(self) -> bool:
        # No event tells of a pause. Looking takes ten microseconds, and is of use to the free only.
        if not self.unclaimed(self._free()):
            return False
        was_paused = self._is_paused
        try:
            self._is_paused = self._queue.is_paused()
        except NodegraphError:
            return False  # whatever is wrong is told when something is written
        return was_paused and not self._is_paused

    def _told(self, names: Sequence[str], done: Future[Job | None]) -> None:
        self._asking.subtract(names)
        error = done.exception()
        if error is not None:
            self._health.failed(error)
            self.rest()
        else:
            self._failures.reset()
            self._health.worked()
            self._took(names[0], done.result())
        self._answered()

    def _took(self, worker: str, job: Job | None) -> None:
        if job is not None:
            self._waits.reset()
            # Where there was one there may be more.
            self._claimed(job.worker or worker, job)
            self.want(1)
        elif self._is_missed:
            self._is_missed = False
            self.want(1)
        elif self._is_any_left():
            self._ask_in(self._waits.next())

    def _is_any_left(self) -> bool:
        """Whether jobs wait all the same, so that there is reason to ask once more."""
        try:
            counts = self._queue.counts()
            self._is_paused = self._queue.is_paused()
        except NodegraphError:
            return True
        return counts.queued > counts.held and not self._is_paused

    def _ask_in(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._ask_again)

    def _ask_again(self) -> None:
        self._timer = None
        self._rests = False
        self.want(len(self._free()))


def _best(places: Sequence[WorkerPlace], job: Job) -> str:
    """Who of some workers is to have a job; the first one may have it in any case."""
    return next(iter(best_first(places, job)), places[0].worker)
