"""Gradient estimation: a slope that the model told is corrected by the one before it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.spaces import ExplodingSpace, FlowSpace, StraightSpace
from nodegraph.sampling.table_schedules import CONTINUOUS


class GradientEstimation(Sampler):
    """Euler's method along gamma · slope + (1 - gamma) · the slope before.

    The first step and the last are Euler's own. `history` holds the slope before.

    Source: Permenter & Yuan 2023, arXiv:2306.04848; gamma 2 as there.
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS
    space: StraightSpace

    def feed(self, output: Tensor) -> None:
        x = self.x.to(torch.float32)
        denoised = self.space.to_denoised(output, x, self.step_index)
        slope = self.space.slope(output, x, denoised, self.step_index).to(torch.float32)
        followed = slope
        if "slope" in self.history and self.next_sigma > 0:
            followed = slope + (self.options.gamma - 1) * (slope - self.history["slope"])
        self.history = {"slope": slope}
        self.denoised = denoised.to(output.dtype)
        self.x = (x + (self.next_sigma - self.sigma) * followed).to(output.dtype)
        self.step_index += 1
