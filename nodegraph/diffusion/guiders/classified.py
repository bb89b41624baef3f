"""Classifier guidance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from nodegraph.diffusion.asking import Asking
from nodegraph.diffusion.guiders.outputs import OutputArithmetic
from nodegraph.diffusion.model_step import Moment, Side
from nodegraph.diffusion.noisy_classifier import GuidanceClassifier, log_chance_gradient


@dataclass(frozen=True, slots=True)
class TowardsClass:
    """Where a classifier of the noisy latent finds what is wished for likelier.

    Source: Dhariwal & Nichol 2021, arXiv:2105.05233, algorithm 2.

    Attributes:
        network: Computes in float32.
        label, background: Places of the names that are wished for; None is anything.
        arithmetic: Of the model.
        scale: Of the gradient.
        start, end: Part of the sampling in which it leads.
    """

    network: GuidanceClassifier
    label: int | None
    background: int | None
    arithmetic: OutputArithmetic
    scale: float
    start: float = 0.0
    end: float = 1.0
    askings: Mapping[Side, Asking] = field(default_factory=dict)

    def applies(self, moment: Moment) -> bool:
        """In its part."""
        return self.scale != 0 and moment.lies_in(self.start, self.end)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """The positive one, which is asked anyway."""
        return ("positive",)

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The gradient, as the model's output has it: less noise where the wish is likelier."""
        gradient = log_chance_gradient(self.network, x, moment.at, self.label, self.background)
        _, deviation = self.arithmetic.scales(moment)
        change = self.arithmetic.of_noise(-deviation * self.scale * gradient, moment)
        return change.to(outputs["positive"].dtype)
