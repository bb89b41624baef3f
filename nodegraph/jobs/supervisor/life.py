"""The life of one worker process, from its start to its death."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

from nodegraph.jobs.queue.working import Death
from nodegraph.jobs.supervisor import platforms
from nodegraph.jobs.supervisor.errors import ProtocolFault, WorkerNotIdle
from nodegraph.jobs.supervisor.held import Held
from nodegraph.jobs.supervisor.log_lines import LogLines
from nodegraph.jobs.supervisor.message import Message
from nodegraph.jobs.supervisor.messages import (
    Answer,
    Cancel,
    Ended,
    Heartbeat,
    Ready,
    Release,
    RunEvents,
    RunJob,
    Shutdown,
    StockNews,
)
from nodegraph.jobs.supervisor.observer import WorkerObserver
from nodegraph.jobs.supervisor.placement import LoadedModels
from nodegraph.jobs.supervisor.rules import SupervisionRules, WorkerSpec
from nodegraph.jobs.supervisor.starting import Ears, Exit, Started, Starter
from nodegraph.jobs.supervisor.status import WorkerState
from nodegraph.jobs.supervisor.stock import Stocked
from nodegraph.jobs.supervisor.vitals import Vitals

_LOG = logging.getLogger(__name__)


class Asker(Protocol):
    """Who asks a planner."""

    def ready(self) -> None:
        """It takes questions."""

    def answered(self, answer: Answer) -> None:
        """It has an answer."""

    def died(self, reason: str) -> None:
        """It is gone, for now."""


class Life:
    """A process, what it says and what it is told.

    Args:
        on: Is told what it does.
        asker: Is told what a planner does.
        starter: Starts its process.

    Attributes:
        state: ``dead`` before it has started and once it has ended.
        held: The jobs that it has, or had when it died.
        ready: What it told when it was.
        stock: What it holds in memory.
        models: Which of its jobs' models are in there.
        done: How many jobs it has brought to an end.
        was_of_use: Whether it has brought a job to an end, or was ended to end one.
        has_begun: Whether it had begun its current job when it died, and not for the sake of its
            place.
        is_new: Whether it has had no job yet.
    """

    def __init__(
        self,
        spec: WorkerSpec,
        rules: SupervisionRules,
        on: WorkerObserver,
        asker: Asker,
        starter: Starter,
    ) -> None:
        self._spec = spec
        self._on = on
        self._asker = asker
        self._starter = starter
        self._process: Started | None = None
        self._lines = LogLines(spec.name)
        self._fault: str | None = None
        self._is_to_end = False
        self._cancelled: set[tuple[str, int]] = set()
        self.vitals = Vitals(rules)
        self.state: WorkerState = "starting"
        self.held = Held(rules)
        self.ready: Ready | None = None
        self.stock = Stocked()
        self.models = LoadedModels()
        self.done = 0
        self.was_of_use = False
        self.has_begun = False
        self.is_new = True

    @property
    def pid(self) -> int | None:
        """Of its process, while there is one."""
        return None if self._process is None else self._process.pid

    @property
    def host(self) -> str | None:
        """The machine that its process runs on, if that isn't this one."""
        return None if self._process is None else self._process.host

    async def lived(self) -> Death:
        """Start it, and wait for its death."""
        try:
            return self._death(await self._exit())
        except OSError as error:
            return Death(f"it can't be started: {error}")
        finally:
            self._process = None
            self.state = "dead"

    async def _exit(self) -> Exit:
        ears = Ears(self._told, self._lines.feed, self._misspoke)
        self._process = process = await self._starter.start(self._spec, ears)
        if process.host is None and process.pid is not None:
            self.vitals.born(process.pid)
        if self._is_to_end:
            process.kill()
        return await process.ended()

    def _death(self, exit: Exit) -> Death:
        has_job = self.held.current is not None
        self.has_begun = has_job and exit.has_begun and not exit.is_lost
        killer = None if exit.code is None else platforms.signal_name(exit.code)
        return Death(
            self._fault or exit.reason or _reason(exit.code, killer),
            signal=killer,
            exit_code=exit.code,
            node=exit.node if has_job else None,
            log=self._last_lines(),
            memory=self.vitals.memory,
        )

    def _last_lines(self) -> list[str]:
        lines, places = self._lines.last(), self._spec.places
        return lines if places is None else places.plain(lines)

    # What it says

    def _told(self, message: Message) -> None:
        self.vitals.heard()
        if isinstance(message, RunEvents):
            if not self.held.is_current(message.job, message.attempt):
                raise _not_its_own(message)
            self.vitals.happened(message.events)
            self._tell(self._on.events, message.job, message.attempt, message.events)
        elif isinstance(message, Ended):
            self._ended(message)
        elif isinstance(message, Heartbeat):
            self.vitals.measured(message.memory, message.device_memory)
            self.vitals.stuck = message.stuck
        elif isinstance(message, StockNews):
            self.stock.take(message)
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
        self.vitals.ready()
        self.state = "idle"
        if self._spec.role == "planner":
            self._asker.ready()
        else:
            self._tell(self._on.ready, self._spec.name)

    def _ended(self, ended: Ended) -> None:
        held = self.held
        if not held.has(ended.job, ended.attempt):
            raise _not_its_own(ended)
        is_current = held.is_current(ended.job, ended.attempt)
        if is_current and held.current is not None:
            self.models.ran(held.current.models, self.stock.weights)
        held.remove(ended.job, ended.attempt)
        self._cancelled.discard((ended.job, ended.attempt))
        if is_current:
            self.was_of_use = True
            self.done += 1
            self.vitals.job_ended()
            self._began()
        self._end_if_free()
        self._tell(self._on.ended, ended)

    def _began(self) -> None:
        """It goes on with its next job, if it has one."""
        run = self.held.current
        self._lines.begin(None if run is None else run.job)
        if run is not None:
            self.vitals.job_began(run.options)
            self._note_cancelled()
        if self.state in ("idle", "busy"):
            self.state = "idle" if run is None else "busy"

    def _misspoke(self, fault: ProtocolFault) -> None:
        self.kill(f"it said what isn't understood: {fault}")

    def _tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception:  # noqa: BLE001 - whoever listens must not be able to break supervision
            _LOG.exception("a listener failed when told of %s", self._spec.name)

    # What it is told

    @property
    def places(self) -> int:
        """How many jobs it would take now."""
        is_there = self.state in ("idle", "busy") and not self._is_to_end
        return self.held.places if is_there else 0

    def begin(self, run: RunJob) -> None:
        """Hand it a job; see `Supervisor.run`."""
        if not self.places or self._process is None:
            raise WorkerNotIdle(f"{self._spec.name} takes no job now", given=self.state)
        is_first = self.held.current is None
        self._process.send(run)
        self.is_new = False
        self.held.add(run)
        if is_first:
            self._began()

    def send(self, message: Message) -> None:
        """Send it something else, if it lives."""
        if self._process is not None:
            self._process.send(message)

    def stop_job(self, message: Cancel | Release) -> bool:
        """Have it stop its job or give it back; False if it hasn't that one."""
        if not self.held.has(message.job, message.attempt):
            return False
        self.send(message)
        if isinstance(message, Cancel):
            self._cancelled.add((message.job, message.attempt))
            self._note_cancelled()
        return True

    def _note_cancelled(self) -> None:
        """Its job must stop soon, if it was cancelled; maybe before it had begun."""
        run = self.held.current
        if run is not None and (run.job, run.attempt) in self._cancelled:
            self.vitals.job_cancelled()

    # Its end

    def watch(self, seconds: float) -> None:
        """Look after it; called every now and then.

        Args:
            seconds: That have passed.
        """
        self._lines.breathe()
        if self.pid is None or self._fault is not None:
            return
        for run in self.held.held_up():
            self.send(Release(run.job, run.attempt, "the job before it takes its time"))
        self.vitals.breathe(seconds)
        illness = self.vitals.illness()
        if illness is not None:
            self.was_of_use |= self.vitals.has_stubborn_job
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
        if self._is_to_end and self.held.current is None and self.state != "stopping":
            self.end()

    def end(self) -> None:
        """Ask it to give back its job and end."""
        self._is_to_end = True
        if self._process is None:
            return
        if self.state == "starting":
            # It has nothing to lose, and may not listen yet.
            self._process.terminate()
        else:
            self._process.send(Shutdown())
        self.vitals.asked_to_end()
        self.state = "stopping"

    def terminate(self) -> None:
        """Ask it to end at once, as it was asked to end before."""
        if self._process is not None:
            self._process.terminate()


def _reason(code: int | None, killer: str | None) -> str:
    if killer is None:
        return f"it ended by itself, with exit code {code}"
    hint = ", as the system does when memory runs out" if killer == "SIGKILL" else ""
    return f"it was killed by {killer}{hint}"


def _not_its_own(message: RunEvents | Ended) -> ProtocolFault:
    given = f"{message.job}, {message.attempt}"
    return ProtocolFault("a worker tells of a job that it hasn't", given=given)
