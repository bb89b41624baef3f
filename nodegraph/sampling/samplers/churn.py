"""Churn: noise that is added before a step, and taken away with what there is by it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler
from nodegraph.sampling.samplers.spaces import StraightSpace

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
