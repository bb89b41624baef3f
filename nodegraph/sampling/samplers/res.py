"""Refined exponential solver with a memory of one evaluation."""

from __future__ import annotations

import torch
from torch import Tensor

from nodegraph.sampling.samplers.dpmpp import DPMpp2M


class ResMultistep(DPMpp2M):
    """Second order: integrates the line over log-SNR through the last two predictions.

    DPM-Solver++ 2M weighs the second of them by half a step instead; diffusers has both, this one
    as its solver_type ``heun``. First order in the first and the last step.

    Source: Zhang et al. 2023, arXiv:2308.02157.
    """

    def _stepped(self, x: Tensor, denoised: Tensor, curvature: Tensor | None) -> Tensor:
        stepped = super()._stepped(x, denoised, None)
        if curvature is None:
            return stepped
        alpha, _ = self.space.alpha_deviation(self.step_index + 1)
        step = self.space.log_snr(self.step_index + 1) - self.space.log_snr(self.step_index)
        return stepped + (alpha * ((torch.exp(-step) - 1.0) / step + 1.0)) * curvature


class ResMultistepAncestral(ResMultistep):
    """The same to below the next noise level, then noise up to it.

    With eta 1 it is `dpmpp_2m_sde_heun`. Source: ComfyUI's sample_res_multistep_ancestral
    (``comfy/k_diffusion/sampling.py``), which adds noise to flow models as to table models; here
    by its convention alone, as that leaves more noise than the level says.
    """

    def _stepped(self, x: Tensor, denoised: Tensor, curvature: Tensor | None) -> Tensor:
        _, deviation = self.space.alpha_deviation(self.step_index)
        alpha, next_deviation = self.space.alpha_deviation(self.step_index + 1)
        step = self.space.log_snr(self.step_index + 1) - self.space.log_snr(self.step_index)
        # parts of the next level's noise: drawn anew, and of before
        drawn = self.options.eta * (1.0 - torch.exp(-2.0 * step)) ** 0.5
        kept = (1.0 - drawn**2) ** 0.5
        left = torch.exp(-step) * kept
        stepped = (next_deviation / deviation * kept) * x + (alpha * (1.0 - left)) * denoised
        if curvature is not None:
            # the line is followed over all of the way down
            stepped = stepped + (alpha * (1.0 + (1.0 - left) / torch.log(left))) * curvature
        return stepped + (next_deviation * drawn) * self._fresh_noise(x)
