"""Base classes of guiders and added guidance, and scales that change. Imports no torch.

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
from nodegraph.errors import InvalidValue
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
"""How a scale changes: linearly, along a cosine, or mostly in the last steps. With ``within``, it
has the other value in a range of the sampling."""


@dataclass(frozen=True, slots=True)
class ChangingScale:
    """Guidance scale that changes during a sampling.

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
        """Return the scale at a moment of a sampling that starts with the scale `begin`."""
        if self.law == "within":
            return self.end if moment.is_within(self.begins, self.ends) else begin
        done = self._done(min(1.0, moment.schedule_step / max(1, moment.schedule_steps - 1)))
        if self.law == "cosine":
            done = (1 - math.cos(math.pi * done)) / 2
        elif self.law == "late":
            done = ((1 - math.cos(math.pi * done)) / 2) ** 4
        return begin + (self.end - begin) * done

    def _done(self, walked: float) -> float:
        """Return the completed share of the change for a share of the steps."""
        if self.begins == self.ends:
            return float(walked >= self.ends)
        return min(1.0, max(0.0, (walked - self.begins) / (self.ends - self.begins)))


@dataclass(frozen=True, slots=True)
class ToneMapping:
    """Tone mapping of a latent; see `nodegraph.sampling.latents.transforms.tone_map`."""

    multiplier: float = 1.0

    def apply(self, samples: Tensor) -> Tensor:
        """Return the mapped latent, of the same shape."""
        from nodegraph.sampling.latents.transforms import tone_map

        return tone_map(samples, self.multiplier)


@dataclass(frozen=True, slots=True)
class Sharpening:
    """Sharpening of a latent; see `nodegraph.sampling.latents.transforms.sharpen_lengths`."""

    radius: int = 9
    sigma: float = 1.0
    amount: float = 0.1

    def apply(self, samples: Tensor) -> Tensor:
        """Return the sharpened latent, of the same shape."""
        from nodegraph.sampling.latents.transforms import sharpen_lengths

        return sharpen_lengths(samples, self.radius, self.sigma, self.amount)


LatentOperation = ToneMapping | Sharpening
"""Operation on what separates the positive from the negative prediction."""


TILING_STRATEGIES = ("random", "random strict", "padded", "simple")
"""How tiles are laid over a picture; see `TiledEvaluation`."""


@dataclass(frozen=True, slots=True)
class TiledEvaluation:
    """Evaluation of a model tile by tile, so that a picture may be larger than the model takes.

    Attributes:
        width, height: Of a tile, in pixels. A larger tile than the picture is the picture.
        strategy: One of `TILING_STRATEGIES`. ``simple``: a grid that stays. ``padded``: the same,
            of half the size, each with a quarter of a tile of its surroundings. ``random``: bricks
            that are laid elsewhere at each step, cut at the picture's edges. ``random strict``: the
            same, but a tile at an edge is moved inside and keeps its size.
        seed: Of the positions of ``random`` and ``random strict``.
    """

    width: int = 1024
    height: int = 1024
    strategy: str = "random strict"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.strategy not in TILING_STRATEGIES:
            raise InvalidValue(
                "there is no such tiling strategy",
                port="strategy",
                given=self.strategy,
                expected=", ".join(TILING_STRATEGIES),
            )

    @property
    def is_random(self) -> bool:
        """Whether tiles move from step to step."""
        return self.strategy.startswith("random")

    def size_in(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return width and height of the largest tile of a picture, in pixels."""
        return min(self.width, size[0]), min(self.height, size[1])


class StatelessGuider:
    """Base class of guiders that keep no state between steps."""

    __slots__ = ()

    def state(self) -> dict[str, Tensor]:
        """Return an empty state."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Do nothing: there is no state."""


@dataclass(frozen=True, slots=True)
class GuidedModel:
    """Model and prompts that a guider uses during a sampling.

    Attributes:
        model: The model without the hooks of a step cache.
        evaluator: Evaluates the model.
        family: Family of the model.
        cfg: The chosen guidance scale.
        scale: Function that returns the guidance scale at a moment.
        scale_changes: Whether the chosen scale changes during the sampling.
        fitting: Fits prompts to the model and the latent.
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
        """Return both sides in the order in which the family's model evaluates them."""
        if self.family.positive_first:
            return ("positive", "negative")
        return ("negative", "positive")


class GuidanceMethod(ABC):
    """Description of a guider: how predictions are combined. Subclasses are frozen dataclasses.

    Attributes:
        title: Display name.
    """

    __slots__ = ()
    title: ClassVar[str]

    @property
    def prompts(self) -> Mapping[Side, Conditioning]:
        """Prompts of further sides, in addition to the positive and the negative one."""
        return {}

    @property
    def is_default(self) -> bool:
        """Whether it is the default, which guidance-distilled models also allow."""
        return False

    @property
    def always(self) -> bool:
        """Whether all of its sides are evaluated at every scale."""
        return False

    @abstractmethod
    def begin(self, guided_model: GuidedModel) -> Guider:
        """Create the guider for one sampling."""


class AddedTerm(Protocol):
    """Guidance added to the result of a guider."""

    @property
    def evaluators(self) -> Mapping[Side, ModelEvaluator]:
        """Evaluators of other models, by the sides that they evaluate instead of the model."""
        ...

    def applies(self, moment: Moment) -> bool:
        """Return whether it applies at a step."""
        ...

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Return the sides that it needs at a step at which it applies."""
        ...

    def term(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """Return the term that it adds to the guided output.

        Args:
            x: The latent as the model takes it.
            outputs: Outputs of all evaluated sides; ``guided`` is the guided output so far.
        """
        ...


@dataclass(frozen=True, slots=True)
class AddedGuidance(ABC):
    """Description of guidance that is added to that of a guider.

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
        """Return prompts of further sides, in addition to the positive and the negative one.

        Args:
            index: Its index among the added guidance.
        """
        return {}

    @property
    def description(self) -> str:
        """Short description with its scale."""
        return f"{self.title} at {self.scale:g}"

    @property
    def needs_negative(self) -> bool:
        """Whether it needs more than the positive prompt."""
        return False

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """Recipes of other models that it needs in memory."""
        return ()

    @abstractmethod
    def check(self, model: DiffusionModel) -> None:
        """Check, before anything is loaded, that it fits a model.

        Raises:
            InvalidValue: It does not fit; on port ``guider``.
        """

    @abstractmethod
    def begin(self, guided_model: GuidedModel, index: int) -> AddedTerm:
        """Create the added term for one sampling."""
