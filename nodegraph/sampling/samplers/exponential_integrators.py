"""Exponential Runge-Kutta methods: SEEDS, DPM-Solver++ SDE and exponential Heun.

In log-SNR the way of x to the next noise level is that of the prediction, weighed by an exponential
that is integrated exactly; for the reverse SDE, with noise that is drawn anew on the way.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.dpmpp import decay_factor
from nodegraph.sampling.samplers.spaces import ExplodingSpace, FlowSpace, StraightSpace
from nodegraph.sampling.table_schedules import CONTINUOUS_FINITE


class ExponentialSteps(Sampler):
    """Asks at parts of each step, in the last once: there x becomes the prediction.

    In between, `history` holds the step's ``start``, the predictions so far, ``denoised.0`` the
    first, and the ``noise`` that was drawn, as it has grown since the start, of unit strength at
    its end.

    Attributes:
        parts: Of the step in log-SNR, where the model is asked after its start; up to 1.
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS_FINITE
    parts: ClassVar[tuple[float, ...]]
    space: StraightSpace
    _spaces: tuple[StraightSpace, ...]

    def feed(self, output: Tensor) -> None:
        x = self.x.to(torch.float32)
        denoised = (
            self._spaces[self.stage].to_denoised(output, x, self.step_index).to(torch.float32)
        )
        self.denoised = denoised.to(output.dtype)
        if not self.next_sigma > 0:
            self._end(denoised.to(output.dtype))
            return
        self.history.setdefault("start", x)
        self.history[f"denoised.{self.stage}"] = denoised
        is_end = self.stage == len(self.parts)
        stepped = self._stepped(self.space, self.step_index + 1) if is_end else self._trial()
        if is_end:
            self._end(stepped.to(output.dtype))
        else:
            self.x = stepped.to(output.dtype)
            self.stage += 1

    def draws(self, step_index: int) -> int:
        return (
            0
            if self._eta == 0 or step_index == self.noise_levels.level_count - 1
            else len(self.parts) + 1
        )

    def _end(self, x: Tensor) -> None:
        self.x = x
        self.history = {}
        self.stage = 0
        self.step_index += 1

    @property
    def _evaluation_index(self) -> tuple[int, int]:
        return self.stage, self.step_index

    def _other_spaces(self) -> Sequence[StraightSpace]:
        return [self._at(part) for part in self.parts]

    def _at(self, part: float) -> StraightSpace:
        """The space at a part of each step; in the last, which has none, at its start."""
        space, last = self.space, self.noise_levels.level_count - 1
        starts = torch.stack([space.log_snr(step_index) for step_index in range(last + 1)])
        ends = torch.cat([starts[1:], starts[-1:]])
        return space.with_sigmas(space.sigma_from_log_snr(torch.lerp(starts, ends, part)))

    def _trial(self) -> Tensor:
        """x at the part of the step where the model is asked next."""
        return self._stepped(self._spaces[self.stage + 1], self.step_index)

    def _stepped(self, space: StraightSpace, step_index: int) -> Tensor:
        """x at a rung of a space, from the step's start, by the predictions so far."""
        _, deviation = self.space.alpha_deviation(self.step_index)
        alpha, next_deviation = space.alpha_deviation(step_index)
        step = space.log_snr(step_index) - self.space.log_snr(self.step_index)
        kept = self._kept(step)
        x = next_deviation / deviation * kept * self.history["start"]
        for index, weight in enumerate(self._weights(1 - torch.exp(-step) * kept, step)):
            x = x + alpha * weight * self.history[f"denoised.{index}"]
        return x if self._eta == 0 else x + next_deviation * self._drawn(step)

    @property
    def _eta(self) -> float:
        return self.options.eta

    def _kept(self, step: Tensor) -> Tensor:
        """Part of the noise at the start that is still there after so long a way."""
        return decay_factor(self._eta, step)

    def _drawn(self, step: Tensor) -> Tensor:
        """The noise that was drawn since the step's start, at a longer way from it than before."""
        whole = self.space.log_snr(self.step_index + 1) - self.space.log_snr(self.step_index)
        since = step - whole * (self.parts[self.stage - 1] if self.stage else 0)
        kept, before = self._kept(since), self.history.get("noise")
        noise = (1 - kept**2).clamp(min=0) ** 0.5 * self._fresh_noise(self.x).to(torch.float32)
        if before is not None:
            noise = kept * before + noise
        self.history["noise"] = noise
        return noise

    @abstractmethod
    def _weights(self, total: Tensor, step: Tensor) -> Sequence[Tensor]:
        """Of each prediction so far.

        Args:
            total: What they add up to.
            step: Length of the way from the step's start.
        """

    def _line(self, total: Tensor, step: Tensor) -> Tensor:
        """What a prediction that rises from 0 to 1 over the way makes of it, integrated exactly."""
        return 1 - total / ((1 + self._eta) * step)


class SEEDS2(ExponentialSteps):
    """Second order: the prediction in the middle carries the whole step.

    Two evaluations a step. Source: Gonzalez et al. 2023, arXiv:2305.14267 (SEEDS-2), as ComfyUI's
    sample_seeds_2 (``comfy/k_diffusion/sampling.py``).
    """

    parts = (0.5,)

    def _weights(self, total: Tensor, step: Tensor) -> Sequence[Tensor]:
        return [torch.zeros_like(total), total] if self.stage else [total]


class DPMppSDE(SEEDS2):
    """The same with the noise of both halves as a Brownian motion over sigma has it.

    Source: k-diffusion, sample_dpmpp_sde; diffusers' DPMSolverSDEScheduler. Without a motion, what
    is drawn depends on the item's seed and the step alone.
    """

    uses_brownian_noise = True

    def _kept(self, step: Tensor) -> Tensor:
        """As an ancestral step."""
        return (1 - self._eta**2 * (1 - torch.exp(-2 * step))).clamp(min=0) ** 0.5

    def _drawn(self, step: Tensor) -> Tensor:
        return self._drawn_part(step) * self._fresh_over().to(torch.float32)

    def _drawn_part(self, step: Tensor) -> Tensor:
        return (1 - self._kept(step) ** 2).clamp(min=0) ** 0.5

    def _fresh_over(self) -> Tensor:
        """What the motion did since the step's start, of unit variance."""
        if self.brownian_tree is not None:
            end = (
                self.next_sigma
                if self.stage
                else self._spaces[1].noise_levels.sigmas[self.step_index]
            )
            return self._noise_between(self.x, self.sigma, end)
        fresh = self._fresh_noise(self.x).to(torch.float32)
        if self.stage:
            return self._over_whole(self.history["noise"], fresh)
        self.history["noise"] = fresh
        return fresh

    def _over_whole(self, first: Tensor, second: Tensor) -> Tensor:
        """The motion over a step, of those over its halves: all of unit variance."""
        start, end = (torch.exp(-self.space.log_snr(self.step_index + side)) for side in (0, 1))
        middle = torch.exp(-self._spaces[1].log_snr(self.step_index))
        above, below = (start - middle) ** 0.5, (middle - end) ** 0.5
        return (above * first + below * second) / (start - end) ** 0.5


class SEEDS3(ExponentialSteps):
    """Third order: asks at a third and at two thirds of each step.

    Three evaluations a step. Source: Gonzalez et al. 2023, arXiv:2305.14267 (SEEDS-3), as ComfyUI's
    sample_seeds_3 (``comfy/k_diffusion/sampling.py``).
    """

    parts = (1 / 3, 2 / 3)

    def _weights(self, total: Tensor, step: Tensor) -> Sequence[Tensor]:
        if not self.stage:
            return [total]
        # The line runs through the first prediction and the last, which lies within the way.
        way = self.parts[1] if self.stage == 1 else 1.0
        bend = self._line(total, step) * (way / self.parts[self.stage - 1])
        between = [torch.zeros_like(total)] * (self.stage - 1)
        return [total - bend, *between, bend]


class ExpHeun2(ExponentialSteps):
    """Second order: the line through the predictions at both ends of a step is integrated.

    Two evaluations a step. Source: Hochbruck & Ostermann 2005, doi:10.1137/040611434, with log-SNR
    for time; as ComfyUI's sample_exp_heun_2_x0 (``comfy/k_diffusion/sampling.py``).
    """

    parts = (1.0,)

    @property
    def _eta(self) -> float:
        return 0.0

    def _weights(self, total: Tensor, step: Tensor) -> Sequence[Tensor]:
        if not self.stage:
            return [total]
        bend = self._line(total, step)
        return [total - bend, bend]


class ExpHeun2SDE(ExpHeun2):
    """The same for the reverse SDE; as ComfyUI's sample_exp_heun_2_x0_sde."""

    @property
    def _eta(self) -> float:
        return self.options.eta

    def draws(self, step_index: int) -> int:
        return min(super().draws(step_index), 1)

    def _drawn(self, step: Tensor) -> Tensor:
        # the trial was at the step's end already
        return self.history["noise"] if self.stage else super()._drawn(step)
