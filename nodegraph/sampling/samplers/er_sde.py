"""Extended reverse-time SDE."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.spaces import FlowSpace, SigmaPreservingSpace
from nodegraph.sampling.table_schedules import CONTINUOUS_FINITE

_NODES, _SHARES = np.polynomial.legendre.leggauss(32)


def _strength(noise: float) -> float:
    """phi in the paper: how its family of SDEs spreads fresh noise over the noise levels.

    Source: Cui et al. 2023, arXiv:2309.06169, as the authors' er_sde_solver.py has it.
    """
    return noise * (math.exp(noise**0.3) + 10)


class ERSDE(Sampler):
    """Third order: a Taylor expansion of the prediction over the noise, and noise drawn anew.

    `history` holds the prediction before and how it changed. The option order says how much of the
    expansion is taken.

    Source: Cui et al. 2023, arXiv:2309.06169 (VP ER-SDE-Solver-3). Its integrals are
    taken by Gauss and Legendre's rule over the logarithm of the noise; the authors sum 200 points.
    """

    spaces: ClassVar[Spaces] = {"discrete": SigmaPreservingSpace, "flow": FlowSpace}
    grid = CONTINUOUS_FINITE

    def feed(self, output: Tensor) -> None:
        x = self.x.to(torch.float32)
        denoised = self.space.to_denoised(output, x, self.step_index).to(torch.float32)
        self.denoised = denoised.to(output.dtype)
        history, stepped = {"denoised": denoised}, denoised
        if self.next_sigma > 0:
            changes = self._changes(denoised)
            history |= {f"change.{index}": item for index, item in enumerate(changes, start=1)}
            stepped = self._stepped(x, denoised, changes) + self._drawn(output)
        self.history = history
        self.x = stepped.to(output.dtype)
        self.step_index += 1

    def _noise(self, step_index: int) -> float:
        """Noise over the latent at a rung."""
        return math.exp(-float(self.space.log_snr(step_index)))

    def _changes(self, denoised: Tensor) -> list[Tensor]:
        """First and second change of the prediction by noise, as far as is known."""
        if "denoised" not in self.history:
            return []
        here = self._noise(self.step_index)
        first = (denoised - self.history["denoised"]) / (here - self._noise(self.step_index - 1))
        if "change.1" not in self.history:
            return [first]
        span = (here - self._noise(self.step_index - 2)) / 2
        return [first, (first - self.history["change.1"]) / span]

    def _stepped(self, x: Tensor, denoised: Tensor, changes: list[Tensor]) -> Tensor:
        here, following = self._noise(self.step_index), self._noise(self.step_index + 1)
        alpha, _ = self.space.alpha_deviation(self.step_index)
        next_alpha, _ = self.space.alpha_deviation(self.step_index + 1)
        kept = _strength(following) / _strength(here)
        stepped = next_alpha / alpha * kept * x + next_alpha * (1 - kept) * denoised
        for power, change in enumerate(changes[: self.options.order - 1], start=1):
            weight = self._weight(here, following, power)
            stepped = stepped + next_alpha * weight * change
        return stepped

    def _weight(self, here: float, following: float, power: int) -> float:
        """What the step makes of a term of the expansion, (noise - here)^power / power!."""
        low, high = math.log(following), math.log(here)
        middle, half = (low + high) / 2, (high - low) / 2
        points = np.exp(middle + half * _NODES)
        terms = (points - here) ** (power - 1) * points
        values = terms / np.array([_strength(float(point)) for point in points])
        integral = half * float(_SHARES @ values)
        step = following - here
        whole: float = step**power / math.factorial(power)
        return whole + integral * _strength(following)

    def _drawn(self, like: Tensor) -> Tensor:
        here, following = self._noise(self.step_index), self._noise(self.step_index + 1)
        kept = _strength(following) / _strength(here)
        spread = math.sqrt(max(following**2 - (here * kept) ** 2, 0.0))
        alpha, _ = self.space.alpha_deviation(self.step_index + 1)
        return alpha * spread * self._fresh_noise(like).to(torch.float32)
