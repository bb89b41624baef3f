"""Guidance of molecules by arithmetic alone: no atom with more bonds than it can have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nodegraph.diffusion.asking import Asking
from nodegraph.diffusion.families.base import Moment
from nodegraph.diffusion.guiders.base import Side
from nodegraph.diffusion.guiders.outputs import FlowArithmetic
from nodegraph.molecules.tables import ELEMENTS, ORDERS, VALENCES, bond_scores

GUIDED = "guided"
"""Name among the outputs of what they add up to by now."""

_STEPS = 3
"""Down the slope, each time."""
_SHARPNESS = 3.0
"""How surely a class is meant by the highest of its numbers."""
_TOLERANCE = 0.1
"""Bonds too many that are none: eight that aren't there seem to be a tenth of one together."""
_LATEST = 0.9
"""Share of the noise above which nothing can be told of single atoms."""


@dataclass(frozen=True, slots=True)
class WithinValences:
    """Where the clean molecule that is predicted has atoms with too many bonds, down the slope of
    the square of how many those are.

    The derivative of a prediction by what is wished of it leads without a network of its own, as
    in Bansal et al. 2023, arXiv:2302.07121, section 3.3.

    Attributes:
        scale: Length of a step down the slope.
        start, end: Part of the sampling in which it leads.
    """

    scale: float
    start: float = 0.0
    end: float = 1.0
    askings: Mapping[Side, Asking] = field(default_factory=dict)

    def applies(self, moment: Moment) -> bool:
        """In its part, and where something can be told."""
        share = moment.at / moment.training_timesteps
        is_told = self.scale != 0 and 0 < share < _LATEST
        return is_told and self.start <= moment.progress < self.end

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """The positive one, which is asked anyway."""
        return ("positive",)

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """What the guided output lacks to say the mended molecule."""
        arithmetic, guided = FlowArithmetic(), outputs[GUIDED]
        clean = arithmetic.clean_in(x.float(), guided.float(), moment)
        mended = clean - self.scale * descent(clean[:, 0], self.scale)[:, None]
        return (arithmetic.of_clean(x.float(), mended, moment) - guided.float()).to(guided.dtype)


def descent(items: Tensor, scale: float) -> Tensor:
    """The sum of the slopes that are met on the way down.

    Args:
        items: Clean ones, shape (batch, 9, 37).
        scale: Length of a step.
    """
    with torch.inference_mode(False), torch.enable_grad():
        start = at = items.detach().clone()
        total = torch.zeros_like(start)
        for _ in range(_STEPS):
            point = at.detach().requires_grad_()
            (slope,) = torch.autograd.grad(excess(point).square().sum(), point)
            total = total + slope
            at = start - scale * total
    return total


def excess(items: Tensor) -> Tensor:
    """By how much the bonds that are expected of each atom exceed its valence, (batch, 9)."""
    limits = items.new_tensor([float(VALENCES[element]) for element in ELEMENTS])
    counts = torch.arange(ORDERS, device=items.device, dtype=items.dtype)
    kinds = (items[..., : len(ELEMENTS)] * _SHARPNESS).softmax(-1)
    # On and above the diagonal all is 0: no class is likelier there, so these are left out.
    bonds = ((bond_scores(items) * _SHARPNESS).softmax(-1) @ counts).tril(-1)
    return (bonds.sum(2) + bonds.sum(1) - kinds @ limits - _TOLERANCE).clamp(min=0)
