"""Magnitude-aware guidance: less of it where the way is long."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nodegraph.diffusion.guiders.base import Forgetful, GuidedModel
from nodegraph.diffusion.model_step import Moment, Side


@dataclass(frozen=True, slots=True)
class MagnitudeGuidance(Forgetful):
    """Classifier-free guidance whose scale goes down where both answers differ much, as in the
    first steps.

    Source: MAMBO-G, arXiv:2508.03442.

    Attributes:
        given: What it is begun for.
        damping: How fast the scale goes down, from 0 up; 0 leaves it.
    """

    given: GuidedModel
    damping: float

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both."""
        return self.given.both()

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """Guided by the scale that goes with each item."""
        towards, away = outputs["positive"], outputs["negative"]
        axes = list(range(1, away.ndim))
        way = towards - away
        far, base = (torch.linalg.vector_norm(item, dim=axes, keepdim=True) for item in (way, away))
        ratio = far / base
        scale = 1 + (self.given.scale(moment) - 1) * (-self.damping * ratio).exp()
        guided: Tensor = away + scale * way
        return guided
