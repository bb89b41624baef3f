"""A job on a session: what is told of how it ended."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Blocked, Context, NodeOutput, node
from nodegraph.core.events import Event
from nodegraph.jobs.supervisor.messages import Ended, RunJob
from nodegraph.jobs.worker.job import MOST_WARNINGS, Assignment, Jobs
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings


@node
def Doubt(ctx: Context, times: int = 1) -> int:
    """Warns of something in its output folder."""
    for at in range(times):
        ctx.log(f"{at}: {ctx.environment.outputs}/apple.png looks odd", "warning")
    ctx.log("all is well")
    return times


@node(output=True)
def Fail(value: int) -> None:
    """Fails."""
    raise ValueError("it broke")


@node(output=True)
def Show(ctx: Context, value: int) -> None:
    """Shows a number."""


def ended(session: Session, times: int, nodes: int = 1, end: str = "Show") -> Ended:
    """A job of nodes which warn so often each."""
    found: dict[str, Any] = {}
    for at in range(nodes):
        found[f"doubt{at}"] = {"type": "Doubt", "inputs": {"times": times}}
        found[f"end{at}"] = {"type": end, "inputs": {"value": {"from": f"doubt{at}"}}}
    text = json.dumps({"format": "nodegraph/1", "nodes": found})
    assignment = Assignment(RunJob("job", 1, text))
    return asyncio.run(Jobs(session).run(assignment, lambda event: None))


def outputs(session: Session, times: int, nodes: int = 1) -> dict[str, Any]:
    """What it gave."""
    found = ended(session, times, nodes)
    assert found.outputs is not None, found.error
    return dict(found.outputs)


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(Settings(home=tmp_path / "home", device="cpu"), nodes=[Doubt, Fail, Show])


def test_warnings_stand_in_its_outputs_also_where_they_come_from_the_cache(
    session: Session,
) -> None:
    with session:
        for status in ("ran", "cached"):
            found = outputs(session, 2)
            assert found["nodes"][status] >= 1
            assert [each["node"] for each in found["warnings"]] == ["doubt0", "doubt0"]
            first, second = (each["message"] for each in found["warnings"])
            assert first.startswith("0: ")
            assert second.startswith("1: ")
            # Where things lie on the server's machine is nobody's business.
            assert str(session.settings.home) not in first + second
            assert "apple.png looks odd" in first


def test_a_failed_job_tells_what_was_warned_of_before(session: Session) -> None:
    with session:
        found = ended(session, 1, end="Fail")
    assert found.error is not None
    [warning] = found.error["warnings"]
    assert warning["node"] == "doubt0"
    assert str(session.settings.home) not in warning["message"]


def test_of_very_many_warnings_the_first_are_told_and_how_many_more_there_are(
    session: Session,
) -> None:
    with session:
        found = outputs(session, 40, nodes=4)["warnings"]
    assert len(found) == MOST_WARNINGS + 1
    assert found[-1] == {"node": None, "message": f"{160 - MOST_WARNINGS} more warnings"}


@node
def Present(value: int) -> int:
    """Shows a number and a path."""
    return NodeOutput(value, ui={"text": [f"{value} in {Path.home()}"], "value": value})


@node
def Refuse(value: int) -> int:
    """Has no value."""
    return Blocked("nothing to see")


def test_what_nodes_show_and_why_sinks_did_not_run_stand_in_its_outputs(tmp_path: Path) -> None:
    nodes = {
        "present": {"type": "Present", "inputs": {"value": 3}},
        "refuse": {"type": "Refuse", "inputs": {"value": {"from": "present"}}},
        "kept": {"type": "Show", "inputs": {"value": {"from": "present"}}},
        "left": {"type": "Show", "inputs": {"value": {"from": "refuse"}}},
    }
    text = json.dumps({"format": "nodegraph/1", "nodes": nodes})
    home = Settings(home=tmp_path / "home", device="cpu")
    with Session(home, nodes=[Show, Present, Refuse]) as session:
        for kind in ("node.finished", "nodes.cached"):
            events: list[Event] = []
            assignment = Assignment(RunJob("job", 1, text))
            found = asyncio.run(Jobs(session).run(assignment, events.append)).outputs
            assert found is not None
            assert found["ui"]["present"]["value"] == 3
            assert found["warnings"] == [{"node": "left", "message": "did not run: nothing to see"}]
            (event,) = [each for each in events if "ui" in each.data]
            assert event.kind == kind
            shown = event.data["ui"]
            assert found["ui"] == (shown if kind == "nodes.cached" else {"present": shown})
            (skipped,) = [
                each for each in events if each.kind == "node.skipped" and each.node == "left"
            ]
            assert skipped.data["message"] == "nothing to see"
