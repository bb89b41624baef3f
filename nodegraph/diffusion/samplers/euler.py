"""Euler's method, plain and with noise added back at every step."""

from __future__ import annotations

import torch
from torch import Tensor

from nodegraph.diffusion.samplers.spaces import ExplodingSampler
from nodegraph.diffusion.schedules import CONTINUOUS


class Euler(ExplodingSampler):
    """First order: follow the slope at each noise level down to the next.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 2 without churn.
    """

    grid = CONTINUOUS

    def feed(self, output: Tensor) -> None:
        x = self.x.to(torch.float32)
        self.denoised = self._predicted(output, x, self.sigma)
        self.x = self._stepped(x, self.denoised).to(output.dtype)
        self.rung += 1

    def _stepped(self, x: Tensor, denoised: Tensor) -> Tensor:
        slope = (x - denoised) / self.sigma
        return x + slope * (self.next_sigma - self.sigma)


class EulerAncestral(Euler):
    """Euler's method to below the next noise level, then noise up to it.

    Source: k-diffusion, sample_euler_ancestral with eta 1; the variances are those of Song et
    al. 2021, arXiv:2010.02502, equation 16.
    """

    def _stepped(self, x: Tensor, denoised: Tensor) -> Tensor:
        sigma, following = self.sigma, self.next_sigma
        up = (following**2 * (sigma**2 - following**2) / sigma**2) ** 0.5
        down = (following**2 - up**2) ** 0.5
        slope = (x - denoised) / sigma
        # noise in the model's precision, added in float32
        return x + slope * (down - sigma) + self._fresh_noise(self.x) * up
