"""Guided answers brought to the spread of the positive prompt's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph.families.model_step import Moment
from nodegraph.families.noise import NoiseSchedule, clean_arithmetic
from nodegraph.families.registry import FAMILIES
from nodegraph.sampling.guiders.classifier_free import Rescaling
from tests.diffusion.guiders.test_shortening import MOMENT, drawn, kinds


def sigma_of(family: str, config: dict[str, Any], moment: Moment) -> float:
    if family == "flux":
        return moment.timestep_value / moment.training_timesteps
    return float(NoiseSchedule.from_config(config).timestep_to_sigma(moment.timestep_value))


def there(x: Tensor, cond: Tensor, uncond: Tensor, sigma: float, scale: float) -> Tensor:
    """The clean latent of ComfyUI's RescaleCFG at 0.7, worked out as its formula says.

    Args:
        x: The latent as its samplers have it: the clean one + sigma · noise, of flow models as is.
        cond: The clean latents that both sides say.
        scale: cfg.
    """
    part, factor = x / (sigma**2 + 1), (sigma**2 + 1) ** 0.5 / sigma
    positive, negative = (part - cond) * factor, (part - uncond) * factor
    guided = negative + scale * (positive - negative)
    spreads = [torch.std(item, dim=(1, 2, 3), keepdim=True) for item in (positive, guided)]
    final = 0.7 * guided * (spreads[0] / spreads[1]) + 0.3 * guided
    return part - final / factor


@pytest.mark.parametrize(("family", "config"), kinds())
def test_the_spread_of_velocities_is_that_of_comfyui(family: str, config: dict[str, Any]) -> None:
    arithmetic, sigma = clean_arithmetic(config, FAMILIES[family]), sigma_of(family, config, MOMENT)
    x, positive, negative = drawn(1), drawn(2), drawn(3)
    guided = negative + 6.0 * (positive - negative)
    found = Rescaling(0.7, arithmetic).applied(x, guided, positive, MOMENT)
    cond, uncond = (arithmetic.to_clean(x, output, MOMENT) for output in (positive, negative))
    plain = x if family == "flux" else x * (sigma**2 + 1) ** 0.5
    expected = there(plain, cond, uncond, sigma, 6.0)
    torch.testing.assert_close(
        arithmetic.to_clean(x, found, MOMENT), expected, rtol=1e-4, atol=1e-4
    )


def test_of_models_that_predict_velocities_both_spreads_are_one() -> None:
    [config] = [config for _, config in kinds() if config.get("prediction_type") == "v_prediction"]
    x, towards, guided = drawn(1), drawn(2), 5 * drawn(3)
    plain = Rescaling(0.5).applied(x, guided, towards, MOMENT)
    arithmetic = clean_arithmetic(config, FAMILIES["sd1"])
    found = Rescaling(0.5, arithmetic).applied(x, guided, towards, MOMENT)
    torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-4)
