"""Midpoint methods: each step goes along the slope halfway down, halfway in log sigma."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Spaces
from nodegraph.sampling.samplers.churn import ChurnSampler
from nodegraph.sampling.samplers.spaces import ExplodingSpace, FlowSpace, StraightSpace
from nodegraph.sampling.table_schedules import CONTINUOUS


class DPM2(ChurnSampler):
    """Second order: a trial step to the middle, whose slope then carries the whole step.

    The model is evaluated twice a step, once where that leads to no noise, as the last does. In
    between, `history` holds the step's start and x is the trial point.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 2, as k-diffusion's sample_dpm_2; after
    Lu et al. 2022, arXiv:2206.00927 (DPM-Solver-2).
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS

    def feed(self, output: Tensor) -> None:
        x, space = self._evaluation_x().to(torch.float32), self._spaces[self._evaluation_index[0]]
        denoised = space.to_denoised(output, x, self.step_index)
        slope = space.slope(output, x, denoised, self.step_index)
        self.denoised = denoised.to(output.dtype)
        if self.stage == 0 and self._target(self.step_index) > 0:
            self.history = {"start": x}
            middle = self._spaces[-1].noise_levels.sigmas[self.step_index]
            self.x = (x + slope * (middle - self._start_sigma)).to(output.dtype)
            self.stage = 1
            return
        start = self.history["start"] if self.stage else x
        self.x = self._stepped(start, slope).to(output.dtype)
        self.history = {}
        self.stage = 0
        self.step_index += 1

    @property
    def _evaluation_index(self) -> tuple[int, int]:
        return (len(self._spaces) - 1, self.step_index) if self.stage else super()._evaluation_index

    def _evaluation_x(self) -> Tensor:
        return self.x if self.stage else super()._evaluation_x()

    def _target(self, step_index: int) -> Tensor:
        """The noise level that the slope of the step from a rung leads to."""
        return self.noise_levels.sigmas[step_index + 1]

    def _stepped(self, start: Tensor, slope: Tensor) -> Tensor:
        """The next rung's x, in float32."""
        return start + slope * (self.next_sigma - self._start_sigma)

    def _other_spaces(self) -> Sequence[StraightSpace]:
        """The last is the space at each step's middle."""
        targets = torch.stack(
            [self._target(step_index) for step_index in range(self.noise_levels.level_count)]
        )
        middles = targets.log().lerp(self._starts().log(), 0.5).exp()
        return (*super()._other_spaces(), self.space.with_sigmas(middles))


class DPM2Ancestral(DPM2):
    """The same to below the next noise level, then noise up to it.

    Source: k-diffusion, sample_dpm_2_ancestral; for flow models ComfyUI's
    sample_dpm_2_ancestral_RF (``comfy/k_diffusion/sampling.py``).
    """

    def _target(self, step_index: int) -> Tensor:
        down, _, _ = self.space.ancestral(step_index, self.options.eta)
        return down

    def _stepped(self, start: Tensor, slope: Tensor) -> Tensor:
        down, scale, up = self.space.ancestral(self.step_index, self.options.eta)
        stepped = scale * (start + slope * (down - self.sigma))
        return stepped + self._fresh_noise(self.x) * up if self.next_sigma > 0 else stepped
