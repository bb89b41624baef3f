"""Midpoint methods of second order: DPM-Solver-2 and ancestral DPM-Solver++(2S)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.euler import ChurnSampler
from nodegraph.sampling.samplers.spaces import (
    ExplodingSpace,
    FlowSpace,
    StraightSpace,
    UnmixedFlowSpace,
)
from nodegraph.sampling.table_schedules import CONTINUOUS, CONTINUOUS_FINITE


class DPM2(ChurnSampler):
    """Second order: a trial step to the middle, whose slope then carries the whole step.

    The model is evaluated twice a step, once where that leads to no noise, as the last does. In
    between, `history` holds the step's start and x is the trial point.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 2, as k-diffusion's sample_dpm_2; after
    Lu et al. 2022, arXiv:2206.00927 (DPM-Solver-2).
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS

    def feed(self, output: Tensor) -> None:
        x, space = self._evaluation_x().to(torch.float32), self._spaces[self._evaluation_index[0]]
        denoised = space.to_denoised(output, x, self.step_index)
        slope = space.slope(output, x, denoised, self.step_index)
        self.denoised = denoised.to(output.dtype)
        if self.stage == 0 and self._target(self.step_index) > 0:
            self.history = {"start": x}
            middle = self._spaces[-1].noise_levels.sigmas[self.step_index]
            self.x = (x + slope * (middle - self._start_sigma)).to(output.dtype)
            self.stage = 1
            return
        start = self.history["start"] if self.stage else x
        self.x = self._stepped(start, slope).to(output.dtype)
        self.history = {}
        self.stage = 0
        self.step_index += 1

    @property
    def _evaluation_index(self) -> tuple[int, int]:
        return (len(self._spaces) - 1, self.step_index) if self.stage else super()._evaluation_index

    def _evaluation_x(self) -> Tensor:
        return self.x if self.stage else super()._evaluation_x()

    def _target(self, step_index: int) -> Tensor:
        """The noise level that the slope of the step from a rung leads to."""
        return self.noise_levels.sigmas[step_index + 1]

    def _stepped(self, start: Tensor, slope: Tensor) -> Tensor:
        """The next rung's x, in float32."""
        return start + slope * (self.next_sigma - self._start_sigma)

    def _other_spaces(self) -> Sequence[StraightSpace]:
        """The last is the space at each step's middle."""
        targets = torch.stack(
            [self._target(step_index) for step_index in range(self.noise_levels.level_count)]
        )
        middles = targets.log().lerp(self._starts().log(), 0.5).exp()
        return (*super()._other_spaces(), self.space.with_sigmas(middles))


class DPM2Ancestral(DPM2):
    """The same to below the next noise level, then noise up to it.

    Source: k-diffusion, sample_dpm_2_ancestral; for flow models ComfyUI's
    sample_dpm_2_ancestral_RF (``comfy/k_diffusion/sampling.py``).
    """

    def _target(self, step_index: int) -> Tensor:
        down, _, _ = self.space.ancestral(step_index, self.options.eta)
        return down

    def _stepped(self, start: Tensor, slope: Tensor) -> Tensor:
        down, scale, up = self.space.ancestral(self.step_index, self.options.eta)
        stepped = scale * (start + slope * (down - self.sigma))
        return stepped + self._fresh_noise(self.x) * up if self.next_sigma > 0 else stepped


class DPMpp2SAncestral(Sampler):
    """Second order to below the next noise level, by the prediction in the middle; then noise up.

    The model is evaluated twice a step, once where that leads to no noise, as the last does. In
    between, `history` holds the step's start and x is the point halfway in log-SNR.

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
        denoised = space.to_denoised(output, x, self.step_index).to(torch.float32)
        self.denoised = denoised.to(output.dtype)
        denoised = self._step_prediction(denoised, x, space)
        down, scale, up = self.space.ancestral(self.step_index, self.options.eta)
        if self.stage == 0 and down > 0:
            self.history["start"] = x
            middle = self._spaces[1].noise_levels.sigmas[self.step_index]
            self.x = self._move_towards(denoised, middle).to(output.dtype)
            self.stage = 1
            return
        stepped = scale * self._move_towards(denoised, down) if self.stage else denoised
        if self.next_sigma > 0:
            stepped = stepped + up * self._fresh_noise(self.x)
        self.x = self._finish_step(stepped).to(output.dtype)
        self.history = {}
        self.stage = 0
        self.step_index += 1

    @property
    def _evaluation_index(self) -> tuple[int, int]:
        return self.stage, self.step_index

    def _step_prediction(self, denoised: Tensor, x: Tensor, space: StraightSpace) -> Tensor:
        """The prediction that leads x, of what the model's output stands for."""
        return denoised

    def _finish_step(self, stepped: Tensor) -> Tensor:
        """x at the next rung, of where the step led."""
        return stepped

    def _move_towards(self, denoised: Tensor, level: Tensor) -> Tensor:
        """On the straight way from the step's start to a prediction, at a lower noise level."""
        kept = level / self.sigma
        return kept * self._start() + (1 - kept) * denoised

    def _start(self) -> Tensor:
        """Where the straight ways of the step begin: x of the rung."""
        return self.history["start"]

    def _other_spaces(self) -> Sequence[StraightSpace]:
        """At the middle of each step but the last, where there is none."""
        space, step_indices = self.space, range(self.noise_levels.level_count)
        downs = torch.stack(
            [space.ancestral(step_index, self.options.eta)[0] for step_index in step_indices]
        )
        ends = space.with_sigmas(downs)
        log_snrs = [
            (space.log_snr(step_index) + ends.log_snr(step_index)) / 2
            for step_index in step_indices
        ]
        return (space.with_sigmas(space.sigma_from_log_snr(torch.stack(log_snrs))),)


class DPMpp2SAncestralCFGpp(DPMpp2SAncestral):
    """The same by unguided predictions, and then on by what guidance changed at the step's start.

    In between, `history` holds that change, too. Source: as the samplers of `cfg_pp`.

    By ComfyUI's convention guided predictions lead, both times from a start that is moved by what
    guidance changes: by the first guided prediction less the unguided one of the latest call. Flow
    models are walked as table models. Source: ComfyUI's sample_dpmpp_2s_ancestral_cfg_pp
    (``comfy/k_diffusion/sampling.py``); `history` then holds the first guided prediction, too.
    """

    comfyui_spaces: ClassVar[Spaces] = {"flow": UnmixedFlowSpace}

    def _step_prediction(self, denoised: Tensor, x: Tensor, space: StraightSpace) -> Tensor:
        away = denoised
        if self.unguided is not None:
            away = space.to_denoised(self.unguided, x, self.step_index).to(torch.float32)
        if self._is_comfyui:
            guided = self.history.setdefault("guided", denoised)
            self.history["change"] = guided - away
            return denoised
        if self.stage == 0:
            self.history["change"] = denoised - away
        return away

    def _start(self) -> Tensor:
        start = super()._start()
        return start + self.history["change"] if self._is_comfyui else start

    def _finish_step(self, stepped: Tensor) -> Tensor:
        if self._is_comfyui:
            return stepped
        alpha, _ = self.space.alpha_deviation(self.step_index + 1)
        return stepped + alpha * self.history["change"]
