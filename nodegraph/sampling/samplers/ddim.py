"""DDPM, DDIM and PNDM: samplers that read the model's table of cumulative alphas."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.spaces import TablePreservingSpace
from nodegraph.sampling.table_schedules import TABLE


class PNDM(Sampler):
    """Fourth order in evenly spaced timesteps; the first step is walked again with its end's noise.

    The model is evaluated twice in the first step, else once. `history` holds the predicted noise
    of earlier steps, ``noise.1`` the latest, and within the first step where it started.

    Source: Liu et al. 2022, arXiv:2202.09778, equations 9 and 12, without its Runge-Kutta steps: as
    diffusers' PNDMScheduler with skip_prk_steps, known as PLMS.
    """

    spaces: ClassVar[Spaces] = {"discrete": TablePreservingSpace}
    grid = TABLE
    space: TablePreservingSpace

    def feed(self, output: Tensor) -> None:
        self.denoised = self.space.to_denoised(
            output, self._evaluation_x(), self._evaluation_index[1]
        )
        if self.stage:
            self._retry(output)
            return
        known = [output, *(self.history[name] for name in sorted(self.history))]
        here, following = self._alpha_bars()
        kept = known[:3]
        if self.step_index == self.noise_levels.first and not self._is_last:
            self.history = {"start": self.x, "noise.1": output}
            self.x = self._moved(self.x, output, here, following)
            self.stage = 1
            return
        self.x = self._moved(self.x, _combined(known), here, following)
        self.history = {f"noise.{index}": item for index, item in enumerate(kept, start=1)}
        self.step_index += 1

    def _retry(self, output: Tensor) -> None:
        """The first step once more, with the mean of the noise at its ends."""
        start, noise = self.history["start"], self.history["noise.1"]
        here, following = self._alpha_bars()
        self.x = self._moved(start, (output + noise) / 2, here, following)
        self.history = {"noise.1": noise}
        self.stage = 0
        self.step_index += 1

    @property
    def _is_last(self) -> bool:
        return self.step_index == self.noise_levels.level_count - 1

    @property
    def _evaluation_index(self) -> tuple[int, int]:
        return 0, self.step_index + self.stage

    def _alpha_bars(self) -> tuple[Tensor, Tensor]:
        """Of this step's start and end; on evenly spaced schedules a fixed stride apart, as in
        diffusers, in the first step measured from its end."""
        table, stride = self.space.noise.alphas_cumprod, self.noise_levels.stride
        last = torch.tensor(1.0) if self.space.noise.alpha_to_one else table[0]
        here = self.space.alpha_bar(self.step_index, last)
        if stride is None:
            return here, self.space.alpha_bar(self.step_index + 1, last)
        if self.stage:
            end = int(self.noise_levels.timesteps[self.step_index + 1])
            return table[end + stride], table[end]
        end = int(self.noise_levels.timesteps[self.step_index]) - stride
        return here, table[end] if end >= 0 else last

    def _moved(self, x: Tensor, output: Tensor, here: Tensor, following: Tensor) -> Tensor:
        """Equation 9: x at another alpha bar, if the noise in it is the predicted."""
        prediction = self.space.noise.prediction_type
        if here == 0 and prediction != "epsilon":
            # The equation divides by alpha bar. Where it is 0 (zero terminal SNR), x is the noise,
            # and the output alone tells the latent.
            denoised = -output if prediction == "v_prediction" else output
            return following**0.5 * denoised + (1 - following) ** 0.5 * x
        if prediction == "v_prediction":
            output = (here**0.5) * output + ((1 - here) ** 0.5) * x
        elif prediction == "sample":
            output = (x - here**0.5 * output) / (1 - here) ** 0.5
        divisor = here * (1 - following) ** 0.5 + (here * (1 - here) * following) ** 0.5
        scaled = (following / here) ** 0.5 * x
        return scaled - (following - here) * output / divisor


def _combined(known: list[Tensor]) -> Tensor:
    """Adams and Bashforth's sum of outputs, the latest first, in diffusers' order."""
    if len(known) == 1:
        return known[0]
    if len(known) == 2:
        return (3 * known[0] - known[1]) / 2
    if len(known) == 3:
        return (23 * known[0] - 16 * known[1] + 5 * known[2]) / 12
    return (1 / 24) * (55 * known[0] - 59 * known[1] + 37 * known[2] - 9 * known[3])


LARGE = ("fixed_large", "fixed_large_log")
"""Variances of scheduler files that are the larger bound."""


class DDPM(Sampler):
    """Draws from the posterior of the next noise level.

    Its variance is what the model's scheduler file says: the smaller or the larger of two bounds,
    or between them where a model tells it, in as many channels more as the latent has.

    Source: Ho et al. 2020, arXiv:2006.11239, equations 6 and 7; of learned variances Nichol &
    Dhariwal 2021, arXiv:2102.09672, equation 15.
    """

    spaces: ClassVar[Spaces] = {"discrete": TablePreservingSpace}
    grid = TABLE
    space: TablePreservingSpace

    def feed(self, output: Tensor) -> None:
        predicted_variance = None
        if output.shape[1] == 2 * self.x.shape[1]:
            output, predicted_variance = output.chunk(2, dim=1)
        predicted = self.space.to_denoised(output, self.x, self.step_index)
        self.denoised = self.space.clipped(predicted, by_default=True)
        final_alpha_bar = torch.tensor(1.0)
        here, following = (
            self.space.alpha_bar(step_index, final_alpha_bar)
            for step_index in (self.step_index, self.step_index + 1)
        )
        beta_bar, following_beta_bar = 1 - here, 1 - following
        alpha = here / following
        beta = 1 - alpha
        mean = (following**0.5 * beta) / beta_bar * self.denoised
        mean = mean + alpha**0.5 * following_beta_bar / beta_bar * self.x
        if self.timestep > 0:
            # never quite 0, as in diffusers, where it passes through a logarithm
            small = (following_beta_bar / beta_bar * beta).clamp(min=1e-20)
            mean = mean + self._spread(small, beta, predicted_variance) * self._fresh_noise(output)
        self.x = mean
        self.step_index += 1

    def _spread(self, small: Tensor, large: Tensor, predicted_variance: Tensor | None) -> Tensor:
        """Standard deviation of what is drawn.

        Args:
            small, large: Bounds of the variance.
            predicted_variance: What the model says of it.
        """
        kind = self.space.noise.variance
        if kind == "learned" and predicted_variance is not None:
            return predicted_variance**0.5
        if kind == "learned_range" and predicted_variance is not None:
            share = (predicted_variance + 1) / 2
            return torch.exp(0.5 * (share * torch.log(large) + (1 - share) * torch.log(small)))
        if kind == "fixed_small_log":
            return torch.exp(0.5 * torch.log(small))
        return (large if kind in LARGE else small) ** 0.5


class DDIM(Sampler):
    """The predicted latent and noise are mixed anew for the next noise level.

    Deterministic of itself; with eta, part of the noise is drawn anew instead: 1 draws as much as
    `ddpm` does.

    Source: Song et al. 2021, arXiv:2010.02502, equations 12 and 16.
    """

    spaces: ClassVar[Spaces] = {"discrete": TablePreservingSpace}
    grid = TABLE
    space: TablePreservingSpace

    def feed(self, output: Tensor) -> None:
        epsilon = self.space.to_noise(output, self.x, self.step_index)
        predicted = self.space.to_denoised(output, self.x, self.step_index)
        self.denoised = self.space.clipped(predicted, by_default=True)
        following = self._next_alpha_bar()
        spread = self._spread(following)
        direction = (1 - following - spread**2) ** 0.5 * epsilon
        self.x = following**0.5 * self.denoised + direction
        if self.options.eta > 0:
            self.x = self.x + spread * self._fresh_noise(output)
        self.step_index += 1

    def _spread(self, following: Tensor) -> Tensor:
        """Standard deviation of what is drawn anew, on the way to alpha bar `following`."""
        here = self.space.alpha_bar(self.step_index, torch.tensor(1.0))
        variance = ((1 - following) / (1 - here)) * (1 - here / following)
        return self.options.eta * variance**0.5

    def _next_alpha_bar(self) -> Tensor:
        """Alpha bar that this step leads to.

        On evenly spaced schedules it is that of a fixed stride below, as in diffusers. With
        leading spacing this is the next rung; with others the two can be some timesteps apart.
        """
        table = self.space.noise.alphas_cumprod
        last = torch.tensor(1.0) if self.space.noise.alpha_to_one else table[0]
        if self.noise_levels.stride is None:
            return self.space.alpha_bar(self.step_index + 1, last)
        following = int(self.timestep) - self.noise_levels.stride
        return table[following] if following >= 0 else last
