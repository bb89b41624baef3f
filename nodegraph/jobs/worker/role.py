"""What a worker process is for: running jobs, or answering questions for the server."""

from __future__ import annotations

import asyncio
from typing import Protocol

from nodegraph.errors import Problem
from nodegraph.jobs.supervisor.errors import ProtocolFault
from nodegraph.jobs.supervisor.message import Message
from nodegraph.jobs.supervisor.messages import Answer, Ask, MemoryUpdate
from nodegraph.jobs.worker.answers import PlannerAnswers
from nodegraph.jobs.worker.faults import error_from_problems, error_to_dict
from nodegraph.jobs.worker.pipes import Outbox, call_threadsafe
from nodegraph.session.settings import path_redactor


class Role(Protocol):
    """The work of a process, on the event loop of its main thread."""

    @property
    def job(self) -> str | None:
        """Id of the job that it has."""

    def receive(self, message: Message) -> None:
        """The server says something; in the listening thread."""

    def end(self, reason: str) -> None:
        """Come to an end soon, and lose nothing; from any thread."""

    async def serve(self) -> None:
        """Work until it has come to an end."""


class Planner:
    """Answers one question after the other; see `Role`. Made on the event loop's thread."""

    def __init__(
        self, answers: PlannerAnswers, outbox: Outbox, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._answers = answers
        self._outbox = outbox
        self._loop = loop
        self._waiting: asyncio.Queue[Ask | MemoryUpdate | None] = asyncio.Queue()

    @property
    def job(self) -> str | None:
        return None

    def receive(self, message: Message) -> None:
        if not isinstance(message, Ask | MemoryUpdate):
            raise ProtocolFault("a planner takes no jobs", given=message.kind)
        self._put(message)

    def end(self, reason: str) -> None:
        self._put(None)

    def _put(self, message: Ask | MemoryUpdate | None) -> None:
        # A question may still come behind the order to end; who asked hears of the end.
        call_threadsafe(self._loop, lambda: self._waiting.put_nowait(message))

    async def serve(self) -> None:
        while (ask := await self._waiting.get()) is not None:
            if isinstance(ask, MemoryUpdate):
                self._answers.update_memory(ask)
                continue
            answer = self._answer(ask)
            try:
                self._outbox.send(answer)
            except ProtocolFault as fault:
                problem = Problem(fault.code, f"the answer can't be told: {fault}")
                self._outbox.send(Answer(ask.id, error=error_from_problems([problem])))

    def _answer(self, ask: Ask) -> Answer:
        try:
            return Answer(ask.id, self._answers.answer(ask.question, ask.arguments))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - of a pack's hook, maybe
            places = path_redactor(self._answers.session.settings)
            return Answer(ask.id, error=places.redact_json(error_to_dict(error)))
