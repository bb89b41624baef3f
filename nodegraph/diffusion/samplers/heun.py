"""Heun's method."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from nodegraph.diffusion.samplers.base import Sampler, Spaces
from nodegraph.diffusion.samplers.spaces import ExplodingSpace, FlowSpace
from nodegraph.diffusion.schedules import CONTINUOUS


class Heun(Sampler):
    """Second order: each step is walked again with the mean of the slopes at its two ends.

    The model is evaluated twice a step, once in the last. In between, `history` holds the step's
    start and slope, and x is the trial point at the next noise level.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 1.
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS

    def feed(self, output: Tensor) -> None:
        x = self.space.widened(self.x)
        predicted = self.space.predicted(output, x, self._asked_rung)
        self.denoised = self.space.clipped(predicted, by_default=False)
        slope = (x - self.denoised) / self.ladder.sigmas[self._asked_rung]
        fall = self.next_sigma - self.sigma
        if self._on_trial:
            mean = (self.history["slope"] + slope) / 2
            self.x = (self.history["start"] + mean * fall).to(output.dtype)
            self.history = {}
            self.rung += 1
        elif self.next_sigma > 0:
            self.history = {"start": x, "slope": slope}
            self.x = (x + slope * fall).to(output.dtype)
        else:
            self.x = (x + slope * fall).to(output.dtype)
            self.rung += 1

    @property
    def _on_trial(self) -> bool:
        return "slope" in self.history

    @property
    def _asked_rung(self) -> int:
        return self.rung + self._on_trial
