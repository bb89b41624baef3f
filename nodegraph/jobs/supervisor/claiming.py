"""Claiming jobs for free workers: when there may be some, and never in vain for long."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any

from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue import Job, JobEvent, JobQueue, WorkerWish
from nodegraph.jobs.queue.listing import Counts
from nodegraph.jobs.supervisor.delays import DATABASE_FAULTS, Delays, Health, put, when_done
from nodegraph.jobs.supervisor.errors import FilesAway
from nodegraph.jobs.supervisor.placement import WorkerPlace, best_first
from nodegraph.jobs.supervisor.queue_reads import QueueReads
from nodegraph.jobs.supervisor.worker_jobs import JobPayload, Workers

_LOG = logging.getLogger(__name__)
_READY = frozenset({"job.queued", "job.requeued", "job.retried", "job.unheld"})
"""Kinds of events after which there may be one more job to claim."""
_FREED = frozenset({"job.finished", "job.failed", "job.cancelled"})
"""Kinds after which a client that has as many running as it may can have one more."""
_BETWEEN = 0.5
"""Seconds between two jobs whose files can't be brought."""
_FORGOTTEN = 120.0
"""Seconds after which a job that was left to others has come to its end elsewhere."""


class JobClaiming:
    """Asks the queue for jobs, at most as many at a time as workers would take.

    The queue isn't asked without a reason, as it commits even that there is no job. Reasons are
    events, workers that get free, and the end of a pause; jobs that can't be claimed now, as their
    client has too many, are asked for again after a while. One whose files can't be brought here is
    left to others for a while, longer each time, so that it keeps none that could run.

    Args:
        health: Is told how claiming goes.
        claimed: Is handed each job with the worker that it was claimed for, and what gives, or
            raises, its workflow and parameters.
        answered: Is called after each answer.
        found_here: Gives workflows and parameters as workers take them: of a queue that is shared
            they may speak of files that are to be brought first. Raises what `DATABASE_FAULTS`
            lists where that is impossible now.
    """

    def __init__(
        self,
        queue: JobQueue,
        health: Health,
        claimed: Callable[[str, Job, Callable[[], JobPayload]], None],
        answered: Callable[[], None],
        found_here: Callable[[str, Mapping[str, Any]], JobPayload] | None = None,
    ) -> None:
        self._queue = queue
        self._looks = QueueReads(queue, threads=1)
        self._health = health
        self._claimed = claimed
        self._answered = answered
        self._found_here = found_here
        # What is brought for one job keeps no other waiting.
        self._bringing = self._looks if found_here is None else QueueReads(queue, threads=4)
        self._asking: Counter[str] = Counter()
        self._free: Callable[[], Sequence[str]] = tuple
        self._workers: Workers
        self._is_paused = False
        self._failures = Delays()
        self._waits = Delays(0.05, 1.0)
        self._left_for = Delays(0.5, 60.0)
        self._left_to_others: dict[str, float] = {}
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

    def close(self) -> None:
        """Heed no more answers."""
        self._looks.close()
        self._bringing.close()

    def unclaimed(self, workers: Iterable[str]) -> list[str]:
        """Those of some workers for which no job is being claimed; any may be there repeatedly."""
        pending = Counter(self._asking)
        without_claim = []
        for worker in workers:
            if pending[worker]:
                pending[worker] -= 1
            else:
                without_claim.append(worker)
        return without_claim

    def want(self, count: int) -> None:
        """Ask for some jobs, as far as there are workers for them."""
        if self._rests or count < 1:
            return
        free = self.unclaimed(self._free())
        claimants = free[:count]
        # An answer that is on its way may be older than the reason to ask.
        self._is_missed = self._is_missed or len(claimants) < count
        if any(self._workers.wish(name).company is not None for name in claimants):
            # Nobody is idle; and what is no company for one that runs jobs may be for another.
            claimants += [name for name in dict.fromkeys(free) if name not in claimants]
        # Who asks first may leave its job to one that suits it better and asks for none.
        others = [name for name in dict.fromkeys(free[count:]) if name not in claimants]
        for worker in claimants:
            self._ask(worker, others)
            others = []

    def _ask(self, worker: str, others: Sequence[str]) -> None:
        asker, *candidates = self._workers.places([worker, *others])
        # Behind the job of a busy one it might wait for long, and be taken back.
        idle = (
            []
            if asker.is_busy
            else [candidate for candidate in candidates if not candidate.is_busy]
        )
        names = [worker, *(candidate.worker for candidate in idle)]
        self._asking.update(names)
        best = partial(_best, [asker, *idle]) if idle else None
        criteria = self._wish(worker)
        claim = put(self._queue.claim, worker, criteria, best)
        when_done(claim, partial(self._told, names, is_beside=criteria.company is not None))

    def _wish(self, worker: str) -> WorkerWish:
        criteria = self._workers.wish(worker)
        if not self._left_to_others:
            return criteria
        now = asyncio.get_running_loop().time()
        left = (job for job, end in self._left_to_others.items() if end > now)
        return replace(criteria, without=frozenset(left))

    def happened(self, events: Sequence[JobEvent]) -> None:
        """Look at what happened in the queue.

        Args:
            events: None after a commit that has told nothing.
        """
        kinds = _READY if self._timer is None else _READY | _FREED
        count = sum(event.kind in kinds for event in events)
        if count:
            self.want(count)
        elif self.unclaimed(self._free()):
            # No event tells of a pause; looking is of use to the free only.
            self._looks.then(self._queue.is_paused, self._saw_pause)

    def rest(self) -> None:
        """Ask no more for a moment, as something is wrong with the queue."""
        self._rests = True
        self._ask_in(self._failures.next())

    def hurry(self) -> None:
        """Ask again at once, if that waits for the queue to get well."""
        if self._rests and self._timer is not None:
            self._timer.cancel()
            self._ask_again()

    def _saw_pause(self, lookup: Future[bool]) -> None:
        was_paused = self._is_paused
        try:
            self._is_paused = lookup.result()
        except NodegraphError:
            return  # whatever is wrong is told when something is written
        if was_paused and not self._is_paused:
            self.want(len(self._free()))

    def _told(self, names: Sequence[str], done: Future[Job | None], *, is_beside: bool) -> None:
        error = done.exception()
        job = None if error is not None else done.result()
        if job is not None:
            # Its worker counts as one that asks until the job can be handed over.
            self._bringing.then(partial(self._given, job), partial(self._took, names, job))
            return
        self._asking.subtract(names)
        if error is not None:
            self._health.failed(error)
            self.rest()
        else:
            self._queue_answers()
            self._took_none(is_beside=is_beside)
        self._answered()

    def _given(self, job: Job) -> JobPayload:
        text = self._queue.workflow(job.workflow)
        if self._found_here is None:
            return text, job.parameters
        try:
            return self._found_here(text, job.parameters)
        except DATABASE_FAULTS as error:
            raise FilesAway(str(error)) from error

    def _took(self, names: Sequence[str], job: Job, payload: Future[JobPayload]) -> None:
        self._asking.subtract(names)
        self._queue_answers()
        self._waits.reset()
        error = payload.exception()
        if isinstance(error, FilesAway):
            self._leave_to_others(job, error)
        elif error is None:
            self._files_came(job)
        self._claimed(job.worker or names[0], job, payload.result)
        # Where there was one there may be more.
        self.want(1)
        self._answered()

    def _leave_to_others(self, job: Job, error: FilesAway) -> None:
        if not self._left_to_others:
            _LOG.warning("%s waits, as what it needs can't be brought here: %s", job.id, error)
        now, delay = asyncio.get_running_loop().time(), self._left_for.next()
        kept = {each: end for each, end in self._left_to_others.items() if end > now - _FORGOTTEN}
        self._left_to_others = {**kept, job.id: now + delay}
        # Of many such jobs not all are claimed at once.
        self._rests = True
        self._ask_in(min(delay, _BETWEEN))

    def _files_came(self, job: Job) -> None:
        """What one needs that was left to others could be brought, so that others' may be, too."""
        if self._left_to_others.pop(job.id, None) is not None:
            self._left_to_others.clear()
            self._left_for.reset()

    def _queue_answers(self) -> None:
        self._failures.reset()
        self._health.worked()

    def _took_none(self, *, is_beside: bool) -> None:
        if self._is_missed:
            self._is_missed = False
            self.want(1)
        elif not is_beside or self._is_any_idle():
            # What doesn't suit a job that runs now hardly will in a moment; but who was asked for
            # its company may have nothing to do by now.
            self._looks.then(self._left, self._saw_left)

    def _is_any_idle(self) -> bool:
        places = self._workers.places(dict.fromkeys(self.unclaimed(self._free())))
        return any(not candidate.is_busy for candidate in places)

    def _left(self) -> tuple[Counts, bool]:
        return self._queue.counts(), self._queue.is_paused()

    def _saw_left(self, lookup: Future[tuple[Counts, bool]]) -> None:
        """Ask once more after a while if jobs wait all the same, or may."""
        try:
            counts, self._is_paused = lookup.result()
        except NodegraphError:
            is_any_left = True
        else:
            is_any_left = counts.queued > counts.held and not self._is_paused
        if is_any_left:
            self._ask_in(self._waits.next())

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
