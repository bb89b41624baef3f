"""Claiming jobs for free workers: when there may be some, and never in vain for long."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Protocol

from nodegraph.errors import NodegraphError
from nodegraph.jobs.queue import Job, JobCriteria, JobEvent, JobQueue
from nodegraph.jobs.supervisor.errors import FilesUnavailable
from nodegraph.jobs.supervisor.placement import JobPayload, WorkerCandidate, Workers, rank_workers
from nodegraph.jobs.supervisor.queue_reads import QueueReads
from nodegraph.jobs.supervisor.worker_spec import DATABASE_FAULTS, Health, RetryDelay

_LOG = logging.getLogger(__name__)
_READY = frozenset({"job.queued", "job.requeued", "job.retried", "job.unheld"})
"""Kinds of events after which there may be one more job to claim."""
_FREED = frozenset({"job.finished", "job.failed", "job.cancelled"})
"""Kinds after which a client that has as many running as it may can have one more."""
_BETWEEN = 0.5
"""Seconds between two jobs whose files can't be brought."""
_FORGOTTEN = 120.0
"""Seconds after which a job that was left to others has come to its end elsewhere."""


class ClaimedJobs(Protocol):
    """Who has claimed jobs run; `Dispatcher` does."""

    def run(self, worker: str, job: Job, payload: JobPayload) -> None:
        """Have a job run by the worker that it was claimed for."""

    def not_run(self, job: Job, error: Exception) -> None:
        """A job can't be run, as its workflow can't be read or what it needs can't be brought."""

    def claim_ended(self) -> None:
        """One claim less is on its way."""


class _Claim(NamedTuple):
    """A claim that the queue is to answer.

    Attributes:
        reasons: How many there were when it was put.
    """

    criteria: JobCriteria
    job: Future[Job | None]
    reasons: int


class JobClaimer:
    """Claims jobs, at most as many at a time as workers would take, and has them run.

    The queue isn't asked without a reason, as it commits even that there is no job. Reasons are
    events and the end of a pause; a worker that gets free is one only while jobs may wait, which
    they do from an event until the queue has said that none does. Jobs that can't be claimed now,
    as their client has too many, are asked for again after a while. One whose files can't be
    brought here is left to others for a while, longer each time, so that it keeps none that could
    run.

    Args:
        health: Is told how claiming goes.
        jobs: Has them run.
        localize: Gives workflows and parameters as workers take them: of a queue that is shared
            they may speak of files that are to be brought first. Raises what `DATABASE_FAULTS`
            lists where that is impossible now.
    """

    def __init__(
        self,
        queue: JobQueue,
        health: Health,
        jobs: ClaimedJobs,
        localize: Callable[[str, Mapping[str, Any]], JobPayload] | None = None,
    ) -> None:
        self._queue = queue
        self._reads = QueueReads(queue, threads=1)
        self._health = health
        self._jobs = jobs
        self._found_here = localize
        # What is brought for one job keeps no other waiting; files of gigabytes take their time.
        self._bringing = QueueReads(queue, threads=1 if localize is None else 4, patience=math.inf)
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking: Counter[str] = Counter()
        self._free: Callable[[], Sequence[str]] = tuple
        self._workers: Workers
        self._is_paused = False
        self._failures = RetryDelay()
        self._waits = RetryDelay(0.05, 1.0)
        self._left_for = RetryDelay(0.5, 60.0)
        self._deferred: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_backing_off = False
        self._is_missed = False
        # Reasons to think that jobs wait, and how many of them the queue has answered with none:
        # an answer says nothing of reasons that came after its claim.
        self._reasons, self._answered = 1, 0
        self._commits = 0

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
        self.request_jobs(len(free()))

    def stop(self) -> None:
        """Ask no more."""
        self._free = tuple
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        """Wait for no more answers."""
        for task in self._tasks:
            task.cancel()
        self._reads.close()
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

    def claim_submitted(self) -> None:
        """Claim a job that was put into the queue right before: one commit then makes both changes.

        Where no worker is free, or the queue is paused, the job's event is soon enough.
        """
        if not (self._is_paused or self._is_backing_off):
            self._request(1, at_once=True)

    def request_jobs(self, count: int) -> None:
        """Ask for some jobs, as far as any may wait and there are workers for them."""
        may_wait = self._reasons > self._answered
        if may_wait and not self._is_backing_off and count > 0:
            self._request(count, at_once=False)

    def _request(self, count: int, *, at_once: bool) -> None:
        """Ask for some jobs.

        Args:
            at_once: Put the claims now. Otherwise they come after what is put in this turn of the
                event loop: a job's end lets its client have one more.
        """
        free = self.unclaimed(self._free())
        claimants = free[:count]
        # An answer that is on its way may be older than the reason to ask.
        self._is_missed = self._is_missed or len(claimants) < count
        if any(self._workers.criteria_for(name).partners is not None for name in claimants):
            # Nobody is idle; and what is no company for one that runs jobs may be for another.
            claimants += [name for name in dict.fromkeys(free) if name not in claimants]
        # Who asks first may leave its job to one that suits it better and asks for none.
        others = [name for name in dict.fromkeys(free[count:]) if name not in claimants]
        for worker in claimants:
            self._ask(worker, others, at_once=at_once)
            others = []

    def _ask(self, worker: str, others: Sequence[str], *, at_once: bool) -> None:
        asker, *candidates = self._workers.candidates([worker, *others])
        # Behind the job of a busy one it might wait for long, and be taken back.
        idle = (
            []
            if asker.is_busy
            else [candidate for candidate in candidates if not candidate.is_busy]
        )
        names = [worker, *(candidate.worker for candidate in idle)]
        self._asking.update(names)
        best = partial(_best, [asker, *idle]) if idle else None
        claim = self._claim_of(worker, best) if at_once else None
        self._begin(self._claim_and_run(names, best, claim))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _claim_of(self, worker: str, best: Callable[[Job], str] | None) -> _Claim:
        criteria = self._criteria_for(worker)
        try:
            claimed = self._queue.claim(worker, criteria, best)
        except NodegraphError as error:  # it is closed
            claimed = Future()
            claimed.set_exception(error)
        return _Claim(criteria, claimed, self._reasons)

    async def _claim_and_run(
        self, names: Sequence[str], best: Callable[[Job], str] | None, claim: _Claim | None
    ) -> None:
        """Claim a job, bring what it needs, have it run.

        Args:
            names: Workers that count as asking until the job can be handed over; it is claimed for
                the first one, unless `best` names another.
            claim: The claim, if it is made already.
        """
        criteria, claimed, reasons = claim or self._claim_of(names[0], best)
        try:
            job = await asyncio.wrap_future(claimed)
        except Exception as error:  # noqa: BLE001 - whatever it is, jobs are claimed again later
            self._asking.subtract(names)
            self._health.failed(error)
            self.back_off()
        else:
            if job is None:
                self._asking.subtract(names)
                self._queue_answers()
                self._claimed_none(reasons, is_beside=criteria.partners is not None)
            else:
                self._is_paused = False
                await self._bring_and_run(names, job)
        self._jobs.claim_ended()

    async def _bring_and_run(self, names: Sequence[str], job: Job) -> None:
        payload: JobPayload | Exception
        try:
            payload = await self._bringing.run(self._payload, job)
        except Exception as error:  # noqa: BLE001 - `not_run` tells what each means for the job
            payload = error
        self._asking.subtract(names)
        self._queue_answers()
        self._waits.reset()
        if isinstance(payload, FilesUnavailable):
            self._defer(job, payload)
        elif isinstance(payload, DATABASE_FAULTS):
            self._health.failed(payload)
            self.back_off()
        if isinstance(payload, Exception):
            self._jobs.not_run(job, payload)
        else:
            self._files_came(job)
            self._jobs.run(job.worker or names[0], job, payload)
        # Where there was one there may be more.
        self.request_jobs(1)

    def _payload(self, job: Job) -> JobPayload:
        text = self._queue.workflow(job.workflow)
        if self._found_here is None:
            return text, job.parameters
        try:
            return self._found_here(text, job.parameters)
        except DATABASE_FAULTS as error:
            raise FilesUnavailable(str(error)) from error

    def _criteria_for(self, worker: str) -> JobCriteria:
        criteria = self._workers.criteria_for(worker)
        if not self._deferred:
            return criteria
        now = asyncio.get_running_loop().time()
        left = (job for job, end in self._deferred.items() if end > now)
        return replace(criteria, excluded=frozenset(left))

    def handle_events(self, events: Sequence[JobEvent]) -> None:
        """Look at what happened in the queue.

        Args:
            events: None after a commit that has told nothing.
        """
        self._commits += 1
        ready: set[str] = set()
        for event in events:
            if event.kind in _READY:
                ready.add(event.job)
            elif event.kind == "job.claimed":
                ready.discard(event.job)
        count = len(ready)
        if self._timer is not None:
            count += sum(event.kind in _FREED for event in events)
        if count:
            self.note_reason()
            self.request_jobs(count)
        elif self._is_paused and self.unclaimed(self._free()):
            # Pauses have no events: a claim that finds no job detects one, and this its end.
            self._begin(self._want_after_pause())

    def note_reason(self) -> None:
        """Note that jobs may wait."""
        self._reasons += 1

    def back_off(self) -> None:
        """Ask no more for a moment, as something is wrong with the queue."""
        self._is_backing_off = True
        self._ask_in(self._failures.next())

    def hurry(self) -> None:
        """Ask again at once, if that waits for the queue to get well."""
        if self._is_backing_off and self._timer is not None:
            self._timer.cancel()
            self._ask_again()

    async def _read_pause(self) -> None:
        commits = -1
        while commits != self._commits:  # one that comes meanwhile may be the pause's end
            commits = self._commits
            self._is_paused = await self._reads.run(self._queue.is_paused)

    async def _want_after_pause(self) -> None:
        was_paused = self._is_paused
        try:
            await self._read_pause()
        except NodegraphError:
            return  # whatever is wrong is told when something is written
        if was_paused and not self._is_paused:
            self.note_reason()
            self.request_jobs(len(self._free()))

    def _defer(self, job: Job, error: FilesUnavailable) -> None:
        if not self._deferred:
            _LOG.warning(
                "%s waits, because files that it needs cannot be fetched: %s", job.id, error
            )
        now, delay = asyncio.get_running_loop().time(), self._left_for.next()
        kept = {each: end for each, end in self._deferred.items() if end > now - _FORGOTTEN}
        self._deferred = {**kept, job.id: now + delay}
        # Of many such jobs not all are claimed at once.
        self._is_backing_off = True
        self._ask_in(min(delay, _BETWEEN))

    def _files_came(self, job: Job) -> None:
        """What one needs that was left to others could be brought, so that others' may be, too."""
        if self._deferred.pop(job.id, None) is not None:
            self._deferred.clear()
            self._left_for.reset()

    def _queue_answers(self) -> None:
        self._failures.reset()
        self._health.worked()

    def _claimed_none(self, reasons: int, *, is_beside: bool) -> None:
        if self._is_missed:
            self._is_missed = False
            self.note_reason()
            self.request_jobs(1)
        elif not is_beside or self._is_any_idle():
            # What doesn't suit a job that runs now hardly will in a moment; but who was asked for
            # its company may have nothing to do by now.
            self._begin(self._want_what_waits(reasons))
        else:
            # The queue may be paused, which has no events.
            self._begin(self._want_after_pause())

    def _is_any_idle(self) -> bool:
        places = self._workers.candidates(dict.fromkeys(self.unclaimed(self._free())))
        return any(not candidate.is_busy for candidate in places)

    async def _want_what_waits(self, reasons: int) -> None:
        """Ask once more after a while if jobs still wait, or may wait.

        Args:
            reasons: How many there were when the claim was put that found none.
        """
        try:
            counts = await self._reads.run(self._queue.counts)
            await self._read_pause()
        except NodegraphError:
            is_any_left = True
        else:
            is_any_left = counts.queued > counts.held and not self._is_paused
            if counts.queued == counts.held:
                self._answered = max(self._answered, reasons)
        if is_any_left:
            self._ask_in(self._waits.next())

    def _ask_in(self, seconds: float) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._ask_again)

    def _ask_again(self) -> None:
        self._timer = None
        self._is_backing_off = False
        self.request_jobs(len(self._free()))


def _best(places: Sequence[WorkerCandidate], job: Job) -> str:
    """Who of some workers is to have a job; the first one may have it in any case."""
    return next(iter(rank_workers(places, job)), places[0].worker)
