"""Sampling of models distilled for trajectory consistency."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.spaces import TablePreservingSpace
from nodegraph.sampling.table_schedules import DISTILLED


class TCD(Sampler):
    """Steps to below the next noise level at once, then noises up to it.

    The option eta is the paper's gamma: the part of the way to timestep 0 that each step goes too
    far, and back with fresh noise.

    For models distilled for it, in few steps. Like diffusers' it ends at the noise of timestep 0,
    which is hardly any. Source: Zheng et al. 2024, arXiv:2402.19159
    (strategic stochastic sampling).
    """

    spaces: ClassVar[Spaces] = {"discrete": TablePreservingSpace}
    grid = DISTILLED
    space: TablePreservingSpace

    def feed(self, output: Tensor) -> None:
        self.denoised = self.space.to_denoised(output, self.x, self.step_index)
        epsilon = self.space.to_noise(output, self.x, self.step_index)
        is_last = self.step_index == self.noise_levels.level_count - 1
        following = torch.tensor(0) if is_last else self.noise_levels.timesteps[self.step_index + 1]
        table = self.space.noise.alphas_cumprod
        below = table[torch.floor((1 - self.options.eta) * following).to(torch.int64)]
        x = below.sqrt() * self.denoised + (1 - below).sqrt() * epsilon
        if not is_last:
            kept = table[following] / below
            x = kept.sqrt() * x + (1 - kept).sqrt() * self._fresh_noise(x)
        self.x = x
        self.step_index += 1
