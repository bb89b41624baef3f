"""Flow matching: what a model was trained on whose noise lies on a straight way from the image.

x = (1 - sigma) · latent + sigma · noise, sigma from 0 to 1; the model is asked at timestep sigma ·
(number of training timesteps) and predicts noise - latent. Source: Liu et al. 2022,
arXiv:2209.03003, section 2.1; Lipman et al. 2022, arXiv:2210.02747.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nodegraph.core.values import DiffusionModel
from nodegraph.errors import InvalidFile
from nodegraph.families.base import Family
from nodegraph.families.comfyui_sigmas import ComfyUIFlow, comfyui_flow
from nodegraph.families.flow_shift import TOKEN_PIXELS, Mu, karras_range, logit_normal_levels
from nodegraph.families.noise import NoiseSchedule, check_noise_level, check_timestep
from nodegraph.families.registry import get_family
from nodegraph.families.scheduler_file import (
    CHOSEN,
    FLOW_MATCHING_CLASSES,
    check_supported,
    scheduler_config,
)
from nodegraph.families.sigma_curves import karras_levels, linear_quadratic_levels

Levels = NDArray[np.float64] | NDArray[np.float32]


def _float32_ramp(steps: int) -> Levels:
    ramp = torch.linspace(1.0, 1 / steps, steps)
    return np.asarray(ramp.tolist())


def _open_float32_ramp(steps: int) -> Levels:
    ramp = torch.linspace(1.0, 0.0, steps + 1)[:-1]
    return np.asarray(ramp.tolist())


def _open_in_float32(steps: int) -> Levels:
    return np.asarray(torch.linspace(1.0, 0.0, steps + 1)[:-1].numpy())


def _linear_quadratic(steps: int) -> Levels:
    # Rounded so that 1 - level is exact in float32: the pipeline walks along that.
    gone = np.float32(1) - linear_quadratic_levels(steps).astype(np.float32)
    return np.asarray((1 - gone).tolist())


def _rising_ramp(steps: int) -> Levels:
    # As in `_linear_quadratic`: the scheduler inverts levels in float32.
    gone = np.float32(1) - np.linspace(1.0, 1 / steps, steps).astype(np.float32)
    return np.asarray((1 - gone).tolist())


def _rising_float32_ramp(steps: int) -> Levels:
    gone = 1.0 - torch.linspace(1.0, 1 / steps, steps)
    return np.asarray((1.0 - gone).tolist())


_LOGIT_DEVIATION = 1.5
"""Of the logits of Ideogram 4's levels, as its pipeline has it unless it is asked for another."""
_KARRAS_RHO = 7.0
"""Exponent of diffusers' schedulers."""
_LEAST_LOG_SNR, _GREATEST_LOG_SNR = -6.2, 2.0


def _log_snr_ramp(steps: int) -> Levels:
    """Levels evenly spaced in log-SNR, with pure noise first; as diffusers' Stable Audio 3 pipeline
    computes them."""
    shares = torch.linspace(1.0, 0.0, steps + 1)
    levels = torch.sigmoid(-(_GREATEST_LOG_SNR - shares * (_GREATEST_LOG_SNR - _LEAST_LOG_SNR)))
    levels[0] = 1.0
    return np.asarray(levels[:-1].tolist())


def _whole_timesteps(steps: int) -> Levels:
    return np.linspace(1000, 1.0, steps).astype(np.int64).astype(np.float32) / 1000


def _open_whole_timesteps(steps: int) -> Levels:
    return np.linspace(1000, 1.0, steps + 1)[:-1].astype(np.int64).astype(np.float32) / 1000


SPREADS: Mapping[str, Callable[[int], Levels] | None] = {
    "own": None,
    "ramp": lambda steps: np.linspace(1.0, 1 / steps, steps),
    "ramp32": _float32_ramp,
    "open": lambda steps: np.linspace(1.0, 0.0, steps + 1)[:-1],
    "open32": _open_float32_ramp,
    "open_float32": _open_in_float32,
    "linear_quadratic": _linear_quadratic,
    "rising": _rising_ramp,
    "rising32": _rising_float32_ramp,
    "logsnr": _log_snr_ramp,
    "logit_normal": None,
    "whole": _whole_timesteps,
    "open_whole": _open_whole_timesteps,
}
"""How a family's pipeline spreads noise levels before they are shifted: as each sampler does of its
own (SD3, HiDream, Wan, Sana), evenly from 1 to 1 / steps (Flux, Qwen-Image, Chroma, Lumina 2, LTX),
the same rounded to float32 (Z-Image), evenly from 1 to above 0 (Hunyuan-Image; ACE-Step, rounded to
float32; MiniMax H3, also shifted in float32), as `linear_quadratic_levels` (Mochi), as Flux with
the time the other way round (MiniMax Music 3; LongCat-AudioDiT, rounded to float32), evenly in
log-SNR (Stable Audio 3), as `FlowNoise.logit_normal_levels` (Ideogram 4), or evenly from 1 to
1 / 1000, cut to whole timesteps (CogView 4; GLM-Image, to above that)."""


@dataclass(frozen=True, slots=True)
class FlowNoise:
    """What a flow model was trained on, and how its pipeline lays noise levels.

    Attributes:
        kind: As `nodegraph.families.sampler_names.NOISE_KINDS` has it.
        timesteps: Number of training timesteps.
        shift: Factor on sigma / (1 - sigma), where it doesn't depend on the size; above 0.
        mu: Of tokens and steps: the logarithm of that factor (or, with a linear `time_shift`, the
            factor itself) where it does; else None.
        time_shift: exponential or linear.
        terminal: The levels are stretched so that the last one above 0 is this; None: as they are.
        curve: normal, karras or exponential: what the normal schedule is.
        spread: One of `SPREADS`.
        karras: Greatest and least sigma / (1 - sigma) of a pipeline that spaces those as Karras et
            al. 2022, arXiv:2206.00364, equation 5 (Cosmos Predict2.5); else None.
        common: How ComfyUI lays levels, which is alike for all samplers.
    """

    kind: ClassVar[str] = "flow"

    timesteps: int = 1000
    shift: float = 1.0
    mu: Callable[[int, int], float] | None = None
    time_shift: str = "exponential"
    terminal: float | None = None
    curve: str = "normal"
    spread: str = "own"
    karras: tuple[float, float] | None = None
    common: ComfyUIFlow = field(default_factory=ComfyUIFlow)

    @classmethod
    def from_config(
        cls, config: Mapping[str, Any], *, spread: str = "own", mu: Mu | None = None
    ) -> FlowNoise:
        """Read a diffusers scheduler file; what it leaves out is as diffusers' defaults.

        Args:
            config: With the name of its class; one of flow matching's.
            spread: One of `SPREADS`: the family's.
            mu: How the family finds the shift where the file leaves it to the size.
        Raises:
            InvalidFile: It asks for something that isn't supported, or for a shift by size where
                the family knows none.
        """
        check_supported(config, kinds=("flow",))
        dynamic = bool(config.get("use_dynamic_shifting", False))
        if dynamic and mu is None:
            raise InvalidFile(
                "the model's scheduler file shifts noise levels by image size, which "
                "models of this family do not",
                port="model",
                given="use_dynamic_shifting true",
                expected="false",
                hint="Use the scheduler folder of the original model.",
            )
        terminal = config.get("shift_terminal")
        is_matching = config.get("_class_name") in FLOW_MATCHING_CLASSES
        karras = karras_range(config)
        # diffusers shifts no levels of such a file.
        is_shifted = karras is None or bool(config.get(CHOSEN))
        shift = config.get("shift" if is_matching else "flow_shift", 1.0) if is_shifted else 1.0
        return cls(
            timesteps=int(config.get("num_train_timesteps", 1000)),
            shift=float(shift),
            mu=partial(mu, config) if mu is not None and dynamic else None,
            time_shift=config.get("time_shift_type", "exponential"),
            terminal=float(terminal) if terminal else None,
            curve="normal" if karras else _curve(config),
            spread=spread,
            karras=karras,
        )

    def shift_sigmas(self, levels: Levels, tokens: int, steps: int) -> Levels:
        """Falling noise levels above 0 as they are for a latent of so many tokens.

        Computed in the levels' own precision and in the very order diffusers does.
        """
        if self.mu is None:
            levels = self.shift * levels / (1 + (self.shift - 1) * levels)
        else:
            mu = self.mu(tokens, steps)
            factor = math.exp(mu) if self.time_shift == "exponential" else mu
            levels = factor / (factor + (1 / levels - 1))
        complements = 1 - levels
        if self.terminal is None or complements[-1] == 0:
            # of pure noise alone, which a single step begins at, there is nothing to stretch
            return levels
        # Source: Lightricks' LTX-Video repository, ltx_video/schedulers/rf.py
        stretched: Levels = 1 - complements / (complements[-1] / (1 - self.terminal))
        return stretched

    def table(self, tokens: int, steps: int) -> NDArray[np.float64]:
        """The level of each training timestep, lowest first; shape (timesteps,)."""
        falling = np.arange(self.timesteps, 0, -1) / self.timesteps
        return np.asarray(self.shift_sigmas(falling, tokens, steps)[::-1], dtype=np.float64)

    def trained_sigmas(self, steps: int) -> NDArray[np.float64]:
        """Unshifted levels as diffusers' flow-matching schedulers spread them on their own.

        Where the shift is fixed, the least one is already shifted and will be once more: so do
        they, and models are made with it.
        """
        ends = np.array([1, self.timesteps], dtype=np.float32)[::-1] / np.float32(self.timesteps)
        if self.mu is None:
            ends = self.shift * ends / (1 + (self.shift - 1) * ends)
        high, low = (float(end) * self.timesteps for end in ends)
        return np.linspace(high, low, steps) / self.timesteps

    def karras_sigmas(self, steps: int) -> NDArray[np.float64]:
        """Unshifted levels of `karras`, as diffusers' UniPC scheduler computes them."""
        assert self.karras is not None
        ratios = karras_levels(*self.karras, steps, _KARRAS_RHO)
        return ratios / (ratios + 1)

    def below_one_levels(self, tokens: int, steps: int) -> Levels:
        """Shifted levels as diffusers' DPM-Solver scheduler spreads them: the first is below 1."""
        rising = 1.0 - np.linspace(1, 1 / self.timesteps, steps + 1)
        # numpy's exp, which isn't always math's to the last bit
        factor = self.shift if self.mu is None else float(np.exp(self.mu(tokens, steps)))
        return (factor * rising / (1 + (factor - 1) * rising))[::-1][:-1]

    def logit_normal_levels(self, tokens: int, steps: int) -> Levels:
        """Levels of Ideogram 4, by its pipeline's own mean and deviation; see `flow_shift`."""
        levels = logit_normal_levels(steps, tokens * TOKEN_PIXELS, 1, std=_LOGIT_DEVIATION)
        return self.shift_sigmas(np.array(levels[:-1], dtype=np.float32), tokens, steps)

    def timestep_to_sigma(self, timestep: float) -> float:
        """Noise level of a timestep."""
        return timestep / self.timesteps

    def sigma_to_timestep(self, sigmas: NDArray[np.float32]) -> NDArray[np.float32]:
        """Timesteps of noise levels."""
        return sigmas * np.float32(self.timesteps)

    def scales(
        self, timestep: float | None = None, sigma: float | None = None
    ) -> tuple[Tensor, Tensor]:
        """Scales of latent and noise at a timestep or noise level; float32, 0-dimensional.

        Args:
            timestep: 0 (clean) to the number of training timesteps (noise); or give `sigma`.
            sigma: 0 to 1.
        Raises:
            InvalidValue: One is out of range.
        """
        if timestep is not None:
            check_timestep(timestep, self.timesteps)
            sigma = timestep / self.timesteps
        assert sigma is not None
        check_noise_level(sigma, highest=1.0)
        level = torch.tensor(sigma, dtype=torch.float32)
        return 1.0 - level, level


ModelNoise = NoiseSchedule | FlowNoise
"""What a model was trained on."""


def model_noise(config: Mapping[str, Any], family: Family) -> ModelNoise:
    """What a model was trained on, by its scheduler file.

    Args:
        config: As `NoiseSchedule.from_config` or, of flow matching, `FlowNoise.from_config` reads.
    Raises:
        InvalidFile: It asks for something that isn't supported, or for another kind of noise than
            models of the family are trained on.
    """
    check_supported(config, kinds=(family.noise,))
    if family.noise == "flow":
        noise = FlowNoise.from_config(config, spread=family.spread, mu=family.mu)
        return replace(noise, common=comfyui_flow(config, family.name, noise.shift))
    return replace(NoiseSchedule.from_config(config), aligned=family.aligned)


def recipe_noise(recipe: DiffusionModel) -> ModelNoise:
    """What the model of a recipe was trained on; errors as of `model_noise`."""
    return model_noise(scheduler_config(recipe), get_family(recipe.family))


def _curve(config: Mapping[str, Any]) -> str:
    for name in ("karras", "exponential"):
        if config.get(f"use_{name}_sigmas"):
            return name
    return "normal"
