"""All that leads a model in a sampling: a guider in its part, what is added, what is done after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from nodegraph.diffusion.asking import Asking
from nodegraph.diffusion.guiders.base import AddedTerm
from nodegraph.diffusion.guiders.classifier_free import Rescaling
from nodegraph.diffusion.guiders.shortening import Shortening
from nodegraph.diffusion.model_step import Guider, Moment, Side


@dataclass(frozen=True, slots=True)
class ComposedGuider:
    """A guider in a part of a sampling, and guidance that is added to what it gives.

    Attributes:
        guider: What leads by several sides; None where the positive prompt leads alone.
        added: In the order in which it is added.
        rescaling: What is done to the sum.
        start, end: As of `GuiderChoice`.
        shortening: What is done last.
        rests: Whether the positive prompt leads alone at a step within its part.
    """

    guider: Guider | None
    added: Sequence[AddedTerm] = ()
    rescaling: Rescaling | None = None
    start: float = 0.0
    end: float = 1.0
    shortening: Shortening | None = None
    rests: Callable[[Moment], bool] = lambda moment: False

    def _guiding(self, moment: Moment) -> Guider | None:
        applies = moment.lies_in(self.start, self.end) and not self.rests(moment)
        return self.guider if applies else None

    def _adding(self, moment: Moment) -> list[AddedTerm]:
        return [term for term in self.added if term.applies(moment)]

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """All that is evaluated at a step: the positive one alone outside of the parts."""
        guider = self._guiding(moment)
        own = ("positive",) if guider is None else guider.sides(moment)
        further = [side for term in self._adding(moment) for side in term.sides(moment)]
        return tuple(dict.fromkeys([*own, *further]))

    def askings(self, moment: Moment) -> Mapping[Side, Asking]:
        """Who answers for some sides in place of the model itself."""
        return {
            side: asking for term in self._adding(moment) for side, asking in term.askings.items()
        }

    def combine(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """What the outputs add up to, brought to the spread and length of the positive one.

        Args:
            x: The latent as the model takes it.
        """
        guider, adding, towards = self._guiding(moment), self._adding(moment), outputs["positive"]
        guided = towards if guider is None else guider.combine(outputs, moment)
        for term in adding:
            guided = guided + term.term(x, {**outputs, "guided": guided}, moment)
        if guider is None and not adding:
            return guided
        if self.rescaling is not None:
            guided = self.rescaling.applied(x, guided, towards, moment)
        if self.shortening is not None:
            guided = self.shortening.shortened(x, guided, towards, moment)
        return guided

    def state(self) -> dict[str, Tensor]:
        """The guider's: what is added keeps nothing."""
        return {} if self.guider is None else self.guider.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        if self.guider is not None:
            self.guider.restore(state)
