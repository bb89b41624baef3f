"""Requests to the planner: sent one at a time, and again if it dies over one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

from nodegraph.jobs.supervisor.errors import NoAnswer, NoAnswerYet, QuestionFailed
from nodegraph.jobs.supervisor.messages import Answer, Ask

_MOST_DEATHS = 2
"""Of the planner over one question."""
_MOST_WAITING = 1000


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

    async def ask(self, question: str, arguments: Mapping[str, Any], timeout: float) -> Any:
        """The answer; see `Supervisor.ask`."""
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
