"""The jobs that a worker process has: those that it runs, and some that come next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol

from nodegraph.core.events import Event
from nodegraph.jobs.queue import BatchPartners, Interruption, Job, JobCriteria
from nodegraph.jobs.queue.events import LiveEvent, split_events
from nodegraph.jobs.supervisor.attempt_report import AttemptReport
from nodegraph.jobs.supervisor.messages import RunJob
from nodegraph.jobs.supervisor.placement import WorkerCandidate
from nodegraph.jobs.supervisor.worker_spec import SupervisionRules

JobPayload = tuple[str, Mapping[str, Any]]
"""A job's workflow, as JSON, and its parameters."""


class Workers(Protocol):
    """Those that run jobs; `Supervisor` is one."""

    @property
    def free(self) -> Sequence[str]:
        """Names of the workers that would take a job now, each as often as it would."""

    def criteria_for(self, worker: str) -> JobCriteria:
        """What jobs a worker is to be given."""

    def candidates(self, workers: Iterable[str]) -> Sequence[WorkerCandidate]:
        """What some workers are for, and hold now."""

    def run(self, worker: str, run: RunJob) -> None:
        """Hand a job to a free worker."""

    def ensure_new(self, worker: str) -> bool:
        """Whether a worker has had no job yet; else it is started anew."""

    def cancel(self, job: str, attempt: int, reason: str = "") -> bool:
        """Ask for a job to be stopped; False if no worker has it at that attempt."""

    def release(self, job: str, attempt: int, reason: str = "") -> bool:
        """Ask for a job to be given back; False if no worker has it at that attempt."""

    async def stop(self) -> None:
        """Have all jobs given back, and end."""


@dataclass(slots=True)
class AssignedJob:
    """A job that a worker has.

    Attributes:
        report: Of what its worker tells.
        last: Number of its run's last event that is kept.
        interruption: What its worker was asked to do.
    """

    job: Job
    report: AttemptReport
    last: int = -1
    interruption: Interruption | None = None

    def to_message(self, payload: JobPayload, *, may_share: bool = True) -> RunJob:
        """What a worker is told to run.

        Args:
            payload: Its workflow and parameters.
            may_share: Whether it may run beside others at all.
        """
        job = self.job
        workflow, parameters = payload
        about = (parameters, job.targets, job.options, job.client, job.priority)
        # One that a worker has died of is run by itself, so that it isn't another's fault.
        sampling = job.sampling if may_share and not job.deaths else ""
        return RunJob(job.id, job.attempt, workflow, *about, list(job.models), sampling)

    def split_live(
        self, events: Sequence[Event], live: Callable[[LiveEvent], None]
    ) -> Sequence[Event]:
        """The events that are kept.

        Args:
            live: Is handed the others.
        """
        kept, shown = split_events(events, self.last)
        if kept:
            self.last = kept[-1].number
        job = self.job
        for after, event in shown:
            live(LiveEvent(job.id, job.client, job.attempt, after, event))
        return kept


class WorkerJobs:
    """Jobs in the order in which they are begun.

    A worker whose jobs take milliseconds would wait for the server and the disk between two of
    them. So it is handed some ahead while its jobs are short, one more for each one that was;
    those that haven't begun can be taken back.

    Where rules allow it, jobs run beside each other whose samplings can share batches.

    Args:
        clock: Seconds, from any start.

    Attributes:
        ahead: Those that come next, once none runs any more.
    """

    def __init__(self, rules: SupervisionRules, clock: Callable[[], float] = monotonic) -> None:
        self._rules = rules
        self._clock = clock
        self._short_ones = 0
        self._begun: list[tuple[RunJob, float]] = []
        self.ahead: list[RunJob] = []

    @property
    def running(self) -> list[RunJob]:
        """Those that it runs, or is about to, in the order in which they began."""
        return [run for run, _ in self._begun]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._begun) + len(self.ahead)

    @property
    def free_slots(self) -> int:
        """How many more it would take, one after the other."""
        return max(0, 1 + min(self._short_ones, self._rules.ahead) - self.count)

    @property
    def partners(self) -> BatchPartners | None:
        """What would be run beside what runs; None if nothing would."""
        running = self.running
        if not 0 < len(running) < self._rules.merge_jobs or self.ahead or not running[0].sampling:
            return None
        first, urgency = running[0], max(run.priority for run in running)
        jobs = frozenset(run.job for run in running)
        return BatchPartners(first.sampling, frozenset(first.models), urgency, jobs)

    def add(self, run: RunJob) -> None:
        """It was handed one more, to be run once none runs any more."""
        if self._begun:
            self.ahead.append(run)
        else:
            self._begin(run)

    def add_beside(self, run: RunJob) -> None:
        """It was handed one more, to be run beside what runs."""
        self._short_ones = 0
        self._begin(run)

    def has(self, job: str, attempt: int) -> bool:
        """Whether a job is among them, at that attempt."""
        return self.is_running(job, attempt) or any(_is(run, job, attempt) for run in self.ahead)

    def is_running(self, job: str, attempt: int) -> bool:
        """Whether it is one of those that it runs."""
        return any(_is(run, job, attempt) for run in self.running)

    def remove(self, job: str, attempt: int) -> None:
        """One has ended; the next one begins if no other runs."""
        if not self.is_running(job, attempt):
            self.ahead = [run for run in self.ahead if not _is(run, job, attempt)]
            return
        (since,) = [since for run, since in self._begun if _is(run, job, attempt)]
        is_short = self._clock() - since < self._rules.short_seconds
        self._begun = [each for each in self._begun if not _is(each[0], job, attempt)]
        # One that was short beside another says nothing of how soon a next one could begin.
        self._short_ones = self._short_ones + 1 if is_short and not self._begun else 0
        if self.ahead and not self._begun:
            self._begin(self.ahead.pop(0))

    def take_held_up(self) -> list[RunJob]:
        """Those that wait for one that isn't short after all, so that they are to be taken back."""
        if not any(self._clock() - since >= self._rules.short_seconds for _, since in self._begun):
            return []
        self._short_ones = 0
        return self.ahead

    def _begin(self, run: RunJob) -> None:
        self._begun.append((run, self._clock()))


def _is(run: RunJob, job: str, attempt: int) -> bool:
    return run.job == job and run.attempt == attempt
