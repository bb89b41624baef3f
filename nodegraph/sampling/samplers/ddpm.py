"""Denoising diffusion probabilistic models."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.spaces import TablePreservingSpace
from nodegraph.sampling.table_schedules import TABLE

LARGE = ("fixed_large", "fixed_large_log")
"""Variances of scheduler files that are the larger bound."""


class DDPM(Sampler):
    """Draws from the posterior of the next noise level.

    Its variance is what the model's scheduler file says: the smaller or the larger of two bounds,
    or between them where a model tells it, in as many channels more as the latent has.

    Source: Ho et al. 2020, arXiv:2006.11239, equations 6 and 7; of learned variances Nichol &
    Dhariwal 2021, arXiv:2102.09672, equation 15.
    """

    spaces: ClassVar[Spaces] = {"discrete": TablePreservingSpace}
    grid = TABLE
    space: TablePreservingSpace

    def feed(self, output: Tensor) -> None:
        predicted_variance = None
        if output.shape[1] == 2 * self.x.shape[1]:
            output, predicted_variance = output.chunk(2, dim=1)
        predicted = self.space.to_denoised(output, self.x, self.step_index)
        self.denoised = self.space.clipped(predicted, by_default=True)
        final_alpha_bar = torch.tensor(1.0)
        here, following = (
            self.space.alpha_bar(step_index, final_alpha_bar)
            for step_index in (self.step_index, self.step_index + 1)
        )
        beta_bar, following_beta_bar = 1 - here, 1 - following
        alpha = here / following
        beta = 1 - alpha
        mean = (following**0.5 * beta) / beta_bar * self.denoised
        mean = mean + alpha**0.5 * following_beta_bar / beta_bar * self.x
        if self.timestep > 0:
            # never quite 0, as in diffusers, where it passes through a logarithm
            small = (following_beta_bar / beta_bar * beta).clamp(min=1e-20)
            mean = mean + self._spread(small, beta, predicted_variance) * self._fresh_noise(output)
        self.x = mean
        self.step_index += 1

    def _spread(self, small: Tensor, large: Tensor, predicted_variance: Tensor | None) -> Tensor:
        """Standard deviation of what is drawn.

        Args:
            small, large: Bounds of the variance.
            predicted_variance: What the model says of it.
        """
        kind = self.space.noise.variance
        if kind == "learned" and predicted_variance is not None:
            return predicted_variance**0.5
        if kind == "learned_range" and predicted_variance is not None:
            share = (predicted_variance + 1) / 2
            return torch.exp(0.5 * (share * torch.log(large) + (1 - share) * torch.log(small)))
        if kind == "fixed_small_log":
            return torch.exp(0.5 * torch.log(small))
        return (large if kind in LARGE else small) ** 0.5
