"""Status of a worker: its state and health, the jobs blamed for its death, and who observes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

import psutil

from nodegraph.core.events import Event
from nodegraph.core.text_format import format_excess
from nodegraph.jobs.queue.attempts import Death
from nodegraph.jobs.supervisor.messages import Ended, HelpUpdate, RoleName, RunJob
from nodegraph.jobs.supervisor.placement import WorkerJobs
from nodegraph.jobs.supervisor.platforms import held_memory
from nodegraph.jobs.supervisor.starter import ProcessExit
from nodegraph.jobs.supervisor.worker_spec import SupervisionRules


@dataclass(frozen=True, slots=True)
class Blame:
    """The jobs of a worker that has died.

    Attributes:
        answering: Those that it may have died of, each with what is known of its death.
        overdue: Those that it was ended for as their deadlines had passed.
        innocent: The others, in their order.
    """

    answering: Sequence[tuple[RunJob, Death]] = ()
    overdue: Sequence[tuple[RunJob, Death]] = ()
    innocent: Sequence[RunJob] = field(default_factory=list)


def blame_of(
    held: WorkerJobs, vitals: WorkerHealth, exit: ProcessExit | None, death: Death
) -> Blame:
    """Who answers for a death: whom the worker was ended for, else all that it had begun.

    Several that ran beside each other can't be told apart then; each is tried again by itself.

    Args:
        exit: How the process ended; None if there never was one.
        death: As it is told of each.
    """
    answering: list[tuple[RunJob, Death]] = []
    overdue: list[tuple[RunJob, Death]] = []
    innocent: list[RunJob] = []
    running = held.running
    for run in running:
        may_be = not vitals.culprits or run.job in vitals.culprits
        if not (may_be and _has_begun(run, exit)):
            innocent.append(run)
            continue
        node = None if exit is None or exit.begun is None else exit.begun.get(run.job)
        own_death = replace(death, node=node, others=len(running) - 1)
        is_overdue = run.job in vitals.jobs and vitals.jobs[run.job].is_overdue
        (overdue if is_overdue else answering).append((run, own_death))
    return Blame(answering, overdue, [*innocent, *held.ahead])


def _has_begun(run: RunJob, exit: ProcessExit | None) -> bool:
    """Whether a worker had begun a job when it died, and not for the sake of its place.

    Else it was dead already, or as good as: that is no fault of the job.
    """
    if exit is None or exit.is_lost:
        return False
    return exit.begun is None or run.job in exit.begun


_ENDS = frozenset({"call.ended", "node.finished", "node.failed", "node.skipped"})


class JobHealth:
    """Signs of life of one job; all times are its worker's.

    Args:
        options: Of the job, `stall_seconds` and `deadline` among them.
        now: When it began.

    Attributes:
        node: That began last.
        is_overdue: Whether it has to be ended as its deadline has passed.
    """

    def __init__(self, rules: SupervisionRules, options: Mapping[str, Any], now: float) -> None:
        self._rules = rules
        deadline, stalls = options.get("deadline"), options.get("stall_seconds")
        self._deadline = now + deadline if isinstance(deadline, int | float) else None
        self._stalls = stalls if isinstance(stalls, Mapping) else {"*": stalls}
        self._must_have_ended: float | None = None
        self._running: dict[str, float] = {}
        self._types: dict[str, str] = {}
        self.node: str | None = None
        self.is_overdue = False

    def cancelled(self, now: float) -> None:
        """Its worker was asked to stop it."""
        if self._must_have_ended is None:
            self._must_have_ended = now + self._rules.cancel_seconds

    def add_events(self, events: Iterable[Event], now: float) -> None:
        """Its run told something."""
        for event in events:
            node = event.node
            if event.kind == "nodes.cached" and self._running:
                for name in event.data["nodes"]:
                    self._node_ended(name)
            if node is None:
                continue
            if event.kind == "node.started":
                self._running[node] = now
                self._types[node] = str(event.data.get("type", ""))
                self.node = node
            elif event.kind in _ENDS:
                self._node_ended(node)
            elif node in self._running:
                self._running[node] = now

    def _node_ended(self, node: str) -> None:
        # A node that is mapped over a list runs as `node[0]`, `node[1]`, ….
        items = f"{node}["
        for name in [name for name in self._running if name == node or name.startswith(items)]:
            del self._running[name]

    def find_ignored_stop(self, now: float) -> str | None:
        """Why it should have stopped and hasn't; None if it needn't."""
        grace = self._rules.cancel_seconds
        why = None
        if self._must_have_ended is not None and now >= self._must_have_ended:
            why = "it was cancelled"
        elif self._deadline is not None and now >= self._deadline + grace:
            why, self.is_overdue = "its deadline had passed", True
        return why and f"its job did not stop within {grace:g} s when {why}"

    def find_stall(self, now: float) -> str | None:
        """Which node has told nothing for too long; None if none has."""
        for node, since in self._running.items():
            limit = self._limit(node)
            if limit is not None and now - since > limit:
                return f"its node `{node}` reported nothing for {limit:g} s"
        return None

    def _limit(self, node: str) -> float | None:
        name = node.partition("[")[0]
        for key in (name, self._types.get(node, ""), "*"):
            seconds = self._stalls.get(key)
            if isinstance(seconds, int | float) and seconds > 0:
                return float(seconds)
        return self._rules.node_stall_seconds


_MORE_GRACE = 5.0
"""Seconds beyond the grace in which whoever asked a process to end may end it by other means."""


class WorkerHealth:
    """Signs of life of one process.

    Its clock is moved on by `breathe`, at most so far at a time: while the server itself was held
    up, nothing of what a worker said was heard.

    Attributes:
        memory, device_memory: Bytes, as last known.
        stuck: What code of a pack has been doing for too long, as it told last.
        jobs: By id, those that it runs.
        culprits: Ids of those for which it must end, where it isn't for itself.
        has_unstopped_job: Whether it must end only as a job doesn't.
    """

    def __init__(self, rules: SupervisionRules) -> None:
        self._rules = rules
        self._age = 0.0
        self._heard: float | None = None
        self._is_ready = False
        self._asked_to_end: float | None = None
        self._process: psutil.Process | None = None
        self.memory: int | None = None
        self.device_memory: int | None = None
        self.stuck: str | None = None
        self.jobs: dict[str, JobHealth] = {}
        self.culprits: frozenset[str] = frozenset()
        self.has_unstopped_job = False

    def born(self, pid: int) -> None:
        """The process has started."""
        try:
            self._process = psutil.Process(pid)
        except psutil.Error:
            self._process = None  # it is dead already

    def ready(self) -> None:
        """It has started up."""
        self._is_ready = True
        self.note_message()

    def note_message(self) -> None:
        """It has told something."""
        self._heard = self._age

    def asked_to_end(self) -> None:
        """It is to end by itself."""
        self._asked_to_end = self._age

    def measured(self, memory: int, device_memory: int | None) -> None:
        """It has told how much memory it has."""
        self.memory = memory
        self.device_memory = device_memory

    @property
    def silence(self) -> float | None:
        """Seconds since it told something; None if it never did."""
        return None if self._heard is None else self._age - self._heard

    @property
    def node(self) -> str | None:
        """That began last in the first of its jobs."""
        return next((job.node for job in self.jobs.values()), None)

    def job_began(self, job: str, options: Mapping[str, Any]) -> None:
        """It has one more job."""
        self.jobs[job] = JobHealth(self._rules, options, self._age)

    def job_ended(self, job: str) -> None:
        """It has a job no more."""
        self.jobs.pop(job, None)

    def job_cancelled(self, job: str) -> None:
        """It was asked to stop a job that it runs."""
        self.jobs[job].cancelled(self._age)

    def add_events(self, job: str, events: Iterable[Event]) -> None:
        """A job's run told something."""
        self.jobs[job].add_events(events, self._age)

    def advance(self, seconds: float) -> None:
        """Time has passed."""
        self._age += seconds
        if self._process is not None:
            try:
                # A dead one that isn't buried yet has none: what it had before is what counts.
                self.memory = held_memory(self._process) or self.memory
            except psutil.Error:
                self._process = None

    def find_fault(self) -> str | None:
        """Why the process must end; None if it needn't."""
        rules = self._rules
        if self._asked_to_end is not None:
            if self._age - self._asked_to_end > rules.shutdown_grace + _MORE_GRACE:
                return "it did not end when it was asked to"
            return self._greed()
        if not self._is_ready:
            if self._age > rules.start_seconds:
                return f"it was not ready after {rules.start_seconds:g} s"
            return self._greed()
        silence = self.silence
        if silence is not None and silence > rules.heartbeat_seconds:
            return f"it sent no heartbeat for {rules.heartbeat_seconds:g} s"
        return self._greed() or self._fault_of_jobs()

    def _greed(self) -> str | None:
        limit = self._rules.memory_limit
        if limit is None or self.memory is None or self.memory <= limit:
            return None
        used, most = format_excess(self.memory, limit)
        return f"it used {used} of memory, more than {most}"

    def _fault_of_jobs(self) -> str | None:
        stubborn = {name: job.find_ignored_stop(self._age) for name, job in self.jobs.items()}
        stalled = {name: job.find_stall(self._age) for name, job in self.jobs.items()}
        for reasons in (stubborn, stalled):
            whys = {name: why for name, why in reasons.items() if why is not None}
            if whys:
                self.culprits = frozenset(whys)
                self.has_unstopped_job = reasons is stubborn
                return next(iter(whys.values()))
        return None


class WorkerObserver(Protocol):
    """Is told what workers do, on the event loop; must be quick, and what it raises is logged."""

    def ready(self, worker: str) -> None:
        """A worker has started and is idle. Not called for planners."""

    def joinable(self, worker: str) -> None:
        """A busy worker would take jobs beside those that it runs."""

    def events(self, job: str, attempt: int, events: Sequence[Event]) -> None:
        """Events of a run, in order, each once; those in `Ended.events` come with it."""

    def ended(self, ended: Ended) -> None:
        """A run is over. The worker may be given a job in its place in this very call.

        One that can't have caused its worker's death is told of as released, before the death.
        """

    def helped(self, worker: str, news: HelpUpdate) -> None:
        """How a worker's help with another one's job goes; see `Help`."""

    def died(self, worker: str, job: str | None, attempt: int | None, death: Death) -> None:
        """A worker is gone, with the job that it had; called after all that it told before.

        Called for each of several jobs that may have caused it. Also called for planners, and for a
        worker that ended when it was asked to while it still had a job.
        """


WorkerState = Literal["starting", "idle", "busy", "stopping", "dead", "stopped"]
"""``dead``: it waits for its next start; ``stopped``: there will be none."""


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker as it is now.

    Attributes:
        device: As it says once it is ready; until then as it was asked for.
        host: The machine that it runs on, or is to run on; None for the server's own.
        pid: Of its process, if there is one.
        done: Jobs that it has brought to an end.
        restarts: How often it was started again after a death.
        job, attempt: That it has; of several the first.
        jobs: All that it runs.
        helps: The job of another worker that it computes along with.
        node: That began last in its job, or in that.
        last_heartbeat: Seconds since the last one; None before the first.
        next_start: Seconds until it is started again, if it is dead.
        memory, device_memory: Bytes, as last known.
        weights: Names of the models that it holds in memory, as it told last.
        versions: As it told when it got ready.
        fault: Why it died last, until it is ready again.
        merged: Steps of samplings that it has computed in a batch with others'.
    """

    name: str
    role: RoleName
    state: WorkerState
    device: str
    host: str | None = None
    pid: int | None = None
    restarts: int = 0
    job: str | None = None
    attempt: int | None = None
    node: str | None = None
    last_heartbeat: float | None = None
    next_start: float | None = None
    memory: int | None = None
    device_memory: int | None = None
    weights: Sequence[str] = ()
    versions: Mapping[str, str] | None = None
    fault: str | None = None
    done: int = 0
    helps: str | None = None
    merged: int = 0
    jobs: Sequence[str] = ()
