"""Workflows are compared and merged on the server as on the command line."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from nodegraph.client import Client
from nodegraph.jobs.worker.planner import PlannerAnswers
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings
from tests.comparison.test_differences import BASE, copied
from tests.comparison.test_merge_review import edits
from tests.processes import PATIENCE
from tests.server.hosting import Hosted

PATH = ["nodes", "sample", "inputs", "seed"]


def test_a_comparison_has_the_changes_and_the_digests_of_models(server: Hosted) -> None:
    second = copied()
    second["nodes"]["sample"]["inputs"]["seed"] = 7
    second["metadata"] = {"models": [{"name": "tiny", "sha256": "a" * 64}]}
    with Client(server.url, "") as client:
        comparison = client.compare(BASE, second)
    assert comparison.models == {"first": {}, "second": {"tiny": "a" * 64}}
    changes = {change.kind: change for change in comparison.changes}
    assert set(changes) == {"input", "model"}
    assert (changes["input"].before, changes["input"].after) == (1, 7)
    assert list(changes["input"].path) == PATH


def test_a_merge_names_the_changes_of_a_conflict_and_leaves_out_what_it_is_told(
    server: Hosted,
) -> None:
    ours, theirs = edits()
    with Client(server.url, "") as client:
        merged = client.merge(BASE, ours, theirs)
    [conflict] = merged.conflicts
    assert (conflict.reason, conflict.ours, conflict.theirs) == ("both-changed", 7, 8)
    [own] = conflict.our_changes
    assert list(merged.ours[own].path) == PATH
    with Client(server.url, "") as client:
        settled = client.merge(BASE, ours, theirs, skipped_ours=[own])
    assert (settled.conflicts, settled.skipped_ours) == ((), (own,))
    assert settled.workflow["nodes"]["sample"]["inputs"]["seed"] == 8
    assert settled.workflow["nodes"]["load"]["label"] == "Mine"


def large(count: int = 700, **changed: str) -> dict[str, Any]:
    nodes = {
        f"n{at}": {"type": "Prompt", "inputs": {"text": changed.get(f"n{at}", str(at))}}
        for at in range(count)
    }
    return {"format": "nodegraph/1", "nodes": nodes}


@pytest.mark.parametrize(
    "part",
    [
        {"subgraphs": {f"s{at}": {"nodes": {}} for at in range(11_000)}},
        {"ui": {"frames": [{"id": f"f{at}"} for at in range(11_000)]}},
    ],
    ids=lambda part: next(iter(part)),
)
def test_large_workflows_of_few_nodes_are_left_to_the_planner(
    part: dict[str, Any], server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    questions: list[str] = []

    async def ask(question: str, arguments: dict[str, Any], timeout: float) -> Any:
        questions.append(question)
        return {"changes": [], "models": {}}

    monkeypatch.setattr(server.services, "has_workers", True)
    monkeypatch.setattr(server.services.supervisor, "ask", ask)
    body = {"first": BASE, "second": {**BASE, **part}}
    assert server.client.post("/compare", json=body).status_code == 200
    assert questions == ["compare"]


@pytest.mark.parametrize("operation", ["compare", "merge"])
def test_the_server_answers_others_while_its_planner_compares_large_workflows(
    operation: str, server: Hosted, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = PlannerAnswers(lambda: Session(Settings(home=home, device="cpu")))
    is_asked, may_answer = Event(), Event()

    async def ask(question: str, arguments: dict[str, Any], timeout: float) -> Any:
        is_asked.set()
        await asyncio.to_thread(may_answer.wait, PATIENCE)
        return planner.answer(question, arguments)

    monkeypatch.setattr(server.services, "has_workers", True)
    monkeypatch.setattr(server.services.supervisor, "ask", ask)
    ours, theirs = large(n1="ours"), large(n2="theirs", n3="longer")
    with Client(server.url, "") as client, ThreadPoolExecutor(1) as pool:
        pending = (
            pool.submit(client.compare, large(), theirs)
            if operation == "compare"
            else pool.submit(client.merge, large(), ours, theirs)
        )
        assert is_asked.wait(PATIENCE)
        small = server.client.post("/compare", json={"first": BASE, "second": BASE})
        assert (small.status_code, small.json()["changes"]) == (200, [])
        assert not pending.done()
        may_answer.set()
        answer: Any = pending.result(PATIENCE)
    planner.close()
    if operation == "compare":
        assert [change.after for change in answer.changes] == ["theirs", "longer"]
        return
    assert answer.conflicts == ()
    texts = [answer.workflow["nodes"][name]["inputs"]["text"] for name in ("n1", "n2")]
    assert texts == ["ours", "theirs"]


def test_large_whole_numbers_come_back_to_the_digit(server: Hosted) -> None:
    second = copied()
    second["nodes"]["sample"]["inputs"]["seed"] = 2**63 + 1
    answer = server.client.post("/merge", json={"base": BASE, "ours": BASE, "theirs": second})
    assert json.loads(answer.text)["workflow"]["nodes"]["sample"]["inputs"]["seed"] == 2**63 + 1


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/compare", {"first": BASE}),
        ("/compare", {"first": BASE, "second": {"nodes": 3}}),
        ("/compare", {"first": BASE, "second": BASE, "more": 1}),
        ("/merge", {"base": BASE, "ours": BASE, "theirs": BASE, "skipped_ours": [-1]}),
    ],
)
def test_what_is_no_workflow_is_refused(server: Hosted, path: str, body: object) -> None:
    assert server.client.post(path, json=body).status_code == 422


def test_too_many_nodes_are_refused(server: Hosted) -> None:
    nodes = {f"n{at}": {"type": "Load"} for at in range(server.services.server.limits.nodes + 1)}
    body = {"first": BASE, "second": {"format": "nodegraph/1", "nodes": nodes}}
    answer = server.client.post("/compare", json=body)
    assert answer.status_code in (413, 422)
    assert "too-many-nodes" in answer.text
