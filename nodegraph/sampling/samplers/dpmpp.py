"""DPM-Solver++ (2M, 2S, 3M and their SDE forms) and RES multistep.

In the last step the noise level is 0 and log-SNR infinite, so that step is of first order.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.spaces import FlowSpace, SigmaPreservingSpace, UnmixedFlowSpace
from nodegraph.sampling.table_schedules import MULTISTEP

FEW = 15
"""Steps below which diffusers lowers the order of the last but one, too."""


def decay_factor(rate: float, step: Tensor) -> Tensor:
    """exp(-rate · step): what is left of x, over its noise, after a step.

    Args:
        rate: 0 or more; at 0 it is 1 however long the step.
        step: Above 0; 0-dimensional, float32.
    """
    return torch.exp(-rate * step) if rate else torch.ones_like(step)


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


class DPMpp2S(DPMpp2M):
    """Pairs of steps: the first is a trial whose end is asked, the second walks both anew.

    One evaluation a step. `history` holds the prediction before and where its step started. The
    last step, and of an even number the last but one, are of first order.

    Source: Lu et al. 2022, arXiv:2211.01095, algorithm 1; in pairs as diffusers'
    DPMSolverSinglestepScheduler at solver_order 2.
    """

    def feed(self, output: Tensor) -> None:
        start = self.x
        super().feed(output)
        self.history["start"] = start

    def _advanced(self, x: Tensor, denoised: Tensor) -> Tensor:
        if self._is_trial:
            return self._stepped(x, denoised, None)
        step_index, earlier = self.step_index, self.history["denoised"]
        before = self.space.log_snr(step_index - 1)
        step = self.space.log_snr(step_index + 1) - before
        curvature = (1.0 / ((self.space.log_snr(step_index) - before) / step)) * (
            denoised - earlier
        )
        return self._stepped_from(step_index - 1, self.history["start"], earlier, curvature)

    @property
    def _is_trial(self) -> bool:
        """Whether the coming step is of first order."""
        step_index = self.step_index
        return (
            step_index % 2 == 0
            or step_index == self.noise_levels.level_count - 1
            or "start" not in self.history
        )


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
