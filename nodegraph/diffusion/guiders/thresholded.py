"""Dynamic thresholding: a high guidance scale within the bounds of a lower one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nodegraph.diffusion.guiders.base import Forgetful, GuidedModel
from nodegraph.diffusion.model_step import Moment, Side


@dataclass(frozen=True, slots=True)
class ThresholdedGuidance(Forgetful):
    """Classifier-free guidance, each channel of which is cut at a quantile and brought to the
    range that a lower scale gives.

    Source: Saharia et al. 2022, arXiv:2205.11487, section 2.3; for latents, and with a lower scale,
    https://github.com/mcmonkeyprojects/sd-dynamic-thresholding

    Attributes:
        given: What it is begun for.
        mimic_cfg: The lower scale.
        quantile: Part of a channel's values, by their distance from its mean, that isn't cut.
    """

    given: GuidedModel
    mimic_cfg: float
    quantile: float

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both."""
        return self.given.both()

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """Guided by the high scale, in the range of the lower one."""
        towards, away = outputs["positive"], outputs["negative"]
        way = towards - away
        mean, offsets = _centred(away + self.given.scale(moment) * way)
        _, lower = _centred(away + self.mimic_cfg * way)
        wanted = lower.abs().amax(2, keepdim=True)
        # Sorted, as a quantile is refused of as many values as large latents have.
        place = round(self.quantile * (offsets.shape[2] - 1))
        reach = offsets.abs().sort(2).values[:, :, place : place + 1]
        bound = torch.maximum(wanted, reach).clamp(min=1e-12)
        brought = offsets.clamp(-bound, bound) / bound * wanted
        return (brought + mean).view_as(towards).to(towards.dtype)


def _centred(x: Tensor) -> tuple[Tensor, Tensor]:
    """Means of the channels, and how far the values are from them; (batch, channels, values)."""
    flat = x.float().flatten(2)
    mean = flat.mean(2, keepdim=True)
    return mean, flat - mean
