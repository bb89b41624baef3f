"""Workflows are written as Python scripts for whoever asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nodegraph.jobs.worker.planner import PlannerAnswers
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings
from tests.server.hosting import Hosted, prepared_home

WORKFLOW: dict[str, Any] = {
    "format": "nodegraph/1",
    "title": "Seeds",
    "nodes": {
        "seed": {"type": "Seed", "inputs": {"seed": 2**64 - 1}},
        "load": {"type": "LoadImage", "inputs": {"path": f"upload:{'0' * 64}/apple.png"}},
        "later": {"type": "pack:Unknown"},
    },
}


@pytest.fixture(scope="module")
def answers(
    tmp_path_factory: pytest.TempPathFactory, known_packs: Path
) -> Iterator[PlannerAnswers]:
    """Those of a planner within this process."""
    home = prepared_home(tmp_path_factory.mktemp("planner") / "home", known_packs)
    found = PlannerAnswers(lambda: Session(Settings(home=home)))
    yield found
    found.close()


@pytest.fixture
def planner(
    server: Hosted, answers: PlannerAnswers, monkeypatch: pytest.MonkeyPatch
) -> httpx.Client:
    """Asks a server that has a planner within this process."""

    async def ask(question: str, arguments: dict[str, Any], timeout: float) -> Any:
        return answers.answer(question, json.loads(json.dumps(arguments)))

    monkeypatch.setattr(server.services.supervisor, "ask", ask)
    return server.client


def test_the_script_builds_the_very_same(planner: httpx.Client) -> None:
    answer = planner.post("/script", json={"workflow": WORKFLOW})
    assert answer.status_code == 200, answer.text
    script = answer.json()["text"]
    assert "g.Seed(" in script
    assert "give paths of your own" in script
    names: dict[str, Any] = {}
    exec(compile(script, "script.py", "exec"), names)
    assert names["g"].to_dict() == WORKFLOW


def test_what_is_none_is_refused(planner: httpx.Client) -> None:
    for wish in ({}, {"workflow": {"nodes": 3}}, {"workflow": WORKFLOW, "more": 1}):
        assert planner.post("/script", json=wish).status_code == 422


def test_without_a_planner_it_is_said_so(server: Hosted) -> None:
    assert server.client.post("/script", json={"workflow": WORKFLOW}).status_code == 503
