"""Heun's method."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from nodegraph.sampling.samplers.base import Spaces
from nodegraph.sampling.samplers.churn import ChurnSampler
from nodegraph.sampling.samplers.spaces import ExplodingSpace, FlowSpace
from nodegraph.sampling.table_schedules import CONTINUOUS


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
