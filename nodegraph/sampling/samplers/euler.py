"""Euler's method, plain and with noise added back at every step."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Spaces
from nodegraph.sampling.samplers.churn import ChurnSampler
from nodegraph.sampling.samplers.spaces import ExplodingSpace, FlowSpace
from nodegraph.sampling.table_schedules import CONTINUOUS


class Euler(ChurnSampler):
    """First order: follow the slope at each noise level down to the next.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 2 without its correction.
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS

    def feed(self, output: Tensor) -> None:
        x = self._start_x().to(torch.float32)
        space = self._spaces[self._start_space]
        self.denoised = space.to_denoised(output, x, self.step_index)
        slope = space.slope(output, x, self.denoised, self.step_index)
        self.x = self._stepped(x, slope).to(output.dtype)
        self.history = {}
        self.step_index += 1

    def _stepped(self, x: Tensor, slope: Tensor) -> Tensor:
        # the scalar first: the other way round, half precision rounds another way
        return x + (self.next_sigma - self._start_sigma) * slope


class EulerAncestral(Euler):
    """Euler's method to below the next noise level, then noise up to it.

    Source: k-diffusion, sample_euler_ancestral.
    """

    def _stepped(self, x: Tensor, slope: Tensor) -> Tensor:
        down, scale, up = self.space.ancestral(self.step_index, self.options.eta)
        # noise in the model's precision, added in float32
        return scale * (x + slope * (down - self.sigma)) + self._fresh_noise(self.x) * up
