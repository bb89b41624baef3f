"""One step of a sampling, as models, their families and guiders see it. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

Batch = Mapping[str, Any]
"""The tensors of several prompts, joined for one call of a model."""

Lead = Literal["positive", "negative"]
"""Whether a prompt leads to or away from what it says."""

Side = str
"""What a model is asked about: ``positive``, ``negative``, or what a method names besides."""


@dataclass(frozen=True, slots=True)
class SamplingRequest:
    """What is to be sampled: all that families fit prompts to.

    Attributes:
        side: Whether the prompt leads to or away from what it says.
        width, height: In pixels.
        shape: Of the latent: (batch, channels, height, width) in cells, with frames before the
            height for videos.
        cfg: Guidance scale.
        masked_image: The latent's own masked picture, for prompts that bring none; see `HOLE`.
    """

    side: Lead
    width: int
    height: int
    shape: tuple[int, ...]
    cfg: float
    masked_image: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Moment:
    """Where in a sampling a model is asked.

    Attributes:
        timestep: As the sampler has it; 0-dimensional.
        following: The next one, 0 after the last; 0-dimensional, where the first is.
        training_timesteps: Of the model.
        progress: Part of the sampling that is done, 0 to below 1.
        timestep_value: The timestep as a number of the host: to decide by it waits for no device.
        step: Steps that are done.
        schedule_step, schedule_steps: The same counted from the top of the whole schedule, and its steps in all.
        progress_after: Part of the sampling that is done after the step.
        min_progress: See `nodegraph.sampling.schedules.NoiseLevels`.
    """

    timestep: Tensor
    following: Tensor
    training_timesteps: int
    progress: float
    timestep_value: float = 0.0
    step: int = 0
    schedule_step: int = 0
    schedule_steps: int = 1
    progress_after: float = 1.0
    min_progress: float = 0.0

    @property
    def begun(self) -> float:
        """Part of the sampling up to which those that begin there have begun."""
        return max(self.progress, self.min_progress)

    def is_within(self, start: float, end: float) -> bool:
        """Whether it lies in a part of the sampling, 0 to 1."""
        from nodegraph.core.values import SPAN_TOLERANCE  # checks of models do without values

        return start - SPAN_TOLERANCE <= self.begun and self.progress < end


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
