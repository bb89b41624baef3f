"""Heun++: slopes of this rung and the two after it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Spaces
from nodegraph.sampling.samplers.churn import ChurnSampler
from nodegraph.sampling.samplers.spaces import ExplodingSpace, FlowSpace
from nodegraph.sampling.table_schedules import CONTINUOUS

AHEAD = 2
"""Rungs after this one that a step looks at."""


class HeunPP2(ChurnSampler):
    """Trial steps down two rungs, then one step along the three slopes' mean.

    The slopes further on weigh their sigma over so many times the highest, the first the rest: the
    further down, the more it is Euler's method, whose order it has. The model is evaluated three
    times a step, twice in the last but one, once in the last. In between, `history` holds the
    step's ``start`` and the slopes so far, ``slope.0`` the first, and x is the trial point.

    Source: ComfyUI's sample_heunpp2 (``comfy/k_diffusion/sampling.py``), of Carzit's
    sd-webui-samplers-scheduler.
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS

    def feed(self, output: Tensor) -> None:
        x, (space_index, step_index) = (
            self._evaluation_x().to(torch.float32),
            self._evaluation_index,
        )
        space = self._spaces[space_index]
        denoised = space.to_denoised(output, x, step_index)
        slope = space.slope(output, x, denoised, step_index).to(torch.float32)
        self.denoised = denoised.to(output.dtype)
        start = self.history["start"] if self.stage else x
        slopes = [*(self.history[f"slope.{index}"] for index in range(self.stage)), slope]
        level = space.noise_levels.sigmas[step_index]
        if self.stage < self._ahead:
            self.history = {f"slope.{index}": item for index, item in enumerate(slopes)}
            self.history["start"] = start
            following = self.noise_levels.sigmas[self.step_index + self.stage + 1]
            self.x = (x + slope * (following - level)).to(output.dtype)
            self.stage += 1
            return
        fall = self.next_sigma - self._start_sigma
        self.x = (start + self._mean(slopes) * fall).to(output.dtype)
        self.history = {}
        self.stage = 0
        self.step_index += 1

    @property
    def _ahead(self) -> int:
        """How many rungs after this one are looked at: never where the noise has ended."""
        return min(AHEAD, self.noise_levels.level_count - 1 - self.step_index)

    def _mean(self, slopes: list[Tensor]) -> Tensor:
        sigmas = self.noise_levels.sigmas
        highest = sigmas[self.step_index - self.noise_levels.walked(self.step_index)]
        whole = len(slopes) * highest
        shares = [sigmas[self.step_index + index] / whole for index in range(1, len(slopes))]
        first = 1 - torch.stack(shares).sum() if shares else torch.ones(())
        weighted = first * slopes[0]
        for share, slope in zip(shares, slopes[1:], strict=True):
            weighted = weighted + share * slope
        return weighted

    @property
    def _evaluation_index(self) -> tuple[int, int]:
        return (0, self.step_index + self.stage) if self.stage else super()._evaluation_index

    def _evaluation_x(self) -> Tensor:
        return self.x if self.stage else super()._evaluation_x()
