"""Classifier-free guidance."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from nodegraph.diffusion.families.base import Family
from nodegraph.diffusion.guiders.base import Forgetful
from nodegraph.diffusion.guiders.outputs import CleanArithmetic
from nodegraph.diffusion.model_step import Moment, Side


@dataclass(frozen=True, slots=True)
class ClassifierFree(Forgetful):
    """Away from the negative prompt, towards the positive one; see `Family.guided`.

    Attributes:
        scale: The guidance scale at a moment: 1 is the positive prompt alone.
    """

    family: Family
    scale: Callable[[Moment], float]

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both, in the order in which the family's model is asked."""
        return ("positive", "negative") if self.family.positive_first else ("negative", "positive")

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """What the family makes of the two."""
        return self.family.guided(outputs["positive"], outputs["negative"], self.scale(moment))


@dataclass(frozen=True, slots=True)
class Rescaling:
    """Brings a guided answer to the spread of the positive prompt's, see `rescaled`.

    Attributes:
        share: How far, 0 to 1.
        arithmetic: Of the model, where the spread is that of velocities; None: of what the network
            gives. For models that predict velocities both are one. Source of the former: ComfyUI's
            RescaleCFG (``comfy_extras/nodes_model_advanced.py``).
    """

    share: float
    arithmetic: CleanArithmetic | None = None

    def applied(self, x: Tensor, guided: Tensor, towards: Tensor, moment: Moment) -> Tensor:
        """The guided output, rescaled.

        Args:
            x: The latent as the model takes it.
        """
        if self.arithmetic is None:
            return rescaled(guided, towards, self.share)
        x32, (of_x, of_velocity) = x.float(), self.arithmetic.velocity_scales(moment)
        own, wanted = (
            (of_x * x32 - self.arithmetic.clean_in(x32, output.float(), moment)) / of_velocity
            for output in (guided, towards)
        )
        clean = of_x * x32 - of_velocity * rescaled(own, wanted, self.share)
        return self.arithmetic.of_clean(x32, clean, moment).to(guided.dtype)


def rescaled(guided: Tensor, towards: Tensor, share: float) -> Tensor:
    """A guided output brought to the spread of the positive prompt's, as overexposure goes along
    with a larger one.

    Source: Lin et al. 2023, arXiv:2305.08891, equations 15 and 16.
    """
    sides = list(range(1, towards.ndim))
    spread, wanted = (item.std(dim=sides, keepdim=True) for item in (guided, towards))
    # CFG-Zero* gives zeros at first, which have no spread and stay as they are.
    spread = spread.clamp(min=torch.finfo(spread.dtype).tiny)
    return share * (guided * (wanted / spread)) + (1 - share) * guided
