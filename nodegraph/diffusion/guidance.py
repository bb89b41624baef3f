"""Asking the model: which prompts apply at a step, and what the model's answers add up to."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry, Latent
from nodegraph.diffusion.attention import SlicedAttention, attention_by
from nodegraph.diffusion.components import Denoiser
from nodegraph.diffusion.families import Family, family_named
from nodegraph.diffusion.families.base import SHARED, Asked, Moment, Side
from nodegraph.diffusion.families.first_picture import FIRST_FRAME
from nodegraph.diffusion.families.patches import referenced
from nodegraph.diffusion.guidable import check_guidable, check_negative
from nodegraph.diffusion.masks import mask_to_cells
from nodegraph.diffusion.names import ASKS_UNGUIDED
from nodegraph.diffusion.projected_guidance import ProjectedGuidance
from nodegraph.diffusion.sampling_parts import GuiderChoice
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.diffusion.speed.options import StepCaching
    from nodegraph.diffusion.speed.step_caches import CachedSteps

_CACHED = "cached."
"""Before the names of what a step cache keeps, in guidance's state."""


class Guider(Protocol):
    """Which sides are evaluated at a step, and what their outputs add up to.

    One that keeps something between steps says so in `state`, so that a sampling that goes on
    later goes on to the same bits.
    """

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """What to evaluate."""
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


@dataclass(frozen=True, slots=True)
class ClassifierFree:
    """Away from the negative prompt, towards the positive one.

    Attributes:
        scale: The guidance scale at a moment: 1 is the positive prompt alone.
        is_guided: Whether there is a negative side.
        rescale, start, end: As of `GuiderChoice`.
    """

    family: Family
    scale: Callable[[Moment], float]
    is_guided: bool
    rescale: float = 0.0
    start: float = 0.0
    end: float = 1.0

    def _guides(self, moment: Moment) -> bool:
        return self.is_guided and self.start <= moment.progress < self.end

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """Both, in the order in which the family's model is asked."""
        if not self._guides(moment):
            return ("positive",)
        return ("positive", "negative") if self.family.positive_first else ("negative", "positive")

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """See `Family.guided`."""
        if not self._guides(moment):
            return outputs["positive"]
        cfg, towards = self.scale(moment), outputs["positive"]
        guided = self.family.guided(towards, outputs["negative"], cfg)
        return rescaled(guided, towards, self.rescale) if self.rescale else guided

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to do."""


def rescaled(guided: Tensor, towards: Tensor, share: float) -> Tensor:
    """A guided output brought to the spread of the positive prompt's, as overexposure goes along
    with a larger one.

    Source: Lin et al. 2023, arXiv:2305.08891, equations 15 and 16.
    """
    sides = list(range(1, towards.ndim))
    spread, wanted = (item.std(dim=sides, keepdim=True) for item in (guided, towards))
    return share * (guided * (wanted / spread)) + (1 - share) * guided


@dataclass(frozen=True, slots=True)
class DualGuidance:
    """From the negative prompt towards the second one, and from there towards the positive.

    Source: Brooks et al. 2023, arXiv:2211.09800, equation 3.

    Attributes:
        cfg: Scale of the way from the second prompt to the positive one.
        second_cfg: Scale of the way to the second.
    """

    cfg: float
    second_cfg: float

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """All three."""
        return ("negative", "second", "positive")

    def combine(self, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """The sum of the two ways."""
        away, second, towards = (outputs[side] for side in self.sides(moment))
        return away + self.second_cfg * (second - away) + self.cfg * (towards - second)

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to do."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conditioning entry where the model needs it.

    Attributes:
        tensors: As `Family.fit` gave them, in the model's dtype, on its device.
        weight: Share among the prompts of a step; 0-dimensional, or (1, 1, height, width) in
            latent cells where it applies to part of the picture only.
        start, end: Part of the sampling it applies to, 0 to 1.
        name: Tells it from the others of a sampling.
    """

    tensors: Mapping[str, Tensor]
    weight: Tensor
    start: float = 0.0
    end: float = 1.0
    name: str = ""

    def applies(self, progress: float) -> bool:
        """Whether it takes part at a point of the sampling, 0 to below 1."""
        return self.start <= progress < self.end


@dataclass(slots=True)
class Prompts:
    """The prompts of one side.

    Attributes:
        side: For messages.
        prompts: In the order of the conditioning.
        empty: The empty prompt, if the conditioning brings it.
    """

    side: Side
    prompts: Sequence[Prompt]
    empty: Prompt | None
    _covers: dict[tuple[bool, ...], list[Prompt]] = field(default_factory=dict)

    def at(self, progress: float) -> list[Prompt]:
        """The prompts that apply, and the empty one for cells where none does.

        Raises:
            InvalidValue: The empty prompt is needed and there is none.
        """
        applying = tuple(prompt.applies(progress) for prompt in self.prompts)
        if applying not in self._covers:
            self._covers[applying] = self._cover(list(compress(self.prompts, applying)))
        return self._covers[applying]

    def _cover(self, prompts: list[Prompt]) -> list[Prompt]:
        if not prompts:
            return [self._empty_prompt(torch.tensor(1.0))]
        bare = _total([prompt.weight for prompt in prompts]) <= 0
        return [*prompts, self._empty_prompt(bare.float())] if bare.any() else prompts

    def _empty_prompt(self, weight: Tensor) -> Prompt:
        if self.empty is None:
            raise InvalidValue(
                "the empty prompt is needed and the conditioning doesn't bring it",
                port=self.side,
                expected=f"a {self.side} prompt for the whole picture and the whole sampling",
                hint="Link an EncodePrompt, with empty text if nothing is to be said.",
            )
        return replace(self.empty, weight=weight)


class Guidance:
    """A model that is led by prompts.

    As many of a step's prompts as fit are evaluated in one batch, in the order that the stock
    pipelines have, so that results are equal to the bit. With cfg up to 1, or a model that takes
    the scale as an input, the negative side is left out; without a negative prompt the empty one
    stands in where the family needs one.

    Where several positive (or negative) entries apply, their outputs are averaged by strength and
    mask. Where none does, the empty prompt stands in.

    Args:
        choice: The prompts, and how the model's answers to them are put together.
        sampler: Its name: some look at the negative side whatever the scale.
        width, height: In pixels.
        shape: Of the latent: (batch, channels, height, width) in cells, or with frames.
    Attributes:
        unguided: The negative side's output when the model was last asked; where there is no such
            side, the guided one.
    Raises:
        InvalidValue: A prompt doesn't fit the model, or the model can't be led that way.
    """

    def __init__(
        self,
        model: Denoiser,
        choice: GuiderChoice,
        *,
        sampler: str | None = None,
        width: int,
        height: int,
        shape: Sequence[int],
    ) -> None:
        self._steps = None if model.caching is None else cached_steps(model, model.caching)
        self._model = model if self._steps is None else self._steps.model
        self._family = family_named(model.family)
        self._size = width, height
        self._shape = tuple(shape)
        self._cfg = choice.cfg
        empty = next(
            (item.unconditional for item in choice.prompts.values() if item and item.unconditional),
            None,
        )
        self._first = _entries("positive", choice.positive)[0]
        is_guided = self._is_guided(choice, sampler)
        given: dict[Side, Conditioning | None] = {"positive": choice.positive}
        if is_guided:
            given["negative"] = choice.negative
        if choice.second is not None:
            given["second"] = choice.second
        self._sides = {side: self._prompts(side, item, empty) for side, item in given.items()}
        self.guider: Guider = self._chosen(choice, is_guided)
        self.unguided: Tensor | None = None

    def _is_guided(self, choice: GuiderChoice, sampler: str | None) -> bool:
        """Whether a negative side is evaluated.

        Raises:
            InvalidValue: It would have to be, and the model is asked for one prompt alone.
        """
        if guides_itself(self._family, self._model):
            several = choice.second is not None or choice.projection is not None
            check_guidable(sampler, several=several)
        if sampler in ASKS_UNGUIDED or choice.second is not None:
            return True
        has_negative = choice.negative is not None
        return is_guided_by(self._family, self._model, choice.cfg, has_negative=has_negative)

    def _chosen(self, choice: GuiderChoice, is_guided: bool) -> Guider:
        if choice.second is not None:
            return DualGuidance(choice.cfg, choice.second_cfg)
        if choice.projection is not None and is_guided:
            momentum, longest, along = choice.projection
            return ProjectedGuidance(choice.cfg, choice.cfg, -1, momentum or None, longest, along)
        leading = [prompt.tensors for prompt in self._sides["positive"].prompts]
        own = self._family.guider(self._model, choice.cfg, leading) if is_guided else None
        scale = functools.partial(self._family.scale, self._model, self._first, choice.cfg)
        return own or ClassifierFree(
            self._family, scale, is_guided, choice.rescale, choice.start, choice.end
        )

    @property
    def first_frame(self) -> Tensor | None:
        """Latent of the picture that a video begins with, as the prompt brings it."""
        return self._first.tensors.get(FIRST_FRAME)

    def __call__(self, x: Tensor, moment: Moment) -> Tensor:
        """The model's output for x, guided.

        Args:
            x: The latent as the model takes it.
        """
        sides = {side: self._sides[side].at(moment.progress) for side in self.guider.sides(moment)}
        flat = [prompt for prompts in sides.values() for prompt in prompts]
        answers = iter(self._outputs(x, moment, flat))
        outputs = {
            side: _mean([next(answers) for _ in prompts], prompts)
            for side, prompts in sides.items()
        }
        guided = self.guider.combine(outputs, moment)
        self.unguided = outputs.get("negative", guided)
        return guided

    @property
    def is_savable(self) -> bool:
        """Whether `state` is small enough to be saved now and then."""
        return self._steps is None or self._steps.is_savable

    @property
    def reuse(self) -> str:
        """What a step cache has spared, in words; empty where there is nothing to tell."""
        return "" if self._steps is None else self._steps.reuse

    def state(self) -> dict[str, Tensor]:
        """What is kept between steps, by name."""
        cached = {} if self._steps is None else self._steps.state()
        return self.guider.state() | {f"{_CACHED}{name}": item for name, item in cached.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from what `state` gave.

        Raises:
            ValueError: It is damaged.
        """
        cached = {name: item for name, item in state.items() if name.startswith(_CACHED)}
        self.guider.restore({name: state[name] for name in state.keys() - cached.keys()})
        if self._steps is not None:
            self._steps.restore({name.removeprefix(_CACHED): cached[name] for name in cached})

    def check(self, moments: Iterable[float]) -> None:
        """Find out before sampling whether there is a prompt for each of these moments.

        Raises:
            InvalidValue: The empty prompt is needed and there is none.
        """
        for progress in moments:
            for side in self._sides.values():
                side.at(progress)

    def _outputs(self, x: Tensor, moment: Moment, prompts: Sequence[Prompt]) -> list[Tensor]:
        found: dict[int, Tensor] = {}
        for group in self._family.groups([prompt.tensors for prompt in prompts]):
            output = self._evaluated(x, moment, [prompts[place] for place in group])
            found |= zip(group, output.chunk(len(group)), strict=True)
        return [found[place] for place in range(len(prompts))]

    def _evaluated(self, x: Tensor, moment: Moment, prompts: Sequence[Prompt]) -> Tensor:
        if not self._model.one_by_one:
            xs = torch.cat([x] * len(prompts))
            return self._asked(xs, moment, prompts, "+".join(item.name for item in prompts))
        # Guidance asks for several prompts in one batch: this halves what layers hold, at least.
        with SlicedAttention():
            singles = [
                self._asked(item[None], moment, [prompt], f"{prompt.name} of {place}")
                for prompt in prompts
                for place, item in enumerate(x)
            ]
        return torch.cat(singles)

    def _asked(self, xs: Tensor, moment: Moment, prompts: Sequence[Prompt], name: str) -> Tensor:
        """The network's output.

        Args:
            name: Of the prompts and items, alike at each step.
        """
        tensors = [prompt.tensors for prompt in prompts]
        batch = self._family.join(tensors, len(xs) // len(prompts))
        keeping = nullcontext() if self._steps is None else self._steps.call(name, moment)
        with attention_by(self._model.attention), keeping:
            return self._family.predict(self._model, xs, moment, batch)

    def _prompts(
        self, side: Side, conditioning: Conditioning | None, empty: ConditioningEntry | None
    ) -> Prompts:
        entries = () if conditioning is None else _entries(side, conditioning)
        return Prompts(
            side,
            [self._prompt(side, entry, str(place)) for place, entry in enumerate(entries)],
            None if empty is None else self._prompt(side, empty, "empty"),
        )

    def _prompt(self, side: Side, entry: ConditioningEntry, name: str) -> Prompt:
        if entry.controls:
            raise InvalidValue(
                f"{self._family.title} can't be led by control pictures here",
                port=side,
                hint="Leave the node out that adds them.",
            )
        weight = _weight(entry, self._shape)
        lead: Side = "negative" if side == "negative" else "positive"
        asked = Asked(lead, *self._size, self._shape, self._cfg)
        entry = self._with_picture(entry)
        tensors = self._family.fit(self._model, entry, asked)
        if entry.references and not referenced(tensors):
            raise InvalidValue(
                f"{self._family.title} looks at no pictures",
                port=side,
                given=f"{len(entry.references)} to look at",
                hint="Leave ReferenceLatents out, or load a model that edits.",
            )
        placed = {name: self._placed(tensor) for name, tensor in tensors.items()}
        return Prompt(placed, weight, entry.start, entry.end, f"{side} {name}")

    def _with_picture(self, entry: ConditioningEntry) -> ConditioningEntry:
        """What the first positive prompt brings of pictures goes for those that bring none."""
        first = self._first
        seen = {name: first.tensors[name] for name in SHARED if name in first.tensors}
        references = entry.references or first.references
        return replace(entry, tensors={**seen, **entry.tensors}, references=references)

    def _placed(self, tensor: Tensor) -> Tensor:
        dtype = self._model.dtype if tensor.is_floating_point() else tensor.dtype
        return tensor.to(self._model.device, dtype)


def cached_steps(model: Denoiser, caching: StepCaching) -> CachedSteps:
    """The model with a step cache of its own."""
    # Its hooks take a while to import, which only those wait for who use them.
    from nodegraph.diffusion.speed.step_caches import CachedSteps

    return CachedSteps(model, caching)


def check_cover(
    family: Family, choice: GuiderChoice, latent: Latent, moments: Iterable[float], sampler: str
) -> None:
    """Find out before a model is loaded whether a positive prompt applies everywhere, at each step,
    and whether there is a negative one if it is asked for whatever the scale.

    Args:
        moments: Of the steps: parts of the sampling that are done.
        sampler: Its name.
    Raises:
        InvalidValue: The empty prompt is needed and there is none.
    """
    if any(given is not None and given.unconditional for given in choice.prompts.values()):
        return
    if choice.negative is None:
        check_negative(sampler, several=choice.second is not None)
    cells = family.latent.cells(latent.height), family.latent.cells(latent.width)
    shape = (1, 1, 1, *cells) if family.latent.temporal else (1, 1, *cells)
    prompts = [
        Prompt({}, _weight(entry, shape), entry.start, entry.end)
        for entry in _entries("positive", choice.positive)
    ]
    found = Prompts("positive", prompts, None)
    for progress in moments:
        found.at(progress)


def guides_itself(family: Family, model: Denoiser) -> bool:
    """Whether the model was distilled from guidance; see `Family.guides_itself`."""
    return family.guides_itself(model.config, model.settings)


def is_guided_by(family: Family, model: Denoiser, cfg: float, *, has_negative: bool) -> bool:
    """Whether a negative side is evaluated."""
    if cfg <= 1 or guides_itself(family, model):
        return False
    return has_negative or family.needs_negative


def _weight(entry: ConditioningEntry, shape: Sequence[int]) -> Tensor:
    """The share of an entry among the prompts of a step; see `Prompt`."""
    weight = torch.tensor(float(entry.strength))
    if entry.mask is None:
        return weight
    cells = mask_to_cells(entry.mask.float(), shape[-2], shape[-1])
    return weight * (cells if len(shape) == 4 else cells.unsqueeze(2))


def _entries(side: Side, conditioning: Conditioning) -> Sequence[ConditioningEntry]:
    if not conditioning.entries:
        raise InvalidValue("the conditioning is empty", port=side, hint="Link an EncodePrompt.")
    return conditioning.entries


def _mean(outputs: Sequence[Tensor], prompts: Sequence[Prompt]) -> Tensor:
    """The outputs' mean by weight."""
    if len(prompts) == 1:
        return outputs[0]  # untouched, so that not a bit changes
    weights = [prompt.weight.to(outputs[0].device, outputs[0].dtype) for prompt in prompts]
    weighted = [output * weight for output, weight in zip(outputs, weights, strict=True)]
    return torch.stack(weighted).sum(0) / _total(weights)


def _total(weights: Sequence[Tensor]) -> Tensor:
    return functools.reduce(torch.add, weights)
