"""Refined exponential solver with a memory of one evaluation."""

from __future__ import annotations

import torch
from torch import Tensor

from nodegraph.diffusion.samplers.dpmpp import DPMpp2M


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
        alpha, _ = self.space.alpha_deviation(self.rung + 1)
        step = self.space.log_snr(self.rung + 1) - self.space.log_snr(self.rung)
        return stepped + (alpha * ((torch.exp(-step) - 1.0) / step + 1.0)) * curvature
