"""Heun's method, Heun++, and restart sampling, which repeats Heun steps."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.euler import ChurnSampler
from nodegraph.sampling.samplers.spaces import ExplodingSpace, FlowSpace, StraightSpace
from nodegraph.sampling.table_schedules import CONTINUOUS


class Restart(Sampler):
    """Heun's method; at the least of some noise levels back to the greatest, and down again.

    What is walked again, `repeats` times between s_tmax and s_tmin, belongs to the step that
    arrives there: steps are as many as in the schedule, and that one asks the model more often.
    In the middle of a step of Heun's, `history` holds its ``start`` and ``slope``; `stage` counts
    the evaluations.

    Source: Xu et al. 2023, arXiv:2306.14878, algorithm 1, over the schedule's own levels.
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS
    space: StraightSpace

    def feed(self, output: Tensor) -> None:
        x, (_, sigma_index) = self.x.to(torch.float32), self._evaluation_index
        denoised = self.space.to_denoised(output, x, sigma_index)
        slope = self.space.slope(output, x, denoised, sigma_index).to(torch.float32)
        self.denoised = denoised.to(output.dtype)
        step_index, sigmas = self._from, self.noise_levels.sigmas
        is_trial = not self._on_trial and sigmas[step_index + 1] > 0
        if is_trial:
            self.history = {"start": x, "slope": slope}
        elif self._on_trial:
            x, slope = self.history["start"], (self.history["slope"] + slope) / 2
            self.history = {}
        self.x = (x + slope * (sigmas[step_index + 1] - sigmas[step_index])).to(output.dtype)
        self.stage += 1
        if not is_trial:
            self._arrive(step_index + 1)

    def draws(self, step_index: int) -> int:
        top, bottom = self._span
        return self.options.repeats if step_index + 1 == bottom and top < bottom else 0

    @cached_property
    def _span(self) -> tuple[int, int]:
        """The rungs that the way is walked again between: none if they are the same."""
        options, noise_levels = self.options, self.noise_levels
        begin = noise_levels.first - noise_levels.walked(noise_levels.first)
        noises = [
            float(torch.exp(-self.space.log_snr(step_index)))
            for step_index in range(noise_levels.level_count)
        ]
        within = [
            step_index
            for step_index in range(begin, noise_levels.level_count)
            if options.s_tmin <= noises[step_index] <= options.s_tmax
        ]
        return (within[0], within[-1]) if within else (begin, begin)

    def _arrive(self, step_index: int) -> None:
        """Go on from the end of a step of Heun's: to the next, or back to the greatest level."""
        top, bottom = self._span
        again = self.options.repeats * (bottom - top) if self.step_index + 1 == bottom else 0
        if self.stage >= 2 * (1 + again) or not again:
            self.stage = 0
            self.step_index += 1
        elif step_index == bottom:
            self.x = self._raised(bottom, top)

    def _raised(self, step_index: int, to: int) -> Tensor:
        """x of a rung with the noise of a higher one."""
        alpha, deviation = self.space.alpha_deviation(step_index)
        higher_alpha, higher = self.space.alpha_deviation(to)
        scale = higher_alpha / alpha
        up = (higher**2 - (scale * deviation) ** 2).clamp(min=0) ** 0.5
        x = scale * self.x.to(torch.float32) + up * self._fresh_noise(self.x)
        return x.to(self.x.dtype)

    @property
    def _from(self) -> int:
        """The rung that the present step of Heun's leads from."""
        if self.stage < 2:
            return self.step_index
        top, bottom = self._span
        return top + (self.stage - 2) // 2 % (bottom - top)

    @property
    def _on_trial(self) -> bool:
        return self.stage % 2 == 1

    @property
    def _evaluation_index(self) -> tuple[int, int]:
        return 0, self._from + self._on_trial


AHEAD = 2
"""Rungs after this one that a step looks at."""


class HeunPP2(ChurnSampler):
    """Trial steps down two rungs, then one step along the three slopes' mean.

    The slopes further on weigh their sigma over so many times the highest, the first the rest: the
    further down, the more it is Euler's method, whose order it has. The model is evaluated three
    times a step, twice in the last but one, once in the last. In between, `history` holds the
    step's ``start`` and the slopes so far, ``slope.0`` the first, and x is the trial point.

    Source: ComfyUI's sample_heunpp2 (``comfy/k_diffusion/sampling.py``), of Carzit's
    sd-webui-samplers-scheduler.
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS

    def feed(self, output: Tensor) -> None:
        x, (space_index, step_index) = (
            self._evaluation_x().to(torch.float32),
            self._evaluation_index,
        )
        space = self._spaces[space_index]
        denoised = space.to_denoised(output, x, step_index)
        slope = space.slope(output, x, denoised, step_index).to(torch.float32)
        self.denoised = denoised.to(output.dtype)
        start = self.history["start"] if self.stage else x
        slopes = [*(self.history[f"slope.{index}"] for index in range(self.stage)), slope]
        level = space.noise_levels.sigmas[step_index]
        if self.stage < self._ahead:
            self.history = {f"slope.{index}": item for index, item in enumerate(slopes)}
            self.history["start"] = start
            following = self.noise_levels.sigmas[self.step_index + self.stage + 1]
            self.x = (x + slope * (following - level)).to(output.dtype)
            self.stage += 1
            return
        fall = self.next_sigma - self._start_sigma
        self.x = (start + self._mean(slopes) * fall).to(output.dtype)
        self.history = {}
        self.stage = 0
        self.step_index += 1

    @property
    def _ahead(self) -> int:
        """How many rungs after this one are looked at: never where the noise has ended."""
        return min(AHEAD, self.noise_levels.level_count - 1 - self.step_index)

    def _mean(self, slopes: list[Tensor]) -> Tensor:
        sigmas = self.noise_levels.sigmas
        highest = sigmas[self.step_index - self.noise_levels.walked(self.step_index)]
        whole = len(slopes) * highest
        shares = [sigmas[self.step_index + index] / whole for index in range(1, len(slopes))]
        first = 1 - torch.stack(shares).sum() if shares else torch.ones(())
        weighted = first * slopes[0]
        for share, slope in zip(shares, slopes[1:], strict=True):
            weighted = weighted + share * slope
        return weighted

    @property
    def _evaluation_index(self) -> tuple[int, int]:
        return (0, self.step_index + self.stage) if self.stage else super()._evaluation_index

    def _evaluation_x(self) -> Tensor:
        return self.x if self.stage else super()._evaluation_x()


class Heun(ChurnSampler):
    """Second order: each step is walked again with the mean of the slopes at its two ends.

    The model is evaluated twice a step, once in the last. In between, `history` holds the step's
    start and slope, and x is the trial point at the next noise level.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 1; with churn algorithm 2.
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS

    def feed(self, output: Tensor) -> None:
        x, (space_index, step_index) = (
            self.space.widened(self._evaluation_x()),
            self._evaluation_index,
        )
        space = self._spaces[space_index]
        predicted = space.to_denoised(output, x, step_index)
        self.denoised = space.clipped(predicted, by_default=False)
        slope = (x - self.denoised) / space.noise_levels.sigmas[step_index]
        fall = self.next_sigma - self._start_sigma
        if self.stage == 0 and self.next_sigma > 0:
            self.history = {"start": x, "slope": slope}
            self.x = (x + slope * fall).to(output.dtype)
            self.stage = 1
            return
        start = self.history["start"] if self.stage else x
        if self.stage:
            slope = (self.history["slope"] + slope) / 2
        self.x = (start + slope * fall).to(output.dtype)
        self.history = {}
        self.stage = 0
        self.step_index += 1

    @property
    def _evaluation_index(self) -> tuple[int, int]:
        return (0, self.step_index + 1) if self.stage else super()._evaluation_index

    def _evaluation_x(self) -> Tensor:
        return self.x if self.stage else super()._evaluation_x()
