"""Supervise worker processes, and pass messages between them and the server."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import count
from operator import itemgetter
from time import monotonic
from typing import Any

from nodegraph.jobs.queue import JobCriteria
from nodegraph.jobs.supervisor.distributed_run import WorkerHelpers
from nodegraph.jobs.supervisor.errors import NoAnswer, NoAnswerYet, QuestionFailed, WorkerNotIdle
from nodegraph.jobs.supervisor.messages import Answer, Ask, Cancel, Release, RunJob
from nodegraph.jobs.supervisor.placement import NO_MEMORY, WorkerCandidate, WorkerMemory, rooms_of
from nodegraph.jobs.supervisor.starter import LocalStarter, Starter
from nodegraph.jobs.supervisor.worker import Worker
from nodegraph.jobs.supervisor.worker_process import SupervisedProcess
from nodegraph.jobs.supervisor.worker_spec import SupervisionRules, WorkerSpec
from nodegraph.jobs.supervisor.worker_status import WorkerObserver, WorkerStatus

_MOST_DEATHS = 2
"""Of the planner over one question."""
_MOST_WAITING = 1000
_AGAIN = 0.5
"""Seconds after which a question is asked again that was not answered."""


class _Question:
    """A question, and who waits for its answer."""

    def __init__(self, ask: Ask, future: asyncio.Future[Any]) -> None:
        self.ask = ask
        self.future = future
        self.deaths = 0
        self.age = 0.0


class PlannerRequests:
    """What is asked of one planner; used on one event loop.

    Args:
        send: Sends a question to the planner, which is ready.
        most_seconds: That an answer may take.
    """

    def __init__(self, send: Callable[[Ask], None], most_seconds: float) -> None:
        self._send = send
        self._most_seconds = most_seconds
        self._waiting: deque[_Question] = deque()
        self._asked: _Question | None = None
        self._is_ready = False
        self._ids = count(1)
        self._closed: str | None = None
        self._held_up: str | None = None

    async def ask(
        self,
        question: str,
        arguments: Mapping[str, Any],
        timeout: float,
        patience: float = 0.0,
    ) -> Any:
        """The answer; see `Supervisor.ask`."""
        clock = asyncio.get_running_loop().time
        until = clock() + patience
        while True:
            try:
                return await self._ask(question, arguments, timeout)
            except NoAnswerYet:
                if clock() >= until:
                    raise
            await asyncio.sleep(min(_AGAIN, patience))

    async def _ask(self, question: str, arguments: Mapping[str, Any], timeout: float) -> Any:
        if self._closed is not None:
            raise NoAnswer(self._closed)
        if self._held_up is not None:
            raise _busy(self._held_up)
        if len(self._waiting) >= _MOST_WAITING:
            raise NoAnswerYet("too many requests wait for the planner", given=str(_MOST_WAITING))
        future = asyncio.get_running_loop().create_future()
        pending = _Question(Ask(next(self._ids), question, arguments), future)
        self._waiting.append(pending)
        self._next()
        try:
            return await asyncio.wait_for(future, timeout)
        except asyncio.TimeoutError:
            raise NoAnswerYet(
                f"the planner did not answer `{question}` in time", expected=f"{timeout:g} s"
            ) from None

    def _next(self) -> None:
        """Ask the next question that somebody still waits for."""
        while self._is_ready and self._asked is None and self._waiting:
            question = self._waiting.popleft()
            if question.future.done():
                continue
            self._asked = question
            question.age = 0.0
            try:
                self._send(question.ask)
            except Exception as error:  # noqa: BLE001 - such as one that can't be sent; who asked is told
                self._asked = None
                question.future.set_exception(error)

    def ready(self) -> None:
        """The planner has started."""
        self._is_ready = True
        self._next()

    def answered(self, answer: Answer) -> None:
        """The planner has answered."""
        question = self._asked
        if question is None or answer.id != question.ask.id:
            return
        self._asked = None
        if not question.future.done():
            if answer.error is not None:
                question.future.set_exception(QuestionFailed(dict(answer.error)))
            else:
                question.future.set_result(answer.value)
        self._next()

    def died(self, reason: str) -> None:
        """The planner is gone, for now."""
        self._is_ready = False
        question, self._asked = self._asked, None
        if question is None or question.future.done():
            return
        question.deaths += 1
        if question.deaths < _MOST_DEATHS:
            self._waiting.appendleft(question)
        else:
            what = question.ask.question
            question.future.set_exception(
                NoAnswer(
                    f"the planner died while it answered `{what}` {question.deaths} times: {reason}"
                )
            )

    def set_blocked(self, by: str | None) -> None:
        """Tell all who ask that code of a pack keeps the planner from answering; None if none does.

        What it has been asked already, it may still answer, to nobody.
        """
        self._held_up = by
        if by is None:
            return
        current = [self._asked] if self._asked is not None else []
        for question in (*current, *self._waiting):
            if not question.future.done():
                question.future.set_exception(_busy(by))
        self._waiting.clear()

    def overdue(self, seconds: float) -> bool:
        """Whether the planner takes too long over a question.

        Args:
            seconds: That have passed since this was asked last.
        """
        if self._asked is None:
            return False
        self._asked.age += seconds
        return self._asked.age > self._most_seconds

    def close(self, reason: str) -> None:
        """Nobody answers any more."""
        self._closed = reason
        self._is_ready = False
        waiting = [*self._waiting, *([self._asked] if self._asked is not None else [])]
        self._waiting.clear()
        self._asked = None
        for question in waiting:
            if not question.future.done():
                question.future.set_exception(NoAnswer(reason))


def _busy(by: str) -> NoAnswerYet:
    return NoAnswerYet(
        f"there is no answer now: {by}", hint="Fix or remove the slow pack, or wait for it."
    )


class Supervisor:
    """Starts workers, watches them, and starts them again when they die.

    All of it is used on one event loop. The thread of that loop must outlive the workers: where the
    system ties them to it, they die with it.

    Args:
        specs: The workers that there are at first, at most one planner among them.
        on: Is told what happens.
        rules: When a worker counts as ill.
        starter: Starts the processes of those that run jobs, if not on this machine.
        clock: Seconds, from any start.

    Attributes:
        helpers: Those of the workers that help with others' jobs, or could.
    """

    def __init__(
        self,
        specs: Sequence[WorkerSpec],
        on: WorkerObserver,
        rules: SupervisionRules | None = None,
        *,
        starter: Starter | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._rules = rules or SupervisionRules()
        self._on = on
        self._local = LocalStarter()
        self._starter = starter or self._local
        self._clock = clock
        self._questions = PlannerRequests(self._send_question, self._rules.question_seconds)
        self._workers = {spec.name: self._made(spec) for spec in specs}
        self.helpers = WorkerHelpers(self._workers)
        # Those that are started anew for the sake of one job, until they have it.
        self._awaited: set[str] = set()
        self._retired: set[str] = set()
        if len(self._workers) < len(specs):
            raise ValueError("two workers have the same name")
        planners = [worker for worker in self._workers.values() if worker.spec.role == "planner"]
        if len(planners) > 1:
            raise ValueError("there is more than one planner")
        self._planner = planners[0] if planners else None
        if self._planner is None:
            self._questions.close("there is no planner")
        self._watching: asyncio.Task[None] | None = None
        # The planner's process, and what it knows of.
        self._told: tuple[SupervisedProcess, WorkerMemory | None] | None = None

    def _made(self, spec: WorkerSpec) -> Worker:
        starter = self._local if spec.role == "planner" else self._starter
        return Worker(spec, self._rules, self._on, self._questions, starter, self._clock)

    def add(self, spec: WorkerSpec) -> None:
        """Start one more worker, of a name that no other has."""
        if spec.name in self._workers:
            raise ValueError("two workers have the same name")
        self._workers[spec.name] = worker = self._made(spec)
        worker.start()

    def retire(self, worker: str) -> bool:
        """End a worker that has no job, and start it no more; False if somebody waits for it."""
        entry = self._workers[worker]
        if entry.process.jobs.count or worker in self._awaited:
            return False
        self._retired.add(worker)
        entry.retire()
        return True

    async def start(self) -> None:
        """Start all; returns before they are ready."""
        for worker in self._workers.values():
            worker.start()
        self._watching = asyncio.get_running_loop().create_task(self._watch(), name="watch workers")

    async def _watch(self) -> None:
        every = self._rules.check_seconds
        last = self._clock()
        while True:
            await asyncio.sleep(every)
            now = self._clock()
            # While this process was held up, or the machine slept, it heard nothing that was said.
            seconds, last = min(now - last, 2 * every), now
            for name, worker in list(self._workers.items()):
                worker.process.watch(seconds)
                if worker.is_over and name in self._retired:
                    self._retired.discard(name)
                    del self._workers[name]
            if self._planner is not None:
                self._questions.set_blocked(self._planner.process.health.stuck)
                if self._questions.overdue(seconds):
                    limit = self._rules.question_seconds
                    self._planner.process.kill(f"it did not answer a request within {limit:g} s")

    @property
    def workers(self) -> list[WorkerStatus]:
        """How they all are, in the order of their specs."""
        return [worker.status for worker in self._workers.values()]

    @property
    def idle(self) -> list[str]:
        """Names of the workers that have nothing to do."""
        return [
            name
            for name, worker in self._workers.items()
            if worker.state == "idle" and worker is not self._planner
        ]

    @property
    def free(self) -> list[str]:
        """Names of the workers that would take a job now, those with the fewest jobs first.

        One that would take several is there as often; those that don't take all jobs come last, and
        of others those that help with a job; after them those that would take some beside what
        they run.
        """
        places = [
            (
                worker.spec.without_gpu,
                worker.process.jobs.count + at,
                bool(worker.process.help),
                name,
            )
            for name, worker in self._workers.items()
            if worker is not self._planner
            for at in range(worker.process.free_slots)
        ]
        joinable = [
            name
            for name, worker in self._workers.items()
            for _ in range(worker.process.free_batch_slots)
        ]
        return [*(name for *_, name in sorted(places, key=itemgetter(0, 1, 2))), *joinable]

    def criteria_for(self, worker: str) -> JobCriteria:
        """What jobs a worker is to be given."""
        entry = self._workers[worker]
        constraints = entry.process.jobs.partners if entry.process.free_batch_slots else None
        if constraints is not None:
            return JobCriteria(models=constraints.models, partners=constraints)
        is_spared = entry.spec.without_gpu
        helps = any(each.spec.without_gpu and _is_there(each) for each in self._workers.values())
        return JobCriteria(is_spared, helps and not is_spared, entry.process.models.held)

    def candidates(self, workers: Iterable[str]) -> list[WorkerCandidate]:
        """What some workers are for, and hold now."""
        return [self._candidate(name) for name in workers]

    def _candidate(self, worker: str) -> WorkerCandidate:
        spec, life = self._workers[worker].spec, self._workers[worker].process
        room = None if life.ready is None else life.ready.room
        free = None if room is None else room["free"]
        return WorkerCandidate(
            worker,
            spec.without_gpu,
            life.jobs.count > 0,
            models=life.models.held,
            room=free,
            is_helping=life.help is not None,
        )

    def status(self, worker: str) -> WorkerStatus:
        """How one is.

        Raises:
            KeyError: There is none of that name.
        """
        return self._workers[worker].status

    def run(self, worker: str, run: RunJob) -> None:
        """Hand a job to a free worker.

        Raises:
            WorkerNotIdle: It takes none now, or is gone since.
            ProtocolFault: The job is too large to be sent; the worker stays idle.
        """
        if worker not in self._workers:
            raise WorkerNotIdle(f"{worker} has ended", given="stopped")
        self._workers[worker].process.begin(run)
        self._awaited.discard(worker)

    def ensure_new(self, worker: str) -> bool:
        """Whether a worker has had no job yet; else it is started anew, once it has none."""
        entry = self._workers[worker]
        if entry.process.is_new:
            return True
        self._awaited.add(worker)
        entry.renew()
        return False

    def cancel(self, job: str, attempt: int, reason: str = "") -> bool:
        """Ask for a job to be stopped; False if no worker has it at that attempt."""
        return self._stop_job(Cancel(job, attempt, reason))

    def release(self, job: str, attempt: int, reason: str = "") -> bool:
        """Ask for a job to be given back; False if no worker has it at that attempt."""
        return self._stop_job(Release(job, attempt, reason))

    def _stop_job(self, message: Cancel | Release) -> bool:
        return any(worker.process.stop_job(message) for worker in self._workers.values())

    async def ask(
        self,
        question: str,
        arguments: Mapping[str, Any] | None = None,
        timeout: float = 60.0,
        patience: float = 0.0,
    ) -> Any:
        """The planner's answer.

        A question waits while the planner starts, and is asked once more if it dies over it.

        Args:
            patience: Seconds for which it is asked again while there is none, as while the planner
                imports a pack.
        Raises:
            QuestionFailed: The answer is an error; it says which.
            NoAnswer: There is no planner; `NoAnswerYet` if none came in time.
        """
        return await self._questions.ask(question, arguments or {}, timeout, patience)

    def _send_question(self, ask: Ask) -> None:
        assert self._planner is not None
        planner = self._planner.process
        if ask.question == "plan":
            stock = self._next_stock()
            is_known = self._told == (planner, stock)
            news = NO_MEMORY if stock is None else stock.to_update(is_known=is_known)
            ready = (life.ready for life in self._living())
            planner.send(replace(news, rooms=rooms_of(each for each in ready if each is not None)))
            self._told = planner, stock
        planner.send(ask)

    def _next_stock(self) -> WorkerMemory | None:
        """What that worker holds which would take the next job; None if there is none."""
        there = [(each.spec.without_gpu, each.process.jobs.count) for each in self._there()]
        return self._living()[there.index(min(there))].memory if there else None

    def _living(self) -> list[SupervisedProcess]:
        """Of the workers that run jobs, or would."""
        return [worker.process for worker in self._there()]

    def _there(self) -> list[Worker]:
        workers = self._workers.values()
        return [each for each in workers if each is not self._planner and _is_there(each)]

    def renew(self, workers: Iterable[str] | None = None) -> None:
        """Start processes again, each once it has no job: the code of packs has changed.

        Args:
            workers: Names of some; all if None.
        """
        for name in self._workers if workers is None else self._workers.keys() & set(workers):
            self._workers[name].renew()

    async def stop(self) -> None:
        """Ask all to give back what they run and end, kill those that don't, and wait for it.

        The observer is told of each job: `ended` as released or finished, or `died`.
        """
        self._questions.close("the server is stopping")
        try:
            await asyncio.gather(*(worker.stop() for worker in self._workers.values()))
        finally:
            if self._watching is not None:
                self._watching.cancel()
                with suppress(asyncio.CancelledError):
                    await self._watching


def _is_there(worker: Worker) -> bool:
    """Whether it runs a job, or would."""
    return worker.state in ("idle", "busy")
