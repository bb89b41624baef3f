"""Packs' own checks are asked for when a job is submitted, unless it would have to wait long."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from nodegraph.jobs.supervisor.errors import NoAnswer
from nodegraph.jobs.supervisor.supervisor import Supervisor
from nodegraph.jobs.supervisor.worker_status import WorkerState, WorkerStatus
from nodegraph.server.workflows.checks import PackChecks
from nodegraph.server.workflows.node_types import DeclaredTypes, load_declared_types
from nodegraph.session.node_types import all_packs, specs_folder
from nodegraph.session.settings import Settings
from tests.server.hosting import ONCE, PATIENCE, Process, workflow

GOOD, BAD = ({"type": "sums:Checked", "inputs": {"path": path}} for path in ("good", "bad"))
SAID = {"code": "pack", "message": "this is bad", "node": "look"}


@dataclass
class Planner:
    """Answers as a supervisor does whose planner is as it says."""

    state: WorkerState = "idle"
    problems: list[dict[str, Any]] = field(default_factory=list)
    is_silent: bool = False
    asked: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def workers(self) -> list[WorkerStatus]:
        return [WorkerStatus("planner", "planner", self.state, "cpu")]

    async def ask(self, question: str, arguments: Mapping[str, Any], timeout: float) -> Any:
        assert question == "check"
        self.asked.append(arguments)
        if self.is_silent:
            raise NoAnswer("no answer in time")
        return {"valid": not self.problems, "problems": self.problems}


@pytest.fixture(scope="module")
def types(known_packs: Path) -> DeclaredTypes:
    settings = Settings(home=known_packs)
    return load_declared_types(all_packs(settings), specs_folder(settings))


def asked(planner: Planner, types: DeclaredTypes, *wishes: tuple[Any, Any]) -> list[list[str]]:
    """What is found in workflows, each with parameters, one after the other."""

    async def ask() -> list[list[str]]:
        checks = PackChecks(cast(Supervisor, planner))
        found = []
        for document, parameters in wishes:
            question = {"workflow": document, "parameters": parameters}
            problems = await checks.problems(document, question, types)
            found.append([problem.message for problem in problems])
        return found

    return asyncio.run(ask())


def test_only_what_has_checks_is_asked_about_and_that_once(types: DeclaredTypes) -> None:
    planner = Planner()
    plain, checked = (workflow(), {}), (workflow(look=GOOD), {})
    inner = workflow(block={"type": "inner"}) | {"subgraphs": {"inner": {"nodes": {"a": GOOD}}}}
    assert asked(planner, types, plain, checked, checked, plain) == [[]] * 4
    assert len(planner.asked) == 1
    assert asked(planner, types, checked, (workflow(look=GOOD), {"b": 1}), (inner, {})) == [[]] * 3
    assert len(planner.asked) == 4


def sampling(**inputs: Any) -> dict[str, Any]:
    found = workflow(sample={"type": "KSampler", "inputs": inputs})
    inner = {"a": {"type": "KSampler", "inputs": inputs}}
    return found | {"subgraphs": {"inner": {"nodes": inner}}, "parameters": {"s": "sample.seed"}}


def test_another_seed_is_nothing_else_to_ask_about(types: DeclaredTypes) -> None:
    planner = Planner()
    seeds = [(sampling(seed=seed), {}) for seed in (1, 2)]
    assert asked(planner, types, *seeds, (sampling(), {})) == [[]] * 3
    assert len(planner.asked) == 1
    assert asked(planner, types, *((sampling(), {"s": seed}) for seed in (1, 2))) == [[]] * 2
    assert len(planner.asked) == 2
    linked = (sampling(seed={"from": "two"}), {})
    assert asked(planner, types, (sampling(), {}), linked, (sampling(steps=3), {})) == [[]] * 3
    assert len(planner.asked) == 5


def test_what_is_wrong_is_asked_about_again(types: DeclaredTypes) -> None:
    planner = Planner(problems=[SAID])
    bad = (workflow(look=BAD), {})
    assert asked(planner, types, bad, bad) == [["this is bad"]] * 2
    assert len(planner.asked) == 2


def test_nobody_waits_for_a_planner_that_is_not_there(types: DeclaredTypes) -> None:
    states: list[WorkerState] = ["starting", "dead", "stopped"]
    for state in states:
        planner = Planner(state, problems=[SAID])
        assert asked(planner, types, (workflow(look=BAD), {})) == [[]]
        assert planner.asked == []
    planner = Planner(is_silent=True)
    assert asked(planner, types, *[(workflow(look=BAD), {})] * 2) == [[], []]
    assert len(planner.asked) == 2


@pytest.fixture
def serving(home: Path) -> Iterator[Process]:
    with Process(home, "--workers", "0") as found:
        yield found.ready()


def when_the_planner_has_time(client: httpx.Client, wish: Any) -> httpx.Response:
    """How a job that is to be refused is answered; where nobody has time to check it, it isn't."""
    end = time.monotonic() + PATIENCE
    while (answer := client.post("/jobs", json=wish)).status_code == 202:
        assert time.monotonic() < end, "nobody has ever checked it"
        time.sleep(0.05)
    assert answer.status_code == 422
    return answer


@pytest.mark.slow
def test_submitting_refuses_what_validating_refuses(serving: Process) -> None:
    with httpx.Client(
        base_url=f"{serving.url}/api/v1", timeout=PATIENCE, trust_env=False, limits=ONCE
    ) as client:
        bad = {"workflow": workflow(look=BAD)}
        told = client.post("/validate", json=bad).json()  # waits for the planner
        refused = when_the_planner_has_time(client, bad)
        (problem,) = refused.json()["problems"]
        assert problem == told["problems"][0]
        assert (problem["node"], problem["port"]) == ("look", "path")
        assert client.post("/jobs", json={"workflow": workflow(look=GOOD)}).status_code == 202
        (planner,) = client.get("/system").json()["workers"]
        os.kill(planner["pid"], signal.SIGKILL)
        end = time.monotonic() + PATIENCE
        while client.get("/system").json()["workers"][0]["pid"] == planner["pid"]:
            assert time.monotonic() < end
        assert client.post("/jobs", json=bad).status_code in (202, 422)
        assert client.post("/jobs", json={"workflow": workflow(look=GOOD)}).status_code == 202
