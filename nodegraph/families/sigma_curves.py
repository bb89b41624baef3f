"""Sigma schedules and timestep schedules for any kind of noise. Imports no torch."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from nodegraph.core.pack_faults import check_plugin_name, is_fault, plugin_fault
from nodegraph.core.plugins import module_of
from nodegraph.core.text_format import pluralize
from nodegraph.errors import InvalidValue
from nodegraph.families.sampler_names import NOISE_KINDS, SCHEDULE_PLUGINS

_GITS_TABLE = (
    (100,),
    (100, 29),
    (100, 49, 18),
    (100, 61, 33, 11),
    (100, 66, 42, 21, 6),
    (100, 83, 57, 34, 15, 3),
    (100, 83, 62, 42, 23, 8, 1),
    (100, 83, 62, 45, 29, 15, 6, 1),
    (100, 83, 66, 50, 34, 21, 11, 4, 1),
    (100, 83, 66, 51, 38, 27, 17, 9, 4, 1),
    (100, 83, 67, 54, 42, 30, 21, 13, 7, 3, 1),
    (100, 83, 68, 56, 45, 34, 25, 17, 11, 6, 3, 1),
    (100, 86, 71, 61, 49, 38, 29, 21, 15, 10, 6, 3, 1),
    (100, 86, 71, 62, 50, 40, 31, 23, 17, 12, 8, 5, 3, 1),
    (100, 88, 78, 68, 58, 48, 38, 30, 23, 17, 12, 8, 5, 3, 1),
    (100, 88, 78, 68, 58, 48, 38, 30, 23, 17, 13, 9, 6, 4, 2, 1),
    (100, 88, 78, 68, 58, 48, 38, 30, 23, 17, 13, 10, 7, 5, 3, 2, 1),
    (100, 88, 78, 68, 59, 50, 41, 33, 26, 20, 15, 11, 8, 6, 4, 3, 2, 1),
    (100, 88, 78, 68, 59, 50, 42, 34, 27, 21, 16, 12, 9, 7, 5, 4, 3, 2, 1),
    (100, 88, 78, 68, 59, 50, 42, 34, 27, 21, 17, 13, 10, 8, 6, 5, 4, 3, 2, 1),
)
"""Start of each step in hundredths of the training range, by number of steps. They were found from
sampling trajectories of Stable Diffusion 1.5 at the usual coefficient, 1.2. One step is the whole
range."""

MOST_FOUND = len(_GITS_TABLE)
"""Largest number of steps in the table. Longer schedules follow the curve of its last row."""


def gits_timesteps(steps: int, timesteps: int) -> NDArray[np.float64]:
    """Return the descending timesteps of the GITS schedule, with the final 0.

    Source: Chen et al. 2024, arXiv:2405.11326, section 4; the numbers are those that other tools
    use for GITS.

    Args:
        steps: Number of steps, at least 1.
        timesteps: Number of timesteps that the model was trained on.
    Returns:
        min(steps, `MOST_FOUND`) + 1 timesteps, which may be fractional.
    """
    percentages = _GITS_TABLE[min(steps, MOST_FOUND) - 1]
    return np.array([*percentages, 0], dtype=np.float64) * ((timesteps - 1) / 100)


ROUNDING = 1.001
"""Factor by which a noise level may exceed the model's greatest, as rounding error."""


def resolve_sigma_range(
    own: tuple[float, float], greatest: float, high: float | None, low: float | None
) -> tuple[float, float]:
    """Return the greatest and the least sigma: the chosen ones, or the model's where None.

    Args:
        own: Greatest and least level of the schedule with this model.
        greatest: Greatest noise level of the model.
        high: Chosen greatest level. None for the model's.
        low: Chosen least level. None for the model's.
    Raises:
        InvalidValue: The minimum is above the maximum, or the maximum is above that of the model;
            on port ``sigma_max`` or ``sigma_min``.
    """
    if high is not None:
        check_sigma(high, greatest, "sigma_max")
    first, last = own[0] if high is None else high, own[1] if low is None else low
    if last > first:
        raise InvalidValue(
            "the minimum noise level is not below the maximum",
            port="sigma_max" if low is None else "sigma_min",
            given=f"{first:g} down to {last:g}",
            hint="Leave both out to use the model's own levels.",
        )
    return first, last


def check_sigma(level: float, greatest: float, port: str) -> None:
    """Raise if a noise level is above the greatest level of a model.

    Raises:
        InvalidValue: It is; on the port.
    """
    if level > greatest * ROUNDING:
        raise InvalidValue(
            "the noise level is above the model's maximum",
            port=port,
            given=f"{level:g}",
            expected=f"at most {greatest:g}",
        )


BETA_SHAPE = 0.6
"""Alpha and beta of the beta schedule. Source: Lee et al. 2024, arXiv:2407.12173, section 4."""


def beta_quantiles(
    chances: NDArray[np.float64], alpha: float, beta: float | None = None
) -> NDArray[np.float64]:
    """Return quantiles of the Beta(alpha, beta) distribution.

    Newton's method on u = x ** alpha, in which the incomplete beta function is a power series
    with positive terms (DLMF 8.17.7), hence convex: from above it converges without overshooting.
    Above 1/2 the mirror image is taken, so the series always converges fast.

    Args:
        chances: Probabilities in 0..1.
        alpha: Above 0, at most 1.
        beta: Above 0, at most 1. None for the value of `alpha`.
    """
    beta = alpha if beta is None else beta
    total = math.exp(math.lgamma(alpha) + math.lgamma(beta) - math.lgamma(alpha + beta))
    half = np.array(0.5)
    middle = 0.5
    if alpha != beta:
        middle = float(half**alpha * _beta_series(half, alpha, beta)) / total
    is_low = chances <= middle
    low = _low_quantiles(np.where(is_low, chances, 0) * total, alpha, beta)
    high = _low_quantiles(np.where(is_low, 0, 1 - chances) * total, beta, alpha)
    return np.where(is_low, low, 1 - high)


def _low_quantiles(wanted: NDArray[np.float64], alpha: float, beta: float) -> NDArray[np.float64]:
    """Return where the incomplete beta function has the wanted values; at most 1/2."""
    u = wanted * alpha
    for _ in range(_NEWTON_STEPS):
        x = u ** (1 / alpha)
        u = u - (u * _beta_series(x, alpha, beta) - wanted) * alpha * (1 - x) ** (1 - beta)
    return np.asarray(u ** (1 / alpha))


_NEWTON_STEPS = 8
_SERIES_TERMS = 70


def _beta_series(x: NDArray[np.float64], alpha: float, beta: float) -> NDArray[np.float64]:
    """Sum (1 - beta)_n / n! · x^n / (alpha + n): the incomplete beta function / x^alpha."""
    factors = [1.0]
    for n in range(1, _SERIES_TERMS):
        factors.append(factors[-1] * (n - beta) / n)
    coefficients = [factor / (alpha + n) for n, factor in enumerate(factors)]
    return np.asarray(np.polynomial.polynomial.polyval(x, coefficients))


_NEARLY_NONE = 1e-5
"""Keeps logarithms finite."""
THRESHOLD = 0.025
"""Part of the noise that the first half of a linear-quadratic schedule removes."""


def karras_levels(high: float, low: float, steps: int, rho: float) -> NDArray[np.float64]:
    """Return descending levels, evenly spaced in sigma ** (1 / rho).

    Source: Karras et al. 2022, arXiv:2206.00364, equation 5.
    """
    first, last = high ** (1 / rho), low ** (1 / rho)
    return np.asarray((first + np.linspace(0, 1, steps) * (last - first)) ** rho)


def exponential_levels(high: float, low: float, steps: int) -> NDArray[np.float64]:
    """Return descending levels, evenly spaced in log sigma.

    Source: k-diffusion's get_sigmas_exponential.
    """
    return np.asarray(np.exp(np.linspace(math.log(high), math.log(low), steps)))


def polyexponential_levels(high: float, low: float, steps: int, rho: float) -> NDArray[np.float64]:
    """Return descending levels, polynomial in log sigma.

    Source: k-diffusion's get_sigmas_polyexponential.

    Args:
        rho: 1 spaces the levels evenly in log sigma. Above 1, more levels are low.
    """
    ramp = np.linspace(1, 0, steps) ** rho
    return np.asarray(np.exp(ramp * (math.log(high) - math.log(low)) + math.log(low)))


def laplace_levels(
    high: float, low: float, steps: int, mu: float, scale: float
) -> NDArray[np.float64]:
    """Return descending levels whose logarithms are quantiles of the Laplace distribution.

    Source: Hang & Gu 2024, arXiv:2407.03297, table 1, as k-diffusion's in ComfyUI.

    Args:
        high, low: Greatest and least level. Others are clipped to this range.
        mu: Center of the distribution of log sigma, where levels are dense.
        scale: Scale of the distribution.
    """
    chances = np.linspace(0, 1, steps)
    side = np.sign(0.5 - chances)
    spread = np.log(1 - 2 * np.abs(0.5 - chances) + _NEARLY_NONE)
    return np.clip(np.exp(mu - scale * side * spread), low, high)


def vp_levels(steps: int, beta_range: float, beta_min: float, least: float) -> NDArray[np.float64]:
    """Return descending levels of evenly spaced times of the variance preserving process.

    Source: Song et al. 2021, arXiv:2011.13456, appendix C, as k-diffusion's get_sigmas_vp.

    Args:
        beta_range, beta_min: Beta rises from `beta_min` by `beta_range` over times from 0 to 1.
        least: Last time above 0.
    """
    times = np.linspace(1, least, steps)
    return np.asarray(np.sqrt(np.expm1(beta_range * times**2 / 2 + beta_min * times)))


def kl_optimal_levels(high: float, low: float, steps: int) -> NDArray[np.float64]:
    """Return descending levels whose arc tangents are evenly spaced.

    Source: Sabour et al. 2024, arXiv:2404.14507, theorem 3.1: the least divergence if the
    images are one Gaussian of variance 1.
    """
    return np.asarray(np.tan(np.linspace(math.atan(high), math.atan(low), steps)))


def log_linear_levels(levels: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Resample descending levels to another number by log-linear interpolation.

    Args:
        levels: The levels, above 0, the last one included.
        steps: Number of returned levels, without the last one.
    """
    places = np.linspace(0, len(levels) - 1, steps + 1)[:-1]
    return np.exp(np.interp(places, np.arange(len(levels)), np.log(levels)))


def linear_quadratic_levels(steps: int) -> NDArray[np.float64]:
    """Return levels from 1 down: short equal steps in the first half, growing ones in the second.

    Source: Polyak et al. 2024, arXiv:2410.13720 (Movie Gen), with the numbers of Mochi's
    pipeline in diffusers and of ComfyUI (``comfy/samplers.py``).
    """
    half = steps // 2
    if half == 0:
        return np.ones(1)
    quadratic_steps = steps - half
    over = half - THRESHOLD * steps
    square = over / (half * quadratic_steps**2)
    slope = THRESHOLD / half - 2 * over / quadratic_steps**2
    gone = [index * THRESHOLD / half for index in range(half)]
    gone += [square * index**2 + slope * index + square * half**2 for index in range(half, steps)]
    return 1.0 - np.array(gone)


@dataclass(frozen=True)
class SigmaCurve:
    """Schedule defined by a package or a pack; see `schedule`.

    Attributes:
        name: Name of the schedule in nodes.
        sigmas: Function of the number of steps (at least 1), the maximum and the minimum sigma. It
            returns one sigma per step, descending, without the final 0. Sigma is the ratio of
            noise to latent in table models, and the fraction of noise, 0 to 1, in flow models.
        kinds: Noise kinds of the models that support it, from
            `nodegraph.families.sampler_names.NOISE_KINDS`.
    """

    plugin_group: ClassVar[str] = SCHEDULE_PLUGINS.name

    name: str
    sigmas: Callable[[int, float, float], Sequence[float]]
    kinds: tuple[str, ...] = NOISE_KINDS

    @property
    def module(self) -> str:
        """Name of the module of its function."""
        return module_of(self.sigmas)

    @property
    def record(self) -> dict[str, Any]:
        """Properties that checks need without torch, as JSON values."""
        unknown = set(self.kinds) - set(NOISE_KINDS)
        if unknown or not self.kinds:
            known = ", ".join(NOISE_KINDS)
            raise ValueError(f"its kinds are {', '.join(self.kinds)}; there are {known}")
        return {"kinds": list(self.kinds)}


def schedule(
    name: str, kinds: str | Sequence[str] = NOISE_KINDS
) -> Callable[[Callable[[int, float, float], Sequence[float]]], SigmaCurve]:
    """Make a schedule from a function of steps, maximum and minimum sigma; see `SigmaCurve`.

    Use it as a decorator.

    Args:
        name: Name of the schedule in nodes.
        kinds: Noise kinds of the models that support it: ``discrete``, ``flow`` or both.
    """
    check_plugin_name("schedule", name)
    some = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    return lambda sigmas: SigmaCurve(name, sigmas, some)


def plugin_levels(name: str, steps: int, high: float, low: float) -> NDArray[np.float64]:
    """Return the descending levels of a package's or a pack's schedule, without the final 0.

    Args:
        name: One of `SCHEDULE_PLUGINS`.
        steps: Number of levels.
        high, low: Greatest and least noise level.
    Raises:
        InvalidValue: Its function returns something else, or raises an error; on port ``schedule``.
    """
    curve: SigmaCurve = SCHEDULE_PLUGINS[name].load()
    wrong = partial(
        plugin_fault,
        "schedule",
        name,
        curve.sigmas,
        expected=f"{pluralize(steps, 'falling level')} above 0, without the closing 0",
    )
    try:
        sigmas: Any = curve.sigmas(steps, high, low)
        sigmas = list(sigmas) if isinstance(sigmas, Iterator) else sigmas
    except BaseException as error:
        if not is_fault(error):
            raise
        raise wrong(error) from error
    what = "returns no descending noise levels"
    try:
        # A tensor may have a data type that numpy does not have, or require gradients.
        numbers = np.asarray(sigmas.tolist() if hasattr(sigmas, "tolist") else sigmas)
    except (TypeError, ValueError) as error:
        raise wrong(what, actual=reprlib.repr(sigmas)) from error
    if numbers.dtype.kind not in "fiu":
        raise wrong(what, actual=reprlib.repr(sigmas))
    levels = numbers.astype(np.float64)
    falls = levels.shape == (steps,) and np.isfinite(levels).all() and levels[-1] > 0
    if not falls or not (np.diff(levels) < 0).all():
        shown = ", ".join(f"{level:.4g}" for level in levels.ravel()[:_MOST_SHOWN])
        raise wrong(what, actual=f"{pluralize(levels.size, 'level')}: {shown}")
    return levels


_MOST_SHOWN = 8
"""Largest number of levels in a message."""
