"""Parts of a sampling as port types: noise, guider, sampler and schedule.

Each is a port type: nodes make them, and the one loop takes them. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nodegraph.core.foreign_value import Lent
from nodegraph.core.ports import port_type
from nodegraph.core.values import (
    Conditioning,
    ConditioningEntry,
    DiffusionModel,
    Latent,
    Recipe,
)
from nodegraph.errors import InvalidValue
from nodegraph.sampling.composed_schedules import Schedule, named_schedule
from nodegraph.sampling.guiders.base import (
    AddedGuidance,
    ChangingScale,
    GuidanceMethod,
    LatentOperation,
    TiledEvaluation,
)
from nodegraph.sampling.guiders.checks import check_from_zero, check_interval
from nodegraph.sampling.guiders.context_windows import WindowedEvaluation
from nodegraph.sampling.guiders.methods import DefaultGuidance
from nodegraph.sampling.sampler_options import SamplerOptions

if TYPE_CHECKING:
    from torch import Tensor


CONVENTIONS = ("diffusers", "comfyui")
"""What counts where tools differ in how they lay noise levels, begin, ask the model, keep what a
mask keeps, and tell parts of a sampling; see docs/comfyui.md."""
DROPS_A_LEVEL = frozenset({"dpm_2", "dpm_2_ancestral", "uni_pc", "uni_pc_bh1"})
"""Samplers for which ComfyUI's KSampler lays one level more and leaves the last above 0 out."""
DRAWS = ("per item", "per batch", "per batch, one seed")
"""How noise is drawn; see `nodegraph.sampling.latent_noise`."""


@port_type(name="Noise", color="#b0a08c")
@dataclass(frozen=True, slots=True)
class SamplingNoise:
    """The noise that a sampling begins with, and the seed of what is drawn on the way.

    Attributes:
        seed: Of item 0, 0 to 2**64 - 1; the next ones count up from it.
        added: Whether there is any to begin with; else the latent is begun with as it is.
        tensor: Standard normal noise in place of what the seed gives; float32 on the CPU, shape (1
            or batch, channels, height, width) in cells, with frames before the height for videos.
        other_seed: Of noise that is mixed in, as `seed`.
        share: Of that other noise: 0 is the first alone, 1 the other alone.
        draw: How it is drawn, one of `DRAWS`; see `nodegraph.sampling.latent_noise`.
        strength: What the noise that it begins with is multiplied by.
    """

    seed: int = 0
    added: bool = True
    tensor: Tensor | None = None
    other_seed: int = 0
    share: float = 0.0
    draw: str = "per item"
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class LentNoise(SamplingNoise, Lent):
    """Noise of a pack, while a native node runs that uses it.

    Attributes:
        draw_for: Draws it for a model and a latent: standard normal, float32, as `tensor`.
    """

    draw_for: Callable[[DiffusionModel, Latent], Tensor] | None = None

    def drawn(self, model: DiffusionModel, latent: Latent) -> SamplingNoise:
        """The noise as a tensor. Noise on the way is that of the seed, by ComfyUI's rules."""
        assert self.draw_for is not None
        tensor = self.draw_for(model, latent)
        return SamplingNoise(self.seed, tensor=tensor, draw="per batch", strength=self.strength)


def drawn_noise(noise: SamplingNoise, model: DiffusionModel, latent: Latent) -> SamplingNoise:
    """Noise for a latent: that of a pack is drawn by the pack."""
    return noise.drawn(model, latent) if type(noise) is LentNoise else noise


@port_type(name="Guider", color="#66b5b5")
@dataclass(frozen=True, slots=True)
class GuiderChoice:
    """What a model is led by, and how its answers are put together.

    Attributes:
        positive, negative: What to lead to and away from; negative None stands for the empty
            prompt.
        cfg: Guidance scale: 1 is the positive prompt alone.
        start, end: Part of the sampling that is guided, 0 to 1; the positive prompt alone leads
            in the rest. Source: Kynkäänniemi et al. 2024, arXiv:2404.07724.
        rescale: How far the guided answer is brought to the spread of the positive one's, 0 to 1.
            Source: Lin et al. 2023, arXiv:2305.08891, equations 15 and 16.
        rescales_velocity: Whether the spread is that of velocities, whatever the model predicts.
        norm: What the clean latent is multiplied by, once it is nowhere longer than the positive
            prompt alone has it; None: it may be longer.
        method: How the answers to its prompts are put together.
        changing: How the guidance scale changes on the way; None: it stays.
        added: Guidance on top of that, in this order.
        embedded: The scale given to a model that was distilled from guidance; its family's
            own where None. It is guided besides where `cfg` says so.
        operations: What is done, in this order, to the difference of the positive and the negative
            prediction before anything else.
        tiling: How the model is evaluated tile by tile; None: on the whole latent.
        windows: Windows of frames in which a video model is evaluated; None: on all frames.
    """

    positive: Conditioning
    negative: Conditioning | None = None
    cfg: float = 1.0
    start: float = 0.0
    end: float = 1.0
    rescale: float = 0.0
    norm: float | None = None
    method: GuidanceMethod = field(default_factory=DefaultGuidance)
    changing: ChangingScale | None = None
    added: tuple[AddedGuidance, ...] = ()
    embedded: float | None = None
    rescales_velocity: bool = False
    operations: tuple[LatentOperation, ...] = ()
    tiling: TiledEvaluation | None = None
    windows: WindowedEvaluation | None = None

    def __post_init__(self) -> None:
        check_from_zero("cfg", self.cfg)
        check_from_zero("guidance", self.embedded or 0.0)
        check_from_zero("strength", self.norm or 0.0)
        check_interval(self.start, self.end)
        if self.tiling is not None and self.windows is not None:
            raise InvalidValue(
                "a model is evaluated in tiles or in context windows, not in both",
                port="guider",
                hint="Remove TiledGuidance or ContextWindows.",
            )
        if not 0 <= self.rescale <= 1:
            raise InvalidValue(
                "rescale is out of range",
                port="rescale",
                given=str(self.rescale),
                expected="0 to 1",
            )

    @property
    def prompts(self) -> dict[str, Conditioning | None]:
        """By side."""
        by_side = {"positive": self.positive, "negative": self.negative, **self.method.prompts}
        for index, item in enumerate(self.added):
            by_side |= item.prompts(index)
        return by_side

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """What has to be in memory besides the model."""
        return tuple(dict.fromkeys(recipe for item in self.added for recipe in item.recipes))

    @property
    def always_uses_negative(self) -> bool:
        """Whether it asks about the negative side whatever the scale."""
        return self.method.always or any(item.needs_negative for item in self.added)

    @property
    def empty(self) -> ConditioningEntry | None:
        """The empty prompt, if one of the prompts brings it."""
        entries = (item.unconditional for item in self.prompts.values() if item is not None)
        return next(filter(None, entries), None)

    @property
    def is_guided(self) -> bool:
        """Whether more than the positive prompt is asked for."""
        return self.always_uses_negative or self.max_scale > 1

    @property
    def description(self) -> str:
        """What leads besides usual guidance, in words; empty where nothing does."""
        method = () if self.method.is_default else (f"{self.method.title} at {self.cfg:g}",)
        return ", ".join((*method, *(item.description for item in self.added)))

    @property
    def max_scale(self) -> float:
        """The largest guidance scale on the way."""
        return self.cfg if self.changing is None else max(self.cfg, self.changing.end)


@dataclass(frozen=True, slots=True)
class LentGuider(GuiderChoice, Lent):
    """A guider of a pack, while a native node runs that uses it. Its prompts and scale are those
    that a sampling is planned with.

    Attributes:
        model: The model that it samples.
        walk: Samples with it; a `PackGuider`.
    """

    model: DiffusionModel | None = None
    walk: Any = None


@port_type(name="Sampler", color="#c99bd8")
@dataclass(frozen=True, slots=True)
class SamplerChoice:
    """The method by which a sampling steps.

    Attributes:
        name: One of `nodegraph.families.sampler_names.all_sampler_names`.
        options: Its other options.
        release: Of the package that brings it: results count by it. Empty of built-in ones.
    """

    name: str
    options: SamplerOptions = field(default_factory=SamplerOptions)
    release: str = ""


@dataclass(frozen=True, slots=True)
class LentSampler(SamplerChoice, Lent):
    """A sampler of a pack, while a native node runs that uses it. Its `name` is a native sampler
    with the same noise levels.

    Attributes:
        walk: Walks the noise levels of a sampling; a `PackWalk`.
    """

    walk: Any = None


@dataclass(frozen=True, slots=True)
class SamplingParts:
    """All of a sampling but its model and its latent.

    Attributes:
        convention: One of `CONVENTIONS`.
    """

    noise: SamplingNoise
    guider: GuiderChoice
    sampler: SamplerChoice
    schedule: Schedule
    convention: str = "diffusers"


def build_sampling_parts(
    positive: Conditioning,
    negative: Conditioning | None,
    *,
    seed: int,
    steps: int,
    cfg: float,
    sampler: str,
    schedule: str,
    denoise: float = 1.0,
    denoise_steps: str = "share",
    draw: str = "per item",
    convention: str = "diffusers",
    sampler_options: SamplerOptions | None = None,
) -> SamplingParts:
    """Classifier-free guidance from seeded noise, by the names of a sampler and a schedule.

    Args:
        positive, negative: What to lead to and away from; negative None stands for the empty
            prompt.
        seed: Of item 0's noise, 0 to 2**64 - 1.
        steps: Steps of the whole schedule, 1 to 10000.
        cfg: Guidance scale; up to 1 the negative prompt is not looked at.
        sampler, schedule: Names in `nodegraph.families.sampler_names`.
        denoise: Part of the schedule that is walked, above 0 to 1.
        denoise_steps: How many steps that is, one of
            `nodegraph.families.schedule_checks.DENOISE_STEPS`.
        draw: How noise is drawn, one of `DRAWS`.
        convention: One of `CONVENTIONS`.
        sampler_options: Options of the sampler.
    Raises:
        InvalidValue: An argument is out of range.
    """
    return SamplingParts(
        SamplingNoise(seed, draw=draw),
        GuiderChoice(positive, negative, cfg),
        SamplerChoice(sampler, sampler_options or SamplerOptions()),
        named_schedule(
            schedule, steps, denoise, denoise_steps, dropped=drops_a_level(sampler, convention)
        ),
        convention,
    )


def drops_a_level(sampler: str, convention: str) -> bool:
    """Whether a named schedule is laid with a level more, of which the last above 0 is left out."""
    return convention == "comfyui" and sampler in DROPS_A_LEVEL
