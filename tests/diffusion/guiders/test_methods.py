"""What guiders make of two answers: as diffusers' guiders do, and by properties."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from diffusers.guiders import (
    AdaptiveProjectedGuidance,
    ClassifierFreeZeroStarGuidance,
    MagnitudeAwareGuidance,
    TangentialClassifierFreeGuidance,
)
from torch import Tensor

from nodegraph.families.model_step import Guider, Moment
from nodegraph.families.registry import FAMILIES
from nodegraph.sampling.guiders.base import SCALE_LAWS, ChangingScale, GuidanceMethod, GuidedModel
from nodegraph.sampling.guiders.decomposed_guidance import pyramid, reconstruct
from nodegraph.sampling.guiders.methods import (
    Adaptive,
    Damped,
    Frequency,
    Projected,
    Tangential,
    Thresholded,
    ZeroStar,
)

CFG = 5.0
TOWARDS = torch.randn(3, 4, 12, 8, generator=torch.Generator().manual_seed(1))
AWAY = TOWARDS + 0.3 * torch.randn(3, 4, 12, 8, generator=torch.Generator().manual_seed(2))
OUTPUTS = {"positive": TOWARDS, "negative": AWAY}


def moment(step: int, steps: int = 8) -> Moment:
    at = torch.tensor(0)
    return Moment(at, at, 1000, step / steps, step=step, schedule_step=step, schedule_steps=steps)


def begun(method: GuidanceMethod, cfg: float = CFG) -> Guider:
    given = SimpleNamespace(
        family=FAMILIES["sd1"],
        cfg=cfg,
        scale=lambda _: cfg,
        both_sides=lambda: ("negative", "positive"),
    )
    return method.begin(cast(GuidedModel, given))


def combined(method: GuidanceMethod, step: int = 3, outputs: Mapping[str, Tensor] = OUTPUTS) -> Any:
    return begun(method).combine(outputs, moment(step))


@pytest.mark.parametrize(
    ("method", "guider"),
    [
        (ZeroStar(0), ClassifierFreeZeroStarGuidance(CFG, zero_init_steps=0)),
        (Tangential(), TangentialClassifierFreeGuidance(CFG)),
        (Damped(4.0), MagnitudeAwareGuidance(CFG, alpha=4.0)),
        (
            Projected(0.0, 2.0, 0.3),
            AdaptiveProjectedGuidance(CFG, adaptive_projected_guidance_rescale=2.0, eta=0.3),
        ),
    ],
)
def test_a_guider_is_that_of_diffusers(method: GuidanceMethod, guider: Any) -> None:
    guider.set_state(3, 8, None)
    # As tokens: one of them can't take images.
    expected = guider.forward(TOWARDS.flatten(2), AWAY.flatten(2)).pred.view_as(TOWARDS)
    # They have singular vectors where ours has those of the 2 x 2 products, in float64.
    torch.testing.assert_close(combined(method), expected, rtol=1e-4, atol=1e-4)


def test_the_first_steps_of_zero_star_stay_where_they_are() -> None:
    guider = begun(ZeroStar(2))
    assert guider.sides(moment(1)) == ("positive",)
    assert not guider.combine({"positive": TOWARDS}, moment(1)).any()
    assert guider.sides(moment(2)) == ("negative", "positive")


def test_equal_scales_of_all_frequencies_are_plain_guidance() -> None:
    for levels in (2, 3, 6):
        found = combined(Frequency(CFG, levels))
        torch.testing.assert_close(found, AWAY + CFG * (TOWARDS - AWAY), rtol=1e-4, atol=1e-4)


def test_thresholding_keeps_to_the_range_of_the_lower_scale() -> None:
    plain = AWAY + CFG * (TOWARDS - AWAY)
    torch.testing.assert_close(combined(Thresholded(CFG, 1.0)), plain, rtol=1e-4, atol=1e-4)
    lower = AWAY + 2.0 * (TOWARDS - AWAY)

    def reach(x: Tensor) -> Tensor:
        return (x - x.mean((2, 3), keepdim=True)).abs().amax((2, 3))

    found = combined(Thresholded(2.0, 0.9))
    assert (reach(found) <= 1.2 * reach(lower)).all()
    assert (reach(found) < reach(plain)).all()


def test_a_scale_of_high_frequencies_leaves_flat_pictures_as_they_are() -> None:
    flat = {"positive": torch.full((1, 4, 16, 16), 2.0), "negative": torch.ones(1, 4, 16, 16)}
    found = begun(Frequency(50.0)).combine(flat, moment(0))
    torch.testing.assert_close(found, torch.full((1, 4, 16, 16), 1.0 + CFG))


@pytest.mark.parametrize("shape", [(1, 4, 16, 16), (2, 3, 9, 13), (1, 4, 5, 12, 7), (1, 1, 2, 3)])
def test_a_pyramid_gives_its_picture_again(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    torch.testing.assert_close(reconstruct(pyramid(x, 4)), x)


def test_adaptive_guidance_ends_for_each_picture_by_itself() -> None:
    alike = torch.where(torch.tensor([True, False, True]).view(3, 1, 1, 1), TOWARDS, -TOWARDS)
    outputs = {"positive": TOWARDS, "negative": alike}
    guider = begun(Adaptive(0.9))
    guider.combine(outputs, moment(0))
    found = guider.combine({"positive": TOWARDS, "negative": AWAY}, moment(1))
    guided = AWAY + CFG * (TOWARDS - AWAY)
    assert torch.equal(found[0], TOWARDS[0])
    torch.testing.assert_close(found[1], guided[1])

    resumed = begun(Adaptive(0.9))
    resumed.restore(guider.state())
    assert resumed.sides(moment(2)) == ("positive",)
    assert torch.equal(resumed.combine({"positive": AWAY}, moment(2)), AWAY)


@pytest.mark.parametrize(
    "method",
    [
        ZeroStar(),
        Tangential(),
        Frequency(3.0),
        Damped(),
        Adaptive(),
        Projected(0.0, 3.0, 0.5),
        Thresholded(),
    ],
)
def test_a_batch_is_guided_as_its_items_are(method: GuidanceMethod) -> None:
    whole = combined(method)
    for place in range(len(TOWARDS)):
        item = {side: output[place : place + 1] for side, output in OUTPUTS.items()}
        torch.testing.assert_close(combined(method, outputs=item), whole[place : place + 1])


@pytest.mark.parametrize("law", [law for law in SCALE_LAWS if law != "within"])
def test_a_changing_scale_goes_from_the_first_step_to_the_last(law: str) -> None:
    scales = [ChangingScale(1.0, law).at(7.0, moment(step)) for step in range(8)]
    assert scales[0] == 7.0
    assert scales[-1] == pytest.approx(1.0)
    assert scales == sorted(scales, reverse=True)
