"""Guided images that are nowhere stronger than the positive prompt has them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph.families.model_step import Moment
from nodegraph.families.noise import clean_arithmetic
from nodegraph.families.registry import FAMILIES
from nodegraph.sampling.guiders.base import ChangingScale
from nodegraph.sampling.guiders.classifier_free import NormLimit
from tests.diffusion.conftest import SD1_SCHEDULER

AT = torch.tensor(400.0)
MOMENT = Moment(AT, AT, 1000, 0.5, timestep_value=400.0)


def drawn(seed: int) -> Tensor:
    return torch.randn(2, 4, 6, 5, generator=torch.Generator().manual_seed(seed))


def kinds() -> list[tuple[str, dict[str, Any]]]:
    told = [{**SD1_SCHEDULER, "prediction_type": name} for name in ("epsilon", "v_prediction")]
    return [("flux", {}), *(("sd1", config) for config in told)]


@pytest.mark.parametrize(("family", "config"), kinds())
def test_clean_latents_are_shortened_to_the_positive_prompt_s(
    family: str, config: dict[str, Any]
) -> None:
    arithmetic = clean_arithmetic(config, FAMILIES[family])
    x, towards = drawn(1), drawn(2)
    guided = towards + 3 * drawn(3)
    wanted, before = (arithmetic.to_clean(x, item, MOMENT) for item in (towards, guided))
    torch.testing.assert_close(arithmetic.from_clean(x, before, MOMENT), guided)
    found = NormLimit(arithmetic, 0.5).limit(x, guided, towards, MOMENT)
    factor = (wanted.norm(dim=1) / before.norm(dim=1)).clamp(max=1)
    assert factor.min() < 0.9
    after = arithmetic.to_clean(x, found, MOMENT)
    torch.testing.assert_close(after, 0.5 * factor[:, None] * before, rtol=1e-4, atol=1e-4)


def test_what_is_short_enough_stays() -> None:
    arithmetic = clean_arithmetic({}, FAMILIES["flux"])
    x, towards = drawn(1), drawn(2)
    found = NormLimit(arithmetic).limit(x, towards, towards, MOMENT)
    torch.testing.assert_close(found, towards, rtol=1e-5, atol=1e-5)


def test_scales_change_in_a_part() -> None:
    def walk(scale: ChangingScale) -> list[float]:
        steps = [
            replace(MOMENT, schedule_step=at, schedule_steps=5, progress=at / 5) for at in range(5)
        ]
        return [scale.at(4.0, moment) for moment in steps]

    assert walk(ChangingScale(1.0, "within", 0.2, 0.6)) == [4, 1, 1, 4, 4]
    assert walk(ChangingScale(2.0, "linear", 0.25, 0.75)) == [4, 4, 3, 2, 2]
    assert walk(ChangingScale(0.0, "linear")) == [4, 3, 2, 1, 0]
    assert walk(ChangingScale(0.0, "linear", 0.5, 0.5)) == [4, 4, 0, 0, 0]
