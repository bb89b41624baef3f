"""The example of a pack with a widget and a panel: what its node computes, and that it is whole."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from nodegraph.packs.pack import pack_at
from nodegraph.python.testing import run_node
from nodegraph.python.testing.workbench import check_pack, find_packs
from tests.messages import raises

PROJECT = Path(__file__).parents[2] / "examples" / "tones"
PACK = PROJECT / "src" / "tones"
RAMP = torch.linspace(0, 1, 101).reshape(1, 1, 101, 1).expand(1, 1, 101, 3)


def bent(curve: list[list[float]], channel: str = "all") -> torch.Tensor:
    given = {"image": RAMP, "curve": curve, "channel": channel}
    found: torch.Tensor = run_node("tones:ToneCurve", packs=[PACK], **given)
    return found[0, 0]


def test_a_straight_curve_changes_nothing() -> None:
    assert torch.allclose(bent([[0, 0], [1, 1]]), RAMP[0, 0], atol=1e-6)


def test_a_curve_goes_through_its_points_and_never_beyond_two_neighbours() -> None:
    tones = bent([[0.1, 0.2], [0.5, 0.3], [0.6, 0.9], [1, 0.9]])[:, 0]
    for x, y in ((0, 0.2), (10, 0.2), (50, 0.3), (60, 0.9), (80, 0.9), (100, 0.9)):
        assert float(tones[x]) == pytest.approx(y, abs=1e-4)
    assert bool((tones.diff() >= -1e-6).all())


def test_one_channel_leaves_the_others() -> None:
    found = bent([[0, 1], [1, 0]], "green")
    assert torch.allclose(found[:, 1], 1 - RAMP[0, 0, :, 1], atol=1e-6)
    assert torch.equal(found[:, [0, 2]], RAMP[0, 0][:, [0, 2]])


@pytest.mark.parametrize(
    "curve",
    [[[0, 0]], [[0, 0], [0, 1]], [[0, 0], [1, 2]]],
)
def test_a_curve_that_is_none_is_told_before_anything_runs(curve: list[list[float]]) -> None:
    with raises(Exception, node="node", port="curve"):
        bent(curve)


def test_the_pack_is_whole() -> None:
    (pack,) = find_packs(str(PROJECT))
    assert pack.name == "tones"
    found = check_pack(pack_at(pack.root))
    assert found.is_passed, found.as_dict()
    assert [verdicts.node_type for verdicts in found.nodes] == ["tones:ToneCurve"]
