"""Tests of the tone curves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph.packs.pack import pack_at
from nodegraph.python.testing import check_pack

Run = Callable[..., Any]
PACK = Path(__file__).parents[1] / "src" / "tones"
RAMP = torch.linspace(0, 1, 101).reshape(1, 1, 101, 1).expand(1, 1, 101, 3)


@pytest.fixture
def bend(run_node: Run) -> Run:
    """Change the tones of a ramp from black to white; returns shape (101, 3)."""

    def run(curve: list[list[float]], channel: str = "all") -> torch.Tensor:
        image = run_node("tones:ToneCurve", image=RAMP, curve=curve, channel=channel)
        ramp: torch.Tensor = image[0, 0]
        return ramp

    return run


def test_a_straight_curve_changes_nothing(bend: Run) -> None:
    assert torch.allclose(bend([[0, 0], [1, 1]]), RAMP[0, 0], atol=1e-6)


def test_a_curve_goes_through_its_points_and_never_beyond_two_neighbors(bend: Run) -> None:
    tones = bend([[0.1, 0.2], [0.5, 0.3], [0.6, 0.9], [1, 0.9]])[:, 0]
    for x, y in ((0, 0.2), (10, 0.2), (50, 0.3), (60, 0.9), (80, 0.9), (100, 0.9)):
        assert float(tones[x]) == pytest.approx(y, abs=1e-4)
    assert bool((tones.diff() >= -1e-6).all())


def test_one_channel_leaves_the_others(bend: Run) -> None:
    ramp = bend([[0, 1], [1, 0]], "green")
    assert torch.allclose(ramp[:, 1], 1 - RAMP[0, 0, :, 1], atol=1e-6)
    assert torch.equal(ramp[:, [0, 2]], RAMP[0, 0][:, [0, 2]])


@pytest.mark.parametrize("curve", [[[0, 0]], [[0, 0], [0, 1]], [[0, 0], [1, 2]]])
def test_a_wrong_curve_is_refused_before_anything_runs(bend: Run, curve: list[list[float]]) -> None:
    with pytest.raises(Exception, match="curve"):
        bend(curve)


def test_the_strength_mixes_the_curve_and_the_image(run_workflow: Run) -> None:
    curve = [[0, 0], [0.5, 0.8], [1, 1]]
    nodes: dict[str, Any] = {
        "picture": {"type": "GradientImage", "inputs": {"width": 64, "height": 8}},
        "tones": {"type": "tones:DrawToneMap", "inputs": {"curve": curve}},
    }
    for name, strength in (("none", 0.0), ("half", 0.5), ("all", 1.0)):
        links = {"image": {"from": "picture"}, "tones": {"from": "tones"}}
        nodes[name] = {"type": "tones:ApplyToneMap", "inputs": {**links, "strength": strength}}
    result = run_workflow(
        {"format": "nodegraph/1", "nodes": nodes}, targets=["picture", "none", "half", "all"]
    )
    assert torch.equal(result["none"], result["picture"])
    assert torch.allclose(result["half"], (result["none"] + result["all"]) / 2, atol=1e-6)


def test_the_pack_keeps_to_the_rules() -> None:
    verdicts = check_pack(pack_at(PACK))
    assert verdicts.is_passed, verdicts.as_dict()
