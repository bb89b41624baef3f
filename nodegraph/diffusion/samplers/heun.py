"""Heun's method."""

from __future__ import annotations

from torch import Tensor

from nodegraph.diffusion.samplers.spaces import ExplodingSampler
from nodegraph.diffusion.schedules import CONTINUOUS


class Heun(ExplodingSampler):
    """Second order: each step is walked again with the mean of the slopes at its two ends.

    The model is evaluated twice a step, once in the last. In between, `history` holds the step's
    start and slope, and x is the trial point at the next noise level.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 1.
    """

    grid = CONTINUOUS

    @property
    def timestep(self) -> Tensor:
        return self.ladder.timesteps[self.rung + self._on_trial]

    def model_input(self) -> Tensor:
        return self.x / ((self._level**2 + 1) ** 0.5)

    def feed(self, output: Tensor) -> None:
        predicted = self._predicted(output, self.x, self._level)
        self.denoised = self._clipped(predicted, by_default=False)
        slope = (self.x - self.denoised) / self._level
        fall = self.next_sigma - self.sigma
        if self._on_trial:
            mean = (self.history["slope"] + slope) / 2
            self.x = self.history["start"] + mean * fall
            self.history = {}
            self.rung += 1
        elif self.next_sigma > 0:
            self.history = {"start": self.x, "slope": slope}
            self.x = self.x + slope * fall
        else:
            self.x = self.x + slope * fall
            self.rung += 1

    @property
    def _on_trial(self) -> bool:
        return "slope" in self.history

    @property
    def _level(self) -> Tensor:
        """Noise level of x."""
        return self.next_sigma if self._on_trial else self.sigma
