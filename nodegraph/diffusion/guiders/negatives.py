"""Further negative prompts, each with a scale of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from nodegraph.diffusion.asking import Asking
from nodegraph.diffusion.model_step import Moment, Side


@dataclass(frozen=True, slots=True)
class AwayFromPrompt:
    """Away from a prompt of its own, as seen from the negative side.

    Source: Liu et al. 2022, arXiv:2206.01714, equation 11; with `apart` Armandpour et al. 2023,
    arXiv:2304.04968, equation 10.

    Attributes:
        side: The prompt's.
        scale: How strongly it leads away.
        apart: Whether only away from what has nothing to do with the positive prompt.
        start, end: Part of the sampling in which it does.
    """

    side: Side
    scale: float
    apart: bool = False
    start: float = 0.0
    end: float = 1.0
    askings: Mapping[Side, Asking] = field(default_factory=dict)

    def applies(self, moment: Moment) -> bool:
        """In its part."""
        return self.scale != 0 and moment.lies_in(self.start, self.end)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Its own, and the two that it is compared with."""
        return ("negative", "positive", self.side)

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The way from its prompt to the negative side."""
        away = outputs["negative"]
        way = outputs[self.side] - away
        if self.apart:
            towards = outputs["positive"] - away
            axes = list(range(1, way.ndim))
            length = (towards**2).sum(axes, keepdim=True).clamp(min=1e-12)
            way = way - (way * towards).sum(axes, keepdim=True) / length * towards
        return -self.scale * way
