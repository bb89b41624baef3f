"""Runs whose samplings share steps: what each gives is what it gives alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session, Workflow
from nodegraph.core.events import Event
from nodegraph.engine.options import CancelToken, RunOptions
from nodegraph.engine.result import RunResult
from nodegraph.errors import InvalidValue, InvalidWorkflow
from nodegraph.session.settings import Settings
from tests.messages import raises

JOBS = [("a red apple", 1, 5, 4.0), ("a green leaf", 2, 3, 7.5), ("a blue ball", 3, 4, 2.5)]


def sampling(text: str, seed: int, steps: int, cfg: float) -> Workflow:
    nodes: dict[str, Any] = {
        "model": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "prompt": {
            "type": "EncodePrompt",
            "inputs": {"encoder": {"from": "model.text_encoder"}, "text": text},
        },
        "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": {"from": "model.model"},
                "positive": {"from": "prompt"},
                "latent": {"from": "size"},
                "seed": seed,
                "steps": steps,
                "cfg": cfg,
            },
        },
    }
    return Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})


WORKFLOWS = [sampling(*job) for job in JOBS]
TARGETS = RunOptions(targets=["sample"])


def session(folder: Path, mode: str = "exact", margin: float = -1e9) -> Session:
    settings = {"merge_steps": mode, "merge_margin": margin}
    return Session(Settings(home=folder, device="cpu", keep_cheap=True, **settings))  # type: ignore[arg-type]


def outputs(results: Sequence[RunResult]) -> list[Mapping[str, str]]:
    return [result.nodes["sample"].outputs for result in results]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[Mapping[str, str]]:
    """What each gives alone."""
    with session(tmp_path_factory.mktemp("alone"), "off") as one:
        return outputs([one.run(workflow, TARGETS) for workflow in WORKFLOWS])


def test_runs_at_once_give_what_each_gives_alone(
    tmp_path: Path, alone: list[Mapping[str, str]]
) -> None:
    with session(tmp_path) as merged:
        assert outputs(merged.run_many(WORKFLOWS, [TARGETS] * 3)) == alone
        assert merged.merged_steps > 0


@pytest.mark.slow
def test_a_cancelled_run_leaves_the_others_as_they_are(
    tmp_path: Path, alone: list[Mapping[str, str]]
) -> None:
    token = CancelToken()

    def stop(event: Event) -> None:
        if event.kind == "node.progress" and event.data["step"] == 2:
            token.cancel()

    options = [TARGETS, TARGETS.with_changes(cancel=token, listener=stop), TARGETS]
    with session(tmp_path) as merged:
        results = merged.run_many(WORKFLOWS, options)
        assert [result.status for result in results] == ["ok", "cancelled", "ok"]
        assert outputs([results[0], results[2]]) == [alone[0], alone[2]]
        # It goes on from its checkpoint, to the same bits.
        assert outputs([merged.run(WORKFLOWS[1], TARGETS)]) == [alone[1]]


@pytest.mark.slow
def test_where_the_curve_does_not_pay_steps_stay_apart(
    tmp_path: Path, alone: list[Mapping[str, str]]
) -> None:
    with session(tmp_path, margin=0.999) as merged:
        assert outputs(merged.run_many(WORKFLOWS, [TARGETS] * 3)) == alone
        assert merged.merged_steps == 0


def test_what_may_differ_is_known_under_keys_of_its_own(tmp_path: Path) -> None:
    statuses = []
    for mode in ("off", "exact", "tolerance", "tolerance"):
        with session(tmp_path, mode) as one:
            statuses.append(one.run(WORKFLOWS[0], TARGETS).nodes["sample"].status)
    assert statuses == ["ran", "cached", "ran", "cached"]


def test_options_are_for_each_run_or_none(tmp_path: Path) -> None:
    with session(tmp_path) as merged, raises(InvalidValue, given="1 options, 3 workflows"):
        merged.run_many(WORKFLOWS, [TARGETS])


def test_nothing_runs_where_one_workflow_is_invalid(tmp_path: Path) -> None:
    told: list[Event] = []
    wrong = Workflow.from_dict(
        {"format": "nodegraph/1", "nodes": {"sample": {"type": "NoSuchNode"}}}
    )
    with session(tmp_path) as merged, raises(InvalidWorkflow, node="sample"):
        merged.run_many([WORKFLOWS[0], wrong], [TARGETS.with_changes(listener=told.append)] * 2)
    assert told == []
