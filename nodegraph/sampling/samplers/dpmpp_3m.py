"""DPM-Solver++, third order with a memory of two evaluations."""

from __future__ import annotations

import torch
from torch import Tensor

from nodegraph.sampling.samplers.dpmpp import DPMpp2M, DPMpp2MSDE, line_bend
from nodegraph.sampling.samplers.exponentials import decay_factor

FEW = 15
"""Steps below which diffusers lowers the order of the last but one, too."""


class DPMpp3M(DPMpp2M):
    """Extrapolates the predicted latent from this evaluation and the two before.

    Of lower order in the first two steps, the last and, if there are few, the last but one.
    Source: Lu et al. 2022, arXiv:2211.01095; weights as diffusers' at solver_order 3, which are
    the authors' own. They count but half of the prediction's second difference: strictly, the
    order is two.
    """

    def feed(self, output: Tensor) -> None:
        earlier = self.history.get("denoised")
        super().feed(output)
        if earlier is not None:
            self.history["earlier"] = earlier

    def _advanced(self, x: Tensor, denoised: Tensor) -> Tensor:
        left = self.noise_levels.level_count - self.step_index
        if "earlier" not in self.history or left == 1 or (left == 2 and self._ends_lower):
            return super()._advanced(x, denoised)
        return self._bent(x, denoised, *self._slope_and_bend(denoised))

    @property
    def _ends_lower(self) -> bool:
        """Whether the last step but one is of lower order, too."""
        return self.noise_levels.level_count < FEW

    def _slope_and_bend(self, denoised: Tensor) -> tuple[Tensor, Tensor]:
        """First and half the second change of the prediction, scaled to the coming step."""
        step_index, history = self.step_index, self.history
        here, last = self.space.log_snr(step_index), self.space.log_snr(step_index - 1)
        step = self.space.log_snr(step_index + 1) - here
        r0, r1 = (here - last) / step, (last - self.space.log_snr(step_index - 2)) / step
        latest = (1.0 / r0) * (denoised - history["denoised"])
        before = (1.0 / r1) * (history["denoised"] - history["earlier"])
        slope = latest + (r0 / (r0 + r1)) * (latest - before)
        return slope, (1.0 / (r0 + r1)) * (latest - before)

    def _bent(self, x: Tensor, denoised: Tensor, slope: Tensor, bend: Tensor) -> Tensor:
        """A step of third order."""
        _, deviation = self.space.alpha_deviation(self.step_index)
        alpha, next_deviation = self.space.alpha_deviation(self.step_index + 1)
        step = self.space.log_snr(self.step_index + 1) - self.space.log_snr(self.step_index)
        decay = torch.exp(-step) - 1.0
        stepped = (next_deviation / deviation) * x - (alpha * decay) * denoised
        stepped = stepped + (alpha * (decay / step + 1.0)) * slope
        return stepped - (alpha * ((decay + step) / step**2 - 0.5)) * bend


class DPMpp3MSDE(DPMpp3M, DPMpp2MSDE):
    """The same for the reverse SDE: part of the noise is drawn anew in every step.

    Source: k-diffusion, sample_dpmpp_3m_sde, but with `DPMpp2MSDE`'s steps of lower
    order; by ComfyUI's convention with its own. diffusers' sde-dpmsolver++ at solver_order 3 has
    the bend's 1/2 with the other sign, which no longer is the integral that the method stands for.
    """

    @property
    def _ends_lower(self) -> bool:
        return not self._is_comfyui and super()._ends_lower

    def _bend(self, weight: Tensor, alpha: Tensor, longer: Tensor) -> Tensor:
        if self._is_comfyui:
            return line_bend(alpha, longer)
        return super()._bend(weight, alpha, longer)

    def _bent(self, x: Tensor, denoised: Tensor, slope: Tensor, bend: Tensor) -> Tensor:
        _, deviation = self.space.alpha_deviation(self.step_index)
        alpha, next_deviation = self.space.alpha_deviation(self.step_index + 1)
        step = self.space.log_snr(self.step_index + 1) - self.space.log_snr(self.step_index)
        eta = self.options.eta
        longer = (1.0 + eta) * step
        gone = 1.0 - torch.exp(-longer)
        kept = next_deviation / deviation * decay_factor(eta, step)
        stepped = kept * x + (alpha * gone) * denoised
        stepped = stepped + (alpha * (1.0 - gone / longer)) * slope
        stepped = stepped + (alpha * ((gone - longer) / longer**2 + 0.5)) * bend
        drawn = 1.0 - decay_factor(2.0 * eta, step)
        fresh = self._noise_between(x, self.sigma, self.next_sigma)
        return stepped + next_deviation * torch.sqrt(drawn) * fresh
