"""Levels that go by numbers and a size are those of the models' pipelines in diffusers."""

from __future__ import annotations

import numpy as np
import pytest
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.flux2.pipeline_flux2 import compute_empirical_mu
from diffusers.pipelines.ideogram4 import pipeline_ideogram4 as ideogram
from nodegraph_nodes.schedule_lists import Flux2Schedule, LogitNormalSchedule, LTXSchedule

from nodegraph import Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.comfyui_sigmas import ComfyUIFlow
from nodegraph.families.flow_noise import FlowNoise, ModelNoise
from nodegraph.sampling.composed_schedules import Schedule, named_schedule
from nodegraph.sampling.schedules import levels_for
from nodegraph.sampling.table_schedules import COMMON, CONTINUOUS, TABLE
from tests.diffusion.test_comfyui_numbers import TABLE as TABLE_NOISE
from tests.messages import raises

FLOW = FlowNoise(shift=1.0, common=ComfyUIFlow(3.0))


def levels(schedule: Schedule, noise: ModelNoise = FLOW) -> list[float]:
    found = levels_for(schedule, noise, grid=CONTINUOUS)
    return found.sigmas[found.first : found.end + 1].tolist()


@pytest.mark.parametrize(
    ("steps", "width", "height"), [(4, 512, 512), (20, 1024, 1536), (50, 2048, 2048)]
)
def test_flux_2(steps: int, width: int, height: int) -> None:
    mu = compute_empirical_mu(width * height // 256, steps)
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps), mu=mu)
    assert levels(Flux2Schedule(steps, width, height)) == pytest.approx(
        scheduler.sigmas.tolist(), rel=1e-5
    )


@pytest.mark.parametrize("terminal", [0.1, None])
def test_ltx_video(terminal: float | None) -> None:
    latent = Latent(None, 768, 512, frames=97)
    tokens = 24 * 16 * 13
    mu = 0.95 + 1.1 * (tokens - 1024) / 3072
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, shift_terminal=terminal)
    scheduler.set_timesteps(sigmas=np.linspace(1, 1 / 8, 8), mu=mu)
    made = LTXSchedule(8, latent, stretch=terminal is not None, terminal=terminal or 0.1)
    assert levels(made) == pytest.approx(scheduler.sigmas.tolist(), rel=1e-5)
    assert levels(LTXSchedule(3))[-2:] == pytest.approx([0.1, 0.0])


@pytest.mark.parametrize(("mu", "std"), [(0.0, 1.75), (0.5, 1.0), (-2.0, 4.0)])
def test_logit_normal(mu: float, std: float) -> None:
    mean = ideogram._resolution_aware_mu(768, 1280, mu)
    expected = ideogram._logit_normal_sigmas(12, mean, std).tolist()
    found = levels(LogitNormalSchedule(12, 1280, 768, mu, std))
    assert found == pytest.approx([*expected, 0.0], rel=1e-5)


def test_a_first_level_may_lie_above_the_model_s() -> None:
    started = named_schedule("karras", 5).started(136.0)
    for grid in (CONTINUOUS, COMMON):
        found = levels_for(started, TABLE_NOISE, grid=grid)
        whole = levels_for(named_schedule("karras", 5), TABLE_NOISE, grid=grid)
        assert found.sigmas.tolist() == [136.0, *whole.sigmas.tolist()[1:]]
        assert found.timesteps[0] == 999
    assert levels(started.scaled(0.5), TABLE_NOISE)[0] == 68.0
    first, rest = started.split(2)
    assert levels(first.then(rest), TABLE_NOISE) == levels(started, TABLE_NOISE)
    assert levels(rest, TABLE_NOISE)[0] < 14


def test_a_first_level_that_cannot_be_is_told() -> None:
    schedule = named_schedule("karras", 5)
    with raises(InvalidValue, port="sigma", given="0"):
        schedule.started(0.0)
    with raises(InvalidValue, port="schedule", given="1, 4.797"):
        levels_for(schedule.started(1.0), TABLE_NOISE, grid=CONTINUOUS)
    with raises(InvalidValue, port="schedule", given="2"):
        levels(schedule.started(2.0), FLOW)
    with raises(InvalidValue, port="schedule"):
        schedule.started(20.0).flipped()


def test_turbo_s_timesteps_may_begin_later() -> None:
    from nodegraph_nodes.schedule_parts import SDTurboSchedule

    found = levels_for(SDTurboSchedule(3, 0.5), TABLE_NOISE, grid=TABLE)
    assert found.timesteps.tolist() == [499, 399, 299]
    with raises(InvalidValue, port="steps", given="6"):
        levels_for(SDTurboSchedule(6, 0.5), TABLE_NOISE, grid=TABLE)
