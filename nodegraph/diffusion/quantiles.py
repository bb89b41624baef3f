"""Quantiles of the symmetric beta distribution, by which some schedules lay their steps."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BETA_SHAPE = 0.6
"""Of the beta schedule. Source: Lee et al. 2024, arXiv:2407.12173, section 4."""


def beta_quantiles(chances: NDArray[np.float64], shape: float) -> NDArray[np.float64]:
    """Where the symmetric Beta(shape, shape) distribution reaches the given chances.

    Newton's method on u = x ** shape, in which the incomplete beta function is a power series
    with positive terms (DLMF 8.17.7), hence convex: from above it converges without overshooting.
    Beyond the median the mirror image is taken, so the series always converges fast.

    Args:
        chances: In 0..1.
        shape: Above 0, at most 1.
    """
    lower = np.minimum(chances, 1 - chances)
    wanted = lower * math.exp(2 * math.lgamma(shape) - math.lgamma(2 * shape))
    u = wanted * shape
    for _ in range(_NEWTON_STEPS):
        x = u ** (1 / shape)
        u = u - (u * _beta_series(x, shape) - wanted) * shape * (1 - x) ** (1 - shape)
    x = u ** (1 / shape)
    return np.where(chances <= 0.5, x, 1 - x)


_NEWTON_STEPS = 8
_SERIES_TERMS = 70


def _beta_series(x: NDArray[np.float64], shape: float) -> NDArray[np.float64]:
    """Sum of (1 - shape)_n / n! · x^n / (shape + n): the incomplete beta function / x^shape."""
    factors = [1.0]
    for n in range(1, _SERIES_TERMS):
        factors.append(factors[-1] * (n - shape) / n)
    coefficients = [factor / (shape + n) for n, factor in enumerate(factors)]
    return np.asarray(np.polynomial.polynomial.polyval(x, coefficients))
