"""Guidance of molecules: no atom with more bonds than its valence, or with none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nodegraph.families.model_step import Moment, Side
from nodegraph.media.molecules.tables import ELEMENTS, ORDERS, VALENCES, bond_scores
from nodegraph.sampling.guiders.output_conversions import FlowArithmetic
from nodegraph.sampling.model_calls import ModelEvaluator

GUIDED = "guided"
"""Name among the outputs of what they add up to by now."""

_STEPS = 6
"""Down the slope, each time."""
_LONGEST = 1.0
"""Of such a step; the numbers of two classes are 2 apart."""
_FLAT = 1e-12
"""A slope that leads nowhere any more."""
_SHARPNESS = 3.0
"""How surely a class is meant by the highest of its numbers."""
_TOLERANCE = 0.1
"""Bonds too many that are none: eight that aren't there seem to be a tenth of one together."""
_LATEST = 0.9
"""Share of the noise above which single atoms cannot be classified."""


@dataclass(frozen=True, slots=True)
class ValenceTerm:
    """Where the clean molecule that is predicted has atoms with too many bonds, or with none, down
    the slope of the square of how many those are.

    The derivative of a prediction by what is wished of it leads without a network of its own, as
    in Bansal et al. 2023, arXiv:2302.07121, section 3.3.

    Attributes:
        scale: How much of what is wrong a step is to undo; 1 is all.
        start, end: Part of the sampling in which it leads.
    """

    scale: float
    start: float = 0.0
    end: float = 1.0
    evaluators: Mapping[Side, ModelEvaluator] = field(default_factory=dict)

    def applies(self, moment: Moment) -> bool:
        """In its part, and where atoms can be classified."""
        share = moment.timestep_value / moment.training_timesteps
        is_told = self.scale != 0 and 0 < share < _LATEST
        return is_told and moment.is_within(self.start, self.end)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """The positive one, which is asked anyway."""
        return ("positive",)

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """What the guided output lacks to say the mended molecule."""
        arithmetic, guided = FlowArithmetic(), outputs[GUIDED]
        clean = arithmetic.to_clean(x.float(), guided.float(), moment)
        mended = clean - descent(clean[:, 0], self.scale)[:, None]
        return (arithmetic.from_clean(x.float(), mended, moment) - guided.float()).to(guided.dtype)


def descent(items: Tensor, scale: float) -> Tensor:
    """What to take from items so that less is wrong with the bonds of their atoms.

    Each step is as long as would undo all that is wrong if the slope stayed as it is, within a
    bound: where classes are almost certain the slope is next to nothing.

    Args:
        items: Clean ones, shape (batch, 9, 37).
        scale: Share of that length that is gone.
    """
    with torch.inference_mode(False), torch.enable_grad():
        at = start = items.detach().clone()
        for _ in range(_STEPS):
            point = at.detach().requires_grad_()
            wrong = torch.cat([bond_excess(point), bond_deficit(point)], 1).square().sum(1)
            (slope,) = torch.autograd.grad(wrong.sum(), point)
            steepness = slope.flatten(1).norm(dim=1).clamp(min=_FLAT)
            # The root of what is wrong falls half as steeply, in relation.
            length = scale * (2 * wrong / steepness).clamp(max=_LONGEST)
            at = at - (length / steepness)[:, None, None] * slope
    return start - at


def bond_excess(items: Tensor) -> Tensor:
    """By how much the bonds that are expected of each atom exceed its valence, (batch, 9)."""
    limits = items.new_tensor([float(VALENCES[element]) for element in ELEMENTS])
    return (_bonds(items) - _kinds(items) @ limits - _TOLERANCE).clamp(min=0)


def bond_deficit(items: Tensor) -> Tensor:
    """By how much the bonds that are expected of each atom fall short of one, (batch, 9); nothing
    where there is no atom, or no other one."""
    there = 1 - _kinds(items)[..., 0].detach()
    others = (there.sum(1, keepdim=True) - there).clamp(max=1)
    return (there * others - _bonds(items) - _TOLERANCE).clamp(min=0)


def _kinds(items: Tensor) -> Tensor:
    return (items[..., : len(ELEMENTS)] * _SHARPNESS).softmax(-1)


def _bonds(items: Tensor) -> Tensor:
    """Of each atom in all, (batch, 9)."""
    counts = torch.arange(ORDERS, device=items.device, dtype=items.dtype)
    # On and above the diagonal all is 0: no class is likelier there, so these are left out.
    bonds = ((bond_scores(items) * _SHARPNESS).softmax(-1) @ counts).tril(-1)
    return bonds.sum(2) + bonds.sum(1)
