"""Plans know what the worker holds in memory that would run the job."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.jobs.supervisor.messages import MemoryUpdate
from nodegraph.jobs.supervisor.placement import WorkerMemory
from tests.jobs.supervisor.crew import Crew, crew, remember_slow_disk, run_of


def _lengths(plus: int) -> dict[str, Any]:
    return {"long": ("Long", {"value": 1}), "it": ("Length", {"text": "@long", "plus": plus})}


@pytest.fixture(autouse=True)
def _slow_disk() -> None:
    """What is in memory alone is what these tests are about."""
    remember_slow_disk()


async def _planned(team: Crew, nodes: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    workflow = run_of(nodes).workflow
    plan = await team.supervisor.ask("plan", {"workflow": workflow, "targets": ["it"]})
    return {name: (node["status"], node["reason"]) for name, node in plan["nodes"].items()}


def test_a_result_in_the_memory_of_the_worker_alone_need_not_run(tmp_path: Path) -> None:
    async def use() -> None:
        async with crew(tmp_path, planner=True) as team:
            await team.run(_lengths(0), targets=["it"])
            for plus in (1, 2):
                assert await _planned(team, _lengths(plus)) == {
                    "long": ("hit", "kept"),
                    "it": ("run", "new"),
                }
            ended = await team.run(_lengths(2), "again", targets=["it"])
            assert ended.outputs is not None
            assert ended.outputs["nodes"] == {"ran": 1, "cached": 1}

    asyncio.run(use())


@pytest.mark.slow
def test_a_worker_that_died_holds_nothing(tmp_path: Path) -> None:
    async def use() -> None:
        async with crew(tmp_path, planner=True) as team:
            await team.run(_lengths(0), targets=["it"])
            assert (await _planned(team, _lengths(1)))["long"] == ("hit", "kept")
            os.kill(team.pid(), signal.SIGKILL)
            await team.ready(2)
            assert (await _planned(team, _lengths(1)))["long"][0] == "run"

    asyncio.run(use())


@pytest.mark.slow
def test_it_is_the_memory_of_the_worker_that_comes_next(tmp_path: Path) -> None:
    async def use() -> None:
        async with crew(tmp_path, workers=2, planner=True) as team:
            await team.ready(2)
            await team.run(_lengths(0), targets=["it"])
            wait = {"it": ("Wait", {"here": team.path("here"), "gate": team.path("gate")})}
            team.begin(wait, "busy", targets=["it"])
            await team.there("here")
            assert (await _planned(team, _lengths(1)))["long"][0] == "run"
            Path(team.path("gate")).touch()
            await team.watch.until(lambda: len(team.watch.ends) == 2)
            assert (await _planned(team, _lengths(1)))["long"] == ("hit", "kept")

    asyncio.run(use())


steps = st.one_of(
    st.tuples(st.just("put"), st.sampled_from("abcd"), st.integers(0, 9)),
    st.tuples(st.just("forget"), st.sampled_from("abcd"), st.just(0)),
    st.tuples(st.sampled_from(["tell", "plan", "other planner"]), st.just(""), st.just(0)),
)


@given(st.lists(steps))
def test_whatever_comes_and_goes_the_planner_knows_what_was_told(
    steps: list[tuple[str, str, int]],
) -> None:
    held: dict[str, int] = {}
    told: dict[str, int] = {}
    known: dict[str, int] | None = None
    stocked = WorkerMemory()
    for what, key, value in [*steps, ("tell", "", 0), ("plan", "", 0)]:
        if what == "put":
            held[key] = value
        elif what == "forget":
            held.pop(key, None)
        elif what == "tell":
            new = {key: value for key, value in held.items() if told.get(key) != value}
            stocked.apply(MemoryUpdate(new, [key for key in told if key not in held], []))
            told = dict(held)
        elif what == "other planner":
            known = None
        else:
            news = stocked.to_update(is_known=known is not None)
            known = {} if news.is_all or known is None else known
            for gone in news.gone:
                known.pop(gone, None)
            known |= news.results
            assert known == told


@pytest.mark.slow
def test_the_planner_knows_the_room_that_the_worker_has(tmp_path: Path) -> None:
    """Told of the worker's own: here of its budget, as the planner would see the same memory."""
    given = {"model": "@load.model", "positive": "@text", "latent": "@size"}
    nodes = {
        "load": ("LoadModel", {"model": "tiny"}),
        "text": ("EncodePrompt", {"encoder": "@load.text_encoder"}),
        "size": ("EmptyLatent", {"width": 64, "height": 64}),
        "it": ("KSampler", given),
    }
    document = json.loads(run_of(nodes).workflow.replace("trouble:", ""))

    async def fit(**worker: Any) -> str:
        async with crew(tmp_path, planner=True, worker=worker) as team:
            await team.ready()
            plan = await team.supervisor.ask("plan", {"workflow": document, "targets": ["it"]})
            return str(plan["nodes"]["it"]["fit"])

    assert asyncio.run(fit()) == "whole"
    assert asyncio.run(fit(weights_budget=1000)) == "small"
