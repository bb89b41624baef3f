"""Another network that answers for the negative prompt, in place of the model itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from nodegraph.diffusion.asking import Asking
from nodegraph.diffusion.model_step import Moment, Side


@dataclass(frozen=True, slots=True)
class StandingIn:
    """Adds nothing: where somebody asks about the negative side, another answers.

    Attributes:
        other: Who is asked.
        start, end: Part of the sampling in which it is.
    """

    other: Asking
    start: float = 0.0
    end: float = 1.0
    askings: Mapping[Side, Asking] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "askings", {"negative": self.other})

    def applies(self, moment: Moment) -> bool:
        """In its part."""
        return moment.lies_in(self.start, self.end)

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """None for its own sake."""
        return ()

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """Nothing."""
        return outputs["positive"].new_zeros(())
