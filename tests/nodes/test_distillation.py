"""Students, models in few bits, and what they cost: through the engine."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
import torch

from nodegraph.core.plots import Plot
from nodegraph.errors import InvalidWorkflow

from .conftest import Bench, link

PARTS = {name: link(f"load.{name}") for name in ("text_encoder", "vae")}
SIZE = {"width": 64, "height": 64}


@pytest.fixture
def desk(tmp_path: Path, sd1_folder: Path) -> Any:
    copytree(sd1_folder, tmp_path / "models" / "sd1")
    made = Bench(tmp_path)
    yield made
    made.session.close()


def loaded(storage: str = "auto") -> dict[str, Any]:
    return {"type": "LoadModel", "inputs": {"model": "sd1", "storage": storage}}


def compared(model: str, **inputs: Any) -> dict[str, Any]:
    given = {"reference": link("load.model"), "model": link(model), **PARTS, **SIZE}
    walk = {"prompts": "a fox\nan owl", "reference_steps": 2, "steps": 2}
    return {"type": "CompareSamplings", "inputs": {**given, **walk, **inputs}}


@pytest.mark.slow
def test_a_student_is_distilled_by_prompts_and_compared_before_and_after(desk: Bench) -> None:
    student = {"model": link("load.model"), **PARTS, "prompts": "a fox\n\nan owl"}
    few = {"steps": 1, "cfg": 1.0, "sampler": "lcm", "schedule": "normal"}
    size = {"pictures": 1, "steps": 2, "batch": 1, "rank": 2, "teacher_steps": 1}
    nodes = {
        "load": loaded(),
        "distill": {"type": "Distill", "inputs": {**student, **size, "learning_rate": 0.1}},
        "compare": compared(
            "load.model", second=link("distill.model"), names="teacher\nbefore", **few
        ),
    }
    result = desk.run(nodes, "distill", "compare")
    assert not result.errors
    weights = result["distill.weights"]
    assert weights.kind == "lora"
    assert dict(weights.settings)["distilled"] == "trajectory"
    before, after = result["compare.distances"]
    assert before > 0
    assert before != after
    text = result["compare.text"]
    assert [line.split("|")[1].strip() for line in text.splitlines()[2:5]] == [
        *("teacher", "before", "second")
    ]
    plot = result["compare.plot"]
    assert isinstance(plot, Plot)
    assert plot.series[0].y == (before, after)
    assert [len(batch) for batch in result["compare.images"]] == [2, 2, 2]


@pytest.mark.slow
def test_few_bits_cost_what_loading_with_them_costs(desk: Bench) -> None:
    nodes: dict[str, Any] = {"load": loaded(), "apart": loaded("int8"), "same": loaded()}
    for storage in ("float8", "int8", "int4", "uint4"):
        nodes[storage] = {
            "type": "QuantizeModel",
            "inputs": {"model": link("load.model"), "storage": storage},
        }
    nodes["back"] = {
        "type": "QuantizeModel",
        "inputs": {"model": link("int8.model"), "storage": "full"},
    }
    nodes["compare"] = compared(
        "int8.model", second=link("int4.model"), third=link("back.model"), cfg=4.0
    )
    result = desk.run(nodes, "apart", "back", "int8", "compare")
    assert not result.errors
    assert result["int8.model"] == result["apart.model"]
    assert result["back.model"] == desk.value(nodes, "load.model")
    eight, four, whole = result["compare.distances"]
    assert 0 == whole < eight < four
    assert result["compare.psnr"][2] == 100
    assert "kB int8" in result["compare.text"]
    reference, *_, back = result["compare.images"]
    assert torch.equal(reference, back)


def test_what_can_be_told_before_is_told(desk: Bench) -> None:
    nodes = {"load": loaded(), "compare": compared("load.model", prompts=" ")}
    nodes["distill"] = {"type": "Distill", "inputs": {"model": link("load.model"), **PARTS}}
    with pytest.raises(InvalidWorkflow) as caught:
        desk.run(nodes, "compare", "distill")
    found = {(problem.node, problem.port) for problem in caught.value.problems}
    assert found == {("compare", "prompts"), ("distill", "prompts")}
