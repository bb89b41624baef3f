"""Workers that do as a test says, in the place of processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from nodegraph.core.events import Event, EventKind
from nodegraph.jobs.queue import ANY_JOB, BatchPartners, Death, JobCriteria
from nodegraph.jobs.supervisor.errors import WorkerNotIdle
from nodegraph.jobs.supervisor.messages import Ended, EndStatus, RunJob
from nodegraph.jobs.supervisor.placement import WorkerCandidate
from nodegraph.jobs.supervisor.worker_status import WorkerObserver


def event(number: int, kind: EventKind = "node.started", **data: Any) -> Event:
    """An event of a run."""
    return Event(number, kind, "node", 0.5, data)


class ScriptedWorkers:
    """Some workers, none of which lives at first.

    Attributes:
        runs: What each living worker runs; None if it is idle.
        wishes: What those are for that aren't for all jobs.
        asked: What was asked of them for an attempt.
        on_stop: What is done with each worker when all are to stop.
        company: What those would take beside what they run that would take one more.
        beside: What they have taken so.
    """

    def __init__(self, *names: str) -> None:
        self.names = names
        self.runs: dict[str, RunJob | None] = {}
        self.wishes: dict[str, JobCriteria] = {}
        self.asked: dict[tuple[str, int], str] = {}
        self.had_a_job: set[str] = set()
        self.refuses: type[Exception] | None = None
        self.company: dict[str, BatchPartners] = {}
        self.beside: dict[str, RunJob] = {}
        self.on_stop: Callable[[str], None] = self.give_back
        self.observer: WorkerObserver

    # What a dispatcher needs.

    @property
    def free(self) -> Sequence[str]:
        return [*(name for name, run in self.runs.items() if run is None), *self.company]

    def criteria_for(self, worker: str) -> JobCriteria:
        company = self.company.get(worker)
        if company is not None:
            return JobCriteria(models=company.models, partners=company)
        return self.wishes.get(worker, ANY_JOB)

    def candidates(self, workers: Iterable[str]) -> list[WorkerCandidate]:
        wishes = [(name, self.criteria_for(name)) for name in workers]
        return [
            WorkerCandidate(name, wish.without_gpu, wish.partners is not None, models=wish.models)
            for name, wish in wishes
        ]

    def run(self, worker: str, run: RunJob) -> None:
        if self.refuses is not None:
            raise self.refuses("no")
        if self.company.pop(worker, None) is not None:
            self.beside[worker] = run
            return
        if self.runs.get(worker, run) is not None:
            raise WorkerNotIdle(f"{worker} isn't idle")
        self.had_a_job.add(worker)
        self.runs[worker] = run

    def ensure_new(self, worker: str) -> bool:
        if worker not in self.had_a_job:
            return True
        del self.runs[worker]
        return False

    def cancel(self, job: str, attempt: int, reason: str = "") -> bool:
        return self._ask(job, attempt, "cancel")

    def release(self, job: str, attempt: int, reason: str = "") -> bool:
        return self._ask(job, attempt, "release")

    def _ask(self, job: str, attempt: int, what: str) -> bool:
        if not any(run and (run.job, run.attempt) == (job, attempt) for run in self.runs.values()):
            return False
        self.asked[job, attempt] = what
        return True

    async def stop(self) -> None:
        for worker in list(self.runs):
            if self.runs[worker] is not None:
                self.on_stop(worker)
            self.runs.pop(worker, None)

    # What a test says.

    def start(self, *workers: str) -> None:
        """They get ready."""
        for worker in workers or self.names:
            if worker not in self.runs:
                self.runs[worker] = None
                self.had_a_job.discard(worker)
                self.observer.ready(worker)

    def busy(self) -> list[str]:
        """Those that run something."""
        return [name for name, run in self.runs.items() if run is not None]

    def running(self, worker: str) -> RunJob:
        """What a worker runs, which must be something."""
        run = self.runs[worker]
        assert run is not None
        return run

    def tell(self, worker: str, *events: Event) -> None:
        """Its run goes on."""
        run = self.running(worker)
        self.observer.events(run.job, run.attempt, events)

    def end(self, worker: str, status: EndStatus, *events: Event, **ended: Any) -> None:
        """Its run is over."""
        run = self.running(worker)
        self.runs[worker] = None
        self.observer.ended(Ended(run.job, run.attempt, status, events=events, **ended))

    def finish(self, worker: str, *events: Event) -> None:
        """It has done its job; the outputs say at which attempt."""
        self.end(worker, "finished", *events, outputs={"by": self.running(worker).attempt})

    def give_back(self, worker: str) -> None:
        """It gives its job back."""
        self.end(worker, "released")

    def obey(self, worker: str) -> None:
        """It does what it was asked to, if it was."""
        run = self.running(worker)
        asked = self.asked.get((run.job, run.attempt))
        if asked is not None:
            self.end(worker, "cancelled" if asked == "cancel" else "released")

    def die(self, worker: str, reason: str = "killed") -> None:
        """It is gone."""
        run = self.runs.pop(worker)
        about = (None, None) if run is None else (run.job, run.attempt)
        self.observer.died(worker, *about, Death(reason, signal="SIGKILL"))
