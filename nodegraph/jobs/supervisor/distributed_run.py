"""Workers without a job compute along with jobs that others have.

The job stays its own worker's: nothing of this is written into the queue, and what a helper gives
is found in the store. Whether help pays, a helper finds out itself, as that takes packs.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from nodegraph.jobs.queue import Job
from nodegraph.jobs.supervisor.errors import ProtocolFault, WorkerNotIdle
from nodegraph.jobs.supervisor.messages import HelpUpdate, RunJob
from nodegraph.jobs.supervisor.worker import Worker
from nodegraph.jobs.supervisor.worker_process import HelpAssignment

_LOG = logging.getLogger(__name__)
HELP_AFTER = 1.0
"""Seconds that a job runs before anybody helps: most are over by then."""


class HelperPool(Protocol):
    """Those that may help; `WorkerHelpers` is one."""

    def candidates(self, job: str, attempt: int) -> Sequence[str]:
        """Names of those that have nothing to do and could help with a job that a worker runs."""

    def active_helpers(self, job: str, attempt: int) -> Mapping[str, bool]:
        """Those that help with a job, and whether each has found that it pays."""

    def begin(self, worker: str, job: str, attempt: int) -> None:
        """Have a worker help with a job that another one runs."""

    def stop(self, job: str, attempt: int, reason: str) -> None:
        """Have nobody help with a job any more."""


@dataclass(frozen=True, slots=True)
class ComputeDevice:
    """Where a worker computes.

    Attributes:
        host: Its machine, if that isn't the server's own.
        is_shared: Whether others on that machine may have a part of the same card.
    """

    device: str
    host: str | None = None
    is_shared: bool = False

    def may_help(self, other: ComputeDevice) -> bool:
        """Whether what is computed here is of use there, and isn't computed by that very card."""
        kind, _, number = self.device.partition(":")
        other_kind, _, other_number = other.device.partition(":")
        # On a device of another kind, what depends on it in its last bits has another key.
        if kind != other_kind:
            return False
        if kind == "cpu" or self.host != other.host:
            return True
        if self.host is not None:  # a cluster shows a worker its own cards alone, by their places
            return not (self.is_shared and other.is_shared)
        return (number or "0") != (other_number or "0")


class WorkerHelpers:
    """Helps by workers, as `Supervisor` has them; see `HelpScheduler`."""

    def __init__(self, workers: Mapping[str, Worker]) -> None:
        self._workers = workers

    def candidates(self, job: str, attempt: int) -> list[str]:
        worker_and_run = self._runner(job, attempt)
        runner = None if worker_and_run is None else _compute_place(worker_and_run[0])
        if runner is None:
            return []
        return [
            name
            for name, worker in self._workers.items()
            if worker.spec.role == "worker"
            and worker.state == "idle"
            and worker.process.help is None
            and (candidate := _compute_place(worker)) is not None
            and candidate.may_help(runner)
        ]

    def active_helpers(self, job: str, attempt: int) -> dict[str, bool]:
        return {name: assignment.has_begun for name, _, assignment in self._helping(job, attempt)}

    def begin(self, worker: str, job: str, attempt: int) -> None:
        worker_and_run = self._runner(job, attempt)
        if worker_and_run is not None:
            self._workers[worker].process.begin_help(worker_and_run[1])

    def stop(self, job: str, attempt: int, reason: str) -> None:
        for _, worker, _ in self._helping(job, attempt):
            worker.process.stop_help(reason)

    def _helping(self, job: str, attempt: int) -> Iterator[tuple[str, Worker, HelpAssignment]]:
        for name, worker in self._workers.items():
            assignment = worker.process.help
            if assignment is not None and (assignment.job, assignment.attempt) == (job, attempt):
                yield name, worker, assignment

    def _runner(self, job: str, attempt: int) -> tuple[Worker, RunJob] | None:
        """Who runs a job, and what it was told."""
        for worker in self._workers.values():
            for run in worker.process.jobs.running:
                if (run.job, run.attempt) == (job, attempt):
                    return worker, run
        return None


def _compute_place(worker: Worker) -> ComputeDevice | None:
    ready = worker.process.ready
    if ready is None:
        return None
    return ComputeDevice(ready.device, worker.process.host, 0 < worker.spec.needs.gpus < 1)


@dataclass
class _Helped:
    """A job that runs.

    Attributes:
        is_due: Whether it has run for long enough to be helped with.
        is_alone: Whether nobody can be of help.
        tried: Those that have helped, or can't.
    """

    job: Job
    is_due: bool = False
    is_alone: bool = False
    tried: set[str] = field(default_factory=set)


class HelpScheduler:
    """Gives workers without a job those to help with that others run.

    At first one looks whether that pays. What waits in the queue goes before: a helper counts as
    free, and leaves what it does as soon as it is given a job.

    Args:
        helpers: Those that may help; nobody if not given.
        after: Seconds that a job runs before.
    """

    def __init__(self, helpers: HelperPool | None = None, *, after: float = HELP_AFTER) -> None:
        self._helpers = helpers
        self._after = after
        self._jobs: dict[str, _Helped] = {}
        self._is_asking: Callable[[], bool] = lambda: False

    def start(self, is_asking: Callable[[], bool]) -> None:
        """Have them help from now on.

        Args:
            is_asking: Whether the queue is being asked for jobs: what it has goes before.
        """
        self._is_asking = is_asking

    def began(self, job: Job) -> None:
        """A worker was handed a job."""
        if self._helpers is None or not job.gpu:
            return  # what needs no device, one process does at once
        self._jobs[job.id] = helped = _Helped(job)
        asyncio.get_running_loop().call_later(self._after, self._due, helped)

    def _due(self, helped: _Helped) -> None:
        helped.is_due = True
        self.assign_helpers()

    def over(self, job: str, reason: str) -> None:
        """A job has ended, or is to."""
        helped = self._jobs.pop(job, None)
        if helped is not None and self._helpers is not None:
            self._helpers.stop(job, helped.job.attempt, reason)

    def handle_update(self, worker: str, news: HelpUpdate) -> None:
        """How a worker's help goes."""
        helped = self._jobs.get(news.job)
        if helped is not None and helped.job.attempt == news.attempt:
            helped.is_alone |= news.status == "useless"
            if news.status in ("unfit", "over"):
                helped.tried.add(worker)
        self.assign_helpers()

    def worker_died(self, worker: str) -> None:
        """A worker has died, over what it helped with perhaps: that isn't for it any more."""
        for helped in self._jobs.values():
            helped.tried.add(worker)

    def assign_helpers(self) -> None:
        """Have those help that have nothing to do."""
        if self._helpers is None or self._is_asking():
            return
        counts: Counter[str] = Counter()
        for helped in sorted(self._jobs.values(), key=lambda each: -each.job.priority):
            if helped.is_due and not helped.is_alone:
                counts[helped.job.id] = len(
                    self._helpers.active_helpers(helped.job.id, helped.job.attempt)
                )
        while counts:
            job = min(counts, key=counts.__getitem__)
            if self._is_helped_by_one_more(self._jobs[job]):
                counts[job] += 1
            else:
                del counts[job]

    def _is_helped_by_one_more(self, helped: _Helped) -> bool:
        assert self._helpers is not None
        job = helped.job
        there = self._helpers.active_helpers(job.id, job.attempt)
        if there and not any(there.values()):
            return False  # one still looks whether it pays
        for worker in self._helpers.candidates(job.id, job.attempt):
            if worker in helped.tried:
                continue
            try:
                self._helpers.begin(worker, job.id, job.attempt)
            except (WorkerNotIdle, ProtocolFault) as error:
                _LOG.debug("%s cannot help with %s: %s", worker, job.id, error)
                helped.tried.add(worker)
                continue
            return True
        return False
