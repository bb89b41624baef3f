"""A pack that hangs holds up nothing for long, and is told of."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from nodegraph.jobs.supervisor.errors import NoAnswer
from tests.jobs.supervisor.crew import Crew, crew, sums
from tests.messages import raises

pytestmark = pytest.mark.slow

PLAN = {"workflow": json.dumps({"format": "nodegraph/1", "nodes": {"it": {"type": "nowhere:It"}}})}


QUICK = '''
from nodegraph import node


@node
def Quick(a: int) -> int:
    """A number."""
    return a
'''


async def answered(team: Crew) -> Any:
    """A plan, once there is one."""
    while True:
        with suppress(NoAnswer):
            return await team.supervisor.ask("plan", PLAN)
        await asyncio.sleep(0.1)


def test_a_pack_that_hangs_at_import_is_told_and_given_up(tmp_path: Path) -> None:
    packs = tmp_path / "home" / "packs"

    async def use() -> None:
        async with crew(tmp_path, planner=True, import_seconds=10) as team:
            await team.ready()
            await team.supervisor.ask("plan", PLAN)
            packs.mkdir(parents=True)
            (packs / "endless.py").write_text("import time\n\ntime.sleep(10_000)\n")
            with raises(NoAnswer):
                await team.supervisor.ask("plan", PLAN)
            # Others are answered at once, and jobs of other packs run.
            with raises(NoAnswer):
                await team.supervisor.ask("plan", PLAN)
            assert (await team.run(sums(1))).status == "finished"
            assert team.watch.deaths == []
            # The planner ends, and its next process knows of the pack.
            plan = await answered(team)
            assert [each["code"] for each in plan["problems"]] == ["unknown-node-type"]
            found = await team.supervisor.ask("node_types")
            (told,) = found["problems"]
            assert "pack `endless`: importing it has taken 10 s" in told
            (packs / "endless.py").write_text(QUICK)
            assert (await team.supervisor.ask("node_types"))["problems"] == []

    asyncio.run(use())


def test_a_check_that_hangs_is_told_with_its_node(tmp_path: Path) -> None:
    nodes = {"odd": {"type": "trouble:Pondering"}, "end": {"type": "trouble:Show"}}
    nodes["end"]["inputs"] = {"value": {"from": "odd"}}  # type: ignore[assignment]
    text = json.dumps({"format": "nodegraph/1", "nodes": nodes})

    async def use() -> None:
        async with crew(tmp_path, planner=True, shutdown_grace=0.1) as team:
            with raises(NoAnswer):
                await team.supervisor.ask("check", {"workflow": text})

    asyncio.run(use())
