"""The life of one worker process, from its start to its death."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from nodegraph.jobs.queue.attempts import Death
from nodegraph.jobs.supervisor import platforms
from nodegraph.jobs.supervisor.crash_evidence import LogLines
from nodegraph.jobs.supervisor.errors import ProtocolFault, WorkerNotIdle
from nodegraph.jobs.supervisor.messages import (
    Answer,
    BatchingUpdate,
    Cancel,
    Ended,
    Heartbeat,
    Help,
    HelpUpdate,
    MemoryUpdate,
    Ready,
    Release,
    RunEvents,
    RunJob,
    Shutdown,
    StopHelp,
)
from nodegraph.jobs.supervisor.placement import LoadedModels, WorkerJobs, WorkerMemory
from nodegraph.jobs.supervisor.protocol import Message
from nodegraph.jobs.supervisor.starter import ProcessExit, ProcessListener, Starter, WorkerHandle
from nodegraph.jobs.supervisor.worker_spec import MOST_JOBS, SupervisionRules, WorkerSpec
from nodegraph.jobs.supervisor.worker_status import (
    Blame,
    WorkerHealth,
    WorkerObserver,
    WorkerState,
    blame_of,
)

_LOG = logging.getLogger(__name__)
_HELP = ""
"""In place of a job's id, among the signs of life: what it helps with."""


class PlannerListener(Protocol):
    """Who asks a planner."""

    def ready(self) -> None:
        """It takes questions."""

    def answered(self, answer: Answer) -> None:
        """It has an answer."""

    def died(self, reason: str) -> None:
        """It is gone, for now."""


@dataclass
class HelpAssignment:
    """What a worker helps with.

    Attributes:
        models: Of the job.
        has_begun: Whether it computes along; before, it looks whether that would pay.
        is_stopped: Whether it was asked to stop.
    """

    job: str
    attempt: int
    models: Sequence[str]
    has_begun: bool = False
    is_stopped: bool = False

    def is_of(self, message: RunEvents | HelpUpdate) -> bool:
        """Whether something is told of it."""
        return (self.job, self.attempt) == (message.job, message.attempt)


class SupervisedProcess:
    """A process, what it says and what it is told.

    Args:
        on: Is told what it does.
        asker: Is told what a planner does.
        starter: Starts its process.

    Attributes:
        state: ``dead`` before it has started and once it has ended.
        held: The jobs that it has, or had when it died.
        help: What it helps with, beside them.
        ready: What it told when it was.
        memory: What it holds in memory.
        models: Which of its jobs' models are in there.
        done: How many jobs it has brought to an end.
        was_of_use: Whether it has brought a job to an end, or was ended to end one.
        blame: Which of its jobs answer for its death, once it has died.
        batching: What it told last of samplings that share batches.
        is_new: Whether it has had no job yet.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        rules: SupervisionRules,
        on: WorkerObserver,
        asker: PlannerListener,
        starter: Starter,
    ) -> None:
        self._spec = spec
        self._rules = rules
        self._on = on
        self._asker = asker
        self._starter = starter
        self._process: WorkerHandle | None = None
        self._lines = LogLines(spec.name)
        self._fault: str | None = None
        self._starting: asyncio.Task[WorkerHandle] | None = None
        self._is_to_end = False
        self._cancelled: set[tuple[str, int]] = set()
        self._clients: set[str] = set()
        self.health = WorkerHealth(rules)
        self.state: WorkerState = "starting"
        self.jobs = WorkerJobs(rules)
        self.help: HelpAssignment | None = None
        self.ready: Ready | None = None
        self.memory = WorkerMemory()
        self.models = LoadedModels()
        self.done = 0
        self.was_of_use = False
        self.blame = Blame()
        self.batching = BatchingUpdate(0, 0, 0)
        self.is_new = True

    @property
    def pid(self) -> int | None:
        """Of its process, while there is one."""
        return None if self._process is None else self._process.pid

    @property
    def host(self) -> str | None:
        """The machine that its process runs on, or is to run on, if that isn't this one."""
        return self._starter.host if self._process is None else self._process.host

    async def run(self) -> Death:
        """Start it, and wait for its death."""
        ended: ProcessExit | None = None
        try:
            ended = await self._exit()
            death = self._death(ended)
        except OSError as error:
            death = Death(f"it cannot be started: {error}")
        finally:
            self._process = self.help = None
            self.state = "dead"
        self.blame = blame_of(self.jobs, self.health, ended, death)
        return death

    async def _exit(self) -> ProcessExit:
        ears = ProcessListener(self._handle_message, self._lines.feed, self._handle_fault)
        self._starting = asyncio.ensure_future(self._starter.start(self._spec, ears))
        try:
            self._process = process = await self._starting
        except asyncio.CancelledError:
            if not (self._is_to_end and self._starting.cancelled()):
                raise
            return ProcessExit(None, {}, reason="it was ended before it had started")
        finally:
            self._starting = None
        if process.host is None and process.pid is not None:
            self.health.born(process.pid)
        if self._is_to_end:
            process.kill()
        return await process.ended()

    def _death(self, exit: ProcessExit) -> Death:
        killer = None if exit.code is None else platforms.signal_name(exit.code)
        return Death(
            self._fault or exit.reason or _reason(exit.code, killer),
            signal=killer,
            exit_code=exit.code,
            log=self._last_lines(),
            memory=self.health.memory,
        )

    def _last_lines(self) -> list[str]:
        if len(self._clients) > 1:
            return []  # nobody knows whose they are, and they may be no business of the other's
        lines, places = self._lines.last(), self._spec.places
        return lines if places is None else places.redact_json(lines)

    # What it says

    def _handle_message(self, message: Message) -> None:
        self.health.note_message()
        if isinstance(message, RunEvents):
            if self.help is not None and self.help.is_of(message):
                self.health.add_events(_HELP, message.events)
                return
            if not self.jobs.is_running(message.job, message.attempt):
                raise _not_its_own(message)
            self.health.add_events(message.job, message.events)
            self._tell(self._on.events, message.job, message.attempt, message.events)
        elif isinstance(message, Ended):
            self._ended(message)
        elif isinstance(message, Heartbeat):
            self.health.measured(message.memory, message.device_memory)
            self.health.stuck = message.stuck
        elif isinstance(message, BatchingUpdate):
            self.batching = message
            if self.free_batch_slots:
                self._tell(self._on.joinable, self._spec.name)
        elif isinstance(message, MemoryUpdate):
            self.memory.apply(message)
        elif isinstance(message, HelpUpdate):
            self._helped(message)
        elif isinstance(message, Answer):
            self._asker.answered(message)
        elif isinstance(message, Ready):
            self._got_ready(message)

    def _got_ready(self, message: Ready) -> None:
        if self.state != "starting":
            return
        refusal = self._starter.refusal(message)
        if refusal is not None:
            self.kill(refusal)
            return
        self.ready = message
        self.health.ready()
        self.state = "idle"
        if self._spec.role == "planner":
            self._asker.ready()
        else:
            self._tell(self._on.ready, self._spec.name)

    def _ended(self, ended: Ended) -> None:
        held = self.jobs
        if not held.has(ended.job, ended.attempt):
            raise _not_its_own(ended)
        before = held.running
        ending = next((run for run in before if _is_of(run, ended)), None)
        if ending is not None:
            self.models.record_job(ending.models, self.memory.weights)
        held.remove(ended.job, ended.attempt)
        self._cancelled.discard((ended.job, ended.attempt))
        if ending is not None:
            self.was_of_use = True
            self.done += 1
            self.health.job_ended(ended.job)
            self._changed([run for run in held.running if run not in before])
        self._end_if_free()
        self._tell(self._on.ended, ended)

    def _changed(self, begun: Sequence[RunJob]) -> None:
        """It runs other jobs than before.

        Args:
            begun: Those that are new.
        """
        running = self.jobs.running
        if begun and self.help is not None:
            self.health.job_cancelled(_HELP)  # before they can begin
        else:
            self._begun(begun)
        if begun and running == begun:
            self._clients.clear()
            self._lines.clear()
        self._clients.update(run.client for run in begun)
        self._lines.jobs = [run.job for run in running]
        if self.state in ("idle", "busy"):
            self.state = "busy" if running else "idle"

    def _begun(self, jobs: Sequence[RunJob]) -> None:
        for run in jobs:
            self.health.job_began(run.job, run.options)
            self._note_cancelled(run)

    def _helped(self, news: HelpUpdate) -> None:
        assignment = self.help
        if assignment is None or not assignment.is_of(news):
            raise _not_its_own(news)
        assignment.has_begun = True
        if news.status != "begun":
            self.help = None
            self.models.record_job(assignment.models, self.memory.weights)
            self.health.job_ended(_HELP)
            self._begun(self.jobs.running)
        self._tell(self._on.helped, self._spec.name, news)

    def _handle_fault(self, fault: ProtocolFault) -> None:
        self.kill(f"it sent a message that is not valid: {fault}")

    def _tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception:  # noqa: BLE001 - whoever listens must not be able to break supervision
            _LOG.exception("a listener failed after an event of %s", self._spec.name)

    # What it is told

    @property
    def free_slots(self) -> int:
        """How many jobs it would take now."""
        is_there = self.state in ("idle", "busy") and not self._is_to_end
        return self.jobs.free_slots if is_there else 0

    @property
    def free_batch_slots(self) -> int:
        """How many it would take beside what it runs; none as long as it takes others."""
        is_free = self.state == "busy" and not (self._is_to_end or self.free_slots or self.help)
        if not is_free or self.jobs.partners is None:
            return 0
        most = min(self._rules.merge_jobs, self.batching.most, self._most_by_limit())
        return max(0, most - len(self.jobs.running))

    def _most_by_limit(self) -> int:
        """How many samplings there may be by what its process may take."""
        limit, memory, each = self._rules.memory_limit, self.health.memory, self.batching.memory
        is_host = self.ready is not None and self.ready.device == "cpu"
        if limit is None or memory is None or not each or not is_host:
            return MOST_JOBS
        return max(0, limit - memory) // each

    def begin(self, run: RunJob) -> None:
        """Hand it a job; see `Supervisor.run`."""
        is_beside = self._may_join(run)
        if not (self.free_slots or is_beside) or self._process is None:
            raise WorkerNotIdle(f"{self._spec.name} accepts no job now", given=self.state)
        self._process.send(replace(run, beside=is_beside))
        self.is_new = False
        before = self.jobs.running
        if is_beside:
            self.jobs.add_beside(run)
        else:
            self.jobs.add(run)
        self._changed([each for each in self.jobs.running if each not in before])

    def _may_join(self, run: RunJob) -> bool:
        constraints = self.jobs.partners if self.free_batch_slots else None
        if constraints is None or run.job in constraints.jobs:
            return False
        return constraints.fits(run.sampling, run.models)

    def begin_help(self, run: RunJob) -> None:
        """Have it compute along with a job that another worker has, until it is given its own.

        Raises:
            WorkerNotIdle: It has something else to do, or is gone.
            ProtocolFault: The job is too large to be sent.
        """
        if self.state != "idle" or self._is_to_end or self.help or self._process is None:
            raise WorkerNotIdle(f"{self._spec.name} cannot help now", given=self.state)
        order = run.as_dict()
        self._process.send(Help(order.pop("job"), order.pop("attempt"), _without(order, "kind")))
        self.is_new = False
        self.help = HelpAssignment(run.job, run.attempt, run.models)
        self.health.job_began(_HELP, _without(run.options, "deadline"))

    def stop_help(self, reason: str) -> None:
        """Have it help no more."""
        if self.help is not None and not self.help.is_stopped:
            self.help.is_stopped = True
            self.send(StopHelp(self.help.job, self.help.attempt, reason))
            self.health.job_cancelled(_HELP)

    def send(self, message: Message) -> None:
        """Send it something else, if it lives."""
        if self._process is not None:
            self._process.send(message)

    def stop_job(self, message: Cancel | Release) -> bool:
        """Have it stop its job or give it back; False if it hasn't that one."""
        if not self.jobs.has(message.job, message.attempt):
            return False
        self.send(message)
        if isinstance(message, Cancel):
            self._cancelled.add((message.job, message.attempt))
            for run in self.jobs.running:
                self._note_cancelled(run)
        return True

    def _note_cancelled(self, run: RunJob) -> None:
        """A job must stop soon, if it was cancelled; maybe before it had begun."""
        if (run.job, run.attempt) in self._cancelled and run.job in self.health.jobs:
            self.health.job_cancelled(run.job)

    # Its end

    def watch(self, seconds: float) -> None:
        """Look after it; called every now and then.

        Args:
            seconds: That have passed.
        """
        self._lines.reset_log_limit()
        if self.pid is None or self._fault is not None:
            return
        was_joinable = bool(self.free_batch_slots)
        for run in self.jobs.take_held_up():
            self.send(Release(run.job, run.attempt, "the previous job is still running"))
        if self.free_batch_slots and not was_joinable:
            self._tell(self._on.joinable, self._spec.name)
        self.health.advance(seconds)
        illness = self.health.find_fault()
        if illness is not None:
            self.was_of_use |= self.health.has_unstopped_job
            self.kill(illness)

    def kill(self, reason: str) -> None:
        """End it at once."""
        if self._process is None:
            return
        if self._fault is None:
            self._fault = reason
        # Before it is ready it may not know how to write them.
        self._process.kill(with_traces=self.ready is not None)

    def end_when_free(self) -> None:
        """Have it end once it has no job."""
        self._is_to_end = True
        self._end_if_free()

    def _end_if_free(self) -> None:
        if self._is_to_end and not self.jobs.running and self.state != "stopping":
            self.end()

    def end(self) -> None:
        """Ask it to give back its jobs and end."""
        self._is_to_end = True
        if self._process is None:
            if self._starting is not None:
                # Where nobody answers on a cluster, it may take for ever.
                self._starting.cancel()
            return
        if self.state == "starting":
            # It has nothing to lose, and may not listen yet.
            self._process.terminate()
        else:
            self._process.send(Shutdown())
        self.health.asked_to_end()
        self.state = "stopping"

    def terminate(self) -> None:
        """Ask it to end at once, as it was asked to end before."""
        if self._process is not None:
            self._process.terminate()


def _reason(code: int | None, killer: str | None) -> str:
    if killer is None:
        return f"it exited with code {code}"
    hint = ", as the system does when memory runs out" if killer == "SIGKILL" else ""
    return f"it was killed by {killer}{hint}"


def _without(fields: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != name}


def _is_of(run: RunJob, ended: Ended) -> bool:
    return (run.job, run.attempt) == (ended.job, ended.attempt)


def _not_its_own(message: RunEvents | Ended | HelpUpdate) -> ProtocolFault:
    job_attempt = f"{message.job}, {message.attempt}"
    return ProtocolFault("a worker reports on a job that it does not have", given=job_attempt)
