"""A guider in a part of a sampling, and what is done with what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from nodegraph.diffusion.families.base import Moment
from nodegraph.diffusion.guiders.base import Guider, Side
from nodegraph.diffusion.guiders.classifier_free import rescaled


@dataclass(frozen=True, slots=True)
class ComposedGuider:
    """All that leads a model in a sampling.

    Attributes:
        guider: What leads by several sides; None where the positive prompt leads alone.
        rescale, start, end: As of `GuiderChoice`.
    """

    guider: Guider | None
    rescale: float = 0.0
    start: float = 0.0
    end: float = 1.0

    def _guiding(self, moment: Moment) -> Guider | None:
        return self.guider if self.start <= moment.progress < self.end else None

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Those of the guider in its part, else the positive one alone."""
        guider = self._guiding(moment)
        return ("positive",) if guider is None else guider.sides(moment)

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """What they add up to, brought to the positive one's spread."""
        guider, towards = self._guiding(moment), outputs["positive"]
        if guider is None:
            return towards
        guided = guider.combine(outputs, moment)
        return rescaled(guided, towards, self.rescale) if self.rescale else guided

    def state(self) -> dict[str, Tensor]:
        """The guider's."""
        return {} if self.guider is None else self.guider.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        if self.guider is not None:
            self.guider.restore(state)
