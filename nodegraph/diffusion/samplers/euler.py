"""Euler's method, plain and with noise added back at every step."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.diffusion.samplers.base import Sampler, Spaces
from nodegraph.diffusion.samplers.spaces import ExplodingSpace, FlowSpace, StraightSpace
from nodegraph.diffusion.schedules import CONTINUOUS


class Euler(Sampler):
    """First order: follow the slope at each noise level down to the next.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 2 without churn.
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS
    space: StraightSpace

    def feed(self, output: Tensor) -> None:
        x = self.x.to(torch.float32)
        self.denoised = self.space.predicted(output, x, self.rung)
        slope = self.space.slope(output, x, self.denoised, self.rung)
        self.x = self._stepped(x, slope).to(output.dtype)
        self.rung += 1

    def _stepped(self, x: Tensor, slope: Tensor) -> Tensor:
        # the scalar first: the other way round, half precision rounds another way
        return x + (self.next_sigma - self.sigma) * slope


class EulerAncestral(Euler):
    """Euler's method to below the next noise level, then noise up to it.

    Source: k-diffusion, sample_euler_ancestral with eta 1.
    """

    def _stepped(self, x: Tensor, slope: Tensor) -> Tensor:
        down, scale, up = self.space.ancestral(self.rung)
        # noise in the model's precision, added in float32
        return scale * (x + slope * (down - self.sigma)) + self._fresh_noise(self.x) * up
