"""Quantiles of the beta distribution, by which some schedules lay their steps."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

BETA_SHAPE = 0.6
"""Of the beta schedule. Source: Lee et al. 2024, arXiv:2407.12173, section 4."""


def beta_quantiles(
    chances: NDArray[np.float64], alpha: float, beta: float | None = None
) -> NDArray[np.float64]:
    """Where the Beta(alpha, beta) distribution reaches the given chances.

    Newton's method on u = x ** alpha, in which the incomplete beta function is a power series
    with positive terms (DLMF 8.17.7), hence convex: from above it converges without overshooting.
    Above 1/2 the mirror image is taken, so the series always converges fast.

    Args:
        chances: In 0..1.
        alpha: Above 0, at most 1.
        beta: The same; None for as alpha.
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
    """Where the incomplete beta function is as wanted; at most 1/2."""
    u = wanted * alpha
    for _ in range(_NEWTON_STEPS):
        x = u ** (1 / alpha)
        u = u - (u * _beta_series(x, alpha, beta) - wanted) * alpha * (1 - x) ** (1 - beta)
    return np.asarray(u ** (1 / alpha))


_NEWTON_STEPS = 8
_SERIES_TERMS = 70


def _beta_series(x: NDArray[np.float64], alpha: float, beta: float) -> NDArray[np.float64]:
    """Sum of (1 - beta)_n / n! · x^n / (alpha + n): the incomplete beta function / x^alpha."""
    factors = [1.0]
    for n in range(1, _SERIES_TERMS):
        factors.append(factors[-1] * (n - beta) / n)
    coefficients = [factor / (alpha + n) for n, factor in enumerate(factors)]
    return np.asarray(np.polynomial.polynomial.polyval(x, coefficients))
