"""Midpoint methods: each step goes along the slope halfway down, halfway in log sigma."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.diffusion.samplers.base import Sampler, Spaces
from nodegraph.diffusion.samplers.spaces import ExplodingSpace, FlowSpace
from nodegraph.diffusion.schedules import CONTINUOUS, Ladder


class DPM2(Sampler):
    """Second order: a trial step to the middle, whose slope then carries the whole step.

    The model is evaluated twice a step, once in the last. In between, `history` holds the step's
    start and x is the trial point.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 2 without churn, as k-diffusion's
    sample_dpm_2; after Lu et al. 2022, arXiv:2206.00927 (DPM-Solver-2).
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS
    space: ExplodingSpace | FlowSpace

    def __init__(
        self, space: ExplodingSpace | FlowSpace, generators: Sequence[torch.Generator] = ()
    ) -> None:
        super().__init__(space, generators)
        self._middles = self._middle_space(space)
        self._placed_middles = self._middles.ladder.timesteps

    def start(self, x: Tensor) -> None:
        super().start(x)
        self._placed_middles = self._middles.ladder.timesteps.to(x.device)

    @property
    def timestep(self) -> Tensor:
        return self._middles.ladder.timesteps[self.rung] if self._on_trial else super().timestep

    @property
    def model_timestep(self) -> Tensor:
        return self._placed_middles[self.rung] if self._on_trial else super().model_timestep

    def model_input(self) -> Tensor:
        space = self._middles if self._on_trial else self.space
        return space.model_input(self.x, self.rung)

    def feed(self, output: Tensor) -> None:
        x = self.x.to(torch.float32)
        space = self._middles if self._on_trial else self.space
        denoised = space.predicted(output, x, self.rung)
        slope = space.slope(output, x, denoised, self.rung)
        self.denoised = denoised.to(output.dtype)
        if self.next_sigma > 0 and not self._on_trial:
            self.history = {"start": x}
            self.x = (x + slope * (self._middle - self.sigma)).to(output.dtype)
            return
        start = self.history.get("start", x)
        self.history = {}
        self.x = self._stepped(start, slope).to(output.dtype)
        self.rung += 1

    def _target(self, rung: int) -> Tensor:
        """The noise level that the slope of the step from a rung leads to."""
        return self.ladder.sigmas[rung + 1]

    def _stepped(self, start: Tensor, slope: Tensor) -> Tensor:
        """The next rung's x, in float32."""
        return start + slope * (self.next_sigma - self.sigma)

    @property
    def _middle(self) -> Tensor:
        return self._middles.ladder.sigmas[self.rung]

    @property
    def _on_trial(self) -> bool:
        return "start" in self.history

    def _middle_space(self, space: ExplodingSpace | FlowSpace) -> ExplodingSpace | FlowSpace:
        """The space at each step's middle instead of its start."""
        ladder = space.ladder
        targets = torch.stack([self._target(rung) for rung in range(ladder.rungs)])
        sigmas = targets.log().lerp(ladder.sigmas[:-1].log(), 0.5).exp()
        timesteps = torch.from_numpy(space.noise.sigma_to_timestep(sigmas.numpy()))
        middles = Ladder(
            torch.cat([sigmas, ladder.sigmas[-1:]]),
            timesteps.to(ladder.timesteps.dtype),
            ladder.first,
            ladder.spacing,
        )
        made = copy(space)
        made.ladder = middles
        return made


class DPM2Ancestral(DPM2):
    """The same to below the next noise level, then noise up to it.

    Source: k-diffusion, sample_dpm_2_ancestral with eta 1; for flow models ComfyUI's
    sample_dpm_2_ancestral_RF (``comfy/k_diffusion/sampling.py``).
    """

    def _target(self, rung: int) -> Tensor:
        down, _, _ = self.space.ancestral(rung)
        return down

    def _stepped(self, start: Tensor, slope: Tensor) -> Tensor:
        down, scale, up = self.space.ancestral(self.rung)
        stepped = scale * (start + slope * (down - self.sigma))
        return stepped + self._fresh_noise(self.x) * up if self.next_sigma > 0 else stepped
