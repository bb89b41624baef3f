"""CFG-Zero*: guidance from a negative answer that is scaled to fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nodegraph.diffusion.guiders.base import Forgetful, GuidedModel
from nodegraph.diffusion.model_step import Moment, Side


@dataclass(frozen=True, slots=True)
class ZeroStarGuidance(Forgetful):
    """Classifier-free guidance away from the part of the negative answer that the positive shares.

    Source: Fan et al. 2025, arXiv:2503.18886, equations 8 to 11.

    Attributes:
        given: What it is begun for.
        zero_steps: Steps at the beginning that stay where they are: the output is zero.
    """

    given: GuidedModel
    zero_steps: int = 1

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both; at first the positive one alone, as its shape is all that counts."""
        return ("positive",) if moment.rung < self.zero_steps else self.given.both()

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """Zero at first, then guided."""
        towards = outputs["positive"]
        if moment.rung < self.zero_steps:
            return torch.zeros_like(towards)
        away = outputs["negative"]
        away = away * _share(towards, away)
        return away + self.given.scale(moment) * (towards - away)


def _share(towards: Tensor, away: Tensor) -> Tensor:
    """How long the first is along the second, measured by it, for each item."""
    axes = list(range(1, towards.ndim))
    wide, base = towards.float(), away.float()
    length = (base**2).sum(axes, keepdim=True) + 1e-8
    return ((wide * base).sum(axes, keepdim=True) / length).to(towards.dtype)
