"""Restart sampling: a part of the way is walked again."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nodegraph.families.flow_noise import FlowNoise, ModelNoise
from nodegraph.families.noise import NoiseSchedule, draw_from, item_generators
from nodegraph.families.sampler_names import evaluations
from nodegraph.sampling.sampler_options import SamplerOptions
from nodegraph.sampling.samplers import SAMPLERS, Sampler, make_sampler
from nodegraph.sampling.schedules import sigmas_for
from tests.diffusion.stand_in import SHAPE, evaluate, run

NOISES: dict[str, ModelNoise] = {
    "discrete": NoiseSchedule.from_config(
        {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    ),
    "flow": FlowNoise(shift=3.0),
}


def made(kind: str = "discrete", name: str = "restart", steps: int = 12, **options: Any) -> Sampler:
    noise = NOISES[kind]
    ladder = sigmas_for("karras", noise, steps, grid=SAMPLERS[name].grid)
    generators = item_generators(3, [0, 1])
    sampler = make_sampler(name, ladder, noise, generators, SamplerOptions(**options))
    sampler.start(sampler.pure_noise(draw_from(generators, SHAPE)))
    return sampler


def walked(sampler: Sampler) -> list[tuple[int, float]]:
    """Of each evaluation: the rung that the step began at, and the timestep."""
    found = []
    while not sampler.done:
        found.append((sampler.step_index, float(sampler.timestep)))
        evaluate(sampler)
    return found


@pytest.mark.parametrize("repeats", [0, 1, 3])
def test_one_step_walks_the_way_between_two_levels_again(repeats: int) -> None:
    sampler = made(repeats=repeats)
    levels = sampler.noise_levels.sigmas[:-1].tolist()
    within = [rung for rung, sigma in enumerate(levels) if 0.1 <= sigma <= 2.0]
    found = walked(sampler)
    often = [sum(rung == step for rung, _ in found) for step in range(12)]
    expected = [2] * 11 + [1]
    expected[within[-1] - 1] += 2 * repeats * (within[-1] - within[0])
    assert often == expected
    again = [at for rung, at in found if rung == within[-1] - 1][2:]
    tops = sampler.noise_levels.timesteps[within[0] : within[-1]].tolist()
    assert again[::2] == tops * repeats


@pytest.mark.parametrize("kind", NOISES)
def test_without_repeats_it_is_heun_s_method(kind: str) -> None:
    found, heun = run(made(kind, repeats=0)), run(made(kind, "heun"))
    torch.testing.assert_close(found, heun, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", NOISES)
def test_it_goes_on_to_the_same_bits_after_every_evaluation(kind: str) -> None:
    whole, count = run(made(kind, repeats=2)), len(walked(made(kind, repeats=2)))
    assert count > 2 * 12
    for stop in range(0, count, 3):
        interrupted = made(kind, repeats=2)
        for _ in range(stop):
            evaluate(interrupted)
        resumed = made(kind, repeats=2)
        resumed.restore(interrupted.state())
        assert torch.equal(run(resumed), whole)


def test_where_no_level_lies_between_nothing_is_walked_again() -> None:
    assert len(walked(made(s_tmin=1.0, s_tmax=1.01))) == 2 * 12 - 1


def test_how_often_the_model_is_asked_is_foreseen_about_right() -> None:
    assert len(walked(made(steps=30))) == pytest.approx(evaluations("restart", 30), rel=0.15)
