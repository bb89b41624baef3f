"""What a denoiser is asked while it learns, and what it should have said."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.errors import InvalidValue
from nodegraph.families.flow_noise import FlowNoise, ModelNoise
from nodegraph.families.noise import NoiseSchedule
from nodegraph.training.options import TrainingOptions


@dataclass(frozen=True, slots=True)
class NoisyBatch:
    """What a denoiser is asked about some examples.

    Attributes:
        noisy: What it sees; float32, shape (examples, channels, …) in cells.
        timesteps: As it is told them; shape (examples,).
        target: What it should give; shaped as noisy.
        weights: What the loss of each is multiplied by; None for 1.
    """

    noisy: Tensor
    timesteps: Tensor
    target: Tensor
    weights: Tensor | None = None


class Objective(Protocol):
    """Makes questions of clean latents."""

    @property
    def timesteps(self) -> int:
        """Of the model's training."""

    def make_batch(self, latents: Tensor, generator: torch.Generator) -> NoisyBatch:
        """A question about latents, by noise and levels that a generator draws on the CPU.

        Args:
            latents: Clean, scaled as the model was trained on; float32, (examples, channels, …).
        """


def objective_of(noise: ModelNoise, options: TrainingOptions) -> Objective:
    """What a model is taught by, by what it was trained on.

    Raises:
        InvalidValue: The options don't go with that.
    """
    if isinstance(noise, FlowNoise):
        if options.min_snr:
            raise InvalidValue(
                "min_snr weighs levels of models that were trained on variances; this one follows "
                "a flow",
                port="options",
                given=f"min_snr {options.min_snr:g}",
                expected="0",
                hint="Spread its levels by logit_normal in place of it.",
            )
        return _Flow(noise, options)
    return _Variances(noise, options)


def drawn_noise_of(latents: Tensor, generator: torch.Generator, offset: float) -> Tensor:
    """Standard normal noise for latents, a part of it one number for each channel.

    Returns:
        On the latents' device, shaped as they are.
    Source: of the offset: N. Guttenberg 2023, "Diffusion with offset noise", as in diffusers'
        training scripts.
    """
    noise = torch.randn(latents.shape, generator=generator)
    if offset:
        ones = (1,) * (latents.ndim - 2)
        noise += offset * torch.randn((*latents.shape[:2], *ones), generator=generator)
    return noise.to(latents.device)


@dataclass(frozen=True)
class _Variances:
    """Ho et al. 2020, arXiv:2006.11239, equation 14; v: Salimans & Ho 2022, arXiv:2202.00512."""

    noise: NoiseSchedule
    options: TrainingOptions

    @property
    def timesteps(self) -> int:
        return self.noise.timesteps

    def make_batch(self, latents: Tensor, generator: torch.Generator) -> NoisyBatch:
        noise = drawn_noise_of(latents, generator, self.options.noise_offset)
        drawn = self._drawn(len(latents), generator)
        shape = (-1, *(1,) * (latents.ndim - 1))
        table = self.noise.alphas_cumprod.to(latents.device)
        places = drawn.to(latents.device)
        kept = (table[places] ** 0.5).view(shape)
        added = ((1 - table[places]) ** 0.5).view(shape)
        kind = self.noise.prediction_type
        target = noise
        if kind == "v_prediction":
            target = kept * noise - added * latents
        elif kind == "sample":
            target = latents
        return NoisyBatch(kept * latents + added * noise, places, target, self._weights(places))

    def _drawn(self, count: int, generator: torch.Generator) -> Tensor:
        if self.options.levels == "logit_normal":
            return (_logit_normal(count, generator) * self.timesteps).long()
        return torch.randint(0, self.timesteps, (count,), generator=generator)

    def _weights(self, places: Tensor) -> Tensor | None:
        if not self.options.min_snr:
            return None
        from diffusers.training_utils import compute_snr

        ratios: Tensor = compute_snr(
            SimpleNamespace(alphas_cumprod=self.noise.alphas_cumprod), places
        )
        most = torch.full_like(ratios, self.options.min_snr)
        weights: Tensor = torch.minimum(ratios, most)
        kind = self.noise.prediction_type
        if kind == "sample":
            return weights
        return weights / (ratios + 1 if kind == "v_prediction" else ratios)


@dataclass(frozen=True)
class _Flow:
    """Lipman et al. 2022, arXiv:2210.02747, equation 23; levels: Esser et al. 2024,
    arXiv:2403.03206, section 3.1."""

    noise: FlowNoise
    options: TrainingOptions

    @property
    def timesteps(self) -> int:
        return self.noise.timesteps

    def make_batch(self, latents: Tensor, generator: torch.Generator) -> NoisyBatch:
        noise = drawn_noise_of(latents, generator, self.options.noise_offset)
        if self.options.levels == "uniform":
            drawn = torch.rand((len(latents),), generator=generator)
        else:
            drawn = _logit_normal(len(latents), generator)
        table = flow_levels(self.noise)
        levels = table[(drawn * self.timesteps).long()].to(latents.device)
        sigma = levels.view(-1, *(1,) * (latents.ndim - 1))
        noisy = (1.0 - sigma) * latents + sigma * noise
        return NoisyBatch(noisy, levels * self.timesteps, noise - latents)


def flow_levels(noise: FlowNoise) -> Tensor:
    """The noise level of each training timestep, the highest first, as diffusers' flow-matching
    scheduler has them; float32, shape (timesteps,).

    Shifted where the shift is fixed; where it goes by the size they are as they are spread, as in
    diffusers' training scripts.
    """
    rising = np.linspace(1, noise.timesteps, noise.timesteps, dtype=np.float32)[::-1].copy()
    levels = torch.from_numpy(rising) / noise.timesteps
    if noise.mu is not None:
        return levels
    return noise.shift * levels / (1 + (noise.shift - 1) * levels)


def _logit_normal(count: int, generator: torch.Generator) -> Tensor:
    """Numbers above 0 and below 1, most of them in the middle."""
    drawn = torch.sigmoid(torch.normal(0.0, 1.0, (count,), generator=generator))
    # In float32 the sigmoid of what is far out is 1 itself.
    return drawn.clamp(max=1 - 1e-7)


def mean_loss(prediction: Tensor, target: Tensor, weights: Tensor | None) -> Tensor:
    """Mean squared error, of weighed examples in the order that diffusers' scripts compute it in.

    Returns:
        float32, 0-dimensional.
    """
    if weights is None:
        return functional.mse_loss(prediction.float(), target.float(), reduction="mean")
    each = functional.mse_loss(prediction.float(), target.float(), reduction="none")
    return (each.mean(dim=list(range(1, each.ndim))) * weights).mean()
