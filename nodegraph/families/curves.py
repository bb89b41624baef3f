"""Curves of noise levels that any kind of noise can follow. Imports no torch."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_NEARLY_NONE = 1e-5
"""Keeps logarithms finite."""
THRESHOLD = 0.025
"""Part of the noise that the first half of a linear-quadratic schedule takes away."""


def karras_levels(high: float, low: float, steps: int, rho: float) -> NDArray[np.float64]:
    """Falling levels, evenly spaced in sigma ** (1 / rho).

    Source: Karras et al. 2022, arXiv:2206.00364, equation 5.
    """
    first, last = high ** (1 / rho), low ** (1 / rho)
    return np.asarray((first + np.linspace(0, 1, steps) * (last - first)) ** rho)


def exponential_levels(high: float, low: float, steps: int) -> NDArray[np.float64]:
    """Falling levels, evenly spaced in log sigma, as k-diffusion's get_sigmas_exponential."""
    return np.asarray(np.exp(np.linspace(math.log(high), math.log(low), steps)))


def polyexponential_levels(high: float, low: float, steps: int, rho: float) -> NDArray[np.float64]:
    """Falling levels, polynomial in log sigma, as k-diffusion's get_sigmas_polyexponential.

    Args:
        rho: 1 spaces them evenly in log sigma; above it more of them lie low.
    """
    ramp = np.linspace(1, 0, steps) ** rho
    return np.asarray(np.exp(ramp * (math.log(high) - math.log(low)) + math.log(low)))


def laplace_levels(
    high: float, low: float, steps: int, mu: float, scale: float
) -> NDArray[np.float64]:
    """Falling levels whose logarithms are quantiles of Laplace's distribution.

    Source: Hang & Gu 2024, arXiv:2407.03297, table 1, as k-diffusion's in ComfyUI.

    Args:
        high, low: Levels beyond them are taken to be them.
        mu: Middle of log sigma, where levels are dense.
        scale: Of the distribution: how far around it they spread.
    """
    chances = np.linspace(0, 1, steps)
    side = np.sign(0.5 - chances)
    spread = np.log(1 - 2 * np.abs(0.5 - chances) + _NEARLY_NONE)
    return np.clip(np.exp(mu - scale * side * spread), low, high)


def vp_levels(steps: int, beta_range: float, beta_min: float, least: float) -> NDArray[np.float64]:
    """Falling levels of evenly spaced times of the variance preserving process.

    Source: Song et al. 2021, arXiv:2011.13456, appendix C, as k-diffusion's get_sigmas_vp.

    Args:
        beta_range, beta_min: Beta rises by the first from the second, over times from 0 to 1.
        least: The last time above 0.
    """
    times = np.linspace(1, least, steps)
    return np.asarray(np.sqrt(np.expm1(beta_range * times**2 / 2 + beta_min * times)))


def kl_optimal_levels(high: float, low: float, steps: int) -> NDArray[np.float64]:
    """Falling levels whose arc tangents are evenly spaced.

    Source: Sabour et al. 2024, arXiv:2404.14507, theorem 3.1: the least divergence where the
    pictures are one Gaussian of variance 1.
    """
    return np.asarray(np.tan(np.linspace(math.atan(high), math.atan(low), steps)))


def log_linear_levels(levels: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Another number of falling levels along the same curve: its logarithm, between neighbours.

    Args:
        levels: Above 0, the last one included.
        steps: How many to give, without the last one.
    """
    places = np.linspace(0, len(levels) - 1, steps + 1)[:-1]
    return np.exp(np.interp(places, np.arange(len(levels)), np.log(levels)))


def linear_quadratic_levels(steps: int) -> NDArray[np.float64]:
    """Levels from 1 on: a first half of short equal steps, a second that grows.

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
