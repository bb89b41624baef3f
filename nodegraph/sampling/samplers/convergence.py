"""Measure a sampler's order of convergence, on a flow model whose exact prediction is known.

The model's images are numbers of a mixture of two Gaussians. What a sampler makes of it in so
many steps is compared with the exact solution; with twice the steps, the error of a method of
order p falls to 1 / 2**p. Source: Hairer, Nørsett & Wanner 1993, Solving Ordinary Differential
Equations I, section II.3; for methods of several steps, III.3.
"""

from __future__ import annotations

import itertools
import math
from functools import cache

import numpy as np
import torch
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.families.flow_noise import FlowNoise
from nodegraph.sampling.sampler_options import SamplerOptions, options_of
from nodegraph.sampling.samplers import SAMPLERS, make_sampler
from nodegraph.sampling.samplers.base import Sampler
from nodegraph.sampling.schedules import NoiseLevels

MODES = ((-1.0, 0.4), (1.2, 0.3))
"""Means and standard deviations of the two equal parts of the mixture."""
FIRST, LAST = 0.98, 0.1
"""Sigmas between which samplers are compared with the exact solution."""
FEWEST_STEPS, DOUBLINGS = 12, 5
"""Numbers of steps that are compared: the fewest, and how often they are doubled."""
ROUNDING = 4e-6
"""Twice what float32 adds to the error of some hundred steps: below it no order shows."""
TOLERANCE = 0.2
"""How far the measured order may lie below the stated one."""
MOST_EVALUATIONS = 10_000
"""Evaluations of the model in a step, after which it counts as endless."""
_EXACT_STEPS = 150


def velocity(x: Tensor, sigma: float) -> Tensor:
    """What a flow model of the mixture predicts: noise - latent.

    Args:
        x: (1 - sigma) · latent + sigma · noise, of any shape.
        sigma: Above 0, to 1.
    Returns:
        Shaped as x, float64.
    """
    x = x.to(torch.float64)
    logits, means = [], []
    for mean, deviation in MODES:
        variance = ((1 - sigma) * deviation) ** 2 + sigma**2
        offset = x - (1 - sigma) * mean
        logits.append(-(offset**2) / (2 * variance) - 0.5 * math.log(variance))
        means.append(mean + (1 - sigma) * deviation**2 / variance * offset)
    shares = torch.stack(logits).softmax(0)
    return (x - (shares * torch.stack(means)).sum(0)) / sigma


def solve(x: Tensor, sigma: float, end: float, steps: int = _EXACT_STEPS) -> Tensor:
    """x at another level by the classical Runge-Kutta method, float64."""
    x = x.to(torch.float64)
    for here, after in itertools.pairwise(np.linspace(sigma, end, steps + 1)):
        step, middle = after - here, (here + after) / 2
        k1 = velocity(x, here)
        k2 = velocity(x + step / 2 * k1, middle)
        k3 = velocity(x + step / 2 * k2, middle)
        k4 = velocity(x + step * k3, after)
        x = x + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x


START = torch.linspace(-2, 2, 64).reshape(1, 1, 8, 8)
"""The latent at `FIRST`."""


@cache
def _solution(sigma: float) -> Tensor:
    return solve(START, FIRST, sigma)


def resumes_exactly(name: str) -> bool:
    """Whether samplings that are resumed after a step, from what a checkpoint keeps, end with the
    bits of one that is not interrupted.

    Args:
        name: One of `SAMPLERS` that samples flow models.
    """
    states: list[dict[str, Tensor]] = []
    whole = _started(name, FEWEST_STEPS)
    while not whole.done:
        states.append(whole.state())
        _step(whole)
    for state in states:
        resumed = _started(name, FEWEST_STEPS)
        resumed.restore(state)
        while not resumed.done:
            _step(resumed)
        if not torch.equal(resumed.x, whole.x):
            return False
    return True


def sampling_error(name: str, steps: int, exact_steps: int = 0, **options: float) -> float:
    """The greatest error of a sampler at `LAST`, in so many equal steps down from `FIRST`.

    Args:
        name: One of `SAMPLERS` that samples flow models.
        exact_steps: First steps that end at the exact solution. Methods of several steps begin
            with fewer predictions than they use later, at a lower order.
        options: As of `SamplerOptions`. eta and repeats are 0: without fresh noise, all samplers
            solve the same equation.
    """
    for drawing in options_of(name).keys() & {"eta", "repeats"}:
        options[drawing] = 0
    sampler = _started(name, steps, **options)
    while sampler.step_index < steps:
        _step(sampler)
        if sampler.step_index <= exact_steps:
            sampler.x = _solution(float(sampler.sigma)).to(torch.float32)
    return float((sampler.x - _solution(LAST)).abs().max())


def _started(name: str, steps: int, **options: float) -> Sampler:
    """A sampler at `START`, over equal steps from `FIRST` to `LAST` and one more to 0."""
    sigmas = torch.cat([torch.linspace(FIRST, LAST, steps + 1), torch.zeros(1)])
    # The model is evaluated at sigma itself, also for samplers of whole timesteps.
    levels = NoiseLevels(sigmas, sigmas[:-1] * 1000, 0, "own")
    chosen = SamplerOptions(**options)  # type: ignore[arg-type]
    sampler = make_sampler(name, levels, FlowNoise(), [torch.Generator()], chosen)
    sampler.start(START)
    return sampler


def _step(sampler: Sampler) -> None:
    """Run a step.

    Raises:
        InvalidValue: It takes more evaluations of the model than any method needs.
    """
    step_index = sampler.step_index
    for _ in range(MOST_EVALUATIONS):
        output = velocity(sampler.model_input(), float(sampler.timestep) / 1000)
        sampler.feed(output.to(torch.float32))
        if sampler.step_index > step_index:
            return
    raise InvalidValue(
        f"the sampler {sampler.method.name} does not end its step",
        given=f"{MOST_EVALUATIONS:,} evaluations of the model",
        hint="Yield `Done` at the end of each step.",
    )


def measure_order(name: str) -> float:
    """The order that a sampler shows where its steps are shortest, above the rounding of float32.

    Args:
        name: One of `SAMPLERS` that samples flow models.
    """
    exact_steps = max(0, SAMPLERS[name].order - 1)
    errors = [sampling_error(name, FEWEST_STEPS, exact_steps)]
    for doubled in range(1, DOUBLINGS + 1):
        error = sampling_error(name, FEWEST_STEPS * 2**doubled, exact_steps)
        if error < ROUNDING and doubled > 1:
            break
        errors.append(error)
    coarse, fine = errors[-2:]
    return math.log2(coarse / fine) if fine > 0 else math.inf
