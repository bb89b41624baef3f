"""The three ways samplers keep a noisy latent, and what a model's output says about it in each."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from nodegraph.diffusion.samplers.base import Sampler


class ExplodingSampler(Sampler):
    """Keeps x = latent + sigma · noise, whose variance explodes with sigma (k-diffusion)."""

    def pure_noise(self, noise: Tensor) -> Tensor:
        sigma = self.ladder.sigmas.max()
        if self.ladder.spacing == "leading":
            # a little more, so that the model sees noise of exactly unit variance
            sigma = (sigma**2 + 1) ** 0.5
        return noise * sigma

    def noised(self, latent: Tensor, noise: Tensor, rung: int) -> Tensor:
        return latent + noise * self.ladder.sigmas[rung].to(latent.dtype)

    def model_input(self) -> Tensor:
        return self.x / ((self.sigma**2 + 1) ** 0.5)

    def _predicted(self, output: Tensor, x: Tensor, sigma: Tensor) -> Tensor:
        """The clean latent. Source: Karras et al. 2022, arXiv:2206.00364, table 1."""
        if self.noise.prediction_type == "epsilon":
            return x - sigma * output
        if self.noise.prediction_type == "v_prediction":
            return output * (-sigma / (sigma**2 + 1) ** 0.5) + x / (sigma**2 + 1)
        return output


class PreservingSampler(Sampler):
    """Keeps x = alpha · latent + deviation · noise, whose variance stays 1.

    Source: Song et al. 2021, arXiv:2011.13456, section 3.4 (VP SDE).
    """

    def pure_noise(self, noise: Tensor) -> Tensor:
        return noise

    def noised(self, latent: Tensor, noise: Tensor, rung: int) -> Tensor:
        if rung == self.ladder.rungs:
            return latent
        alpha, deviation = self._alpha_deviation(rung, latent.dtype)
        return alpha * latent + deviation * noise

    def model_input(self) -> Tensor:
        return self.x

    @abstractmethod
    def _alpha_deviation(
        self, rung: int, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """Scale of the latent and standard deviation of the noise at a rung; 0-dimensional."""

    def _predicted(self, output: Tensor, x: Tensor) -> Tensor:
        """The clean latent. Source: Salimans & Ho 2022, arXiv:2202.00512, section 4."""
        alpha, deviation = self._alpha_deviation(self.rung)
        if self.noise.prediction_type == "epsilon":
            return (x - deviation * output) / alpha
        if self.noise.prediction_type == "v_prediction":
            return alpha * x - deviation * output
        return output


class TableSampler(PreservingSampler):
    """Reads alpha and deviation from the model's table of cumulative alphas."""

    def _alpha_bar(self, rung: int, after_last: Tensor) -> Tensor:
        if rung == self.ladder.rungs:
            return after_last
        return self.noise.alphas_cumprod[self.ladder.timesteps[rung]]

    def _alpha_deviation(
        self, rung: int, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        alpha_bar = self._alpha_bar(rung, torch.tensor(1.0)).to(dtype)
        return alpha_bar**0.5, (1 - alpha_bar) ** 0.5


class SigmaSampler(PreservingSampler):
    """Computes alpha and deviation from sigma, so that any noise level will do."""

    def _alpha_deviation(
        self, rung: int, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        sigma = self.ladder.sigmas[rung].to(dtype)
        alpha = 1 / ((sigma**2 + 1) ** 0.5)
        return alpha, sigma * alpha

    def _log_snr(self, rung: int) -> Tensor:
        """log(alpha / deviation), lambda in the papers; infinite after the last rung."""
        alpha, deviation = self._alpha_deviation(rung)
        return torch.log(alpha) - torch.log(deviation)
