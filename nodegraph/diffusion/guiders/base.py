"""What a guider is. Imports no torch.

A guider is described by a value (`GuidanceMethod`), which nodes make and the cache names, and which
makes what works in a sampling (`Guider`). A new one is a description in `methods` and a
module beside it: nothing else knows it by name.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import Conditioning
    from nodegraph.diffusion.components import Denoiser
    from nodegraph.diffusion.families import Family
    from nodegraph.diffusion.families.base import Moment

Side = str
"""What a model is asked about: ``positive``, ``negative``, or what a method names besides."""


class Guider(Protocol):
    """Which sides are evaluated at a step, and what their outputs add up to.

    One that keeps something between steps says so in `state`, so that a sampling that goes on
    later goes on to the same bits.
    """

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """What to evaluate; ``positive`` is always among it."""
        ...

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The output that the sampler is fed, of those of the sides."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What is kept between steps, by name."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave."""
        ...


class Forgetful:
    """A guider that keeps nothing between steps."""

    __slots__ = ()

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True)
class GuidedModel:
    """What a guider is begun for.

    Attributes:
        cfg: The guidance scale as it was chosen.
        scale: The same at a moment: a model may know another one for a part of a sampling.
        prompts: The positive ones, as `Family.fit` gave them.
    """

    model: Denoiser
    family: Family
    cfg: float
    scale: Callable[[Moment], float]
    prompts: Sequence[Mapping[str, Tensor]]

    def both(self) -> tuple[Side, ...]:
        """The two sides, in the order in which the family's model is asked."""
        if self.family.positive_first:
            return ("positive", "negative")
        return ("negative", "positive")


class GuidanceMethod(ABC):
    """How the answers to the sides are put together; subclasses are frozen dataclasses."""

    __slots__ = ()

    @property
    def prompts(self) -> Mapping[Side, Conditioning]:
        """Of the sides that it asks about besides the positive and the negative one."""
        return {}

    @property
    def is_usual(self) -> bool:
        """Whether models that were distilled from guidance go with it, as it asks them no more."""
        return False

    @property
    def always(self) -> bool:
        """Whether it asks about all of its sides whatever the scale."""
        return False

    @abstractmethod
    def begin(self, given: GuidedModel) -> Guider:
        """What works in one sampling."""
