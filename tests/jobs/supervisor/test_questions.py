"""Questions wait for a planner, are asked one by one, and outlive it once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nodegraph.jobs.supervisor.errors import (
    NoAnswer,
    NoAnswerYet,
    ProtocolFault,
    QuestionFailed,
)
from nodegraph.jobs.supervisor.messages import Answer, Ask
from nodegraph.jobs.supervisor.supervisor import PlannerRequests
from tests.messages import raises


class Desk:
    """A planner that answers when the test says."""

    def __init__(self) -> None:
        self.asked: list[Ask] = []
        self.questions = PlannerRequests(self.asked.append, 10.0)

    def ask(self, question: str, timeout: float = 60.0) -> asyncio.Task[Any]:
        return asyncio.ensure_future(self.questions.ask(question, {}, timeout))

    def answer(self, value: Any = None, error: dict[str, Any] | None = None) -> None:
        self.questions.answered(Answer(self.asked[-1].id, value, error))


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def test_one_question_after_the_other_is_asked_once_there_is_a_planner() -> None:
    async def use() -> None:
        desk = Desk()
        first, second = desk.ask("one"), desk.ask("two")
        await turn()
        assert not desk.asked
        desk.questions.ready()
        assert [ask.question for ask in desk.asked] == ["one"]
        desk.answer(1)
        desk.answer(2)
        assert (await first, await second) == (1, 2)

    asyncio.run(use())


def test_an_error_is_raised_with_its_problems() -> None:
    async def use() -> None:
        desk = Desk()
        desk.questions.ready()
        asked = desk.ask("one")
        await turn()
        problems = [{"code": "a", "message": "wrong"}, {"code": "b", "message": "bad", "node": "x"}]
        desk.answer(error={**problems[0], "problems": problems})
        with pytest.raises(QuestionFailed) as failure:
            await asked
        assert [problem.as_dict() for problem in failure.value.problems] == problems
        assert failure.value.problem.code == "a"

    asyncio.run(use())


def test_a_question_outlives_one_planner_and_not_two() -> None:
    async def use() -> None:
        desk = Desk()
        desk.questions.ready()
        deadly, other = desk.ask("deadly"), desk.ask("other")
        await turn()
        for _ in range(2):
            desk.questions.died("a fault")
            desk.questions.ready()
        assert [ask.question for ask in desk.asked] == ["deadly", "deadly", "other"]
        desk.answer(3)
        assert await other == 3
        with raises(NoAnswer):
            await deadly

    asyncio.run(use())


def test_who_waits_no_more_is_not_answered_and_holds_nobody_up() -> None:
    async def use() -> None:
        desk = Desk()
        with raises(NoAnswer):
            await desk.questions.ask("early", {}, 0.001)
        desk.questions.ready()
        assert not desk.asked
        late = desk.ask("late", 0.001)
        with raises(NoAnswer):
            await late
        other = desk.ask("other")
        await turn()
        assert [ask.question for ask in desk.asked] == ["late"]
        desk.answer(1)
        desk.answer(2)
        assert await other == 2

    asyncio.run(use())


def test_an_old_answer_is_no_answer_to_the_next_question() -> None:
    async def use() -> None:
        desk = Desk()
        desk.questions.ready()
        asked = desk.ask("one")
        await turn()
        desk.questions.answered(Answer(desk.asked[-1].id + 5, "wrong"))
        assert not asked.done()
        desk.answer("right")
        assert await asked == "right"

    asyncio.run(use())


def test_a_planner_may_take_only_so_long() -> None:
    async def use() -> None:
        desk = Desk()
        desk.questions.ready()
        assert not desk.questions.overdue(1000)
        asked = desk.ask("one")
        await turn()
        assert not desk.questions.overdue(9)
        assert desk.questions.overdue(2)
        desk.answer(1)
        await asked
        assert not desk.questions.overdue(1000)

    asyncio.run(use())


def test_nobody_waits_for_a_planner_that_is_closed() -> None:
    async def use() -> None:
        desk = Desk()
        desk.questions.ready()
        asked = [desk.ask("one"), desk.ask("two")]
        await turn()
        desk.questions.close("the server is stopping")
        for task in asked:
            with raises(NoAnswer):
                await task
        with raises(NoAnswer):
            await desk.questions.ask("three", {}, 1.0)

    asyncio.run(use())


def test_a_question_that_cannot_be_sent_fails_alone() -> None:
    async def use() -> None:
        def send(ask: Ask) -> None:
            raise ProtocolFault("too large")

        questions = PlannerRequests(send, 10.0)
        questions.ready()
        with raises(ProtocolFault):
            await questions.ask("one", {}, 1.0)

    asyncio.run(use())


def test_who_has_patience_is_answered_once_the_planner_is_free_again() -> None:
    async def use() -> None:
        desk = Desk()
        desk.questions.ready()
        desk.questions.set_blocked("pack `slow`: importing it")
        with pytest.raises(NoAnswerYet):
            await desk.ask("one")
        asked = asyncio.ensure_future(desk.questions.ask("two", {}, 60.0, patience=600.0))
        await turn()
        assert not desk.asked
        desk.questions.set_blocked(None)
        while not desk.asked:
            await asyncio.sleep(0.01)
        desk.answer(2)
        assert await asked == 2

    asyncio.run(use())
