"""What others may compute for a run, what they may not, and whether that pays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Workflow
from nodegraph.jobs.worker.distributed_run import (
    bodies_compute,
    bodies_have_sinks,
    saved_seconds,
    shared_targets,
)
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings

PACK = Path(__file__).parents[1] / "cluster" / "slow_pack.py"


def settings(folder: Path) -> Settings:
    return Settings(home=folder, cache=folder.parent / "cache", device="cpu")


def targets_of(folder: Path, nodes: Mapping[str, Any], **more: Any) -> list[str]:
    """What others would compute of a workflow."""
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": dict(nodes), **more})
    with Session(settings(folder), packs=[PACK]) as session:
        acts = bodies_have_sinks(workflow, session.registry)
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


@pytest.mark.slow
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


def spared(
    folder: Path, nodes: Mapping[str, Any], targets: Sequence[str] | None = None, **more: Any
) -> float:
    """What two devices would spare of what one takes; of nodes that never ran, so many hours."""
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": dict(nodes), **more})
    with Session(settings(folder), packs=[PACK]) as session:
        acts = bodies_have_sinks(workflow, session.registry)
        graph = session.graph(workflow, targets=targets)
        plan = session.plan(workflow, targets=shared_targets(graph, bodies_act=acts))
        computing = bodies_compute(workflow, session.registry)
        return saved_seconds(graph, plan, bodies_compute=computing) / 3600


def test_branches_on_the_device_are_worth_help_and_what_comes_in_a_row_is_not(
    tmp_path: Path,
) -> None:
    nodes = {
        "one": node("Heavy", value=1),
        "light": node("Slow", seed="@one"),
        "two": node("Heavy", value="@light"),
        "three": node("Heavy", value=3),
        "four": node("Heavy", value=4),
    }
    assert spared(tmp_path, nodes, ["two"]) == 0
    assert spared(tmp_path, nodes, ["two", "three"]) == 1
    # Of four hours two each.
    assert spared(tmp_path, nodes, ["two", "three", "four"]) == 2


def test_branches_off_the_device_are_not_worth_help(tmp_path: Path) -> None:
    nodes = {name: node("Slow", seed=at) for at, name in enumerate("abc")}
    assert spared(tmp_path, nodes, list(nodes)) == 0


def test_items_are_worth_help_where_they_are_computed_on_the_device(tmp_path: Path) -> None:
    nodes = {"seeds": node("Seeds", count=4), "heavy": node("Heavy", value="@seeds")}
    # How many there are isn't known before.
    assert spared(tmp_path, nodes, ["heavy"]) == 1
    nodes["heavy"] = {"type": "ForEach", "inputs": {"body": "block", "items": {"from": "seeds"}}}
    for kind, port, hours in [("Heavy", "value", 1), ("Slow", "seed", 0)]:
        block = {
            "inputs": {"item": {"type": "int", "to": [f"it.{port}"]}},
            "outputs": {"result": "it"},
            "nodes": {"it": node(kind)},
        }
        assert spared(tmp_path, nodes, ["heavy"], subgraphs={"block": block}) == hours


@pytest.mark.slow
def test_what_is_known_already_is_not_worth_help(tmp_path: Path) -> None:
    nodes = {"one": node("Heavy", value=1), "two": node("Heavy", value=2)}
    assert spared(tmp_path, nodes, ["one", "two"]) == 1
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    with Session(settings(tmp_path), packs=[PACK]) as session:
        session.run(workflow, targets=["two"])
    assert spared(tmp_path, nodes, ["one", "two"]) == 0
