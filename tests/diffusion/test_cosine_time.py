"""Noise levels of a continuous time: diffusers' curve, and ComfyUI's table of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMWuerstchenScheduler

from nodegraph.errors import InvalidFile
from nodegraph.families.cosine_time import TIMESTEPS, CosineTime
from nodegraph.families.flow_noise import model_noise
from nodegraph.families.noise import NoiseSchedule
from nodegraph.families.registry import get_family
from nodegraph.sampling.samplers import SAMPLERS
from nodegraph.sampling.schedules import sigmas_for
from tests.messages import raises

CONFIG: dict[str, Any] = {"_class_name": "DDPMWuerstchenScheduler", "scaler": 1.0, "s": 0.008}


@pytest.mark.parametrize("scaler", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("offset", [0.008, 0.02])
def test_alpha_bar_is_diffusers(scaler: float, offset: float) -> None:
    scheduler = DDPMWuerstchenScheduler(scaler=scaler, s=offset)
    times = torch.linspace(1, 0, 38)
    found = CosineTime(offset, scaler).alpha_bar(times)
    assert torch.equal(found, scheduler._alpha_cumprod(times, torch.device("cpu")))


@pytest.mark.parametrize("scaler", [0.5, 1.0, 2.0])
def test_levels_and_times_are_inverse_where_nothing_is_clamped(scaler: float) -> None:
    cosine = CosineTime(scaler=scaler)
    times = np.linspace(0.1, 0.9, 30)
    np.testing.assert_allclose(cosine.times(cosine.sigmas(times)), times, rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 3, 60, 150])
def test_the_model_is_asked_at_the_very_times_of_diffusers(steps: int) -> None:
    scheduler = DDPMWuerstchenScheduler()
    scheduler.set_timesteps(steps)
    noise = NoiseSchedule.from_config(CONFIG)
    found = sigmas_for("normal", noise, steps, grid=SAMPLERS["ddpm"].grid)
    assert torch.equal(found.timesteps / TIMESTEPS, scheduler.timesteps[:-1])


def comfyui_sigma(time: float, shift: float) -> float:
    """As its `StableCascadeSampling.sigma`, in double precision."""
    kept = math.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2
    kept /= math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    if shift != 1:
        odds = kept / (1 - kept) / shift**2
        kept = odds / (1 + odds)
    kept = min(max(kept, 0.0001), 0.9999)
    return math.sqrt((1 - kept) / kept)


@pytest.mark.parametrize(
    ("family", "shift"), [("stable-cascade", 2.0), ("stable-cascade-decoder", 1.0)]
)
def test_comfyui_walks_every_so_manieth_of_ten_thousand_levels(family: str, shift: float) -> None:
    """Each stage with its shift; the model is asked at the time of the level without it."""
    config = {**CONFIG, **get_family(family).scheduler}
    noise = model_noise(config, get_family(family))
    grid = SAMPLERS["euler"].grid_for("comfyui")
    found = sigmas_for("simple", noise, 20, grid=grid)
    expected = [comfyui_sigma((10_000 - 500 * step) / 10_000, shift) for step in range(20)]
    np.testing.assert_allclose(found.sigmas[:-1], expected, rtol=2e-4)
    unshifted = [comfyui_sigma(float(time) / TIMESTEPS, 1.0) for time in found.timesteps]
    np.testing.assert_allclose(unshifted[1:], expected[1:], rtol=2e-3)


@pytest.mark.parametrize("law", ["normal", "sgm_uniform", "karras", "exponential", "beta"])
def test_other_schedules_of_comfyui_fall(law: str) -> None:
    noise = NoiseSchedule.from_config(CONFIG)
    for steps in (1, 7, 20):
        found = sigmas_for(law, noise, steps, grid=SAMPLERS["euler"].grid_for("comfyui"))
        assert len(found.sigmas) == steps + 1
        assert bool((found.sigmas.diff() < 0).all())


@pytest.mark.parametrize("scaler", [0, -1.0, "fast"])
def test_a_time_that_gives_no_levels_is_refused(scaler: object) -> None:
    with raises(InvalidFile):
        NoiseSchedule.from_config({**CONFIG, "scaler": scaler})
