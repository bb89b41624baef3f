"""Dispatch queued jobs to workers, recover lost ones, and write results to the queue."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from nodegraph.core.events import Event
from nodegraph.errors import Problem
from nodegraph.jobs.queue import (
    Death,
    Interruption,
    Job,
    JobEvent,
    JobQueue,
    Submission,
    Submitted,
)
from nodegraph.jobs.queue.events import LiveEvent
from nodegraph.jobs.supervisor.attempt_report import (
    RELEASED,
    AttemptEnd,
    AttemptReport,
    died,
    end_from_message,
    failed,
)
from nodegraph.jobs.supervisor.claiming import JobClaimer
from nodegraph.jobs.supervisor.distributed_run import HelpScheduler
from nodegraph.jobs.supervisor.errors import FilesUnavailable, ProtocolFault, WorkerNotIdle
from nodegraph.jobs.supervisor.messages import Ended, HelpUpdate, RunJob
from nodegraph.jobs.supervisor.placement import AssignedJob, JobPayload, Workers, rank_workers
from nodegraph.jobs.supervisor.queue_reads import EventTail
from nodegraph.jobs.supervisor.worker_spec import DATABASE_FAULTS, Health, RetryDelay

_EVERY = 30.0
"""Seconds between two looks."""

_Attempt = tuple[str, int]


class Recovery:
    """Puts back what ran when this server was last there, and what is lost track of later.

    The latter should never happen: it is for a disk that has kept a claim and said that it hasn't.

    Args:
        is_known: Whether somebody cares for an attempt.
        give_back: Puts an attempt's job back.
    """

    def __init__(
        self,
        queue: JobQueue,
        is_known: Callable[[str, int], bool],
        give_back: Callable[[str, int], None],
        *,
        every: float = _EVERY,
    ) -> None:
        self._queue = queue
        self._is_known = is_known
        self._give_back = give_back
        self._every = every
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Recover, and look after the queue from now on; a queue that can't be written comes later.

        A fault only delays what is put back; new jobs are none the worse for it.
        """
        is_done = await self._recovered()
        self._task = asyncio.create_task(self._look_after(is_done), name="nodegraph-recovery")

    async def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _recovered(self) -> bool:
        try:
            jobs = await asyncio.wrap_future(self._queue.recover())
        except DATABASE_FAULTS as error:
            _LOG.error("jobs that ran before the start cannot be requeued yet: %s", error)
            return False
        for job in jobs:
            _LOG.warning("%s ran when the server ended; it is %s now", job.id, job.state)
        return True

    async def _look_after(self, is_recovered: bool) -> None:
        delays = RetryDelay()
        while not is_recovered:
            await asyncio.sleep(delays.next())
            is_recovered = await self._recovered()
        before: set[_Attempt] = set()
        while True:
            await asyncio.sleep(self._every)
            running = await asyncio.to_thread(self._running)
            now = {each for each in running if not self._is_known(*each)}
            # Twice in a row, as a claim may be on its way to whoever made it.
            for job, attempt in sorted(now & before):
                _LOG.error("%s counts as running, but no worker runs it; it is requeued", job)
                self._give_back(job, attempt)
            before = now - before

    def _running(self) -> set[_Attempt]:
        try:
            return set(self._queue.running_here())
        except DATABASE_FAULTS:
            return set()


_LOG = logging.getLogger(__name__)
_INTERRUPTIONS: dict[str, Interruption | None] = {
    "job.cancelling": "cancel",
    "job.pausing": "pause",
    "job.unheld": None,
}
_REASONS: dict[Interruption, str] = {"cancel": "cancelled", "pause": "paused"}
_TRY_EVERY = 0.5
"""Seconds between two times that others' luck with the queue is a reason to try again."""


@dataclass(frozen=True, slots=True)
class DispatcherStatus:
    """How dispatching goes.

    Attributes:
        running: Jobs that workers have.
        unwritten: Attempts that have ended, whose end isn't in the queue yet.
        fault: Why the queue couldn't be written when it was last tried; None if it could.
        fault_since: Unix time since when it can't.
    """

    running: int
    unwritten: int
    fault: str | None
    fault_since: float | None


class Dispatcher:
    """Joins a queue and the workers; what happens is told on the event loop on which it starts.

    It is the workers' observer. Nothing that a worker has done is lost while the queue can't be
    written: it is kept and tried again. What is still unwritten when the process ends runs again.

    Args:
        queue: Whose jobs are run.
        tail: Of that queue: what is submitted and wished.
        live: Is handed progress and previews.
        localize: See `JobClaimer`.
    """

    def __init__(
        self,
        queue: JobQueue,
        tail: EventTail,
        live: Callable[[LiveEvent], None],
        localize: Callable[[str, Mapping[str, Any]], JobPayload] | None = None,
    ) -> None:
        self._queue = queue
        self._tail = tail
        self._live = live
        self._health = Health()
        self._assigned: dict[str, AssignedJob] = {}
        self._reports: set[AttemptReport] = set()
        self._for_new: dict[str, RunJob] = {}
        self._early_interruptions: dict[tuple[str, int], Interruption | None] = {}
        self._is_stopping = False
        self._next_try = 0.0
        self._settled = asyncio.Event()
        self._claims = JobClaimer(queue, self._health, self, localize)
        self._help = HelpScheduler()
        self._recovery = Recovery(queue, self._is_known, self._give_back)
        self._end: Callable[[], None] | None = None
        self._workers: Workers

    @property
    def status(self) -> DispatcherStatus:
        """How it goes."""
        unwritten = sum(report.has_end for report in self._reports)
        health = self._health
        return DispatcherStatus(len(self._assigned), unwritten, health.fault, health.since)

    async def start(self, workers: Workers, help: HelpScheduler | None = None) -> None:
        """Put back what ran when the queue was last open, and give out jobs from now on.

        Args:
            help: Gives workers without a job others' to help with; nobody does if not given.
        """
        self._workers = workers
        self._help = help or self._help
        self._help.start(lambda: self._is_stopping or self._claims.count > 0)
        self._end = self._tail.listen(self._happened)
        await self._recovery.start()
        self._claims.start(self._free, workers)

    def submit(self, submission: Submission) -> Future[Submitted]:
        """Put a job into the queue, and claim it in the same commit where a worker is free.

        Raises:
            InvalidValue: See `JobQueue.submit`, whose future is returned.
        """
        submitted = self._queue.submit(submission)
        if not (submission.held or submission.not_before):
            self._claims.claim_submitted()
        return submitted

    def submit_all(self, submissions: Sequence[Submission]) -> Future[list[Submitted]]:
        """Put several jobs of one client into the queue, or none, and claim the first.

        Raises:
            InvalidValue: See `JobQueue.submit_all`, whose future is returned.
        """
        submitted = self._queue.submit_all(submissions)
        if any(not (each.held or each.not_before) for each in submissions):
            self._claims.claim_submitted()
        return submitted

    def wake(self) -> None:
        """Look whether there are jobs for idle workers, for a reason that no event tells."""
        self._claims.note_reason()
        self._claims.request_jobs(len(self._free()))

    async def stop(self, patience: float = 30.0) -> None:
        """Give out no more jobs, stop the workers, and wait until all they did is written.

        Running jobs are given back, to be gone on with.

        Args:
            patience: Seconds to wait for a queue that can't be written.
        """
        if self._end is None:
            return
        self._is_stopping = True
        self._claims.stop()
        await self._recovery.stop()
        try:
            await self._workers.stop()
        finally:
            for job in list(self._assigned):
                self._close(job, RELEASED)
            await self._settle(patience)
            self._claims.close()
            self._end()

    async def _settle(self, patience: float) -> None:
        for report in list(self._reports):
            report.hurry()
        self._is_settled()
        try:
            await asyncio.wait_for(self._settled.wait(), patience)
        except asyncio.TimeoutError:
            for report in self._reports:
                _LOG.error(
                    "the end of %s could not be written; it is written after the next start",
                    report.job,
                )
                report.give_up()
            self._reports.clear()

    def _is_settled(self) -> None:
        if self._is_stopping and not (self._assigned or self._reports or self._claims.count):
            self._settled.set()

    # The workers' observer.

    def ready(self, worker: str) -> None:
        """A worker takes jobs."""
        run = self._for_new.pop(worker, None)
        if run is None or not self._is_assigned(run):
            self._claims.request_jobs(1)
            return
        try:
            self._workers.run(worker, run)
        except ProtocolFault as error:
            self._close(run.job, failed(error.problem.as_dict()))

    def joinable(self, worker: str) -> None:
        """A busy worker takes jobs beside those that it runs."""
        self._claims.request_jobs(1)

    def events(self, job: str, attempt: int, events: Sequence[Event]) -> None:
        """A run goes on."""
        assigned = self._current(job, attempt)
        if assigned is not None:
            assigned.report.add_events(assigned.split_live(events, self._live))

    def ended(self, ended: Ended) -> None:
        """A run is over."""
        assigned = self._current(ended.job, ended.attempt)
        if assigned is not None:
            self._close(
                ended.job, end_from_message(ended), assigned.split_live(ended.events, self._live)
            )
        # After the end was put, so that both are written at once.
        self._claims.request_jobs(1)

    def helped(self, worker: str, news: HelpUpdate) -> None:
        """A worker helps with another one's job, or does so no more."""
        self._help.handle_update(worker, news)

    def died(self, worker: str, job: str | None, attempt: int | None, death: Death) -> None:
        """A worker is gone."""
        self._help.worker_died(worker)
        if job is None or attempt is None or self._current(job, attempt) is None:
            return
        # When all are stopped, one that had to be killed says nothing about its job.
        self._close(job, RELEASED if self._is_stopping else died(death))

    def _current(self, job: str, attempt: int) -> AssignedJob | None:
        assigned = self._assigned.get(job)
        if assigned is None or assigned.job.attempt != attempt:
            _LOG.warning("a worker reports on %s, attempt %d, which has ended", job, attempt)
            return None
        return assigned

    # Jobs.

    def _free(self) -> Sequence[str]:
        return () if self._is_stopping else self._workers.free

    def run(self, worker: str, job: Job, payload: JobPayload) -> None:
        """A job was claimed for a worker, which may be gone by now."""
        self._assign(job)
        try:
            self._hand_over(worker, job, payload)
        except ProtocolFault as error:
            self._close(job.id, failed(error.problem.as_dict()))
        else:
            self._interrupt(
                job.id, job.attempt, self._early_interruptions.pop((job.id, job.attempt), None)
            )

    def not_run(self, job: Job, error: Exception) -> None:
        """A job was claimed that can't be run: it is failed, or put back if not to blame."""
        self._assign(job)
        if isinstance(error, (FilesUnavailable, *DATABASE_FAULTS)):
            self._close(job.id, RELEASED)
        elif isinstance(error, KeyError):
            problem = Problem("workflow-missing", "the job's workflow no longer exists")
            self._close(job.id, failed(problem.as_dict()))
        else:
            _LOG.error("the needs of %s cannot be read", job.id, exc_info=error)
            problem = Problem("job-unreadable", f"the needs of the job cannot be read: {error}")
            self._close(job.id, failed(problem.as_dict()))

    def claim_ended(self) -> None:
        """One claim less is on its way."""
        if not self._claims.count:
            self._early_interruptions.clear()
            self._help.assign_helpers()
        self._is_settled()

    def _assign(self, job: Job) -> None:
        report = AttemptReport(self._queue, job.id, job.attempt, self._health, self._written)
        self._reports.add(report)
        self._assigned[job.id] = AssignedJob(job, report)
        self._help.began(job)

    def _hand_over(self, worker: str, job: Job, payload: JobPayload) -> None:
        free = self._free()
        # One that would only run it beside others may be far from its end, or of less urgency.
        others = [
            name
            for name in dict.fromkeys(self._claims.unclaimed(free))
            if self._workers.criteria_for(name).partners is None
        ]
        for each in (worker, *rank_workers(self._workers.candidates(others), job)):
            if each not in free:
                continue
            # Where the first death fails a job, none must be another's.
            may_share = self._queue.most_deaths > 1
            run = self._assigned[job.id].to_message(payload, may_share=may_share)
            if self._is_last_chance(job) and not self._workers.ensure_new(each):
                self._for_new[each] = run
                return
            try:
                self._workers.run(each, run)
            except WorkerNotIdle:
                continue
            return
        self._close(job.id, RELEASED)

    def _is_last_chance(self, job: Job) -> bool:
        """Whether it is to run on a new worker: what harmed others may not be its fault."""
        return 0 < job.deaths >= self._queue.most_deaths - 1

    def _is_assigned(self, run: RunJob) -> bool:
        assigned = self._assigned.get(run.job)
        return assigned is not None and assigned.job.attempt == run.attempt

    def _close(self, job: str, end: AttemptEnd, events: Sequence[Event] = ()) -> None:
        self._help.over(job, "the job has ended")
        self._assigned.pop(job).report.end(end, events)

    def _written(self, report: AttemptReport) -> None:
        """An attempt is over for the queue as well."""
        self._reports.discard(report)
        assigned = self._assigned.get(report.job)
        if assigned is not None and assigned.report is report:
            # The queue has given the job to nobody, or to another: this worker's work is in vain.
            del self._assigned[report.job]
            self._help.over(report.job, "the job has ended")
            self._workers.cancel(report.job, report.attempt, "its attempt has ended")
        self._is_settled()

    # What people do.

    def _happened(self, events: Sequence[JobEvent]) -> None:
        if self._health.fault is not None:
            self._try_again()
        for event in events:
            if event.kind in _INTERRUPTIONS:
                self._interrupt(event.job, event.attempt, _INTERRUPTIONS[event.kind])
        self._claims.handle_events(events)

    def _try_again(self) -> None:
        """Somebody could write the queue, so there is sense in it."""
        now = asyncio.get_running_loop().time()
        if now < self._next_try:
            return
        self._next_try = now + _TRY_EVERY
        for report in list(self._reports):
            report.hurry()
        self._claims.hurry()

    def _interrupt(self, job: str, attempt: int, interruption: Interruption | None) -> None:
        assigned = self._assigned.get(job)
        if assigned is None or assigned.job.attempt != attempt:
            if self._claims.count:
                # Events may be read before it is told that a claim of the job was committed.
                self._early_interruptions[job, attempt] = interruption
        elif assigned.interruption != interruption:
            assigned.interruption = interruption
            self._ask(assigned, interruption)

    def _ask(self, assigned: AssignedJob, interruption: Interruption | None) -> None:
        if interruption is None:
            return  # what is given back on the way to here is claimed again
        job = assigned.job
        self._help.over(job.id, f"the job is {_REASONS[interruption]}")
        if any(run.job == job.id for run in self._for_new.values()):
            self._close(job.id, RELEASED)
            return
        ask = self._workers.cancel if interruption == "cancel" else self._workers.release
        if not ask(job.id, job.attempt, _REASONS[interruption]):
            _LOG.error("no worker has %s any longer; it is requeued", job.id)
            self._close(job.id, RELEASED)

    # What is nobody's.

    def _is_known(self, job: str, attempt: int) -> bool:
        return any((each.job, each.attempt) == (job, attempt) for each in self._reports)

    def _give_back(self, job: str, attempt: int) -> None:
        report = AttemptReport(self._queue, job, attempt, self._health, self._written)
        self._reports.add(report)
        report.end(RELEASED)
