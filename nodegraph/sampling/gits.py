"""Geometry-inspired time scheduling: steps where the ways of a model bend."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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
"""By number of steps: hundredths of the training range at which they begin, as they were found
along the ways of Stable Diffusion 1.5 at the usual coefficient, 1.2; one step is the whole way."""

MOST_FOUND = len(_GITS_TABLE)
"""Steps; of more, those of the longest lie along the same curve."""


def gits_timesteps(steps: int, timesteps: int) -> NDArray[np.float64]:
    """Falling timesteps, with the closing 0, of as many steps as are asked for or were found.

    Source: Chen et al. 2024, arXiv:2405.11326, section 4; the numbers are those that tools pass on
    as GITS.

    Args:
        steps: At least 1.
        timesteps: That the model was trained on.
    Returns:
        min(steps, `MOST_FOUND`) + 1 timesteps, between whole ones.
    """
    percentages = _GITS_TABLE[min(steps, MOST_FOUND) - 1]
    return np.array([*percentages, 0], dtype=np.float64) * ((timesteps - 1) / 100)
