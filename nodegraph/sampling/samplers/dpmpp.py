"""DPM-Solver++, second order with a memory of one evaluation."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.exponentials import decay_factor
from nodegraph.sampling.samplers.spaces import FlowSpace, SigmaPreservingSpace, UnmixedFlowSpace
from nodegraph.sampling.table_schedules import MULTISTEP


class DPMpp2M(Sampler):
    """Extrapolates the predicted latent from this evaluation and the one before.

    First order in the first and the last step. Source: Lu et al. 2022, arXiv:2211.01095,
    algorithm 2.
    """

    spaces: ClassVar[Spaces] = {"discrete": SigmaPreservingSpace, "flow": FlowSpace}
    grid = MULTISTEP
    comfyui_spaces: ClassVar[Spaces] = {"flow": UnmixedFlowSpace}

    def feed(self, output: Tensor) -> None:
        denoised = self.space.to_denoised(output, self.x, self.step_index)
        x = self.x.to(torch.float32)
        stepped = self._advanced(x, denoised)
        self.denoised = denoised
        self.history = {"denoised": denoised}
        self.x = stepped.to(denoised.dtype)
        self.step_index += 1

    def _advanced(self, x: Tensor, denoised: Tensor) -> Tensor:
        """x, in float32, at the next noise level."""
        return self._stepped(x, denoised, self._curvature(denoised))

    def _curvature(self, denoised: Tensor) -> Tensor | None:
        """How the prediction changes, scaled to the coming step; None in first-order steps."""
        earlier = self.history.get("denoised")
        if earlier is None or self.step_index == self.noise_levels.level_count - 1:
            return None
        here = self.space.log_snr(self.step_index)
        step, last_step = (
            self.space.log_snr(self.step_index + 1) - here,
            here - self.space.log_snr(self.step_index - 1),
        )
        return (1.0 / (last_step / step)) * (denoised - earlier)

    def _stepped(self, x: Tensor, denoised: Tensor, curvature: Tensor | None) -> Tensor:
        return self._stepped_from(self.step_index, x, denoised, curvature)

    def _stepped_from(
        self, step_index: int, x: Tensor, denoised: Tensor, curvature: Tensor | None
    ) -> Tensor:
        """x of a rung and the prediction there to the level after the present one."""
        _, deviation = self.space.alpha_deviation(step_index)
        alpha, next_deviation = self.space.alpha_deviation(self.step_index + 1)
        step = self.space.log_snr(self.step_index + 1) - self.space.log_snr(step_index)
        weight = alpha * (torch.exp(-step) - 1.0)
        stepped = (next_deviation / deviation) * x - weight * denoised
        return stepped if curvature is None else stepped - 0.5 * weight * curvature


class DPMpp2MSDE(DPMpp2M):
    """The same for the reverse SDE: part of the noise is drawn anew in every step.

    Source: Lu et al. 2022, arXiv:2211.01095, appendix C (SDE-DPM-Solver++(2M)), midpoint.
    """

    comfyui_spaces: ClassVar[Spaces] = {}
    uses_brownian_noise = True

    def _stepped(self, x: Tensor, denoised: Tensor, curvature: Tensor | None) -> Tensor:
        _, deviation = self.space.alpha_deviation(self.step_index)
        alpha, next_deviation = self.space.alpha_deviation(self.step_index + 1)
        step = self.space.log_snr(self.step_index + 1) - self.space.log_snr(self.step_index)
        eta = self.options.eta
        weight = alpha * (1 - decay_factor(1 + eta, step))
        stepped = (next_deviation / deviation * decay_factor(eta, step)) * x + weight * denoised
        if curvature is not None:
            stepped = stepped + self._bend(weight, alpha, (1 + eta) * step) * curvature
        scale = next_deviation * torch.sqrt(1.0 - decay_factor(2 * eta, step))
        return stepped + scale * self._noise_between(x, self.sigma, self.next_sigma)

    def _bend(self, weight: Tensor, alpha: Tensor, longer: Tensor) -> Tensor:
        """What the prediction's change is weighed by.

        Args:
            weight: What the prediction is.
            longer: The step, (1 + eta) times.
        """
        return 0.5 * weight


class DPMpp2MSDEHeun(DPMpp2MSDE):
    """The same, but the line through the last two predictions is integrated exactly.

    Source: as `DPMpp2MSDE`; diffusers' solver_type ``heun``.
    """

    def _bend(self, weight: Tensor, alpha: Tensor, longer: Tensor) -> Tensor:
        return line_bend(alpha, longer)


def line_bend(alpha: Tensor, longer: Tensor) -> Tensor:
    """What the prediction's change is weighed by where the line through it is integrated exactly;
    see `DPMpp2MSDE`."""
    return alpha * ((1.0 - torch.exp(-longer)) / (-longer) + 1.0)
