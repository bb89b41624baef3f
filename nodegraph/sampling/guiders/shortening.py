"""Guidance that makes the clean latent nowhere longer than the positive prompt alone has it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from nodegraph.families.model_step import Moment
from nodegraph.sampling.guiders.outputs import CleanArithmetic


@dataclass(frozen=True, slots=True)
class NormLimit:
    """Each cell's clean latent, over its channels, is cut to the length of the positive one's.

    Source: as Qwen-Image's pipeline does with what its network gives,
    https://github.com/QwenLM/Qwen-Image; here with the clean latent, so that it is the same of
    every kind of model.

    Attributes:
        arithmetic: Of the model.
        strength: What the clean latent is multiplied by besides.
    """

    arithmetic: CleanArithmetic
    strength: float = 1.0

    def limit(self, x: Tensor, guided: Tensor, towards: Tensor, moment: Moment) -> Tensor:
        """A guided output, by the positive one; float32 in between.

        Args:
            x: The latent as the model takes it.
        """
        x32 = x.float()
        clean, wanted = (
            self.arithmetic.to_clean(x32, item.float(), moment) for item in (guided, towards)
        )
        longest, length = (item.norm(dim=1, keepdim=True) for item in (wanted, clean))
        clean = clean * (longest / length.clamp(min=1e-8)).clamp(max=1) * self.strength
        return self.arithmetic.from_clean(x32, clean, moment).to(guided.dtype)
