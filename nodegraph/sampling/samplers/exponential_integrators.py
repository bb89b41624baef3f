"""Exponential Runge-Kutta methods: SEEDS, DPM-Solver++ SDE, exponential Heun; and ER-SDE-Solver.

In log-SNR the way of x to the next noise level is that of the prediction, weighed by an exponential
that is integrated exactly; for the reverse SDE, with noise that is drawn anew on the way.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import NOISY, Done, Evaluate, Steps, Walk, sampler
from nodegraph.sampling.samplers.dpmpp import decay_factor
from nodegraph.sampling.samplers.spaces import (
    PRESERVING,
    STRAIGHT,
    NoiseLevel,
    NoiseSpace,
    StraightSpace,
)
from nodegraph.sampling.table_schedules import CONTINUOUS_FINITE


class ExponentialStep(ABC):
    """One step: it asks at parts of the step's length, and at the last x becomes the prediction.

    Attributes:
        predictions: Those so far.
        noise: What was drawn, as it has grown since the start, of unit strength at its end.
    """

    def __init__(
        self,
        walk: Walk[StraightSpace],
        parts: Sequence[float],
        here: NoiseLevel[StraightSpace],
        after: NoiseLevel[StraightSpace],
    ) -> None:
        self.walk, self.parts, self.here, self.after = walk, parts, here, after
        self.predictions: list[Tensor] = []
        self.noise: Tensor | None = None

    @property
    def eta(self) -> float:
        return self.walk.options.eta

    def stepped(self, start: Tensor, to: NoiseLevel[StraightSpace]) -> Tensor:
        """x at a level, from the step's start, by the predictions so far."""
        step = to.log_snr - self.here.log_snr
        kept = self.kept(step)
        x = to.deviation / self.here.deviation * kept * start
        weights = self.weights(1 - torch.exp(-step) * kept, step)
        for weight, denoised in zip(weights, self.predictions, strict=True):
            x = x + to.alpha * weight * denoised
        return x if self.eta == 0 else x + to.deviation * self.drawn(start, to, step)

    @abstractmethod
    def weights(self, total: Tensor, step: Tensor) -> Sequence[Tensor]:
        """Of each prediction so far.

        Args:
            total: What they add up to.
            step: Length of the way from the step's start.
        """

    def kept(self, step: Tensor) -> Tensor:
        """Part of the noise at the start that is still there after so long a way."""
        return decay_factor(self.eta, step)

    def drawn(self, like: Tensor, to: NoiseLevel[StraightSpace], step: Tensor) -> Tensor:
        """The noise that was drawn since the step's start, at a longer way from it than before."""
        whole, count = self.after.log_snr - self.here.log_snr, len(self.predictions)
        since = step - whole * (self.parts[count - 2] if count > 1 else 0)
        kept = self.kept(since)
        noise = (1 - kept**2).clamp(min=0) ** 0.5 * self.fresh(like)
        self.noise = noise if self.noise is None else kept * self.noise + noise
        return self.noise

    def fresh(self, like: Tensor) -> Tensor:
        """Fresh noise, drawn in the model's precision."""
        return self.walk.noise(self.walk.kept(like)).to(torch.float32)

    def line(self, total: Tensor, step: Tensor) -> Tensor:
        """What a prediction that rises from 0 to 1 over the way makes of it, integrated exactly."""
        return 1 - total / ((1 + self.eta) * step)


def _exponential(
    walk: Walk[StraightSpace], x: Tensor, kind: type[ExponentialStep], parts: Sequence[float]
) -> Steps:
    spaces = [_at(walk, part) for part in parts]
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        start = x.to(torch.float32)
        stepped = denoised = here.denoised(output, start).to(torch.float32)
        if after.sigma > 0:
            step = kind(walk, parts, here, after)
            step.predictions.append(denoised)
            for space in spaces:
                at = NoiseLevel(space, here.index)
                trial = walk.kept(step.stepped(start, at))
                output = yield Evaluate(trial, at)
                denoised = at.denoised(output, trial.to(torch.float32)).to(torch.float32)
                step.predictions.append(denoised)
            stepped = step.stepped(start, after)
        x = yield Done(stepped, denoised)


def _at(walk: Walk[StraightSpace], part: float) -> StraightSpace:
    """The space at a part of each step; in the last, which has none, at its start."""
    starts = torch.stack([walk.level(index).log_snr for index in range(walk.count)])
    ends = torch.cat([starts[1:], starts[-1:]])
    return walk.space.with_sigmas(walk.space.sigma_from_log_snr(torch.lerp(starts, ends, part)))


def _draws(count: int) -> Callable[[Walk[Any], int], int]:
    """So often in each step but the last, if any noise is drawn."""
    return lambda walk, index: 0 if walk.options.eta == 0 or index == walk.count - 1 else count


class _Midpoint(ExponentialStep):
    def weights(self, total: Tensor, step: Tensor) -> Sequence[Tensor]:
        return [total] if len(self.predictions) == 1 else [torch.zeros_like(total), total]


@sampler(
    "seeds_2",
    STRAIGHT,
    CONTINUOUS_FINITE,
    draws=_draws(2),
    order=2,
    options=NOISY,
    evaluations=(2, -1),
)
def seeds_2(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """Second order: the prediction in the middle carries the whole step.

    Two evaluations a step. Source: Gonzalez et al. 2023, arXiv:2305.14267 (SEEDS-2), as ComfyUI's
    sample_seeds_2 (``comfy/k_diffusion/sampling.py``).
    """
    return _exponential(walk, x, _Midpoint, (0.5,))


class _BrownianMidpoint(_Midpoint):
    """Noise as an ancestral step has it, of one motion: the first half's is a part of the whole's.

    Attributes:
        middle: Where the first half ends.
    """

    middle: NoiseLevel[StraightSpace]

    def kept(self, step: Tensor) -> Tensor:
        return (1 - self.eta**2 * (1 - torch.exp(-2 * step))).clamp(min=0) ** 0.5

    def drawn(self, like: Tensor, to: NoiseLevel[StraightSpace], step: Tensor) -> Tensor:
        return (1 - self.kept(step) ** 2).clamp(min=0) ** 0.5 * self.motion(like, to)

    def motion(self, like: Tensor, to: NoiseLevel[StraightSpace]) -> Tensor:
        """What the motion did since the step's start, of unit variance."""
        if self.walk.brownian_tree is not None:
            noise = self.walk.noise_between(self.walk.kept(like), self.here.sigma, to.sigma)
            return noise.to(torch.float32)
        fresh = self.fresh(like)
        if self.noise is None:
            self.noise, self.middle = fresh, to
            return fresh
        start, middle, end = (
            torch.exp(-level.log_snr) for level in (self.here, self.middle, self.after)
        )
        above, below = (start - middle) ** 0.5, (middle - end) ** 0.5
        return (above * self.noise + below * fresh) / (start - end) ** 0.5


@sampler(
    "dpmpp_sde",
    STRAIGHT,
    CONTINUOUS_FINITE,
    uses_brownian_noise=True,
    draws=_draws(2),
    order=2,
    options=NOISY,
    evaluations=(2, -1),
    elsewhere={
        "ComfyUI": ("dpmpp_sde_gpu",),
        "A1111 and Forge": ("DPM++ SDE",),
        "diffusers": ("DPMSolverSDEScheduler",),
    },
)
def dpmpp_sde(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """The same with the noise of both halves as a Brownian motion over sigma has it.

    Source: k-diffusion, sample_dpmpp_sde; diffusers' DPMSolverSDEScheduler. Without a motion, what
    is drawn depends on the item's seed and the step alone.
    """
    return _exponential(walk, x, _BrownianMidpoint, (0.5,))


class _Thirds(ExponentialStep):
    def weights(self, total: Tensor, step: Tensor) -> Sequence[Tensor]:
        count = len(self.predictions)
        if count == 1:
            return [total]
        # The line runs through the first prediction and the last, which lies within the way.
        way = self.parts[1] if count == 2 else 1.0
        bend = self.line(total, step) * (way / self.parts[count - 2])
        return [total - bend, *[torch.zeros_like(total)] * (count - 2), bend]


@sampler(
    "seeds_3",
    STRAIGHT,
    CONTINUOUS_FINITE,
    draws=_draws(3),
    order=3,
    options=NOISY,
    evaluations=(3, -2),
)
def seeds_3(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """Third order: asks at a third and at two thirds of each step.

    Three evaluations a step. Source: Gonzalez et al. 2023, arXiv:2305.14267 (SEEDS-3), as ComfyUI's
    sample_seeds_3 (``comfy/k_diffusion/sampling.py``).
    """
    return _exponential(walk, x, _Thirds, (1 / 3, 2 / 3))


class _Ends(ExponentialStep):
    def weights(self, total: Tensor, step: Tensor) -> Sequence[Tensor]:
        if len(self.predictions) == 1:
            return [total]
        bend = self.line(total, step)
        return [total - bend, bend]

    def drawn(self, like: Tensor, to: NoiseLevel[StraightSpace], step: Tensor) -> Tensor:
        # the trial was at the step's end already
        return super().drawn(like, to, step) if self.noise is None else self.noise


class _EndsWithoutNoise(_Ends):
    @property
    def eta(self) -> float:
        return 0.0


@sampler(
    "exp_heun_2_x0",
    STRAIGHT,
    CONTINUOUS_FINITE,
    draws=lambda walk, index: 0,
    order=2,
    evaluations=(2, -1),
)
def exp_heun_2_x0(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """Second order: the line through the predictions at both ends of a step is integrated.

    Two evaluations a step. Source: Hochbruck & Ostermann 2005, doi:10.1137/040611434, with log-SNR
    for time; as ComfyUI's sample_exp_heun_2_x0 (``comfy/k_diffusion/sampling.py``).
    """
    return _exponential(walk, x, _EndsWithoutNoise, (1.0,))


@sampler(
    "exp_heun_2_x0_sde",
    STRAIGHT,
    CONTINUOUS_FINITE,
    draws=_draws(1),
    order=2,
    options=NOISY,
    evaluations=(2, -1),
)
def exp_heun_2_x0_sde(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """The same for the reverse SDE; as ComfyUI's sample_exp_heun_2_x0_sde."""
    return _exponential(walk, x, _Ends, (1.0,))


_NODES, _SHARES = np.polynomial.legendre.leggauss(32)


def _strength(noise: float) -> float:
    """phi in the paper: how its family of SDEs spreads fresh noise over the noise levels.

    Source: Cui et al. 2023, arXiv:2309.06169, as the authors' er_sde_solver.py has it.
    """
    return noise * (math.exp(noise**0.3) + 10)


@sampler(
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
