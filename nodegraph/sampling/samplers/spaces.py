"""Noise parametrizations (VE, VP, flow): convert between latents, noise and model outputs.

A sampler uses one of these, so the same method samples models of several kinds.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor

from nodegraph.families.comfyui_sigmas import nearest_timesteps
from nodegraph.families.flow_noise import FlowNoise
from nodegraph.families.noise import NoiseSchedule
from nodegraph.sampling.schedules import NoiseLevels

if TYPE_CHECKING:
    from typing_extensions import Self


class NoiseSpace(ABC):
    """x = alpha · latent + deviation · noise, each kind of space with its own two scales.

    Scalars are 0-dimensional float32 tensors on the CPU, so that they take part in the arithmetic
    as diffusers' do: rounded to float32, without raising the latent's own precision.

    Attributes:
        noise_levels: The noise levels.
        noise: What the model was trained on.
    """

    noise: NoiseSchedule | FlowNoise

    def __init__(self, noise_levels: NoiseLevels) -> None:
        self.noise_levels = noise_levels

    def with_sigmas(self, sigmas: Tensor) -> Self:
        """The same over other noise levels.

        Args:
            sigmas: One for each level, at least 0, instead of its own; float32, shape
                (levels,).
        """
        noise_levels = self.noise_levels
        levels = sigmas.numpy()
        if noise_levels.comfyui_progress is not None and isinstance(self.noise, NoiseSchedule):
            timesteps = torch.from_numpy(nearest_timesteps(self.noise, levels))
        else:
            timesteps = torch.from_numpy(self.noise.sigma_to_timestep(levels))
        if not noise_levels.timesteps.is_floating_point():
            timesteps = timesteps.round()
        made = copy(self)
        made.noise_levels = replace(
            noise_levels,
            sigmas=torch.cat([sigmas, noise_levels.sigmas[-1:]]),
            timesteps=timesteps.to(noise_levels.timesteps.dtype),
        )
        return made

    @abstractmethod
    def pure_noise(self, noise: Tensor) -> Tensor:
        """The first x of a sampling that starts from standard normal noise."""

    @abstractmethod
    def add_noise(self, latent: Tensor, noise: Tensor, step_index: int) -> Tensor:
        """A clean latent with standard normal noise at a noise level.

        Args:
            step_index: 0 to the number of levels, where the latent comes back as it is.
        """

    @abstractmethod
    def model_input(self, x: Tensor, step_index: int) -> Tensor:
        """Scale x at a level to the model's input."""

    @abstractmethod
    def to_denoised(self, output: Tensor, x: Tensor, step_index: int) -> Tensor:
        """Convert the model's output for x at a level to the predicted clean latent."""

    @abstractmethod
    def alpha_deviation(
        self, step_index: int, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """Scale of the latent and standard deviation of the noise at a level; 0-dimensional."""

    def log_snr(self, step_index: int) -> Tensor:
        """log(alpha / deviation), lambda in the papers; infinite after the last level."""
        alpha, deviation = self.alpha_deviation(step_index)
        # some shifts round a flow's level of pure noise to a little above 1, here as in diffusers
        return torch.log(alpha.clamp(min=0)) - torch.log(deviation)

    def widened(self, x: Tensor) -> Tensor:
        """x in the precision that Heun's and LCM's steps are computed in: mostly its own."""
        return x

    def clipped(self, denoised: Tensor, *, by_default: bool) -> Tensor:
        """The predicted latent, clipped if the scheduler file or else diffusers' default says so.

        Files of latent models switch clipping off; the default matters where they are silent.
        """
        return denoised


class StraightSpace(NoiseSpace):
    """The space in which x is a linear function of sigma for a given latent and noise."""

    @abstractmethod
    def slope(self, output: Tensor, x: Tensor, denoised: Tensor, step_index: int) -> Tensor:
        """Derivative of x by sigma at a level; `denoised` is the result of `to_denoised` there."""

    @abstractmethod
    def ancestral(self, step_index: int, eta: float = 1.0) -> tuple[Tensor, Tensor | float, Tensor]:
        """How to step to below the next noise level, and back up to it with fresh noise.

        Args:
            eta: 0 steps to the level itself, and draws no noise; up to 1.
        Returns:
            The level to step to, the scale of the latent there, and the standard deviation of the
            fresh noise.
        """

    @abstractmethod
    def sigma_from_log_snr(self, log_snr: Tensor) -> Tensor:
        """The sigma of the noise level with a log-SNR."""

    @abstractmethod
    def churn_step(self, step_index: int, part: float) -> tuple[Tensor, Tensor | float, Tensor]:
        """How to raise the noise of a level by a fraction of itself.

        Returns:
            The raised level, the scale of the latent there, and the standard deviation of the fresh
            noise.
        """


class UnscaledSpace(StraightSpace):
    """Steps as if x = latent + sigma · noise: the latent's own scale is 1 at every level."""

    def alpha_deviation(
        self, step_index: int, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        sigma = self.noise_levels.sigmas[step_index].to(dtype)
        return torch.ones_like(sigma), sigma

    def ancestral(self, step_index: int, eta: float = 1.0) -> tuple[Tensor, Tensor | float, Tensor]:
        """Source: Song et al. 2021, arXiv:2010.02502, equation 16."""
        sigma, following = (
            self.noise_levels.sigmas[step_index],
            self.noise_levels.sigmas[step_index + 1],
        )
        up = eta * (following**2 * (sigma**2 - following**2) / sigma**2) ** 0.5
        # After a long way float32 doesn't tell the two apart: the level is 0, or rounds below it.
        return (following**2 - up**2).clamp(min=0) ** 0.5, 1.0, up

    def sigma_from_log_snr(self, log_snr: Tensor) -> Tensor:
        return torch.exp(-log_snr)

    def churn_step(self, step_index: int, part: float) -> tuple[Tensor, Tensor | float, Tensor]:
        """Source: Karras et al. 2022, arXiv:2206.00364, algorithm 2."""
        sigma = self.noise_levels.sigmas[step_index]
        above = sigma * (1 + part)
        return above, 1.0, (above**2 - sigma**2) ** 0.5


class ExplodingSpace(UnscaledSpace):
    """Keeps x = latent + sigma · noise, whose variance explodes with sigma (k-diffusion)."""

    noise: NoiseSchedule

    def __init__(self, noise_levels: NoiseLevels, noise: NoiseSchedule) -> None:
        super().__init__(noise_levels)
        self.noise = noise

    def pure_noise(self, noise: Tensor) -> Tensor:
        sigma = self.noise_levels.sigmas.max()
        if self.noise_levels.spacing == "leading":
            # a little more, so that the model sees noise of exactly unit variance
            sigma = (sigma**2 + 1) ** 0.5
        return noise * sigma

    def add_noise(self, latent: Tensor, noise: Tensor, step_index: int) -> Tensor:
        return latent + noise * self.noise_levels.sigmas[step_index].to(latent.dtype)

    def model_input(self, x: Tensor, step_index: int) -> Tensor:
        if self.noise.karras is not None:
            return x
        return x / ((self.noise_levels.sigmas[step_index] ** 2 + 1) ** 0.5)

    def to_denoised(self, output: Tensor, x: Tensor, step_index: int) -> Tensor:
        """The clean latent. Source: Karras et al. 2022, arXiv:2206.00364, table 1."""
        sigma = self.noise_levels.sigmas[step_index]
        if self.noise.prediction_type == "epsilon":
            return x - sigma * output
        if self.noise.prediction_type == "v_prediction":
            return output * (-sigma / (sigma**2 + 1) ** 0.5) + x / (sigma**2 + 1)
        return output

    def slope(self, output: Tensor, x: Tensor, denoised: Tensor, step_index: int) -> Tensor:
        return (x - denoised) / self.noise_levels.sigmas[step_index]

    def clipped(self, denoised: Tensor, *, by_default: bool) -> Tensor:
        return _clipped(denoised, self.noise, by_default=by_default)


class MixingSpace(NoiseSpace):
    """Mixes latent and noise, from noise alone to the latent alone; the model takes x as it is."""

    def pure_noise(self, noise: Tensor) -> Tensor:
        return noise

    def add_noise(self, latent: Tensor, noise: Tensor, step_index: int) -> Tensor:
        if step_index == self.noise_levels.level_count:
            return latent
        alpha, deviation = self.alpha_deviation(step_index, latent.dtype)
        return alpha * latent + deviation * noise

    def model_input(self, x: Tensor, step_index: int) -> Tensor:
        return x


class FlowSpace(MixingSpace, StraightSpace):
    """Keeps x = (1 - sigma) · latent + sigma · noise; the model predicts noise - latent.

    Source: Liu et al. 2022, arXiv:2209.03003, section 2.1.
    """

    noise: FlowNoise

    def __init__(self, noise_levels: NoiseLevels, noise: FlowNoise) -> None:
        super().__init__(noise_levels)
        self.noise = noise

    def to_denoised(self, output: Tensor, x: Tensor, step_index: int) -> Tensor:
        return x - self.noise_levels.sigmas[step_index] * output

    def alpha_deviation(
        self, step_index: int, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        sigma = self.noise_levels.sigmas[step_index].to(dtype)
        return 1.0 - sigma, sigma

    def widened(self, x: Tensor) -> Tensor:
        """In float32, as diffusers' flow-matching schedulers compute."""
        return x.to(torch.float32)

    def slope(self, output: Tensor, x: Tensor, denoised: Tensor, step_index: int) -> Tensor:
        return output

    def ancestral(self, step_index: int, eta: float = 1.0) -> tuple[Tensor, Tensor | float, Tensor]:
        """As ComfyUI's sample_euler_ancestral_RF (``comfy/k_diffusion/sampling.py``)."""
        sigma, following = (
            self.noise_levels.sigmas[step_index],
            self.noise_levels.sigmas[step_index + 1],
        )
        down = (1 - eta) * following + eta * (following**2 / sigma)
        scale = (1 - following) / (1 - down)
        return down, scale, (following**2 - (down * scale) ** 2).clamp(min=0) ** 0.5

    def sigma_from_log_snr(self, log_snr: Tensor) -> Tensor:
        return torch.sigmoid(-log_snr)

    def churn_step(self, step_index: int, part: float) -> tuple[Tensor, Tensor | float, Tensor]:
        """The same as there of x / (1 - sigma), whose noise is sigma / (1 - sigma)."""
        sigma = self.noise_levels.sigmas[step_index]
        scale = 1 / (1 + part * sigma)
        return sigma * (1 + part) * scale, scale, sigma * scale * ((1 + part) ** 2 - 1) ** 0.5


class UnmixedFlowSpace(UnscaledSpace, FlowSpace):
    """A flow whose alpha counts as 1, so that log-SNR is -log sigma, as of table models.

    Their first-order steps are the same; what they extrapolate from earlier predictions is weighed
    by log sigma in place of log-SNR, and is finite where there is nothing but noise. So ComfyUI's
    multistep methods and some of its CFG++ walk flow models (``comfy/k_diffusion/sampling.py``).
    """

    def add_noise(self, latent: Tensor, noise: Tensor, step_index: int) -> Tensor:
        sigma = self.noise_levels.sigmas[step_index].to(latent.dtype)
        return (1.0 - sigma) * latent + sigma * noise


class PreservingSpace(MixingSpace):
    """Keeps x = alpha · latent + deviation · noise, whose variance stays 1.

    Source: Song et al. 2021, arXiv:2011.13456, section 3.4 (VP SDE).
    """

    noise: NoiseSchedule

    def __init__(self, noise_levels: NoiseLevels, noise: NoiseSchedule) -> None:
        super().__init__(noise_levels)
        self.noise = noise

    def model_input(self, x: Tensor, step_index: int) -> Tensor:
        if self.noise.karras is None:
            return x
        # Preconditioned models take latent + sigma · noise, and scale it themselves.
        return x / self.alpha_deviation(step_index)[0]

    def to_denoised(self, output: Tensor, x: Tensor, step_index: int) -> Tensor:
        """The clean latent. Source: Salimans & Ho 2022, arXiv:2202.00512, section 4."""
        alpha, deviation = self.alpha_deviation(step_index)
        if self.noise.prediction_type == "epsilon":
            return (x - deviation * output) / alpha
        if self.noise.prediction_type == "v_prediction":
            return alpha * x - deviation * output
        return output

    def to_noise(self, output: Tensor, x: Tensor, step_index: int) -> Tensor:
        """Convert the model's output for x at a level to the predicted noise."""
        alpha, deviation = self.alpha_deviation(step_index)
        if self.noise.prediction_type == "epsilon":
            return output
        if self.noise.prediction_type == "v_prediction":
            return alpha * output + deviation * x
        return (x - alpha * output) / deviation

    def clipped(self, denoised: Tensor, *, by_default: bool) -> Tensor:
        return _clipped(denoised, self.noise, by_default=by_default)


class TablePreservingSpace(PreservingSpace):
    """Reads alpha and deviation from the model's table of cumulative alphas."""

    def alpha_bar(self, step_index: int, after_last: Tensor) -> Tensor:
        """The table's entry for a level; `after_last` at the number of levels."""
        if step_index == self.noise_levels.level_count:
            return after_last
        return self.noise.alpha_bar_at(self.noise_levels.timesteps[step_index])

    def alpha_deviation(
        self, step_index: int, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        alpha_bar = self.alpha_bar(step_index, torch.tensor(1.0)).to(dtype)
        return alpha_bar**0.5, (1 - alpha_bar) ** 0.5


class SigmaPreservingSpace(PreservingSpace):
    """Computes alpha and deviation from sigma, so that it supports any noise level."""

    def alpha_deviation(
        self, step_index: int, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        sigma = self.noise_levels.sigmas[step_index].to(dtype)
        alpha = 1 / ((sigma**2 + 1) ** 0.5)
        return alpha, sigma * alpha


def _clipped(denoised: Tensor, noise: NoiseSchedule, *, by_default: bool) -> Tensor:
    clip = by_default if noise.clip is None else noise.clip
    return denoised.clamp(-noise.clip_range, noise.clip_range) if clip else denoised


Spaces = Mapping[str, Callable[[NoiseLevels, Any], NoiseSpace]]
"""By kind of noise, the class of the space."""
STRAIGHT: Spaces = {"discrete": ExplodingSpace, "flow": FlowSpace}
"""For methods that follow slopes over sigma."""
PRESERVING: Spaces = {"discrete": SigmaPreservingSpace, "flow": FlowSpace}
"""For methods that follow predictions over log-SNR."""
OF_TABLE: Spaces = {"discrete": TablePreservingSpace}
"""For methods that read the model's table."""
UNMIXED: Spaces = {"flow": UnmixedFlowSpace}
"""By ComfyUI's convention: flow models are walked as table models."""


S = TypeVar("S", bound=NoiseSpace, covariant=True)


@dataclass(frozen=True)
class NoiseLevel(Generic[S]):
    """A noise level of a space: methods take x for alpha · latent + deviation · noise there.

    Its numbers are 0-dimensional float32 tensors on the CPU.

    Attributes:
        index: Among the noise levels of the space, i in the papers: 0 is the first, mostly the
            noisiest.
    """

    space: S
    index: int

    @property
    def sigma(self) -> Tensor:
        """The schedule's number: noise over the latent (tables), share of the noise (flows). The
        papers' sigma_t is `deviation`."""
        return self.space.noise_levels.sigmas[self.index]

    @property
    def timestep(self) -> Tensor:
        return self.space.noise_levels.timesteps[self.index]

    @cached_property
    def _scales(self) -> tuple[Tensor, Tensor]:
        return self.space.alpha_deviation(self.index)

    @property
    def alpha(self) -> Tensor:
        """Scale of the latent."""
        return self._scales[0]

    @property
    def deviation(self) -> Tensor:
        """Standard deviation of the noise."""
        return self._scales[1]

    @cached_property
    def log_snr(self) -> Tensor:
        """log(alpha / deviation), lambda in the papers: half of log(alpha² / deviation²). Infinite
        at the end."""
        return self.space.log_snr(self.index)

    def denoised(self, output: Tensor, x: Tensor) -> Tensor:
        """The clean latent that the model's output for x stands for."""
        return self.space.to_denoised(output, x, self.index)

    def slope(
        self: NoiseLevel[StraightSpace], output: Tensor, x: Tensor, denoised: Tensor
    ) -> Tensor:
        """dx / dsigma."""
        return self.space.slope(output, x, denoised, self.index)

    def ancestral(
        self: NoiseLevel[StraightSpace], eta: float
    ) -> tuple[Tensor, Tensor | float, Tensor]:
        """See `StraightSpace.ancestral`."""
        return self.space.ancestral(self.index, eta)
