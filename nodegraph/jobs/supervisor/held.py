"""The jobs that a worker process has: the one that it runs, and some that come next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from nodegraph.core.events import Event
from nodegraph.jobs.queue import Interruption, Job, WorkerWish
from nodegraph.jobs.supervisor.live import LiveEvent, sorted_out
from nodegraph.jobs.supervisor.messages import RunJob
from nodegraph.jobs.supervisor.placement import WorkerPlace
from nodegraph.jobs.supervisor.report import AttemptReport
from nodegraph.jobs.supervisor.rules import SupervisionRules


class Workers(Protocol):
    """Those that run jobs; `Supervisor` is one."""

    @property
    def free(self) -> Sequence[str]:
        """Names of the workers that would take a job now, each as often as it would."""

    def wish(self, worker: str) -> WorkerWish:
        """What jobs a worker is to be given."""

    def places(self, workers: Iterable[str]) -> Sequence[WorkerPlace]:
        """What some workers are for, and hold now."""

    def run(self, worker: str, run: RunJob) -> None:
        """Hand a job to a free worker."""

    def renewed(self, worker: str) -> bool:
        """Whether a worker has had no job yet; else it is started anew."""

    def cancel(self, job: str, attempt: int, reason: str = "") -> bool:
        """Ask for a job to be stopped; False if no worker has it at that attempt."""

    def release(self, job: str, attempt: int, reason: str = "") -> bool:
        """Ask for a job to be given back; False if no worker has it at that attempt."""

    async def stop(self) -> None:
        """Have all jobs given back, and end."""


@dataclass(slots=True)
class Assigned:
    """A job that a worker has.

    Attributes:
        report: Of what its worker tells.
        last: Number of its run's last event that is kept.
        wish: What its worker was asked to do.
    """

    job: Job
    report: AttemptReport
    last: int = -1
    wish: Interruption | None = None

    def as_message(self, workflow: str) -> RunJob:
        """What a worker is told to run."""
        job = self.job
        about = (job.parameters, job.targets, job.options, job.client, job.priority)
        return RunJob(job.id, job.attempt, workflow, *about, list(job.models))

    def kept(self, events: Sequence[Event], live: Callable[[LiveEvent], None]) -> Sequence[Event]:
        """The events that are kept.

        Args:
            live: Is handed the others.
        """
        kept, shown = sorted_out(events, self.last)
        if kept:
            self.last = kept[-1].number
        job = self.job
        for after, event in shown:
            live(LiveEvent(job.id, job.client, job.attempt, after, event))
        return kept


class Held:
    """Jobs in the order in which they are run.

    A worker whose jobs take milliseconds would wait for the server and the disk between two of
    them. So it is handed some ahead while its jobs are short, one more for each one that was;
    those that haven't begun can be taken back.

    Args:
        clock: Seconds, from any start.

    Attributes:
        current: The one that it runs, or is about to.
        ahead: Those that come next.
    """

    def __init__(self, rules: SupervisionRules, clock: Callable[[], float] = monotonic) -> None:
        self._most = rules.ahead
        self._short = rules.short_seconds
        self._clock = clock
        self._since = 0.0
        self._short_ones = 0
        self.current: RunJob | None = None
        self.ahead: list[RunJob] = []

    @property
    def count(self) -> int:
        """How many there are."""
        return (self.current is not None) + len(self.ahead)

    @property
    def places(self) -> int:
        """How many more it would take."""
        return max(0, 1 + min(self._short_ones, self._most) - self.count)

    def add(self, run: RunJob) -> None:
        """It was handed one more."""
        if self.current is None:
            self._begin(run)
        else:
            self.ahead.append(run)

    def has(self, job: str, attempt: int) -> bool:
        """Whether a job is among them, at that attempt."""
        return self.is_current(job, attempt) or any(_is(run, job, attempt) for run in self.ahead)

    def is_current(self, job: str, attempt: int) -> bool:
        """Whether it is the one that it runs."""
        return self.current is not None and _is(self.current, job, attempt)

    def remove(self, job: str, attempt: int) -> None:
        """One has ended; the next one begins if it was the current one."""
        if not self.is_current(job, attempt):
            self.ahead = [run for run in self.ahead if not _is(run, job, attempt)]
            return
        is_short = self._clock() - self._since < self._short
        self._short_ones = self._short_ones + 1 if is_short else 0
        self.current = None
        if self.ahead:
            self._begin(self.ahead.pop(0))

    def held_up(self) -> list[RunJob]:
        """Those that wait for one that isn't short after all, so that they are to be taken back."""
        if self.current is None or self._clock() - self._since < self._short:
            return []
        self._short_ones = 0
        return self.ahead

    def _begin(self, run: RunJob) -> None:
        self.current = run
        self._since = self._clock()


def _is(run: RunJob, job: str, attempt: int) -> bool:
    return run.job == job and run.attempt == attempt
