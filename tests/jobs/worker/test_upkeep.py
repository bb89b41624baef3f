"""What a worker learns is known elsewhere while it lives."""

from __future__ import annotations

import asyncio
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from nodegraph.api import node
from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.jobs.worker import job_runner as upkeep
from nodegraph.jobs.worker.job_runner import StoreFlusher
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings

PATIENCE = 60.0


@node(deterministic=False, output=True)
def Often(value: int = 1) -> None:
    """Runs each time."""


def open_session(folder: Path, **settings: Any) -> Session:
    found = Settings(home=folder, cache=folder.parent / "cache", device="cpu", **settings)
    return Session(found, nodes=[Often])


def is_known(session: Session, workflow: Workflow) -> bool:
    """Whether a plan knows what running takes."""
    return not session.plan(workflow).totals.unknown_seconds


def test_what_calls_took_is_known_to_others_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PERIOD", 0.0)
    workflow = Workflow(nodes={"it": NodeEntry(type="Often")})

    async def use(worker: Session, planner: Session) -> None:
        theirs, ours = StoreFlusher(worker), StoreFlusher(planner)
        await worker.run_async(workflow)
        assert not is_known(planner, workflow)
        theirs.plan(asyncio.get_running_loop())
        theirs.plan(asyncio.get_running_loop())
        end = monotonic() + PATIENCE
        while not is_known(planner, workflow):
            assert monotonic() < end
            ours.if_due()
            await asyncio.sleep(0.001)
        await theirs.end()

    with open_session(tmp_path) as worker, open_session(tmp_path) as planner:
        asyncio.run(use(worker, planner))


def test_without_a_store_there_is_nothing_to_keep_up(tmp_path: Path) -> None:
    with open_session(tmp_path, disk_cache=0) as session:
        StoreFlusher(session)._work()
        assert session.persistence is None
