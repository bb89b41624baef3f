"""Curves of noise levels that any kind of noise can follow. Imports no torch."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.025
"""Part of the noise that the first half of a linear-quadratic schedule takes away."""


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
    rest = steps - half
    over = half - THRESHOLD * steps
    square = over / (half * rest**2)
    slope = THRESHOLD / half - 2 * over / rest**2
    gone = [index * THRESHOLD / half for index in range(half)]
    gone += [square * index**2 + slope * index + square * half**2 for index in range(half, steps)]
    return 1.0 - np.array(gone)
