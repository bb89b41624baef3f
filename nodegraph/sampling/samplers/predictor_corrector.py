"""Predictor-corrector methods: UniPC and, for the reverse SDE, SA-Solver."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nodegraph.families.comfyui_sigmas import table_sigma_at
from nodegraph.families.flow_noise import FlowNoise, ModelNoise
from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.spaces import FlowSpace, SigmaPreservingSpace, UnmixedFlowSpace
from nodegraph.sampling.table_schedules import CORRECTED, MULTISTEP

_BEFORE = ("earlier", "earliest")
"""Names of the predictions before the latest."""


class UniPC(Sampler):
    """Predictor and corrector on the predicted latent, B(h) = exp(h) - 1.

    `history` holds as many predictions as the option order says and the point that the last step
    started from.

    Source: Zhao et al. 2023, arXiv:2302.04867, algorithms 5 to 8 (variant B2).
    """

    spaces: ClassVar[Spaces] = {"discrete": SigmaPreservingSpace, "flow": FlowSpace}
    grid = CORRECTED
    comfyui_spaces: ClassVar[Spaces] = {"flow": UnmixedFlowSpace}

    def feed(self, output: Tensor) -> None:
        denoised = self.space.to_denoised(output, self.x, self.step_index)
        x = self.x if self.step_index == self.noise_levels.first else self._corrected(denoised)
        kept = [self.history[name] for name in ("denoised", *_BEFORE) if name in self.history]
        self.history = {"start": x, "denoised": denoised}
        self.history |= dict(zip(_BEFORE, kept[: self.options.order - 1], strict=False))
        self.denoised = denoised
        self.x = self._step(
            x, self.step_index, self._change(self.step_index, self._order(self.step_index))
        )
        self.step_index += 1

    def _order(self, step_index: int) -> int:
        """Order of the step from a rung: lower in the first and the last ones."""
        return min(
            self.options.order,
            self.noise_levels.level_count - step_index,
            step_index - self.noise_levels.first + 1,
        )

    def _corrected(self, denoised: Tensor) -> Tensor:
        """x again, from the last step's start, now that the prediction at its end is known."""
        step_index, latest = self.step_index - 1, self.history["denoised"]
        order = self._order(step_index)
        weights = self._weights(step_index, order) if order > 1 else torch.tensor([0.5])
        change = weights[-1].to(denoised.dtype) * (denoised - latest)
        for weight, slope in zip(weights[:-1], self._slopes(step_index, order), strict=True):
            change = weight.to(denoised.dtype) * slope + change
        return self._step(self.history["start"], step_index, change)

    def _change(self, step_index: int, order: int) -> Tensor | None:
        """What the predictor expects the prediction to change by."""
        slopes = self._slopes(step_index, order)
        if order <= 2:
            return 0.5 * slopes[0] if slopes else None  # this weight is exact
        weights = self._weights(step_index, order, predicts=True)
        parts = (weight.to(item.dtype) * item for weight, item in zip(weights, slopes, strict=True))
        return torch.stack(list(parts)).sum(0)

    def _slopes(self, index: int, order: int) -> list[Tensor]:
        """Changes of the prediction over the steps before `index`, per step from `index`."""
        latest = self.history["denoised"]
        return [
            (self.history[name] - latest) / self._ratio(index, back)
            for back, name in enumerate(_BEFORE[: order - 1], start=1)
        ]

    def _ratio(self, index: int, back: int = 1) -> Tensor:
        """Length of the way from a rung before over that of the step from `index`, negative."""
        here = self.space.log_snr(index)
        return (self.space.log_snr(index - back) - here) / (self.space.log_snr(index + 1) - here)

    def _step(self, x: Tensor, step_index: int, change: Tensor | None) -> Tensor:
        """From x at a rung to the next rung, where `history` holds the rung's prediction."""
        _, deviation = self.space.alpha_deviation(step_index)
        alpha, next_deviation = self.space.alpha_deviation(step_index + 1)
        h = -(self.space.log_snr(step_index + 1) - self.space.log_snr(step_index))
        stepped = next_deviation / deviation * x - alpha * torch.expm1(h) * self.history["denoised"]
        if change is not None:
            stepped = stepped - alpha * self._scale(h) * change
        return stepped.to(x.dtype)

    def _scale(self, h: Tensor) -> Tensor:
        """B(h), by which changes are scaled."""
        return torch.expm1(h)

    def _weights(self, step_index: int, order: int, *, predicts: bool = False) -> Tensor:
        """Solution of the paper's equation 11 for so many points; float32.

        Args:
            predicts: Without the point that the step leads to.
        """
        h = -(self.space.log_snr(step_index + 1) - self.space.log_snr(step_index))
        ratios = [self._ratio(step_index, back) for back in range(1, order)]
        points = torch.stack([*ratios, torch.ones(())])
        h_phi_k, factorial, values = torch.expm1(h) / h - 1, 1, []
        for power in range(1, order + 1):
            values.append(h_phi_k * factorial / self._scale(h))
            factorial *= power + 1
            h_phi_k = h_phi_k / h - 1 / factorial
        system = torch.stack([points**power for power in range(order)])
        known = torch.stack(values)
        if predicts:
            system, known = system[:-1, :-1], known[:-1]
        weights: Tensor = torch.linalg.solve(system, known)
        return weights


class UniPCB1(UniPC):
    """The same with B(h) = h, which suits few steps.

    Source: Zhao et al. 2023, arXiv:2302.04867, section 3.3 (variant B1).
    """

    def _scale(self, h: Tensor) -> Tensor:
        return h


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
