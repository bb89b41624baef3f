"""LCM and TCD: samplers of consistency-distilled models."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.families.noise import draw_batch
from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.spaces import ExplodingSpace, FlowSpace, TablePreservingSpace
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


SIGMA_DATA = 0.5


class LCM(Sampler):
    """Predicts the clean latent at once, then noises it to the next level, and again.

    For models distilled for it, in 2 to 8 steps. Source: Luo et al. 2023, arXiv:2310.04378,
    algorithm 3; in models of a table of noise levels with the boundary condition of Song et al.
    2023, arXiv:2303.01469, appendix C.
    """

    spaces: ClassVar[Spaces] = {"discrete": TablePreservingSpace, "flow": FlowSpace}
    grid = DISTILLED
    comfyui_spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace}

    def feed(self, output: Tensor) -> None:
        x = self.space.widened(self.x)
        predicted = self.space.to_denoised(output, x, self.step_index)
        self.denoised = self._apply_boundary_condition(
            self.space.clipped(predicted, by_default=False), x
        )
        x = self.denoised
        self.step_index += 1
        if self.step_index < self.noise_levels.level_count:
            # Also where a part of a schedule ends: the noise is what the next one goes on from.
            # In float32, unlike `add_noise`: 1 - alpha bar loses what is left of it in half
            # precision.
            alpha, deviation = self.space.alpha_deviation(self.step_index)
            x = alpha * self.denoised + deviation * self._fresh_noise(self.denoised)
        self.x = x.to(output.dtype)

    def _fresh_noise(self, like: Tensor) -> Tensor:
        """Noise whose strength runs from s_noise to s_noise_end, held within noise_clip."""
        options = self.options
        drawn = draw_batch(self.generators, like.shape).to(like.device, like.dtype)
        if options.noise_clip:
            most = float(drawn.std()) * options.noise_clip
            drawn = drawn.clamp(-most, most)
        begin, end = self.noise_levels.whole_range or (
            self.noise_levels.first,
            self.noise_levels.level_count,
        )
        # the step that draws is the one before the rung that it leads to
        gone = (self.step_index - 1 - begin) / max(end - begin - 1, 1)
        scale = options.s_noise + (options.s_noise_end - options.s_noise) * gone
        return drawn if scale == 1 else drawn * scale

    def _apply_boundary_condition(self, predicted: Tensor, x: Tensor) -> Tensor:
        """The prediction, at noise levels near 0 drawn to x, which is all but clean there."""
        if not isinstance(self.space, TablePreservingSpace):
            return predicted
        scaled = self.timestep * self.space.noise.timestep_scaling
        skip = SIGMA_DATA**2 / (scaled**2 + SIGMA_DATA**2)
        out = scaled / (scaled**2 + SIGMA_DATA**2) ** 0.5
        return out * predicted + skip * x
