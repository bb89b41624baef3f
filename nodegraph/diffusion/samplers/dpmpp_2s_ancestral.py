"""DPM-Solver++ with a step's middle in place of a memory, and noise up after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.diffusion.samplers.base import Sampler, Spaces
from nodegraph.diffusion.samplers.spaces import ExplodingSpace, FlowSpace, StraightSpace
from nodegraph.diffusion.schedules import CONTINUOUS_FINITE


class DPMpp2SAncestral(Sampler):
    """Second order to below the next noise level, by the prediction in the middle; then noise up.

    The model is evaluated twice a step, once in the last. In between, `history` holds the step's
    start and x is the point halfway in log-SNR.

    Source: k-diffusion, sample_dpmpp_2s_ancestral; for flow models ComfyUI's
    sample_dpmpp_2s_ancestral_RF (``comfy/k_diffusion/sampling.py``); after Lu et al. 2022,
    arXiv:2211.01095, algorithm 1.
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS_FINITE
    space: StraightSpace
    _spaces: tuple[StraightSpace, ...]

    def feed(self, output: Tensor) -> None:
        x, space = self.x.to(torch.float32), self._spaces[self.stage]
        denoised = space.predicted(output, x, self.rung).to(torch.float32)
        self.denoised = denoised.to(output.dtype)
        denoised = self._followed(denoised, x, space)
        if self.stage == 0 and self.next_sigma > 0:
            self.history["start"] = x
            middle = self._spaces[1].ladder.sigmas[self.rung]
            self.x = self._led(x, denoised, middle).to(output.dtype)
            self.stage = 1
            return
        stepped = denoised
        if self.stage:
            down, scale, up = self.space.ancestral(self.rung, self.options.eta)
            stepped = scale * self._led(self.history["start"], denoised, down)
            stepped = stepped + up * self._fresh_noise(self.x)
        self.x = self._led_on(stepped).to(output.dtype)
        self.history = {}
        self.stage = 0
        self.rung += 1

    @property
    def _asked(self) -> tuple[int, int]:
        return self.stage, self.rung

    def _followed(self, denoised: Tensor, x: Tensor, space: StraightSpace) -> Tensor:
        """The prediction that leads x, of what the model's output stands for."""
        return denoised

    def _led_on(self, stepped: Tensor) -> Tensor:
        """x at the next rung, of where the step led."""
        return stepped

    def _led(self, x: Tensor, denoised: Tensor, level: Tensor) -> Tensor:
        """x of the rung on the straight way to the prediction, at a lower noise level."""
        kept = level / self.sigma
        return kept * x + (1 - kept) * denoised

    def _other_spaces(self) -> Sequence[StraightSpace]:
        """At the middle of each step but the last, where there is none."""
        space, rungs = self.space, range(self.ladder.rungs)
        downs = torch.stack([space.ancestral(rung, self.options.eta)[0] for rung in rungs])
        ends = space.over(downs)
        log_snrs = [(space.log_snr(rung) + ends.log_snr(rung)) / 2 for rung in rungs]
        return (space.over(space.level(torch.stack(log_snrs))),)


class DPMpp2SAncestralCFGpp(DPMpp2SAncestral):
    """The same by unguided predictions, and then on by what guidance changed at the step's start.

    In between, `history` holds that change, too. Source: as the samplers of `cfg_pp`.
    """

    def _followed(self, denoised: Tensor, x: Tensor, space: StraightSpace) -> Tensor:
        away = denoised
        if self.unguided is not None:
            away = space.predicted(self.unguided, x, self.rung).to(torch.float32)
        if self.stage == 0:
            self.history["change"] = denoised - away
        return away

    def _led_on(self, stepped: Tensor) -> Tensor:
        alpha, _ = self.space.alpha_deviation(self.rung + 1)
        return stepped + alpha * self.history["change"]
