"""Base classes of guiders and added guidance, and changing scales. Imports no torch.

A `GuidanceMethod` describes a guider: nodes create it and cache keys contain it. It creates the
`Guider` that works during a sampling. A new guider needs only a description in
`nodegraph.sampling.guiders.methods` and a module next to it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from nodegraph.core.values import Conditioning, DiffusionModel, Recipe
from nodegraph.families.model_step import Guider, Side
from nodegraph.sampling.guiders.checks import check_from_zero, check_interval

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.families.base import Family
    from nodegraph.families.components import Denoiser
    from nodegraph.families.model_step import Moment
    from nodegraph.sampling.model_calls import ModelEvaluator
    from nodegraph.sampling.prompts import PromptFitter, Prompts

SCALE_LAWS = ("linear", "cosine", "late", "within")
"""How a scale goes over: evenly, gently at both ends, mostly in the last steps, or not at all: it
is the other one in a part of the sampling."""


@dataclass(frozen=True, slots=True)
class ChangingScale:
    """A guidance scale that changes during a sampling.

    Source: Wang et al. 2024, arXiv:2404.13040; ``late`` is its power of the cosine.

    Attributes:
        end: The final guidance scale.
        law: One of `SCALE_LAWS`.
        begins, ends: Range of the sampling in which it changes, 0 to 1.
    """

    end: float
    law: str = "linear"
    begins: float = 0.0
    ends: float = 1.0

    def __post_init__(self) -> None:
        check_from_zero("cfg_end", self.end)
        check_interval(self.begins, self.ends)

    def at(self, begin: float, moment: Moment) -> float:
        """The scale at a moment of a sampling that begins with another."""
        if self.law == "within":
            return self.end if moment.is_within(self.begins, self.ends) else begin
        done = self._done(min(1.0, moment.schedule_step / max(1, moment.schedule_steps - 1)))
        if self.law == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
        elif self.law == "late":
            done = ((1 - math.cos(math.pi * done)) / 2) ** 4
        return begin + (self.end - begin) * done

    def _done(self, walked: float) -> float:
        """Share of the way over, by that of the steps."""
        if self.begins == self.ends:
            return float(walked >= self.ends)
        return min(1.0, max(0.0, (walked - self.begins) / (self.ends - self.begins)))


class StatelessGuider:
    """A guider that keeps nothing between steps."""

    __slots__ = ()

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True)
class GuidedModel:
    """The model and prompts that a guider works with during a sampling.

    Attributes:
        model: The model without the hooks of a step cache.
        evaluator: Evaluates the model.
        cfg: The chosen guidance scale.
        scale: The guidance scale at a moment; it may change during the sampling.
        scale_changes: Whether a changing scale was chosen.
        fitting: The shapes that prompts are fitted to.
        positive: The positive prompts, as given.
        sides: The prompts of each side, as the model takes them.
        extra_models: Other models in memory, by their recipes.
    """

    model: Denoiser
    evaluator: ModelEvaluator
    family: Family
    cfg: float
    scale: Callable[[Moment], float]
    scale_changes: bool
    fitting: PromptFitter
    positive: Conditioning
    sides: Mapping[Side, Prompts]
    extra_models: Mapping[Recipe, Any]

    def both_sides(self) -> tuple[Side, ...]:
        """The two sides, in the order in which the family's model is asked."""
        if self.family.positive_first:
            return ("positive", "negative")
        return ("negative", "positive")


class GuidanceMethod(ABC):
    """How predictions are combined; subclasses are frozen dataclasses.

    Attributes:
        title: Display name.
    """

    __slots__ = ()
    title: ClassVar[str]

    @property
    def prompts(self) -> Mapping[Side, Conditioning]:
        """Of the sides that it asks about besides the positive and the negative one."""
        return {}

    @property
    def is_default(self) -> bool:
        """Whether models that were distilled from guidance go with it, as it asks them no more."""
        return False

    @property
    def always(self) -> bool:
        """Whether it asks about all of its sides whatever the scale."""
        return False

    @abstractmethod
    def begin(self, guided_model: GuidedModel) -> Guider:
        """What works in one sampling."""


class AddedTerm(Protocol):
    """Guidance added to the result of a guider."""

    @property
    def evaluators(self) -> Mapping[Side, ModelEvaluator]:
        """Who answers for some sides in place of the model itself."""
        ...

    def applies(self, moment: Moment) -> bool:
        """Whether it takes part at a step."""
        ...

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """What it needs evaluated, where it applies."""
        ...

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """What it adds to the guided output.

        Args:
            x: The latent as the model takes it.
            outputs: Of all sides that were evaluated; as ``guided`` what they add up to by now.
        """
        ...


@dataclass(frozen=True, slots=True)
class AddedGuidance(ABC):
    """Describes guidance added to that of a guider.

    Attributes:
        title: Display name.
        scale: Its scale.
        start, end: Range of the sampling in which it applies, 0 to 1.
    """

    title: ClassVar[str]

    scale: float
    start: float
    end: float

    def __post_init__(self) -> None:
        check_interval(self.start, self.end)

    def prompts(self, index: int) -> Mapping[Side, Conditioning]:
        """Of the sides that it asks about besides the positive and the negative one.

        Args:
            index: Its own among what is added.
        """
        return {}

    @property
    def description(self) -> str:
        """In words, with its scale."""
        return f"{self.title} at {self.scale:g}"

    @property
    def needs_negative(self) -> bool:
        """Whether it asks about more than the positive prompt."""
        return False

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """What has to be in memory besides the model."""
        return ()

    @abstractmethod
    def check(self, model: DiffusionModel) -> None:
        """Refuse, before anything is loaded, what doesn't go with a model.

        Raises:
            InvalidValue: On port ``guider``.
        """

    @abstractmethod
    def begin(self, guided_model: GuidedModel, index: int) -> AddedTerm:
        """What works in one sampling."""
