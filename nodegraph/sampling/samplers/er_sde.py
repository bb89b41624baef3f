"""Extended reverse-time SDE."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import (
    PRESERVING,
    Done,
    Evaluate,
    NoiseLevel,
    Steps,
    Walk,
    method,
)
from nodegraph.sampling.samplers.spaces import NoiseSpace
from nodegraph.sampling.table_schedules import CONTINUOUS_FINITE

_NODES, _SHARES = np.polynomial.legendre.leggauss(32)


def _strength(noise: float) -> float:
    """phi in the paper: how its family of SDEs spreads fresh noise over the noise levels.

    Source: Cui et al. 2023, arXiv:2309.06169, as the authors' er_sde_solver.py has it.
    """
    return noise * (math.exp(noise**0.3) + 10)


@method(
    "er_sde", PRESERVING, CONTINUOUS_FINITE, options={"s_noise": 1.0, "order": 3}, highest_order=3
)
def er_sde(walk: Walk[NoiseSpace], x: Tensor) -> Steps:
    """Third order: a Taylor expansion of the prediction over the noise, and noise drawn anew.

    The option order says how much of the expansion is taken.

    Source: Cui et al. 2023, arXiv:2309.06169 (VP ER-SDE-Solver-3). Its integrals are
    taken by Gauss and Legendre's rule over the logarithm of the noise; the authors sum 200 points.
    """
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        x = x.to(torch.float32)
        stepped = denoised = here.denoised(output, x).to(torch.float32)
        changes: list[Tensor] = []
        if after.sigma > 0:
            changes = _changes(walk, here, denoised)
            noise, next_noise = _noise(here), _noise(after)
            kept = _strength(next_noise) / _strength(noise)
            stepped = after.alpha / here.alpha * kept * x + after.alpha * (1 - kept) * denoised
            for power, change in enumerate(changes[: walk.options.order - 1], start=1):
                stepped = stepped + after.alpha * _weight(noise, next_noise, power) * change
            spread = math.sqrt(max(next_noise**2 - (noise * kept) ** 2, 0.0))
            stepped = stepped + after.alpha * spread * walk.noise(output).to(torch.float32)
        walk.memory = {f"change.{power}": item for power, item in enumerate(changes, start=1)}
        walk.memory["denoised"] = denoised
        x = yield Done(stepped, denoised)


def _noise(level: NoiseLevel[NoiseSpace]) -> float:
    """Noise over the latent."""
    return math.exp(-float(level.log_snr))


def _changes(
    walk: Walk[NoiseSpace], level: NoiseLevel[NoiseSpace], denoised: Tensor
) -> list[Tensor]:
    """First and second change of the prediction by noise, as far as is known."""
    if "denoised" not in walk.memory:
        return []
    here, before = _noise(level), _noise(walk.level(level.index - 1))
    first = (denoised - walk.memory["denoised"]) / (here - before)
    if "change.1" not in walk.memory:
        return [first]
    span = (here - _noise(walk.level(level.index - 2))) / 2
    return [first, (first - walk.memory["change.1"]) / span]


def _weight(here: float, following: float, power: int) -> float:
    """What a step makes of a term of the expansion, (noise - here)^power / power!."""
    low, high = math.log(following), math.log(here)
    middle, half = (low + high) / 2, (high - low) / 2
    points = np.exp(middle + half * _NODES)
    terms = (points - here) ** (power - 1) * points
    values = terms / np.array([_strength(float(point)) for point in points])
    integral = half * float(_SHARES @ values)
    whole: float = (following - here) ** power / math.factorial(power)
    return whole + integral * _strength(following)
