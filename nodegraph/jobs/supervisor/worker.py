"""One worker: a process that is started, and started again when it dies."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from nodegraph.errors import Problem
from nodegraph.jobs.queue.attempts import Death
from nodegraph.jobs.supervisor.messages import Ended, RunJob
from nodegraph.jobs.supervisor.placement import WorkerJobs
from nodegraph.jobs.supervisor.starter import Starter
from nodegraph.jobs.supervisor.worker_process import PlannerListener, SupervisedProcess
from nodegraph.jobs.supervisor.worker_spec import Backoff, SupervisionRules, WorkerSpec
from nodegraph.jobs.supervisor.worker_status import WorkerObserver, WorkerState, WorkerStatus

_LOG = logging.getLogger(__name__)

_LAST_GRACE = 2.0
"""Seconds between asking a process to end at once and killing it."""


class Worker:
    """Keeps one process alive; see `Supervisor`.

    Args:
        on: Is told what happens.
        asker: Is told what a planner does.
        starter: Starts its processes.
        clock: Seconds, from any start.

    Attributes:
        life: Of the process that there is, or was last.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        rules: SupervisionRules,
        on: WorkerObserver,
        asker: PlannerListener,
        starter: Starter,
        clock: Callable[[], float],
    ) -> None:
        self.spec = spec
        self.process = SupervisedProcess(spec, rules, on, asker, starter)
        self._rules = rules
        self._on = on
        self._asker = asker
        self._starter = starter
        self._clock = clock
        self._restarts = 0
        self._done = 0
        self._merged = 0
        self._backoff = Backoff(rules)
        self._next_start: float | None = None
        self._fault: str | None = None
        self._is_renewed = False
        self._is_to_stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> WorkerState:
        """How it is."""
        if self.is_over:
            return "stopped"
        return self.process.state

    @property
    def status(self) -> WorkerStatus:
        """All that is known of it."""
        life, vitals = self.process, self.process.health
        ready, is_there = life.ready, life.pid is not None
        run = next(iter(life.jobs.running), None)
        left = None if self._next_start is None else max(0.0, self._next_start - self._clock())
        return WorkerStatus(
            self.spec.name,
            self.spec.role,
            self.state,
            ready.device if ready is not None else self.spec.device or "auto",
            host=life.host,
            pid=life.pid,
            restarts=self._restarts,
            job=None if run is None else run.job,
            attempt=None if run is None else run.attempt,
            jobs=tuple(each.job for each in life.jobs.running),
            node=vitals.node,
            last_heartbeat=vitals.silence if is_there else None,
            next_start=left,
            memory=vitals.memory if is_there else None,
            device_memory=vitals.device_memory if is_there else None,
            weights=tuple(life.memory.weights) if is_there else (),
            versions=None if ready is None else ready.versions,
            done=self._done + life.done,
            helps=life.help.job if is_there and life.help and life.help.has_begun else None,
            merged=self._merged + life.batching.merged,
            fault=self._fault if self.state in ("starting", "dead") else None,
        )

    def start(self) -> None:
        """Begin to keep it alive."""
        name = f"worker {self.spec.name}"
        self._task = asyncio.get_running_loop().create_task(self._live(), name=name)

    async def _live(self) -> None:
        while True:
            born = self._clock()
            death = await self.process.run()
            if self.spec.role == "planner":
                self._asker.died(death.reason)
            has_job = bool(self.process.jobs.running)
            is_wanted = self._is_to_stop.is_set() or (self._is_renewed and not has_job)
            if not is_wanted or has_job:
                self._report_death(death)
            if not is_wanted:
                await self._pause(self._clock() - born)
            if self._is_to_stop.is_set():
                return
            self._restarts += not is_wanted
            self._done += self.process.done
            self._merged += self.process.batching.merged
            self._is_renewed = False
            self.process = SupervisedProcess(
                self.spec, self._rules, self._on, self._asker, self._starter
            )

    def _report_death(self, death: Death) -> None:
        blame, jobs = self.process.blame, [run.job for run in self.process.jobs.running]
        self.process.jobs = WorkerJobs(self._rules)
        self._fault = death.reason
        about = {"fields": {"worker": self.spec.name, "job": ", ".join(jobs) or None}}
        _LOG.warning("%s died: %s", self.spec.name, death.reason, extra=about)
        try:
            for run, known in blame.overdue:
                self._on.ended(_overdue(run, known))
            for run in blame.innocent:
                self._on.ended(Ended(run.job, run.attempt, "released"))
            for run, known in blame.answering:
                self._on.died(self.spec.name, run.job, run.attempt, known)
            if not blame.answering:
                self._on.died(self.spec.name, None, None, death)
        except Exception:  # noqa: BLE001 - whoever listens must not be able to break supervision
            _LOG.exception("a listener failed after the death of %s", self.spec.name)

    async def _pause(self, lived: float) -> None:
        """Wait before the next start, the longer the more deaths there were in a row."""
        if self.process.was_of_use:
            self._backoff.was_of_use()
        delay = self._backoff.delay(lived)
        self._next_start = self._clock() + delay
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._is_to_stop.wait(), delay)
        self._next_start = None

    def retire(self) -> None:
        """Start it no more, and end it once it has no job."""
        self._is_to_stop.set()
        self.process.end_when_free()

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good."""
        return self._task is not None and self._task.done()

    def renew(self) -> None:
        """Start it again once it has no job; also one that waits for a place."""
        if self.process.state != "dead":
            self._is_renewed = True
            self.process.end_when_free()

    async def stop(self) -> None:
        """Ask it to give back its job and end; kill it if it doesn't, and start it no more."""
        self._is_to_stop.set()
        task, grace = self._task, self._rules.shutdown_grace
        if task is None:
            return
        self.process.end()
        if not await _has_ended(task, grace):
            self.process.terminate()
            if not await _has_ended(task, _LAST_GRACE):
                self.process.kill(f"it did not end within {grace:g} s when it was asked to")
        await task


def _overdue(run: RunJob, death: Death) -> Ended:
    """The end of a job whose worker had to die, as its deadline alone didn't stop it."""
    problem = Problem(
        "deadline",
        f"deadline of {run.options['deadline']:g} s passed",
        node=death.node,
        hint="It did not stop, so its worker was ended. The evidence shows what it did.",
    )
    error = {**problem.as_dict(), "evidence": death.evidence()}
    return Ended(run.job, run.attempt, "failed", error=error)


async def _has_ended(task: asyncio.Task[None], seconds: float) -> bool:
    done, _ = await asyncio.wait({task}, timeout=seconds)
    return bool(done)
