"""Denoising diffusion probabilistic models."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.diffusion.samplers.base import Sampler, Spaces
from nodegraph.diffusion.samplers.spaces import TablePreservingSpace
from nodegraph.diffusion.schedules import TABLE


class DDPM(Sampler):
    """Draws from the posterior of the next noise level, with its smaller variance.

    Source: Ho et al. 2020, arXiv:2006.11239, equations 6 and 7.
    """

    spaces: ClassVar[Spaces] = {"discrete": TablePreservingSpace}
    grid = TABLE
    space: TablePreservingSpace

    def feed(self, output: Tensor) -> None:
        predicted = self.space.predicted(output, self.x, self.rung)
        self.denoised = self.space.clipped(predicted, by_default=True)
        one = torch.tensor(1.0)
        here, following = (self.space.alpha_bar(rung, one) for rung in (self.rung, self.rung + 1))
        beta_bar, following_beta_bar = 1 - here, 1 - following
        alpha = here / following
        beta = 1 - alpha
        mean = (following**0.5 * beta) / beta_bar * self.denoised
        mean = mean + alpha**0.5 * following_beta_bar / beta_bar * self.x
        if self.timestep > 0:
            # never quite 0, as in diffusers, where it passes through a logarithm
            variance = (following_beta_bar / beta_bar * beta).clamp(min=1e-20)
            mean = mean + variance**0.5 * self._fresh_noise(output)
        self.x = mean
        self.rung += 1
