"""SA-Solver: Adams' methods for the reverse SDE, each step corrected by the next evaluation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nodegraph.families.comfyui_levels import table_sigma_at
from nodegraph.families.flow_noise import FlowNoise, ModelNoise
from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.spaces import FlowSpace, SigmaPreservingSpace
from nodegraph.sampling.table_schedules import MULTISTEP

NOISY = (0.2, 0.8)
"""Part of the training timesteps between which noise is drawn anew, as the authors have it."""

_MOST = 4
"""Predictions that a step looks at, at most."""
_NODES, _SHARES = np.polynomial.legendre.leggauss(24)


class SASolver(Sampler):
    """Predictor and corrector of second order: polynomials over log-SNR through the predictions.

    The option eta is the paper's tau between `NOISY` timesteps; elsewhere nothing is drawn. Another
    order than 2 is that of both. `history` holds the last predictions, ``denoised.1`` the latest,
    the point that the last step ``start``ed from and its ``noise``.

    The last step ends on the prediction, without noise.

    Source: Xue et al. 2023, arXiv:2309.05019, algorithm 1; weights at order 2 as the authors'
    simplified ones, which diffusers' SASolverScheduler has too.

    By ComfyUI's convention the corrector's order is one above the predictor's, which the option
    says, weights at order 2 are exact, both orders fall towards the end, and whether noise is drawn
    is told by the level that a step leads to. Source: ComfyUI's sample_sa_solver
    (``comfy/k_diffusion/sampling.py``, ``sa_solver.py``).
    """

    spaces: ClassVar[Spaces] = {"discrete": SigmaPreservingSpace, "flow": FlowSpace}
    grid = MULTISTEP

    def feed(self, output: Tensor) -> None:
        x = self.x.to(torch.float32)
        denoised = self.space.to_denoised(output, x, self.step_index).to(torch.float32)
        self.denoised = denoised.to(output.dtype)
        if "start" in self.history and not self.stage:
            x = self._corrected(denoised)
            if self._evaluates_twice:
                self.x = x.to(output.dtype)
                self.stage = 1
                return
        self._predict(x, denoised, output)
        self.stage = 0
        self.step_index += 1

    @property
    def _evaluates_twice(self) -> bool:
        """Whether the corrected point is asked about, too."""
        return False

    def draws(self, step_index: int) -> int:
        return int(self._is_noisy(step_index))

    def _predict(self, x: Tensor, denoised: Tensor, output: Tensor) -> None:
        """Step to the next rung."""
        known = [denoised, *self._known()]
        kept = known[: max(*self._orders, 2)]
        self.history = {f"denoised.{index}": item for index, item in enumerate(kept, start=1)}
        self.history["start"] = x
        if self._is_noisy(self.step_index):
            self.history["noise"] = self._fresh_noise(output).to(torch.float32)
        if not self.next_sigma > 0:
            self.x = denoised.to(output.dtype)
            return
        order = min(self._orders[0], self._left - self._is_comfyui, len(known))
        places = [self.step_index - back for back in range(order)]
        self.x = self._stepped(self.step_index, places, known).to(output.dtype)

    def _corrected(self, denoised: Tensor) -> Tensor:
        """x again, from the last step's start, now that the prediction at its end is known."""
        known = [denoised, *self._known()]
        order = min(self._orders[1], len(known))
        if self._is_comfyui:
            order = min(order, self._left)
        places = [self.step_index - back for back in range(order)]
        return self._stepped(self.step_index - 1, places, known)

    @property
    def _orders(self) -> tuple[int, int]:
        """Of predictor and corrector, once there are predictions enough."""
        order = self.options.order
        return (order, min(order + 1, _MOST)) if self._is_comfyui else (order, order)

    @property
    def _left(self) -> int:
        """Steps down to no noise, which lower the order; ComfyUI sees none in a part of a schedule
        that ends above it."""
        if self._is_comfyui and self.noise_levels.last is not None:
            return self.noise_levels.level_count
        return self.noise_levels.level_count - self.step_index

    def _known(self) -> list[Tensor]:
        names = sorted(name for name in self.history if name.startswith("denoised."))
        return [self.history[name] for name in names]

    def _stepped(self, step_index: int, places: Sequence[int], known: Sequence[Tensor]) -> Tensor:
        """From the start at a rung to the next, by predictions at some rungs.

        Args:
            places: The rungs, latest first; a correction has the one that it leads to, too.
        """
        _, deviation = self.space.alpha_deviation(step_index)
        alpha, next_deviation = self.space.alpha_deviation(step_index + 1)
        start, end = (float(self.space.log_snr(at)) for at in (step_index, step_index + 1))
        tau = self._tau(step_index)
        rate, step = 1 + tau**2, end - start
        x = next_deviation / deviation * math.exp(-(tau**2) * step) * self.history["start"]
        points = [float(self.space.log_snr(index)) for index in places]
        simplified = len(points) == 2 and not self._is_comfyui
        weigh = _simplified_weights if simplified else _weights
        for weight, denoised in zip(weigh(points, start, end, rate), known, strict=False):
            x = x + alpha * weight * denoised
        if "noise" not in self.history:
            return x
        drawn = math.sqrt(-math.expm1(-2 * tau**2 * step))
        return x + next_deviation * drawn * self.history["noise"]

    def _is_noisy(self, step_index: int) -> bool:
        """Whether the step from a rung draws noise; diffusers' draws in each, also what counts for
        nothing."""
        if not self._is_comfyui:
            return True
        leaves_noise = bool(self.noise_levels.sigmas[step_index + 1] > 0)
        return leaves_noise and self._tau(step_index) > 0 and self.options.s_noise > 0

    def _tau(self, step_index: int) -> float:
        """The paper's tau in the step from a rung."""
        low, high = NOISY
        if self._is_comfyui:
            highest, least = (_level_behind(self.space.noise, share) for share in NOISY)
            is_noisy = highest >= float(self.noise_levels.sigmas[step_index + 1]) >= least
        else:
            at = float(self.noise_levels.timesteps[step_index]) / self.space.noise.timesteps
            is_noisy = low <= at <= high
        return self.options.eta if is_noisy else 0.0


class SASolverPECE(SASolver):
    """The same, but each corrected point is asked about: two evaluations a step, one in the first.

    Source: Xue et al. 2023, arXiv:2309.05019, section 5 (PECE), as ComfyUI's sample_sa_solver_pece
    (``comfy/k_diffusion/sampling.py``).
    """

    @property
    def _evaluates_twice(self) -> bool:
        return True


def _level_behind(noise: ModelNoise, share: float) -> float:
    """The level at which ComfyUI says that a share of the timesteps lies behind."""
    if isinstance(noise, FlowNoise):
        return noise.common.sigma_at(share)
    return table_sigma_at(noise, share)


def _weights(points: Sequence[float], start: float, end: float, rate: float) -> list[float]:
    """What each prediction makes of a step in log-SNR, whose exponential fades at a rate.

    Args:
        points: Where the predictions are, latest first; at most 4.
    """
    step = end - start
    at = start + step * (_NODES + 1) / 2
    kernel = rate * np.exp(rate * (at - end)) * _SHARES * step / 2
    return [float(kernel @ _polynomial(points, index, at)) for index in range(len(points))]


def _simplified_weights(
    points: Sequence[float], start: float, end: float, rate: float
) -> list[float]:
    """The same for two predictions, with a bend that is right but for terms of higher order."""
    total, step = -math.expm1(-rate * (end - start)), end - start
    bend = rate * step**2 / 2 / (points[0] - points[1])
    return [bend, total - bend] if points[0] == end else [total + bend, -bend]


def _polynomial(
    points: Sequence[float], index: int, at: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Lagrange's: 1 at one of the points, 0 at the others."""
    product = np.ones_like(at)
    for other, point in enumerate(points):
        if other != index:
            product = product * (at - point) / (points[index] - point)
    return product
