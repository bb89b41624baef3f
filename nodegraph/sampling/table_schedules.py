"""Noise levels of models that know a variance for each timestep: where diffusers has a schedule,
the same to the last bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from nodegraph.errors import InvalidValue
from nodegraph.families.cosine_time import TIMESTEPS
from nodegraph.families.noise import NoiseSchedule
from nodegraph.families.sampler_names import (
    ALIGN_YOUR_STEPS,
    GITS,
    SPACINGS,
    check_align_your_steps,
)
from nodegraph.families.schedule_checks import TURBO, TURBO_STEPS
from nodegraph.families.sigma_curves import (
    BETA_SHAPE,
    MOST_FOUND,
    beta_quantiles,
    exponential_levels,
    gits_timesteps,
    karras_levels,
    kl_optimal_levels,
    laplace_levels,
    linear_quadratic_levels,
    log_linear_levels,
    plugin_levels,
    polyexponential_levels,
    resolve_sigma_range,
    vp_levels,
)

KARRAS_RHO = 7.0

TableLevels = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Timesteps and their noise levels, both falling, without the closing 0."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Placement of a sampler's steps on the training timesteps.

    Attributes:
        spacing: Spacing of the timesteps if the model's scheduler file has none: ``leading``,
            ``linspace`` or ``trailing``.
        integer_timesteps: Whether the model is evaluated only at whole timesteps.
        reads_table: Whether the sampler uses the model's table of cumulative alphas instead of
            sigmas.
        closing: Whether one more point is placed and the last one, without noise, is dropped.
        full_range: Whether Karras and exponential schedules cover the model's full sigma range
            instead of the range of the normal schedule.
        distilled: Whether the normal schedule has the timesteps of latent consistency distillation.
        flow: Placement for flow models, from `nodegraph.sampling.flow_schedules.FLOW_GRIDS`. The
            other attributes have no effect for these.
        is_comfyui: Whether steps are placed as in ComfyUI, equal for all samplers; see
            `nodegraph.families.comfyui_sigmas`.
    """

    spacing: str
    integer_timesteps: bool = False
    reads_table: bool = False
    closing: bool = False
    full_range: bool = False
    distilled: bool = False
    flow: str = "trained"
    is_comfyui: bool = False


TABLE = Grid("leading", integer_timesteps=True, reads_table=True)
"""Steps of diffusers' DDIM and DDPM schedulers."""
CONTINUOUS = Grid("linspace")
"""Steps of diffusers' Euler and Heun schedulers."""
CONTINUOUS_FINITE = replace(CONTINUOUS, flow="finite")
"""The same for methods over log-SNR: the first sigma of flow models is below 1."""
MULTISTEP = Grid(
    "linspace", integer_timesteps=True, closing=True, full_range=True, flow="below_one"
)
"""Steps of diffusers' DPM-Solver schedulers."""
CORRECTED = replace(MULTISTEP, flow="from_one")
"""Steps of diffusers' UniPC scheduler, which differ only for flow models."""
DISTILLED = Grid("leading", integer_timesteps=True, reads_table=True, distilled=True)
"""Steps of diffusers' LCM scheduler."""
COMMON = Grid("linspace", integer_timesteps=True, full_range=True, flow="common", is_comfyui=True)
"""Steps of ComfyUI, for all samplers."""
COMMON_FINITE = replace(COMMON, flow="common_finite")
"""The same for methods over log-SNR: the first sigma of flow models is below 1."""


def _normal(noise: NoiseSchedule, steps: int, grid: Grid) -> TableLevels:
    """As the model's scheduler file says."""
    if noise.karras is not None:
        own = noise.karras
        return on_model_grid(noise, karras_levels(own.high, own.low, steps, own.rho), grid)
    if noise.cosine is not None:
        return _levels(noise, noise.cosine.falling_times(steps) * TIMESTEPS)
    if grid.distilled:
        return _levels(noise, _distilled_timesteps(noise, steps))
    return _spaced(noise, steps, grid, spacing=noise.spacing or grid.spacing)


def _spaced(noise: NoiseSchedule, steps: int, grid: Grid, *, spacing: str) -> TableLevels:
    """Evenly spaced timesteps. Source: Lin et al. 2023, arXiv:2305.08891, table 2."""
    count, points = noise.timesteps, steps + grid.closing
    if spacing == "trailing":
        # arange may overshoot by one point, hence the cut; what it gives is what diffusers gives
        timesteps = np.arange(count, 0, -count / steps).round()[:steps] - 1
    elif spacing == "leading":
        stride = count // points
        # with as many steps as there are timesteps, nothing can be left out below
        offset = min(noise.steps_offset, count - 1 - (points - 1) * stride)
        timesteps = np.arange(points)[::-1][:steps] * stride + max(offset, 0)
    else:
        even = np.linspace(0, count - 1, points)
        timesteps = (even.round() if grid.integer_timesteps else even.astype(np.float32))[::-1][
            :steps
        ]
    return _levels(noise, timesteps.astype(np.float64))


def _distilled_timesteps(noise: NoiseSchedule, steps: int) -> NDArray[np.float64]:
    """Some of the timesteps that a consistency model was distilled on.

    Source: Luo et al. 2023, arXiv:2310.04378, section 4.3; the choice of levels is diffusers'.
    """
    origin = noise.distilled_steps
    if steps > origin:
        raise InvalidValue(
            "lcm and tcd cannot take more steps than the model was distilled on",
            port="steps",
            given=str(steps),
            expected=f"1 to {origin}",
            hint="Latent consistency models need 2 to 8 steps.",
        )
    timesteps = np.arange(origin, 0, -1) * (noise.timesteps // origin) - 1
    chosen = np.floor(np.linspace(0, origin, steps, endpoint=False)).astype(np.int64)
    return timesteps[chosen].astype(np.float64)


def _karras(
    noise: NoiseSchedule,
    steps: int,
    grid: Grid,
    *,
    rho: float = KARRAS_RHO,
    high: float | None = None,
    low: float | None = None,
) -> TableLevels:
    """Evenly spaced in sigma ** (1 / rho)."""
    sigmas = karras_levels(*_ends(noise, steps, grid, high, low), steps, rho)
    return on_model_grid(noise, sigmas, grid)


def _exponential(
    noise: NoiseSchedule,
    steps: int,
    grid: Grid,
    *,
    high: float | None = None,
    low: float | None = None,
) -> TableLevels:
    """Evenly spaced in log sigma."""
    sigmas = exponential_levels(*_ends(noise, steps, grid, high, low), steps)
    # rounded down where karras rounds to the nearest: so do diffusers' multistep schedulers
    timesteps = noise.sigma_to_timestep(sigmas)
    return np.floor(timesteps) if grid.integer_timesteps else timesteps, sigmas


def _polyexponential(
    noise: NoiseSchedule,
    steps: int,
    grid: Grid,
    *,
    rho: float = 1.0,
    high: float | None = None,
    low: float | None = None,
) -> TableLevels:
    """Polynomial in log sigma."""
    ends = _ends(noise, steps, grid, high, low)
    return on_model_grid(noise, polyexponential_levels(*ends, steps, rho), grid)


def _laplace(
    noise: NoiseSchedule,
    steps: int,
    grid: Grid,
    *,
    mu: float = 0.0,
    scale: float = 0.5,
    high: float | None = None,
    low: float | None = None,
) -> TableLevels:
    """Quantiles of Laplace's distribution over log sigma."""
    ends = _ends(noise, steps, grid, high, low)
    return on_model_grid(noise, laplace_levels(*ends, steps, mu, scale), grid)


def _vp(
    noise: NoiseSchedule,
    steps: int,
    grid: Grid,
    *,
    beta_range: float | None = None,
    beta_min: float = 0.1,
    least: float = 1e-3,
) -> TableLevels:
    """Evenly spaced times of the variance preserving process.

    Args:
        beta_range: None for what makes it begin at the model's greatest level.
    """
    if beta_range is None:
        greatest = float(noise.sigmas[-1])
        beta_range = 2 * (math.log1p(greatest**2) - beta_min)
    sigmas = vp_levels(steps, beta_range, beta_min, least)
    return on_model_grid(noise, sigmas, grid)


def _sd_turbo(noise: NoiseSchedule, steps: int, grid: Grid, *, skipped: float = 0) -> TableLevels:
    """The first of ten evenly spaced timesteps, as Stable Diffusion Turbo was distilled on.

    Args:
        skipped: How many of them come before those that are taken.

    Source: Sauer et al. 2023, arXiv:2311.17042; the choice of levels is ComfyUI's SDTurboScheduler.
    """
    first = int(skipped)
    if steps > TURBO_STEPS - first:
        raise InvalidValue(
            f"the model was distilled on {TURBO_STEPS} steps",
            port="steps",
            given=str(steps),
            expected=f"1 to {TURBO_STEPS - first}",
        )
    timesteps = (
        np.arange(TURBO_STEPS, 0, -1)[first : first + steps] * (noise.timesteps // TURBO_STEPS) - 1
    )
    return _levels(noise, timesteps.astype(np.float64))


def plugin_table_levels(name: str, noise: NoiseSchedule, steps: int, grid: Grid) -> TableLevels:
    """The levels of a package's or a pack's schedule, between the ends of the others.

    Args:
        name: One of `SCHEDULE_PLUGINS`.
    """
    return on_model_grid(noise, plugin_levels(name, steps, *_ends(noise, steps, grid)), grid)


def _ends(
    noise: NoiseSchedule,
    steps: int,
    grid: Grid,
    high: float | None = None,
    low: float | None = None,
) -> tuple[float, float]:
    """Greatest and least noise level."""
    greatest, least = float(noise.sigmas[-1]), float(noise.sigmas[0])
    if noise.karras is not None:
        # The table's single precision would move the least level.
        own = noise.karras.high, noise.karras.low
        return resolve_sigma_range(own, own[0], high, low)
    if not grid.full_range:
        _, sigmas = _normal(noise, steps, grid)
        return resolve_sigma_range((float(sigmas[0]), float(sigmas[-1])), greatest, high, low)
    return resolve_sigma_range((greatest, least), greatest, high, low)


def _sgm_uniform(noise: NoiseSchedule, steps: int, grid: Grid) -> TableLevels:
    """Even timesteps down to 0, which is left out: the noise is gone there.

    ComfyUI's of that name (``comfy/samplers.py``, `normal_scheduler` with sgm): timesteps lie
    between whole ones, and so do their levels, on a line over log sigma. Samplers that read the
    model's table take the nearest whole timesteps and their levels.
    """
    timesteps = np.linspace(noise.timesteps - 1, 0, steps + 1)[:-1]
    if grid.reads_table:
        return _levels(noise, timesteps.round())
    table = np.log(noise.sigmas.numpy().astype(np.float64))
    sigmas = np.exp(np.interp(timesteps, np.arange(len(table)), table))
    return timesteps.round() if grid.integer_timesteps else timesteps, sigmas


def _simple(noise: NoiseSchedule, steps: int, grid: Grid) -> TableLevels:
    """Every (timesteps / steps)-th level from the highest, rounded towards it."""
    skipped = (np.arange(steps) * (noise.timesteps / steps)).astype(np.int64)
    return _levels(noise, (noise.timesteps - 1 - skipped).astype(np.float64))


def _beta(
    noise: NoiseSchedule,
    steps: int,
    grid: Grid,
    *,
    alpha: float = BETA_SHAPE,
    beta: float = BETA_SHAPE,
) -> TableLevels:
    """Timesteps at quantiles of Beta(0.6, 0.6): dense at both ends, thin in the middle.

    ComfyUI's of that name (``comfy/samplers.py``, `beta_scheduler`): whole timesteps and their
    levels. Where there are so many steps that some would fall on one timestep, which are left out
    there, they stay between whole ones here, so that there are as many as were asked for.

    Source: Lee et al. 2024, arXiv:2407.12173, section 4. diffusers' use_beta_sigmas spreads noise
    levels this way instead of timesteps, which is another schedule.
    """
    chances = 1 - np.linspace(0, 1, steps, endpoint=False)
    timesteps = beta_quantiles(chances, alpha, beta) * (noise.timesteps - 1)
    whole = np.rint(timesteps)
    if (np.diff(whole) < 0).all():
        return _levels(noise, whole)
    sigmas = noise.timestep_to_sigma(timesteps)
    return whole if grid.integer_timesteps else timesteps, sigmas


def _kl_optimal(noise: NoiseSchedule, steps: int, grid: Grid) -> TableLevels:
    """Arc tangents evenly spaced between the ends; see `kl_optimal_levels`."""
    return on_model_grid(noise, kl_optimal_levels(*_ends(noise, steps, grid), steps), grid)


def _linear_quadratic(noise: NoiseSchedule, steps: int, grid: Grid) -> TableLevels:
    """Parts of the greatest level, as ComfyUI's of that name; see `linear_quadratic_levels`."""
    return on_model_grid(noise, linear_quadratic_levels(steps) * float(noise.sigmas[-1]), grid)


def on_model_grid(noise: NoiseSchedule, sigmas: NDArray[np.float64], grid: Grid) -> TableLevels:
    """TableLevels with their timesteps, the nearest whole ones if need be."""
    timesteps = noise.sigma_to_timestep(sigmas)
    return timesteps.round() if grid.integer_timesteps else timesteps, sigmas


def _ddim_uniform(noise: NoiseSchedule, steps: int, grid: Grid) -> TableLevels:
    """Every (timesteps / steps)-th timestep up from 1.

    ComfyUI's of that name (``comfy/samplers.py``, `ddim_scheduler`), which walks a step more
    where the timesteps can't be divided by the steps.
    """
    stride = max(noise.timesteps // steps, 1)
    return _levels(noise, (np.arange(steps)[::-1] * stride + 1).astype(np.float64))


def _align_your_steps(noise: NoiseSchedule, steps: int, grid: Grid) -> TableLevels:
    """The timesteps that were found for the family, as many of them as are asked for.

    Ten are the published ones; others lie between them, and the least, evenly over log sigma.

    Source: Sabour et al. 2024, arXiv:2404.14507, and the guide on its page.
    """
    check_align_your_steps(noise.aligned)
    published = np.array([*noise.aligned, 0], dtype=np.float64)
    if steps == len(noise.aligned):
        return _levels(noise, published[:-1])
    return _along(noise, published, steps, grid)


def _gits(noise: NoiseSchedule, steps: int, grid: Grid) -> TableLevels:
    """Where the ways of Stable Diffusion 1.5 bend; see `gits_timesteps`.

    Up to twenty steps were found; more lie between those twenty, evenly over log sigma.
    """
    timesteps = gits_timesteps(steps, noise.timesteps)
    if steps > MOST_FOUND:
        return _along(noise, timesteps, steps, grid)
    return _between(noise, noise.timestep_to_sigma(timesteps[:-1]), grid)


def _along(
    noise: NoiseSchedule, timesteps: NDArray[np.float64], steps: int, grid: Grid
) -> TableLevels:
    """Another number of steps along the same curve, evenly over log sigma."""
    return _between(noise, log_linear_levels(noise.timestep_to_sigma(timesteps), steps), grid)


def _between(noise: NoiseSchedule, sigmas: NDArray[np.float64], grid: Grid) -> TableLevels:
    """Levels that need not be of whole timesteps: where the table is read, the nearest that are."""
    if grid.reads_table:
        return _levels(noise, noise.sigma_to_timestep(sigmas).round())
    return on_model_grid(noise, sigmas, grid)


def _levels(noise: NoiseSchedule, timesteps: NDArray[np.float64]) -> TableLevels:
    return timesteps, noise.timestep_to_sigma(timesteps)


SCHEDULES: Mapping[str, Callable[..., TableLevels]] = {
    "normal": _normal,
    "karras": _karras,
    "exponential": _exponential,
    "sgm_uniform": _sgm_uniform,
    "simple": _simple,
    "beta": _beta,
    "kl_optimal": _kl_optimal,
    "linear_quadratic": _linear_quadratic,
    "ddim_uniform": _ddim_uniform,
    ALIGN_YOUR_STEPS: _align_your_steps,
    GITS: _gits,
    **{spacing: partial(_spaced, spacing=spacing) for spacing in SPACINGS},
}


FURTHER_SCHEDULES: Mapping[str, Callable[..., TableLevels]] = {
    "polyexponential": _polyexponential,
    "laplace": _laplace,
    "vp": _vp,
    TURBO: _sd_turbo,
}
"""Besides: the laws of `nodegraph.families.schedule_checks`."""
