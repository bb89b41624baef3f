"""What a sampler may be told besides its name, and what comes of it."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, TCDScheduler
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.families.flow_noise import FlowNoise
from nodegraph.families.noise import NoiseSchedule, draw_from, item_generators
from nodegraph.families.sampler_names import SAMPLER_NAMES, allowed_schedules
from nodegraph.sampling.sampler_options import (
    OPTION_RANGES,
    SAMPLER_OPTIONS,
    ResolvedOptions,
    SamplerOptions,
    resolve_options,
)
from nodegraph.sampling.samplers import SAMPLERS, Sampler, make_sampler
from nodegraph.sampling.schedules import sigmas_for
from tests.diffusion.stand_in import SHAPE, evaluate, model, run
from tests.messages import raises

NOISES = {
    "discrete": NoiseSchedule.from_config(
        {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    ),
    "flow": FlowNoise(shift=3.0),
}
OTHER: dict[str, Any] = {
    "eta": 0.6,
    "s_noise": 0.9,
    "s_churn": 2.0,
    "s_tmin": 0.5,
    "s_tmax": 1.2,
    "order": 1,
    "gamma": 1.5,
    "repeats": 2,
    "s_noise_end": 0.5,
    "noise_clip": 1.0,
}
"""By option: a value that no sampler has of itself."""
NEEDS = {"s_tmin": {"s_churn": 2.0}, "s_tmax": {"s_churn": 2.0}, "s_noise": {"s_churn": 2.0}}
"""What churn's options need beside them to do anything."""
HEEDED = [
    (name, kind, option)
    for kind in NOISES
    for name in allowed_schedules(kind)
    for option in SAMPLER_OPTIONS.get(name, {})
]


def made(name: str, kind: str = "discrete", steps: int = 6, **options: Any) -> Sampler:
    """A sampler of two items at its start."""
    noise: Any = NOISES[kind]
    ladder = sigmas_for("normal", noise, steps, grid=SAMPLERS[name].grid)
    generators = item_generators(3, [0, 1])
    sampler = make_sampler(name, ladder, noise, generators, SamplerOptions(**options))
    sampler.start(sampler.pure_noise(draw_from(generators, SHAPE)))
    return sampler


def test_options_are_told_in_one_way() -> None:
    names = [field.name for field in fields(SamplerOptions)]
    assert names == [field.name for field in fields(ResolvedOptions)] == list(OPTION_RANGES)
    assert set(SAMPLER_OPTIONS) <= set(SAMPLER_NAMES)
    assert all(set(heeded) <= set(names) for heeded in SAMPLER_OPTIONS.values())


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_what_is_a_sampler_s_own_is_what_it_does_untold(name: str) -> None:
    own: dict[str, Any] = {**SAMPLER_OPTIONS.get(name, {})}
    assert torch.equal(run(made(name, **own)), run(made(name)))


@pytest.mark.parametrize(("name", "kind", "option"), HEEDED)
def test_an_option_that_is_heeded_changes_the_result(name: str, kind: str, option: str) -> None:
    beside: dict[str, Any] = {"steps": 20} if name == "restart" else {}
    if "s_churn" in SAMPLER_OPTIONS[name]:
        beside = NEEDS.get(option, {})
    told, untold = made(name, kind, **beside | {option: OTHER[option]}), made(name, kind, **beside)
    assert not torch.equal(run(told), run(untold))


@pytest.mark.parametrize("name", SAMPLER_NAMES)
def test_an_option_that_is_not_heeded_is_refused(name: str) -> None:
    for option in OTHER.keys() - SAMPLER_OPTIONS.get(name, {}).keys():
        with raises(InvalidValue) as caught:
            resolve_options(name, SamplerOptions(**{option: OTHER[option]}))
        assert caught.value.problem.port == option
        assert "Samplers with this option" in (caught.value.problem.hint or "")


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("euler_ancestral", "eta", -0.1),
        ("euler_ancestral", "eta", 1.1),
        ("euler_ancestral", "s_noise", math.nan),
        ("euler", "s_churn", -1.0),
        ("lms", "order", 5),
        ("deis", "order", 4),
        ("ipndm", "order", 0),
    ],
)
def test_an_option_out_of_range_is_refused(name: str, option: str, value: float) -> None:
    with raises(InvalidValue) as caught:
        resolve_options(name, SamplerOptions(**{option: value}))  # type: ignore[arg-type]
    assert caught.value.problem.port == option


def test_a_range_of_noise_levels_without_any_is_refused() -> None:
    with raises(InvalidValue, port="s_tmin", given="2"):
        resolve_options("heun", SamplerOptions(s_tmin=2.0, s_tmax=1.0))


STRAIGHT = {
    "euler_ancestral": "euler",
    "dpm_2_ancestral": "dpm_2",
    "dpmpp_2m_sde": "dpmpp_2m",
    "dpmpp_3m_sde": "dpmpp_3m",
}
"""What a sampler that draws noise is without it."""


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("name", STRAIGHT)
def test_without_fresh_noise_it_is_the_sampler_of_the_equation_without(
    name: str, kind: str
) -> None:
    found, expected = run(made(name, kind, eta=0.0)), run(made(STRAIGHT[name], kind))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("eta", [0.5, 1.0])
@pytest.mark.parametrize(
    ("name", "scheduler_class"), [("ddim", DDIMScheduler), ("tcd", TCDScheduler)]
)
def test_eta_is_the_counterpart_s(name: str, scheduler_class: Any, eta: float) -> None:
    config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    scheduler = scheduler_class.from_config(config)
    scheduler.set_timesteps(6)
    generators = item_generators(3, [0, 1])
    x = draw_from(generators, SHAPE)
    for timestep in scheduler.timesteps:
        output = model(x, timestep)
        x = scheduler.step(output, timestep, x, eta=eta, generator=generators).prev_sample
    assert torch.equal(run(made(name, eta=eta)), x)


CHURNED = [name for name, heeded in SAMPLER_OPTIONS.items() if "s_churn" in heeded]


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("name", CHURNED)
def test_a_churned_sampling_goes_on_to_the_same_bits(name: str, kind: str) -> None:
    churn: dict[str, Any] = {"s_churn": 3.0, "s_noise": 1.003}
    whole = run(made(name, kind, **churn))
    for stop in range(9):
        interrupted = made(name, kind, **churn)
        for _ in range(stop):
            if not interrupted.done:
                evaluate(interrupted)
        if not interrupted.done:
            interrupted.model_input()  # which may draw the coming step's noise
        resumed = made(name, kind, **churn)
        resumed.restore(interrupted.state())
        assert torch.equal(run(resumed), whole)


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("name", CHURNED)
def test_a_model_that_knows_the_picture_is_led_to_it_through_churn(name: str, kind: str) -> None:
    sampler = made(name, kind, s_churn=4.0)
    picture = torch.linspace(-1, 1, 2 * 4 * 6 * 6).reshape(2, *SHAPE)
    while not sampler.done:
        sampler.feed(_truth(sampler, picture))
    torch.testing.assert_close(sampler.x, picture, rtol=0, atol=2e-4)


def _truth(sampler: Sampler, picture: Tensor) -> Tensor:
    """What a model says that knows the image, of the noise level that it is asked at."""
    x, at = sampler.model_input(), float(sampler.timestep)
    if isinstance(noise := sampler.space.noise, FlowNoise):
        return (x - picture) / (at / 1000)
    alpha_bar = 1 / (1 + noise.timestep_to_sigma(at) ** 2)
    return (x - alpha_bar**0.5 * picture) / (1 - alpha_bar) ** 0.5


def test_churn_raises_the_noise_level_that_the_model_is_asked_at() -> None:
    plain, churned = made("euler", "flow"), made("euler", "flow", s_churn=6 * 0.25)
    for sampler in (plain, churned):
        evaluate(sampler)
    before, after = float(plain.timestep) / 1000, float(churned.timestep) / 1000
    assert after / (1 - after) == pytest.approx(1.25 * before / (1 - before), rel=1e-3)
    assert churned.sigma == plain.sigma, "between steps it is at its rung"


def test_churn_stays_within_its_noise_levels() -> None:
    sampler = made("euler", s_churn=1.0, s_tmin=1.0, s_tmax=3.0)
    raised = []
    while not sampler.done:
        noise: Any = sampler.space.noise
        if noise.timestep_to_sigma(float(sampler.timestep)) > float(sampler.sigma) * 1.01:
            raised.append(float(sampler.sigma))
        evaluate(sampler)
    assert raised
    assert all(1.0 <= sigma <= 3.0 for sigma in raised)


def test_noise_runs_from_one_strength_to_another_and_is_held_within_its_deviations() -> None:
    sampler = made("lcm", steps=5, s_noise=2.0, s_noise_end=1.0, noise_clip=1.5)
    seen = []
    while sampler.step_index < 4:
        before = [generator.clone_state() for generator in sampler.generators]
        sampler.feed(torch.zeros_like(sampler.x))
        drawn = draw_from(before, SHAPE)
        most = float(drawn.std()) * 1.5
        alpha, deviation = sampler.space.alpha_deviation(sampler.step_index)
        assert sampler.denoised is not None
        fresh = (sampler.x - alpha * sampler.denoised) / deviation
        held = drawn.clamp(-most, most)
        seen.append(float((fresh * held).sum() / (held**2).sum()))
    assert seen == pytest.approx([2.0, 1.75, 1.5, 1.25], rel=1e-4)
