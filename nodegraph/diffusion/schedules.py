"""Which noise levels a sampling walks down, and at which timesteps the model is asked.

A schedule is a name in `SCHEDULES`. Where diffusers has it, the levels are the same to the last
bit; samplers differ there in how they lay their steps, which is what a `Grid` says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nodegraph.diffusion.curves import (
    kl_optimal_levels,
    linear_quadratic_levels,
    log_linear_levels,
)
from nodegraph.diffusion.flow_noise import FlowNoise, ModelNoise
from nodegraph.diffusion.flow_schedules import flow_levels
from nodegraph.diffusion.names import ALIGNED, SPACINGS, check_aligned, check_schedule
from nodegraph.diffusion.noise import NoiseSchedule
from nodegraph.diffusion.quantiles import BETA_SHAPE, beta_quantiles
from nodegraph.diffusion.steps import steps_walked
from nodegraph.errors import InvalidValue

KARRAS_RHO = 7.0

Levels = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Timesteps and their noise levels, both falling, without the closing 0."""


@dataclass(frozen=True, slots=True)
class Grid:
    """How a sampler lays its steps over the training timesteps.

    Attributes:
        spacing: Its custom where the model's scheduler file doesn't say.
        whole: The model is asked at whole timesteps only.
        reads_table: The model's table of cumulative alphas decides, not the noise levels.
        closing: One point more is laid and the last dropped: there the noise is gone.
        full_range: Karras' and exponential levels run between the least and the greatest noise of
            the model, not between those of the normal schedule's ends.
        distilled: The normal schedule is the one latent consistency models are distilled on.
        flow: With flow models, its custom, of `nodegraph.diffusion.flow_schedules.FLOW_CUSTOMS`;
            the rest isn't asked then.
    """

    spacing: str
    whole: bool = False
    reads_table: bool = False
    closing: bool = False
    full_range: bool = False
    distilled: bool = False
    flow: str = "trained"


TABLE = Grid("leading", whole=True, reads_table=True)
"""As diffusers' DDIM and DDPM schedulers do."""
CONTINUOUS = Grid("linspace")
"""As diffusers' Euler and Heun schedulers do."""
MULTISTEP = Grid("linspace", whole=True, closing=True, full_range=True, flow="below_one")
"""As diffusers' DPM-Solver schedulers do."""
CORRECTED = replace(MULTISTEP, flow="from_one")
"""As diffusers' UniPC scheduler does: the same but for flow models."""
DISTILLED = Grid("leading", whole=True, reads_table=True, distilled=True)
"""As diffusers' LCM scheduler does."""


@dataclass(frozen=True, slots=True)
class Ladder:
    """The noise levels of one sampling, highest first.

    Attributes:
        sigmas: Strictly falling, the last is 0; float32 on the CPU, shape (rungs + 1,).
        timesteps: Where the model is asked; int64 if the sampler takes whole ones, else float32;
            on the CPU, shape (rungs,).
        first: The rung that sampling starts on; above 0 where part of the picture is kept.
        spacing: leading, trailing or linspace: how the timesteps lie, or would in the normal
            schedule; of flow models, how the levels do, as `FlowNoise.spread` has it.
        stride: Training timesteps between rungs, rounded down, if the rungs are evenly spaced by
            a scheduler file's rule; else None.
    """

    sigmas: Tensor
    timesteps: Tensor
    first: int
    spacing: str
    stride: int | None = None

    @property
    def rungs(self) -> int:
        """Noise levels above 0, those that are skipped included."""
        return len(self.timesteps)

    @property
    def steps(self) -> int:
        """Steps that are walked."""
        return self.rungs - self.first


def sigmas_for(
    schedule: str,
    noise: ModelNoise,
    steps: int,
    denoise: float = 1.0,
    *,
    grid: Grid = TABLE,
    tokens: int = 0,
) -> Ladder:
    """The noise levels and timesteps of a sampling.

    Args:
        schedule: One of `SCHEDULES`; with flow models, of `FLOW_SCHEDULES`.
        steps: Steps of the whole schedule, 1 to 10000.
        denoise: Part of the schedule that is walked, above 0 to 1. Of 20 steps, 0.25 walks the
            last 5: int(steps · denoise), as `strength` does in diffusers' image-to-image
            pipeline. (ComfyUI walks all 20 of a schedule of 80.)
        grid: The sampler's way of laying steps.
        tokens: Of the latent, as the model's family counts them; flow models may be shifted by it.
    Raises:
        InvalidValue: A number is out of range, the model has too few noise levels, or it can't
            follow the schedule.
    """
    check_schedule(schedule, noise.kind)
    first = steps - steps_walked(steps, denoise)
    if isinstance(noise, FlowNoise):
        levels, asked = flow_levels(schedule, noise, steps, tokens, grid.flow)
        _check_falling(schedule, steps, asked, levels, noise.timesteps, noise.timesteps)
        return Ladder(torch.from_numpy(levels), torch.from_numpy(asked), first, noise.spread)
    # too many steps show as levels that don't fall, and are told below
    with np.errstate(divide="ignore", invalid="ignore"):
        timesteps, sigmas = SCHEDULES[schedule](noise, steps, grid)
    levels = np.concatenate([sigmas, [0.0]]).astype(np.float32)
    _check_falling(schedule, steps, timesteps, levels, noise.timesteps, noise.timesteps - 1)
    even = schedule in SPACINGS or (schedule == "normal" and not grid.distilled)
    return Ladder(
        sigmas=torch.from_numpy(levels),
        timesteps=torch.from_numpy(timesteps.astype(np.int64 if grid.whole else np.float32)),
        first=first,
        spacing=schedule if schedule in SPACINGS else noise.spacing or grid.spacing,
        stride=noise.timesteps // steps if even else None,
    )


def _normal(noise: NoiseSchedule, steps: int, grid: Grid) -> Levels:
    """As the model's scheduler file says."""
    if grid.distilled:
        return _levels(noise, _distilled_timesteps(noise, steps))
    return _spaced(noise, steps, grid, spacing=noise.spacing or grid.spacing)


def _spaced(noise: NoiseSchedule, steps: int, grid: Grid, *, spacing: str) -> Levels:
    """Evenly spaced timesteps. Source: Lin et al. 2023, arXiv:2305.08891, table 2."""
    count, points = noise.timesteps, steps + grid.closing
    if spacing == "trailing":
        # arange may overshoot by one point, hence the cut; what it gives is what diffusers gives
        timesteps = np.arange(count, 0, -count / steps).round()[:steps] - 1
    elif spacing == "leading":
        timesteps = np.arange(points)[::-1][:steps] * (count // points) + noise.steps_offset
    else:
        even = np.linspace(0, count - 1, points)
        timesteps = (even.round() if grid.whole else even.astype(np.float32))[::-1][:steps]
    return _levels(noise, timesteps.astype(np.float64))


def _distilled_timesteps(noise: NoiseSchedule, steps: int) -> NDArray[np.float64]:
    """Some of the timesteps that a consistency model was distilled on.

    Source: Luo et al. 2023, arXiv:2310.04378, section 4.3; the choice of rungs is diffusers'.
    """
    origin = noise.distilled_steps
    if steps > origin:
        raise InvalidValue(
            "lcm and tcd take no more steps than the model was distilled on",
            port="steps",
            given=str(steps),
            expected=f"1 to {origin}",
            hint="Latent consistency models need 2 to 8 steps.",
        )
    timesteps = np.arange(origin, 0, -1) * (noise.timesteps // origin) - 1
    chosen = np.floor(np.linspace(0, origin, steps, endpoint=False)).astype(np.int64)
    return timesteps[chosen].astype(np.float64)


def _karras(noise: NoiseSchedule, steps: int, grid: Grid) -> Levels:
    """Evenly spaced in sigma ** (1 / 7). Source: Karras et al. 2022, arXiv:2206.00364, eq. 5."""
    high, low = (end ** (1 / KARRAS_RHO) for end in _ends(noise, steps, grid))
    sigmas = (high + np.linspace(0, 1, steps) * (low - high)) ** KARRAS_RHO
    timesteps = noise.sigma_to_timestep(sigmas)
    return timesteps.round() if grid.whole else timesteps, sigmas


def _exponential(noise: NoiseSchedule, steps: int, grid: Grid) -> Levels:
    """Evenly spaced in log sigma, as k-diffusion's get_sigmas_exponential."""
    high, low = _ends(noise, steps, grid)
    sigmas = np.exp(np.linspace(math.log(high), math.log(low), steps))
    # rounded down where karras rounds to the nearest: so do diffusers' multistep schedulers
    timesteps = noise.sigma_to_timestep(sigmas)
    return np.floor(timesteps) if grid.whole else timesteps, sigmas


def _ends(noise: NoiseSchedule, steps: int, grid: Grid) -> tuple[float, float]:
    """Greatest and least noise level."""
    if grid.full_range:
        return float(noise.sigmas[-1]), float(noise.sigmas[0])
    _, sigmas = _normal(noise, steps, grid)
    return float(sigmas[0]), float(sigmas[-1])


def _sgm_uniform(noise: NoiseSchedule, steps: int, grid: Grid) -> Levels:
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
    return timesteps.round() if grid.whole else timesteps, sigmas


def _simple(noise: NoiseSchedule, steps: int, grid: Grid) -> Levels:
    """Every (timesteps / steps)-th level from the highest, rounded towards it."""
    skipped = (np.arange(steps) * (noise.timesteps / steps)).astype(np.int64)
    return _levels(noise, (noise.timesteps - 1 - skipped).astype(np.float64))


def _beta(noise: NoiseSchedule, steps: int, grid: Grid) -> Levels:
    """Timesteps at quantiles of Beta(0.6, 0.6): dense at both ends, thin in the middle.

    ComfyUI's of that name (``comfy/samplers.py``, `beta_scheduler`): whole timesteps and their
    levels. Where there are so many steps that some would fall on one timestep, which are left out
    there, they stay between whole ones here, so that there are as many as were asked for.

    Source: Lee et al. 2024, arXiv:2407.12173, section 4. diffusers' use_beta_sigmas spreads noise
    levels this way instead of timesteps, which is another schedule.
    """
    chances = 1 - np.linspace(0, 1, steps, endpoint=False)
    timesteps = beta_quantiles(chances, BETA_SHAPE) * (noise.timesteps - 1)
    whole = np.rint(timesteps)
    if (np.diff(whole) < 0).all():
        return _levels(noise, whole)
    sigmas = noise.timestep_to_sigma(timesteps)
    return whole if grid.whole else timesteps, sigmas


def _kl_optimal(noise: NoiseSchedule, steps: int, grid: Grid) -> Levels:
    """Arc tangents evenly spaced between the ends; see `kl_optimal_levels`."""
    return _asked(noise, kl_optimal_levels(*_ends(noise, steps, grid), steps), grid)


def _linear_quadratic(noise: NoiseSchedule, steps: int, grid: Grid) -> Levels:
    """Parts of the greatest level, as ComfyUI's of that name; see `linear_quadratic_levels`."""
    return _asked(noise, linear_quadratic_levels(steps) * float(noise.sigmas[-1]), grid)


def _asked(noise: NoiseSchedule, sigmas: NDArray[np.float64], grid: Grid) -> Levels:
    """Levels with their timesteps, the nearest whole ones if need be."""
    timesteps = noise.sigma_to_timestep(sigmas)
    return timesteps.round() if grid.whole else timesteps, sigmas


def _ddim_uniform(noise: NoiseSchedule, steps: int, grid: Grid) -> Levels:
    """Every (timesteps / steps)-th timestep up from 1.

    ComfyUI's of that name (``comfy/samplers.py``, `ddim_scheduler`), which walks a step more
    where the timesteps can't be divided by the steps.
    """
    stride = max(noise.timesteps // steps, 1)
    return _levels(noise, (np.arange(steps)[::-1] * stride + 1).astype(np.float64))


def _align_your_steps(noise: NoiseSchedule, steps: int, grid: Grid) -> Levels:
    """The timesteps that were found for the family, as many of them as are asked for.

    Ten are the published ones; others lie between them, and the least, evenly over log sigma.

    Source: Sabour et al. 2024, arXiv:2404.14507, and the guide on its page.
    """
    check_aligned(noise.aligned)
    published = np.array([*noise.aligned, 0], dtype=np.float64)
    if steps == len(noise.aligned):
        return _levels(noise, published[:-1])
    sigmas = log_linear_levels(noise.timestep_to_sigma(published), steps)
    timesteps = noise.sigma_to_timestep(sigmas)
    if grid.reads_table:
        return _levels(noise, timesteps.round())
    return timesteps.round() if grid.whole else timesteps, sigmas


def _levels(noise: NoiseSchedule, timesteps: NDArray[np.float64]) -> Levels:
    return timesteps, noise.timestep_to_sigma(timesteps)


SCHEDULES: Mapping[str, Callable[[NoiseSchedule, int, Grid], Levels]] = {
    "normal": _normal,
    "karras": _karras,
    "exponential": _exponential,
    "sgm_uniform": _sgm_uniform,
    "simple": _simple,
    "beta": _beta,
    "kl_optimal": _kl_optimal,
    "linear_quadratic": _linear_quadratic,
    "ddim_uniform": _ddim_uniform,
    ALIGNED: _align_your_steps,
    **{spacing: partial(_spaced, spacing=spacing) for spacing in SPACINGS},
}


def _check_falling(
    schedule: str,
    steps: int,
    timesteps: NDArray[Any],
    levels: NDArray[np.float32],
    count: int,
    last: int,
) -> None:
    # A flow's shift of all noise may round to a hair above it, as it does in diffusers.
    in_range = timesteps.max() <= last * (1 + 4 * np.finfo(np.float32).eps)
    if in_range and np.isfinite(levels).all() and (np.diff(levels) < 0).all():
        return
    raise InvalidValue(
        f"the {schedule} schedule can't lay {steps} steps over {count} noise levels",
        port="steps",
        given=str(steps),
        hint="Take fewer steps.",
    )
