"""Euler's method: plain, with churn, ancestral, and with gradient estimation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.spaces import ExplodingSpace, FlowSpace, StraightSpace
from nodegraph.sampling.table_schedules import CONTINUOUS


class GradientEstimation(Sampler):
    """Euler's method along gamma · slope + (1 - gamma) · the slope before.

    The first step and the last are Euler's own. `history` holds the slope before.

    Source: Permenter & Yuan 2023, arXiv:2306.04848; gamma 2 as there.
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS
    space: StraightSpace

    def feed(self, output: Tensor) -> None:
        x = self.x.to(torch.float32)
        denoised = self.space.to_denoised(output, x, self.step_index)
        slope = self.space.slope(output, x, denoised, self.step_index).to(torch.float32)
        followed = slope
        if "slope" in self.history and self.next_sigma > 0:
            followed = slope + (self.options.gamma - 1) * (slope - self.history["slope"])
        self.history = {"slope": slope}
        self.denoised = denoised.to(output.dtype)
        self.x = (x + (self.next_sigma - self.sigma) * followed).to(output.dtype)
        self.step_index += 1


MOST = 2**0.5 - 1
"""Greatest part of its sigma that noise is raised by before a step."""

_RAISED = "raised"


class ChurnSampler(Sampler):
    """Steps that begin above their rung's noise level, raised there by fresh noise.

    Between steps x is at its rung's level; it is raised when the model is asked first, and
    `history` then holds it as ``raised``. Without s_churn there is no such thing.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 2.
    """

    space: StraightSpace
    _spaces: tuple[StraightSpace, ...]

    def draws(self, step_index: int) -> int:
        return int(self._churn(step_index) > 0) if self.options.s_churn > 0 else 1

    def _other_spaces(self) -> Sequence[StraightSpace]:
        return (self.space.with_sigmas(self._starts()),) if self.options.s_churn > 0 else ()

    def _starts(self) -> Tensor:
        """The noise levels that the steps begin at; float32, shape (rungs,)."""
        rungs = range(self.noise_levels.level_count)
        return torch.stack(
            [self.space.churn_step(step_index, self._churn(step_index))[0] for step_index in rungs]
        )

    def _churn(self, step_index: int) -> float:
        """Part of sigma that the noise is raised by before the step from a rung."""
        options = self.options
        if options.s_churn == 0:
            return 0.0
        noise = float(torch.exp(-self.space.log_snr(step_index)))
        if not options.s_tmin <= noise <= options.s_tmax:
            return 0.0
        begin, end = self.noise_levels.whole_range or (
            self.noise_levels.first,
            self.noise_levels.level_count,
        )
        return min(options.s_churn / (end - begin), MOST)

    @property
    def _evaluation_index(self) -> tuple[int, int]:
        return self._start_space, self.step_index

    def _evaluation_x(self) -> Tensor:
        return self._start_x()

    @property
    def _start_space(self) -> int:
        """Place in `_spaces` of what has the levels that steps begin at."""
        return 1 if self._churn(self.step_index) > 0 else 0

    @property
    def _start_sigma(self) -> Tensor:
        return self._spaces[self._start_space].noise_levels.sigmas[self.step_index]

    def _start_x(self) -> Tensor:
        """x at the level that the step begins at, drawing the noise for it if it is due."""
        churn = self._churn(self.step_index)
        if churn == 0:
            return self.x
        if _RAISED not in self.history:
            _, scale, up = self.space.churn_step(self.step_index, churn)
            x = scale * self.x.to(torch.float32) + self._fresh_noise(self.x) * up
            self.history[_RAISED] = x.to(self.x.dtype)
        return self.history[_RAISED]


class Euler(ChurnSampler):
    """First order: follow the slope at each noise level down to the next.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 2 without its correction.
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS

    def feed(self, output: Tensor) -> None:
        x = self._start_x().to(torch.float32)
        space = self._spaces[self._start_space]
        self.denoised = space.to_denoised(output, x, self.step_index)
        slope = space.slope(output, x, self.denoised, self.step_index)
        self.x = self._stepped(x, slope).to(output.dtype)
        self.history = {}
        self.step_index += 1

    def _stepped(self, x: Tensor, slope: Tensor) -> Tensor:
        # the scalar first: the other way round, half precision rounds another way
        return x + (self.next_sigma - self._start_sigma) * slope


class EulerAncestral(Euler):
    """Euler's method to below the next noise level, then noise up to it.

    Source: k-diffusion, sample_euler_ancestral.
    """

    def _stepped(self, x: Tensor, slope: Tensor) -> Tensor:
        down, scale, up = self.space.ancestral(self.step_index, self.options.eta)
        # noise in the model's precision, added in float32
        return scale * (x + slope * (down - self.sigma)) + self._fresh_noise(self.x) * up
