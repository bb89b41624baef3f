"""Denoising diffusion implicit models."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.diffusion.samplers.base import Sampler, Spaces
from nodegraph.diffusion.samplers.spaces import TablePreservingSpace
from nodegraph.diffusion.schedules import TABLE


class DDIM(Sampler):
    """Deterministic: the predicted latent and noise are mixed anew for the next noise level.

    Source: Song et al. 2021, arXiv:2010.02502, equation 12 with sigma 0.
    """

    spaces: ClassVar[Spaces] = {"discrete": TablePreservingSpace}
    grid = TABLE
    space: TablePreservingSpace

    def feed(self, output: Tensor) -> None:
        epsilon = self.space.predicted_noise(output, self.x, self.rung)
        predicted = self.space.predicted(output, self.x, self.rung)
        self.denoised = self.space.clipped(predicted, by_default=True)
        following = self._next_alpha_bar()
        direction = (1 - following) ** 0.5 * epsilon
        self.x = following**0.5 * self.denoised + direction
        self.rung += 1

    def _next_alpha_bar(self) -> Tensor:
        """Alpha bar that this step leads to.

        On evenly spaced schedules it is that of a fixed stride below, as in diffusers. With
        leading spacing this is the next rung; with others the two can be some timesteps apart.
        """
        table = self.space.noise.alphas_cumprod
        last = torch.tensor(1.0) if self.space.noise.alpha_to_one else table[0]
        if self.ladder.stride is None:
            return self.space.alpha_bar(self.rung + 1, last)
        following = int(self.timestep) - self.ladder.stride
        return table[following] if following >= 0 else last
