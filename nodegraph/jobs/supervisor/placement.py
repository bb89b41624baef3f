"""Placement of jobs on workers: by the needs of jobs, and the jobs and memory of workers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, Protocol

from nodegraph.core.events import Event
from nodegraph.jobs.queue import BatchPartners, Interruption, Job, JobCriteria
from nodegraph.jobs.queue.events import LiveEvent, split_events
from nodegraph.jobs.supervisor.attempt_report import AttemptReport
from nodegraph.jobs.supervisor.messages import MemoryUpdate, Ready, RunJob
from nodegraph.jobs.supervisor.worker_spec import SupervisionRules

NO_MEMORY = MemoryUpdate({}, [], [], is_all=True)
"""There is no worker that a plan could be for."""


class WorkerMemory:
    """What one worker process has told of its memory."""

    def __init__(self) -> None:
        self._results: dict[str, Any] = {}
        self._gone: set[str] = set()
        self._new: dict[str, Any] = {}
        self._weights: list[str] = []

    @property
    def weights(self) -> Sequence[str]:
        """Names of those in memory."""
        return self._weights

    def apply(self, stock: MemoryUpdate) -> None:
        """Its worker tells what has changed."""
        for key in stock.gone:
            self._results.pop(key, None)
            self._new.pop(key, None)
            self._gone.add(key)
        self._results.update(stock.results)
        self._new.update(stock.results)
        self._weights = list(stock.weights)

    def to_update(self, *, is_known: bool) -> MemoryUpdate:
        """What a plan has to know, besides what was handed out before.

        Args:
            is_known: Whether who asks has got that.
        """
        if is_known:
            changes = MemoryUpdate(self._new, sorted(self._gone), self._weights)
        else:
            changes = MemoryUpdate(dict(self._results), [], self._weights, is_all=True)
        self._new, self._gone = {}, set()
        return changes


def rooms_of(workers: Iterable[Ready]) -> dict[str, Mapping[str, Any]]:
    """The memory of the workers' devices by their kind; of several of a kind, the largest."""
    rooms: dict[str, Mapping[str, Any]] = {}
    for ready in workers:
        kind = ready.device.partition(":")[0]
        if ready.room is None:
            continue
        if kind not in rooms or _size(ready.room) > _size(rooms[kind]):
            rooms[kind] = ready.room
    return rooms


def _size(room: Mapping[str, Any]) -> tuple[int, int]:
    # Of one card that several share, what the first one found free.
    return room["total"], room["free"]


class LoadedModels:
    """Which models' weights a worker holds, told by what came into its memory with its jobs.

    A job names its models by what its workflow says, a worker's memory by what the weights are. So
    a model stands for those weights that came with the first job that had it, as long as all of
    them are there.
    """

    def __init__(self) -> None:
        self._behind: dict[str, frozenset[str]] = {}
        self._there: frozenset[str] = frozenset()

    @property
    def held(self) -> frozenset[str]:
        """The models whose weights are all there."""
        there = self._there
        return frozenset(model for model, behind in self._behind.items() if behind <= there)

    def record_job(self, models: Iterable[str], weights: Iterable[str]) -> None:
        """A job has ended.

        Args:
            models: Of the job.
            weights: Names of those in memory now.
        """
        there = frozenset(weights)
        new = there - self._there
        self._there = there
        self._behind = {name: behind for name, behind in self._behind.items() if behind <= there}
        if new:
            self._behind.update((name, new) for name in models if name not in self._behind)


@dataclass(frozen=True, slots=True)
class WorkerCandidate:
    """A worker that a job may be given to.

    Attributes:
        without_gpu: It takes only jobs that need no GPU.
        is_busy: It has a job already, and would begin this one after it.
        models: That it holds.
        room: Bytes of its device that weights and work may take; None where it isn't known.
        is_helping: It computes along with another one's job, which it leaves at its next step.
    """

    worker: str
    without_gpu: bool = False
    is_busy: bool = False
    models: frozenset[str] = frozenset()
    room: int | None = None
    is_helping: bool = False


def rank_workers(places: Sequence[WorkerCandidate], job: Job) -> list[str]:
    """The workers that may have a job, the best one first; of equals, the first one given.

    Where a GPU isn't needed, those go first that have none; then those that are idle; then those
    that hold most of the job's models; then those where the job's plan says that it has room; then
    those that help nobody; then those that hold fewest other models, which might have to go.
    """
    able = [candidate for candidate in places if not (job.gpu and candidate.without_gpu)]
    need = _memory(job)

    def order(candidate: WorkerCandidate) -> tuple[bool, bool, int, bool, bool, int]:
        is_short = candidate.room is not None and need > candidate.room
        held = len(candidate.models.intersection(job.models))
        is_wasted = not job.gpu and not candidate.without_gpu
        others = len(candidate.models) - held
        return is_wasted, candidate.is_busy, -held, is_short, candidate.is_helping, others

    return [candidate.worker for candidate in sorted(able, key=order)]


def _memory(job: Job) -> int:
    """Bytes that a job takes of a GPU at most, as far as its plan knows."""
    peaks = {} if job.plan is None else job.plan.get("totals", {}).get("memory", {})
    return max((size for device, size in peaks.items() if device != "cpu"), default=0)


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
        """Those that wait for one that isn't short after all, so that they are to be taken back.

        The last one comes first: should the worker get free meanwhile, it begins with the next one.
        """
        if not any(self._clock() - since >= self._rules.short_seconds for _, since in self._begun):
            return []
        self._short_ones = 0
        return self.ahead[::-1]

    def _begin(self, run: RunJob) -> None:
        self._begun.append((run, self._clock()))


def _is(run: RunJob, job: str, attempt: int) -> bool:
    return run.job == job and run.attempt == attempt
