"""Guidance away from what a worse network answers: perturbed, with layers left out, or weaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from nodegraph.diffusion.asking import Asking, answered
from nodegraph.diffusion.model_step import Moment, Side
from nodegraph.diffusion.step_prompts import Prompts


@dataclass(frozen=True, slots=True)
class AwayFromWorse:
    """Away from what a worse network says about the positive prompt.

    Source: Karras et al. 2024, arXiv:2406.02507, equation 4, with scale = w - 1; equation 6 of
    Ahn et al. 2024, arXiv:2403.17377, is the same of another network.

    Attributes:
        worse: Who is asked.
        prompts: The positive ones, as it takes them.
        scale: How strongly it leads.
        start, end: Part of the sampling in which it does.
    """

    worse: Asking
    prompts: Prompts
    scale: float
    start: float = 0.0
    end: float = 1.0
    askings: Mapping[Side, Asking] = field(default_factory=dict)

    def applies(self, moment: Moment) -> bool:
        """In its part."""
        return self.scale != 0 and moment.lies_in(self.start, self.end)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """The positive one."""
        return ("positive",)

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The way from the worse answer to the better."""
        return self.scale * (outputs["positive"] - answered(self.worse, self.prompts, x, moment))
