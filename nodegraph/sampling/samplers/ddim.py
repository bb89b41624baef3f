"""Denoising diffusion implicit models."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.spaces import TablePreservingSpace
from nodegraph.sampling.table_schedules import TABLE


class DDIM(Sampler):
    """The predicted latent and noise are mixed anew for the next noise level.

    Deterministic of itself; with eta, part of the noise is drawn anew instead: 1 draws as much as
    `ddpm` does.

    Source: Song et al. 2021, arXiv:2010.02502, equations 12 and 16.
    """

    spaces: ClassVar[Spaces] = {"discrete": TablePreservingSpace}
    grid = TABLE
    space: TablePreservingSpace

    def feed(self, output: Tensor) -> None:
        epsilon = self.space.to_noise(output, self.x, self.step_index)
        predicted = self.space.to_denoised(output, self.x, self.step_index)
        self.denoised = self.space.clipped(predicted, by_default=True)
        following = self._next_alpha_bar()
        spread = self._spread(following)
        direction = (1 - following - spread**2) ** 0.5 * epsilon
        self.x = following**0.5 * self.denoised + direction
        if self.options.eta > 0:
            self.x = self.x + spread * self._fresh_noise(output)
        self.step_index += 1

    def _spread(self, following: Tensor) -> Tensor:
        """Standard deviation of what is drawn anew, on the way to alpha bar `following`."""
        here = self.space.alpha_bar(self.step_index, torch.tensor(1.0))
        variance = ((1 - following) / (1 - here)) * (1 - here / following)
        return self.options.eta * variance**0.5

    def _next_alpha_bar(self) -> Tensor:
        """Alpha bar that this step leads to.

        On evenly spaced schedules it is that of a fixed stride below, as in diffusers. With
        leading spacing this is the next rung; with others the two can be some timesteps apart.
        """
        table = self.space.noise.alphas_cumprod
        last = torch.tensor(1.0) if self.space.noise.alpha_to_one else table[0]
        if self.noise_levels.stride is None:
            return self.space.alpha_bar(self.step_index + 1, last)
        following = int(self.timestep) - self.noise_levels.stride
        return table[following] if following >= 0 else last
