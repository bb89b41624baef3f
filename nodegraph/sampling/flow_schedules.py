"""Noise levels of flow models: where diffusers has a schedule, the same to the last bit.

Elsewhere it is ComfyUI's of the name (``comfy/samplers.py``), over the model's shifted levels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from nodegraph.families.comfyui_sigmas import FIRST_FINITE
from nodegraph.families.flow_noise import SPREADS, FlowNoise, Levels
from nodegraph.families.sampler_names import SCHEDULE_PLUGINS
from nodegraph.families.sigma_curves import (
    BETA_SHAPE,
    beta_quantiles,
    exponential_levels,
    karras_levels,
    kl_optimal_levels,
    laplace_levels,
    linear_quadratic_levels,
    plugin_levels,
    polyexponential_levels,
    resolve_sigma_range,
)

KARRAS_RHO = 7.0
BELOW_ONE = 1e-6
FINITE = 1 - 1e-4
"""Highest level of samplers with the ``finite`` custom; that of ComfyUI's
`offset_first_sigma_for_snr` where nothing is shifted."""

FlowSchedule = Callable[..., Levels]
"""Of the model's noise, steps, tokens and the sampler's custom (`FLOW_GRIDS`), and by name what
numbers it uses: levels, falling, without the closing 0."""

FLOW_GRIDS = ("trained", "finite", "from_one", "below_one", "common", "common_finite")
"""How samplers lay levels where the family leaves it to them: as diffusers' flow-matching
schedulers, as they do but below 1, as its UniPC, as its DPM-Solver, which two ask the model at
whole timesteps; as ComfyUI, and as that does but below 1."""


def flow_levels(
    schedule: str,
    noise: FlowNoise,
    steps: int,
    tokens: int,
    grid: str,
    numbers: Mapping[str, float] = MappingProxyType({}),
) -> tuple[NDArray[np.float32], NDArray[np.float32] | NDArray[np.int64]]:
    """Noise levels, closed by a 0, and timesteps of a flow model's sampling.

    Args:
        schedule: One of `FLOW_SCHEDULES`, of `FURTHER_FLOW_SCHEDULES`, or of `SCHEDULE_PLUGINS`.
        grid: The sampler's, one of `FLOW_GRIDS`.
        numbers: That the schedule uses.
    """
    if grid.startswith("common"):
        levels = noise.common.levels(schedule, steps, numbers)
        if levels is not None:
            return with_timesteps(levels, noise, grid)
    if schedule in SCHEDULE_PLUGINS:
        levels = plugin_levels(schedule, steps, *_ends(noise, steps, tokens, grid))
        return with_timesteps(levels, noise, grid)
    law = FLOW_SCHEDULES.get(schedule) or FURTHER_FLOW_SCHEDULES[schedule]
    return with_timesteps(law(noise, steps, tokens, grid, **numbers), noise, grid)


def with_timesteps(
    levels: Levels, noise: FlowNoise, grid: str
) -> tuple[NDArray[np.float32], NDArray[np.float32] | NDArray[np.int64]]:
    """Falling levels closed by a 0, and the timesteps at which a model is asked at them.

    Args:
        grid: The sampler's, one of `FLOW_GRIDS`.
    """
    if grid not in ("from_one", "below_one"):
        single = levels.astype(np.float32)
        if grid == "finite":
            single[0] = min(single[0], np.float32(FINITE))
        if grid == "common_finite" and single[0] >= 1:
            single[0] = noise.common.sigma_at(FIRST_FINITE)
        return np.append(single, np.float32(0)), single * np.float32(noise.timesteps)
    levels = levels.copy()  # in their own precision, in which diffusers cuts the timesteps, too
    if abs(levels[0] - 1) < BELOW_ONE:
        # where nothing is left of the image, the log-SNR that these samplers need is infinite
        levels[0] -= BELOW_ONE
    timesteps = (levels * noise.timesteps).astype(np.int64)
    return np.append(levels, 0.0).astype(np.float32), timesteps


def _normal(noise: FlowNoise, steps: int, tokens: int, custom: str) -> Levels:
    """As the family's pipeline lays them."""
    if noise.curve != "normal" and custom in ("trained", "finite"):
        return FLOW_SCHEDULES[noise.curve](noise, steps, tokens, custom)
    return _scheduled_levels(noise, steps, tokens, custom)


def _scheduled_levels(noise: FlowNoise, steps: int, tokens: int, custom: str) -> Levels:
    spread = noise.karras_sigmas if noise.karras else SPREADS[noise.spread]
    if spread is not None:
        base = spread(steps)
        single = custom in ("trained", "finite")
        return noise.shift_sigmas(base.astype(np.float32) if single else base, tokens, steps)
    if noise.spread == "logit_normal":
        return noise.logit_normal_levels(tokens, steps)
    if custom == "below_one":
        return noise.below_one_levels(tokens, steps)
    if custom == "from_one":
        base = np.linspace(1, 1 / noise.timesteps, steps + 1)[:-1]
        return noise.shift_sigmas(base, tokens, steps)
    return noise.shift_sigmas(noise.trained_sigmas(steps), tokens, steps)


def _karras(
    noise: FlowNoise,
    steps: int,
    tokens: int,
    custom: str,
    *,
    rho: float = KARRAS_RHO,
    high: float | None = None,
    low: float | None = None,
) -> Levels:
    """Evenly spaced in sigma ** (1 / rho) between the normal schedule's ends."""
    return karras_levels(*_ends(noise, steps, tokens, custom, high, low), steps, rho)


def _exponential(
    noise: FlowNoise,
    steps: int,
    tokens: int,
    custom: str,
    *,
    high: float | None = None,
    low: float | None = None,
) -> Levels:
    """Evenly spaced in log sigma between the normal schedule's ends."""
    return exponential_levels(*_ends(noise, steps, tokens, custom, high, low), steps)


def _polyexponential(
    noise: FlowNoise,
    steps: int,
    tokens: int,
    custom: str,
    *,
    rho: float = 1.0,
    high: float | None = None,
    low: float | None = None,
) -> Levels:
    """Polynomial in log sigma between the normal schedule's ends."""
    return polyexponential_levels(*_ends(noise, steps, tokens, custom, high, low), steps, rho)


def _laplace(
    noise: FlowNoise,
    steps: int,
    tokens: int,
    custom: str,
    *,
    mu: float = 0.0,
    scale: float = 0.5,
    high: float | None = None,
    low: float | None = None,
) -> Levels:
    """Quantiles of Laplace's distribution over the log of the noise over the image, which is
    what sigma is of table models: sigma / (1 - sigma) here."""
    greatest = float(_scheduled_levels(noise, steps, tokens, custom)[0])
    ends = resolve_sigma_range((greatest, 1 / noise.timesteps), 1.0, high, low)
    first, last = (end / (1 - end) if end < 1 else math.inf for end in ends)
    over = laplace_levels(first, last, steps, mu, scale)
    return over / (1 + over)


def _ends(
    noise: FlowNoise,
    steps: int,
    tokens: int,
    custom: str,
    high: float | None = None,
    low: float | None = None,
) -> tuple[float, float]:
    levels = _scheduled_levels(noise, steps, tokens, custom)
    return resolve_sigma_range((float(levels[0]), float(levels[-1])), 1.0, high, low)


def _sgm_uniform(noise: FlowNoise, steps: int, tokens: int, custom: str) -> Levels:
    """Even levels down to the least, which is left out, then shifted."""
    least = float(noise.table(tokens, steps)[0])
    return noise.shift_sigmas(np.linspace(1, least, steps + 1)[:-1], tokens, steps)


def _simple(noise: FlowNoise, steps: int, tokens: int, custom: str) -> Levels:
    """Every (timesteps / steps)-th level from the highest, rounded towards it."""
    skipped = (np.arange(steps) * (noise.timesteps / steps)).astype(np.int64)
    return noise.table(tokens, steps)[noise.timesteps - 1 - skipped]


def _beta(
    noise: FlowNoise,
    steps: int,
    tokens: int,
    custom: str,
    *,
    alpha: float = BETA_SHAPE,
    beta: float = BETA_SHAPE,
) -> Levels:
    """Levels at quantiles of Beta(0.6, 0.6): dense at both ends, thin in the middle.

    Where there are more steps than whole places, they lie between them.

    Source: Lee et al. 2024, arXiv:2407.12173, section 4.
    """
    chances = 1 - np.linspace(0, 1, steps, endpoint=False)
    places = beta_quantiles(chances, alpha, beta) * (noise.timesteps - 1)
    table, whole = noise.table(tokens, steps), np.rint(places)
    if (np.diff(whole) < 0).all():
        return table[whole.astype(np.int64)]
    return np.interp(places, np.arange(noise.timesteps), table)


def _kl_optimal(noise: FlowNoise, steps: int, tokens: int, custom: str) -> Levels:
    """Arc tangents evenly spaced between the normal schedule's ends; see `kl_optimal_levels`."""
    return kl_optimal_levels(*_ends(noise, steps, tokens, custom), steps)


def _linear_quadratic(noise: FlowNoise, steps: int, tokens: int, custom: str) -> Levels:
    """The same for all models, not shifted; see `linear_quadratic_levels`."""
    return linear_quadratic_levels(steps)


FLOW_SCHEDULES: Mapping[str, FlowSchedule] = {
    "normal": _normal,
    "karras": _karras,
    "exponential": _exponential,
    "sgm_uniform": _sgm_uniform,
    "simple": _simple,
    "beta": _beta,
    "kl_optimal": _kl_optimal,
    "linear_quadratic": _linear_quadratic,
}

FURTHER_FLOW_SCHEDULES: Mapping[str, FlowSchedule] = {
    "polyexponential": _polyexponential,
    "laplace": _laplace,
}
"""Besides: the laws of `nodegraph.families.schedule_checks`."""
