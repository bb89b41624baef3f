"""What the workers of a cluster may compute for a run, and what they may not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodegraph import Workflow
from nodegraph.jobs.cluster.helping import bodies_act, shared_targets
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings

PACK = Path(__file__).with_name("slow_pack.py")


def targets_of(folder: Path, nodes: Mapping[str, Any], **more: Any) -> list[str]:
    """What others would compute of a workflow."""
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": dict(nodes), **more})
    with Session(Settings(home=folder), packs=[PACK]) as session:
        acts = bodies_act(workflow, session.registry)
        return shared_targets(session.graph(workflow), bodies_act=acts)


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    links = {name: {"from": text[1:]} for name, text in inputs.items() if str(text)[:1] == "@"}
    return {"type": f"slow_pack:{kind}", "inputs": {**inputs, **links}}


def test_they_compute_what_sinks_need_and_no_sink(tmp_path: Path) -> None:
    nodes = {
        "seeds": node("Seeds", count=3),
        "slow": node("Slow", seed="@seeds"),
        "save": node("Save", values="@slow"),
    }
    assert targets_of(tmp_path, nodes) == ["slow"]


def test_they_compute_nothing_that_comes_out_otherwise_each_time_or_is_made_of_it(
    tmp_path: Path,
) -> None:
    nodes = {
        "seeds": node("Seeds", count=3),
        "slow": node("Slow", seed="@seeds"),
        "clock": node("Clock", value="@slow"),
        "after": node("Chance", value="@clock"),
        "save": node("Save", values="@after"),
    }
    assert targets_of(tmp_path, nodes) == ["slow"]


def test_they_leave_alone_what_saves_a_file_for_each_item(tmp_path: Path) -> None:
    inner = {"slow": node("Slow"), "save": node("Save", values="@slow")}
    block = {
        "inputs": {"item": {"type": "int", "to": ["slow.seed"]}},
        "outputs": {"result": "slow"},
        "nodes": inner,
    }
    nodes = {
        "seeds": node("Seeds", count=3),
        "first": node("Slow", seed="@seeds"),
        "each": {"type": "ForEach", "inputs": {"body": "block", "items": {"from": "first"}}},
        "save": node("Save", values="@each.results"),
    }
    assert targets_of(tmp_path, nodes, subgraphs={"block": block}) == ["first"]
    del inner["save"]
    assert targets_of(tmp_path, nodes, subgraphs={"block": block}) == ["each"]
