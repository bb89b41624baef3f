"""CFG++ samplers: the noise that is added back is predicted without guidance.

So the guided prediction isn't left for the next noise level by a noise that was guided, too, and
the scale is one between two predictions: 0 to 1, where others want 5 or more.

Source: Chung et al. 2024, arXiv:2406.08070, algorithm 1, and for methods of several steps
equations 14 and 15. By ComfyUI's convention those walk flow models as table models, as its
samplers of these names do (``comfy/k_diffusion/sampling.py``).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.spaces import ExplodingSpace, FlowSpace, UnmixedFlowSpace
from nodegraph.sampling.table_schedules import CONTINUOUS


class EulerCFGpp(Sampler):
    """The guided prediction with the unguided noise of the next level: `euler` where both agree."""

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS

    def feed(self, output: Tensor) -> None:
        x = self.x.to(torch.float32)
        denoised = self.space.to_denoised(output, x, self.step_index).to(torch.float32)
        away = denoised
        if self.unguided is not None:
            away = self.space.to_denoised(self.unguided, x, self.step_index).to(torch.float32)
        alpha, deviation = self.space.alpha_deviation(self.step_index)
        noise = (x - alpha * away) / deviation
        stepped = self._stepped(denoised, away, noise) if self.next_sigma > 0 else denoised
        self.denoised = denoised.to(output.dtype)
        self.x = stepped.to(output.dtype)
        self.step_index += 1

    def _stepped(self, denoised: Tensor, away: Tensor, noise: Tensor) -> Tensor:
        """x at the next rung, which isn't the last.

        Args:
            denoised: The guided prediction.
            away: The unguided one.
            noise: What it leaves of x, of unit variance.
        """
        alpha, deviation = self.space.alpha_deviation(self.step_index + 1)
        return alpha * denoised + deviation * noise

    def _ratio(self, step_index: int) -> Tensor:
        """What becomes of the noise over the latent in the step from a rung: less than 1."""
        return torch.exp(self.space.log_snr(step_index) - self.space.log_snr(step_index + 1))


class EulerAncestralCFGpp(EulerCFGpp):
    """The same with part of the noise drawn anew."""

    def _stepped(self, denoised: Tensor, away: Tensor, noise: Tensor) -> Tensor:
        drawn = self.options.eta * (1 - self._ratio(self.step_index) ** 2).clamp(min=0) ** 0.5
        kept = (1 - drawn**2).clamp(min=0) ** 0.5
        fresh = self._fresh_noise(self.x).to(torch.float32)
        return super()._stepped(denoised, away, kept * noise + drawn * fresh)


class DPMpp2MCFGpp(EulerCFGpp):
    """With the change since the unguided prediction before: `dpmpp_2m` where both agree.

    `history` holds that prediction.
    """

    comfyui_spaces: ClassVar[Spaces] = {"flow": UnmixedFlowSpace}

    def _stepped(self, denoised: Tensor, away: Tensor, noise: Tensor) -> Tensor:
        earlier = self.history.get("away")
        self.history = {"away": away}
        stepped = super()._stepped(denoised, away, noise)
        if earlier is None:
            return stepped
        alpha, _ = self.space.alpha_deviation(self.step_index + 1)
        step, last_step = (
            self.space.log_snr(step_index + 1) - self.space.log_snr(step_index)
            for step_index in (self.step_index, self.step_index - 1)
        )
        change = (step / last_step) * (denoised - earlier)
        return stepped + 0.5 * alpha * (1 - self._ratio(self.step_index)) * change


class GradientEstimationCFGpp(EulerCFGpp):
    """With the change of the unguided slope: `gradient_estimation` where both agree.

    `history` holds the slope before, along sigma.
    """

    comfyui_spaces: ClassVar[Spaces] = {"flow": UnmixedFlowSpace}

    def _stepped(self, denoised: Tensor, away: Tensor, noise: Tensor) -> Tensor:
        slope = (self.x.to(torch.float32) - away) / self.sigma
        earlier = self.history.get("slope")
        self.history = {"slope": slope}
        stepped = super()._stepped(denoised, away, noise)
        if earlier is None:
            return stepped
        further = (self.options.gamma - 1) * (slope - earlier)
        return stepped + (self.next_sigma - self.sigma) * further
