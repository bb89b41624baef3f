"""Guidance scales that change on the way. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodegraph.diffusion.guidable import check_from_zero

if TYPE_CHECKING:
    from nodegraph.diffusion.families.base import Moment

SCALE_LAWS = ("linear", "cosine", "late")
"""How a scale goes over: evenly, gently at both ends, or mostly in the last steps."""


@dataclass(frozen=True, slots=True)
class ChangingScale:
    """The scale of the last step, and how the first one's goes over into it.

    Source: Wang et al. 2024, arXiv:2404.13040; ``late`` is its power of the cosine.

    Attributes:
        end: The guidance scale of the last step.
        law: One of `SCALE_LAWS`.
    """

    end: float
    law: str = "linear"

    def __post_init__(self) -> None:
        check_from_zero("cfg_end", self.end)

    def at(self, begin: float, moment: Moment) -> float:
        """The scale at a moment of a sampling that begins with another."""
        done = min(1.0, moment.rung / max(1, moment.rungs - 1))
        if self.law == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
        elif self.law == "late":
            done = ((1 - math.cos(math.pi * done)) / 2) ** 4
        return begin + (self.end - begin) * done
