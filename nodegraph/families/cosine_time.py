"""Noise levels of a continuous time: a squared cosine, as of Stable Cascade.

Source: diffusers' ``DDPMWuerstchenScheduler`` (``schedulers/scheduling_ddpm_wuerstchen.py``), by
Pablo Pernías; ComfyUI ``comfy/model_sampling.py``, ``StableCascadeSampling``. The curve is that of
Nichol & Dhariwal 2021, arXiv:2102.09672, equation 17.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

COSINE_CLASS = "DDPMWuerstchenScheduler"
"""Class of diffusers whose files describe such a time."""
COMFYUI_SHIFT = "comfyui_shift"
"""Key that no file has: the shift of the noise that ComfyUI samples a model with."""
TIMESTEPS = 1024
"""Timesteps of time 1. A power of two: a time as a timestep, and back, keeps all of its bits."""

_LEAST, _MOST = 0.0001, 0.9999
"""Of alpha bar."""
_COMFYUI_ENTRIES = 10_000
"""Levels of ComfyUI's table."""


@dataclass(frozen=True, slots=True)
class CosineTime:
    """Times from 0, hardly any noise, to 1, hardly anything else.

    Attributes:
        offset: Of the curve, so that noise does not vanish near time 0.
        scaler: Exponent that bends the time; 1 leaves it as it is.
        comfyui_shift: Factor on the noise levels that ComfyUI spreads over the time. The model is
            asked at the time of the level without it.
    """

    offset: float = 0.008
    scaler: float = 1.0
    comfyui_shift: float = 1.0

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> CosineTime:
        """Read a scheduler file of diffusers."""
        numbers = (config.get("s", 0.008), config.get("scaler", 1.0), config.get(COMFYUI_SHIFT, 1))
        return cls(*map(float, numbers))

    def alpha_bar(self, times: Tensor) -> Tensor:
        """Alpha bar of times, clamped; float32, shape (n,), in the order that diffusers computes.

        Args:
            times: In 0..1, shape (n,).
        """
        if self.scaler > 1:
            times = 1 - (1 - times) ** self.scaler
        elif self.scaler < 1:
            times = times**self.scaler
        offset = torch.tensor([self.offset])
        begin = torch.cos(offset / (1 + offset) * torch.pi * 0.5) ** 2
        kept = torch.cos((times + offset) / (1 + offset) * torch.pi * 0.5) ** 2 / begin
        return kept.clamp(_LEAST, _MOST)

    def table(self) -> Tensor:
        """Alpha bar of each whole timestep; float32, shape (TIMESTEPS + 1,)."""
        return self.alpha_bar(torch.arange(TIMESTEPS + 1) / TIMESTEPS)

    def sigmas(self, times: NDArray[Any] | float) -> NDArray[np.float64]:
        """Noise levels of times."""
        each = torch.from_numpy(np.atleast_1d(np.asarray(times, dtype=np.float32)))
        kept = self.alpha_bar(each)
        levels: NDArray[np.float64] = (((1 - kept) / kept) ** 0.5).numpy().astype(np.float64)
        return levels.reshape(np.shape(times))

    def times(self, sigmas: NDArray[Any] | float) -> NDArray[np.float64]:
        """Times of noise levels: the inverse of `sigmas`, where that is not clamped."""
        kept = 1 / (np.asarray(sigmas, dtype=np.float64) ** 2 + 1)
        begin = math.cos(self.offset / (1 + self.offset) * math.pi / 2)
        angles = np.arccos(np.minimum(np.sqrt(kept) * begin, 1))
        bent = np.clip(angles / (math.pi / 2) * (1 + self.offset) - self.offset, 0, 1)
        if self.scaler > 1:
            return np.asarray(1 - (1 - bent) ** (1 / self.scaler))
        return np.asarray(bent ** (1 / self.scaler)) if self.scaler < 1 else bent

    def falling_times(self, steps: int) -> NDArray[np.float64]:
        """Even times from 1, as diffusers has them, without the closing 0; rounded to float32."""
        return torch.linspace(1.0, 0.0, steps + 1)[:-1].numpy().astype(np.float64)

    def comfyui_sigmas(self, times: NDArray[Any] | float) -> NDArray[np.float64]:
        """Noise levels of times as ComfyUI shifts them."""
        each = torch.from_numpy(np.atleast_1d(np.asarray(times, dtype=np.float32)))
        offset = torch.tensor(self.offset)
        begin = torch.cos(offset / (1 + offset) * torch.pi * 0.5) ** 2
        kept = torch.cos((each + offset) / (1 + offset) * torch.pi * 0.5) ** 2 / begin
        if self.comfyui_shift != 1:
            shift = 2 * torch.log(1.0 / torch.tensor(self.comfyui_shift))
            kept = ((kept / (1 - kept)).log() + shift).sigmoid()
        kept = kept.clamp(_LEAST, _MOST)
        levels: NDArray[np.float64] = (((1 - kept) / kept) ** 0.5).numpy().astype(np.float64)
        return levels.reshape(np.shape(times))

    def comfyui_levels(self, law: str, steps: int) -> NDArray[np.float64] | None:
        """Falling levels of a law of ComfyUI, without the closing 0; None for laws that depend on
        the ends alone."""
        table = self.comfyui_sigmas(np.arange(1, _COMFYUI_ENTRIES + 1) / _COMFYUI_ENTRIES)
        if law == "simple":
            skipped = (np.arange(steps) * (_COMFYUI_ENTRIES / steps)).astype(np.int64)
            return table[_COMFYUI_ENTRIES - 1 - skipped]
        if law not in ("normal", "sgm_uniform"):
            return None
        high, low = (float(self.times(table[at])) for at in (-1, 0))
        points = steps + (law == "sgm_uniform")
        return self.comfyui_sigmas(np.linspace(high, low, points)[:steps])

    def comfyui_shares(self, sigmas: NDArray[np.float64]) -> NDArray[np.float64]:
        """Shares of the sampling that lie behind noise levels, as ComfyUI tells them."""
        return 1 - self.times(sigmas / self.comfyui_shift)
