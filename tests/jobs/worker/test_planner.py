"""The planner answers until it is told to end, and isn't hurt by what comes later."""

from __future__ import annotations

import asyncio
from typing import Any

from nodegraph.jobs.supervisor.messages import Answer, Ask
from nodegraph.jobs.supervisor.protocol import Message
from nodegraph.jobs.worker.planner import Planner


class Echo:
    """Answers with the question."""

    def answer(self, question: str, arguments: Any) -> Any:
        return {question: arguments}


class Box:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, message: Message) -> None:
        self.sent.append(message)


def test_questions_before_and_after_the_end() -> None:
    loop = asyncio.new_event_loop()
    box = Box()
    planner = Planner(Echo(), box, loop)  # type: ignore[arg-type] # what it needs of them
    planner.receive(Ask(1, "plan", {"seed": 3}))
    planner.end("the server is stopping")
    loop.run_until_complete(planner.serve())
    loop.close()
    planner.receive(Ask(2, "plan", {}))
    planner.end("the server has ended")
    assert box.sent == [Answer(1, {"plan": {"seed": 3}})]
