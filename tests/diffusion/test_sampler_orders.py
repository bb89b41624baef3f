"""What a sampler's order promises, on a mixture of Gaussians whose exact prediction is known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nodegraph.families.flow_noise import FlowNoise, ModelNoise
from nodegraph.families.noise import NoiseSchedule, draw_from
from nodegraph.families.sampler_names import SAMPLER_NAMES, allowed_schedules
from nodegraph.sampling.sampler_options import SAMPLER_OPTIONS, SamplerOptions
from nodegraph.sampling.samplers import SAMPLERS, Sampler, make_sampler
from nodegraph.sampling.samplers.convergence import (
    START,
    TOLERANCE,
    measure_order,
    sampling_error,
)
from nodegraph.sampling.schedules import NoiseLevels, sigmas_for

BEGINNING = 3
"""First steps in which methods with a memory of earlier slopes are of lower order."""
SLOPES = ("deis", "lms", "ipndm", "ipndm_v")
"""Those that look at slopes of steps before, of which the first steps have fewer."""
UNORDERED = {"er_sde", "ddim", "ddpm", "pndm", "cogvideox_dpm", "lcm", "tcd"}
"""Of no order without noise, of a model's own table or of few steps: compared elsewhere."""
ORDERS = {name: item.order for name, item in SAMPLERS.items() if name not in UNORDERED}


def order_shown(name: str, steps: int, exact_steps: int = 0, **options: Any) -> float:
    """By so many steps and twice as many."""
    coarse, fine = (
        sampling_error(name, count, exact_steps, **options) for count in (steps, 2 * steps)
    )
    return math.log2(coarse / fine)


def test_every_other_sampler_says_its_order() -> None:
    assert min(ORDERS.values()) > 0


@pytest.mark.slow
@pytest.mark.parametrize(("name", "order"), ORDERS.items())
def test_twice_the_steps_leave_the_error_that_the_order_says(name: str, order: int) -> None:
    assert measure_order(name) > order - TOLERANCE


@pytest.mark.parametrize("name", SLOPES)
def test_slopes_that_are_not_there_yet_leave_a_method_of_second_order(name: str) -> None:
    assert order_shown(name, 24) > 2 - TOLERANCE


@pytest.mark.parametrize(
    ("name", "order"), [("lms", 2), ("ipndm", 2), ("deis", 2), ("sa_solver", 3)]
)
def test_the_order_is_what_was_asked_for(name: str, order: int) -> None:
    assert order_shown(name, 24, BEGINNING, order=order) > order - TOLERANCE


DRAWING = [name for name in SAMPLER_NAMES if "s_noise" in SAMPLER_OPTIONS.get(name, {})]
SPREAD = 0.5
FIRST_ORDER = ("euler", "euler_ancestral", "euler_ancestral_cfg_pp", "heunpp2", "ddim", "ddpm")


@pytest.mark.parametrize("kind", ["discrete", "flow"])
@pytest.mark.parametrize("name", [*DRAWING, "ddpm", "ddim"])
def test_what_is_drawn_has_the_spread_that_the_model_was_trained_on(name: str, kind: str) -> None:
    """On images of normally distributed numbers, whose exact prediction is known."""
    if name not in allowed_schedules(kind) or name == "lcm":
        pytest.skip("it can't sample such models, or is for distilled ones")
    noise: ModelNoise = NoiseSchedule.from_config({}) if kind == "discrete" else FlowNoise()
    eta = {"eta": 1.0} if "eta" in SAMPLER_OPTIONS.get(name, {}) else {}
    churn = {"s_churn": 20.0} if "s_churn" in SAMPLER_OPTIONS.get(name, {}) else {}
    ladder = sigmas_for("normal", noise, 100, grid=SAMPLERS[name].grid)
    generator = torch.Generator().manual_seed(1)
    told = SamplerOptions(**eta, **churn)
    sampler = make_sampler(name, ladder, noise, [generator], told)
    sampler.start(sampler.pure_noise(torch.randn(1, 1, 64, 64, generator=generator)))
    while not sampler.done:
        x, at = sampler.model_input(), float(sampler.timestep)
        if isinstance(noise, FlowNoise):
            alpha, deviation = 1 - at / 1000, at / 1000
        else:
            sigma = float(noise.timestep_to_sigma(at))
            alpha, deviation = 1 / math.hypot(1, sigma), sigma / math.hypot(1, sigma)
        denoised = alpha * SPREAD**2 * x / ((alpha * SPREAD) ** 2 + deviation**2)
        drawn = (x - alpha * denoised) / deviation
        sampler.feed(drawn - denoised if kind == "flow" else drawn)
    near = 0.1 if name in FIRST_ORDER else 0.04
    assert float(sampler.x.std()) == pytest.approx(SPREAD, rel=near)


def test_er_sde_follows_a_prediction_that_is_a_line_over_the_noise() -> None:
    sampler = made("er_sde", [0.8, 0.7, 0.55, 0.45, 0.3, 0.2], s_noise=0.0)

    def over(sigma: Tensor) -> float:
        return float(sigma) / (1 - float(sigma))

    for _ in range(2):
        sampler.feed((sampler.x - 0.3 * over(sampler.sigma)) / sampler.sigma)
    x = (sampler.x / (1 - sampler.sigma)).to(torch.float64)
    start, end = over(sampler.sigma), over(sampler.next_sigma)
    sampler.feed((sampler.x - 0.3 * start) / sampler.sigma)

    # what is expected of x over the noise s: dx / ds = (phi' / phi) · (x - prediction)
    def change(s: float, x: Tensor) -> Tensor:
        grown = math.exp(s**0.3)
        return (1 / s + grown * 0.3 * s**-0.7 / (grown + 10)) * (x - 0.3 * s)

    points = np.linspace(start, end, 201)
    for s, following in itertools.pairwise(points):
        step, middle = following - s, (s + following) / 2
        one = change(s, x)
        two = change(middle, x + step / 2 * one)
        three = change(middle, x + step / 2 * two)
        x = x + step / 6 * (one + 2 * two + 2 * three + change(following, x + step * three))
    expected = (x * (1 - sampler.sigma)).to(torch.float32)
    torch.testing.assert_close(sampler.x, expected, rtol=1e-5, atol=1e-5)


def made(name: str, sigmas: Sequence[float], **options: Any) -> Sampler:
    """Over given levels, at its start."""
    levels = torch.tensor([*sigmas, 0.0])
    ladder = NoiseLevels(levels, levels[:-1] * 1000, 0, "own")
    generators = [torch.Generator().manual_seed(5)]
    sampler = make_sampler(name, ladder, FlowNoise(), generators, SamplerOptions(**options))
    sampler.start(START)
    return sampler


@pytest.mark.parametrize(
    ("name", "degree", "noisy"),
    [
        ("res_multistep", 1, False),
        ("res_multistep_ancestral", 1, True),
        ("dpmpp_2m_sde_heun", 1, True),
        ("dpmpp_3m", 2, False),
        ("dpmpp_3m_sde", 2, True),
    ],
)
def test_a_prediction_that_is_a_polynomial_of_log_snr_is_integrated(
    name: str, degree: int, noisy: bool
) -> None:
    sampler = made(name, [0.8, 0.7, 0.55, 0.45, 0.3, 0.2])
    for _ in range(degree):
        sampler.feed((sampler.x - _log_snr(sampler.sigma) ** degree) / sampler.sigma)
    x, sigma, following = sampler.x, float(sampler.sigma), float(sampler.next_sigma)
    start, end = _log_snr(sampler.sigma), _log_snr(sampler.next_sigma)
    noise = draw_from([sampler.generators[0].clone_state()], START.shape[1:])
    sampler.feed((x - start**degree) / sampler.sigma)

    # exp(-lambda) is the decay of the exact solution, of the reverse SDE's exp(-2 lambda)
    rate, points = 2 if noisy else 1, np.linspace(start, end, 20_001)
    followed = points
    if degree == 2:
        # methods of this name count but half of the bend, (lambda - start)^2
        followed = start**2 + 2 * start * (points - start) + (points - start) ** 2 / 2
    kernel = rate * np.exp(-rate * (end - points)) * followed
    expected = following / sigma * math.exp(-(rate - 1) * (end - start)) * x
    expected = expected + (1 - following) * float(np.trapezoid(kernel, points))
    if noisy:
        expected = expected + following * math.sqrt(-math.expm1(-2 * (end - start))) * noise
    torch.testing.assert_close(sampler.x, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "degree", "logarithmic"), [("lms", 3, False), ("ipndm", 3, False), ("deis", 2, True)]
)
def test_a_slope_that_is_a_polynomial_is_integrated_exactly(
    name: str, degree: int, logarithmic: bool
) -> None:
    levels = [0.9, 0.8, 0.7, 0.6, 0.5, 0.4] if name == "ipndm" else [0.9, 0.8, 0.65, 0.5, 0.4, 0.2]
    sampler = made(name, levels)
    scale = np.log if logarithmic else np.asarray
    for _ in range(degree):
        sampler.feed(torch.full_like(sampler.x, scale(float(sampler.sigma)) ** degree))
    x, points = sampler.x, np.linspace(float(sampler.sigma), float(sampler.next_sigma), 20_001)
    sampler.feed(torch.full_like(x, scale(float(sampler.sigma)) ** degree))
    expected = x + float(np.trapezoid(scale(points) ** degree, points))
    torch.testing.assert_close(sampler.x, expected, rtol=1e-6, atol=1e-6)


def _log_snr(sigma: Tensor) -> float:
    return math.log((1 - float(sigma)) / float(sigma))
