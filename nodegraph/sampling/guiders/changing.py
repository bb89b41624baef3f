"""Guidance scales that change on the way. Imports no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodegraph.sampling.guiders.checks import check_from_zero, check_interval

if TYPE_CHECKING:
    from nodegraph.families.model_step import Moment

SCALE_LAWS = ("linear", "cosine", "late", "within")
"""How a scale goes over: evenly, gently at both ends, mostly in the last steps, or not at all: it
is the other one in a part of the sampling."""


@dataclass(frozen=True, slots=True)
class ChangingScale:
    """Another scale, and how the first step's goes over into it.

    Source: Wang et al. 2024, arXiv:2404.13040; ``late`` is its power of the cosine.

    Attributes:
        end: The other guidance scale.
        law: One of `SCALE_LAWS`.
        begins, ends: Part of the sampling in which it goes over, 0 to 1.
    """

    end: float
    law: str = "linear"
    begins: float = 0.0
    ends: float = 1.0

    def __post_init__(self) -> None:
        check_from_zero("cfg_end", self.end)
        check_interval(self.begins, self.ends)

    def at(self, begin: float, moment: Moment) -> float:
        """The scale at a moment of a sampling that begins with another."""
        if self.law == "within":
            return self.end if moment.is_within(self.begins, self.ends) else begin
        done = self._done(min(1.0, moment.schedule_step / max(1, moment.schedule_steps - 1)))
        if self.law == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
        elif self.law == "late":
            done = ((1 - math.cos(math.pi * done)) / 2) ** 4
        return begin + (self.end - begin) * done

    def _done(self, walked: float) -> float:
        """Share of the way over, by that of the steps."""
        if self.begins == self.ends:
            return float(walked >= self.ends)
        return min(1.0, max(0.0, (walked - self.begins) / (self.ends - self.begins)))
