"""Dual guidance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from nodegraph.diffusion.guiders.base import Forgetful
from nodegraph.diffusion.model_step import Moment, Side


@dataclass(frozen=True, slots=True)
class DualGuidance(Forgetful):
    """From the negative prompt towards the second one, and from there towards the positive.

    Source: Brooks et al. 2023, arXiv:2211.09800, equation 3.

    Attributes:
        scale: At a moment, of the way from the second prompt to the positive one.
        second_cfg: Scale of the way to the second.
    """

    scale: Callable[[Moment], float]
    second_cfg: float

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """All three."""
        return ("negative", "second", "positive")

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The sum of the two ways."""
        away, second, towards = (outputs[side] for side in self.sides(moment))
        return away + self.second_cfg * (second - away) + self.scale(moment) * (towards - second)
