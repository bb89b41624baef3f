"""Tangential guidance: without what of the negative answer doesn't matter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nodegraph.diffusion.guiders.base import Forgetful, GuidedModel
from nodegraph.diffusion.model_step import Moment, Side


@dataclass(frozen=True, slots=True)
class TangentialGuidance(Forgetful):
    """Classifier-free guidance away from what the negative answer has along the main direction of
    both; what lies across it only disturbs.

    Source: Kwon et al. 2025, arXiv:2503.18137.
    """

    given: GuidedModel

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both."""
        return self.given.both()

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """Guided away from the negative answer's part."""
        towards, away = outputs["positive"], _along_main(outputs["positive"], outputs["negative"])
        return away + self.given.scale(moment) * (towards - away)


def _along_main(towards: Tensor, away: Tensor) -> Tensor:
    """The second's part along the first singular vector of both, for each item."""
    rows = torch.stack([towards, away], 1).float().flatten(2)
    # That vector lies in the span of the two rows: it is found from their 2 x 2 products.
    products = rows.double() @ rows.double().mT
    shares = torch.linalg.eigh(products).eigenvectors[:, :, -1]
    main = torch.nn.functional.normalize((shares[:, None] @ rows.double())[:, 0], dim=1)
    lengths = (rows[:, 1].double() * main).sum(1, keepdim=True)
    return (lengths * main).reshape(away.shape).to(away.dtype)
