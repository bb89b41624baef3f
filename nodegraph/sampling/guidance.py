"""Guidance: classifier-free guidance, other guiders and what is added to them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry, Recipe
from nodegraph.families.base import Family
from nodegraph.families.components import Denoiser
from nodegraph.families.image_conditioning import FIRST_FRAME, mask_names
from nodegraph.families.model_step import GuideLayout, Guider, Moment, Side, SoundLayout
from nodegraph.families.noise import clean_arithmetic
from nodegraph.families.registry import get_family
from nodegraph.families.sampler_names import asks_unguided
from nodegraph.models.gligen import sampling_grounding
from nodegraph.sampling.guiders.base import AddedTerm, GuidedModel
from nodegraph.sampling.guiders.checks import check_guidable, check_takes_scale
from nodegraph.sampling.guiders.classifier_free import (
    ClassifierFree,
    CleanCombination,
    NormLimit,
    OperatedDirection,
    Rescaling,
)
from nodegraph.sampling.model_calls import ModelEvaluator, evaluate_mean
from nodegraph.sampling.padded_latent import PaddedLatent
from nodegraph.sampling.prompts import PromptFitter, entries_of, mean_of, with_same_windows
from nodegraph.sampling.sampling_parts import GuiderChoice
from nodegraph.sampling.tiled_evaluation import TiledEvaluator, TileLayout
from nodegraph.sampling.windowed_evaluation import (
    WindowCallback,
    evaluator_of,
    frames_at_once,
)


@dataclass(frozen=True, slots=True)
class ComposedGuider:
    """A guider in a part of a sampling, and guidance that is added to what it gives.

    Attributes:
        guider: What leads by several sides; None where the positive prompt leads alone.
        added: In the order in which it is added.
        rescaling: What is done to the sum.
        start, end: As of `GuiderChoice`.
        shortening: What is done last.
        positive_only: Whether the positive prompt leads alone at a step within its part.
        operating: What is done to the positive side first.
        clean: Combines clean latents in place of outputs. None for most families.
        guides: Frame guides, which are held in the sum.
    """

    guider: Guider | None
    added: Sequence[AddedTerm] = ()
    rescaling: Rescaling | None = None
    start: float = 0.0
    end: float = 1.0
    shortening: NormLimit | None = None
    positive_only: Callable[[Moment], bool] = lambda moment: False
    operating: OperatedDirection | None = None
    clean: CleanCombination | None = None
    guides: GuideLayout | None = None

    def _guiding(self, moment: Moment) -> Guider | None:
        applies = moment.is_within(self.start, self.end) and not self.positive_only(moment)
        return self.guider if applies else None

    def _adding(self, moment: Moment) -> list[AddedTerm]:
        return [term for term in self.added if term.applies(moment)]

    def sides(self, moment: Moment) -> tuple[Side, ...]:
        """All that is evaluated at a step: the positive one alone outside of the parts."""
        guider = self._guiding(moment)
        own = ("positive",) if guider is None else guider.sides(moment)
        further = [side for term in self._adding(moment) for side in term.sides(moment)]
        return tuple(dict.fromkeys([*own, *further]))

    def evaluators(self, moment: Moment) -> Mapping[Side, ModelEvaluator]:
        """Who answers for some sides in place of the model itself."""
        return {
            side: evaluator
            for term in self._adding(moment)
            for side, evaluator in term.evaluators.items()
        }

    def combine(self, x: Tensor, outputs: Mapping[Side, Tensor], moment: Moment) -> Tensor:
        """What the outputs add up to, brought to the spread and length of the positive one.

        Args:
            x: The latent as the model takes it.
        """
        if self.operating is not None:
            outputs = {**outputs, "positive": self.operating.positive(x, outputs, moment)}
        guider, adding, towards = self._guiding(moment), self._adding(moment), outputs["positive"]
        if self.clean is not None and (guider is None or isinstance(guider, ClassifierFree)):
            holds = not (adding or self.rescaling or self.shortening)
            guided = self.clean.combine(x, outputs, guider, moment, holds=holds)
            if holds:
                return guided
        else:
            guided = towards if guider is None else guider.combine(outputs, moment)
        for term in adding:
            guided = guided + term.term(x, {**outputs, "guided": guided}, moment)
        is_guided = guider is not None or bool(adding)
        if is_guided and self.rescaling is not None:
            guided = self.rescaling.applied(x, guided, towards, moment)
        if is_guided and self.shortening is not None:
            guided = self.shortening.limit(x, guided, towards, moment)
        return guided if self.guides is None else self.guides.hold_output(x, guided, moment.sigma)

    def state(self) -> dict[str, Tensor]:
        """The guider's: what is added keeps nothing."""
        return {} if self.guider is None else self.guider.state()

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned."""
        if self.guider is not None:
            self.guider.restore(state)


_CACHED = "cached."
"""Before the names of what a step cache keeps, in guidance's state."""


class Guidance:
    """A model that is led by prompts.

    With cfg up to 1, or a model that takes the scale as an input, the negative side is left out;
    without a negative prompt the empty one stands in where the family needs one.

    Where several positive (or negative) entries apply, their outputs are averaged by strength and
    mask. Where none does, the empty prompt stands in.

    Args:
        choice: The prompts, and how the model's answers to them are put together.
        sampler: Its name: some look at the negative side whatever the scale.
        width, height: In pixels.
        shape: Of the latent: (batch, channels, height, width) in cells, or with frames.
        inpaint_tensors: The latent's own masked image, for models that fill one.
        extra_models: What the guider wants in memory besides the model, by its recipe.
        sound, guides: Of the latent; see `SamplingRequest`.
        seed: See `SamplingRequest`.
        padding: What the latent is padded by, if it is.
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
        inpaint_tensors: Mapping[str, Tensor] | None = None,
        extra_models: Mapping[Recipe, Any] | None = None,
        sound: SoundLayout | None = None,
        guides: GuideLayout | None = None,
        seed: int | None = None,
        padding: PaddedLatent | None = None,
    ) -> None:
        self._layout = None if choice.tiling is None else TileLayout(choice.tiling)
        self._between = WindowCallback()
        family = get_family(model.family)
        size = width, height
        self._evaluator = evaluator_of(model, size, shape, choice.windows, family, self._between)
        if self._layout is not None:
            self._evaluator = TiledEvaluator(model, size, shape, self._layout)
        self._family = family
        self._asks_unguided = asks_unguided(sampler)
        is_guided = self._is_guided(choice, sampler)
        first = entries_of("positive", choice.positive)[0]
        first = first if padding is None else padding.entry(first)
        conditionings: dict[Side, Conditioning | None] = {"positive": choice.positive}
        if is_guided:
            conditionings |= {"negative": choice.negative, **choice.method.prompts}
        for index, added in enumerate(choice.added):
            conditionings |= {"negative": choice.negative} if added.needs_negative else {}
            conditionings |= added.prompts(index)
        fitting = PromptFitter(
            self._evaluator.model,
            self._family,
            width,
            height,
            tuple(shape),
            choice.cfg,
            first,
            choice.empty,
            self._evaluator.controls,
            choice.embedded,
            inpaint_tensors or {},
            _any_masked(conditionings.values(), choice.empty),
            sampling_grounding(
                entry for item in conditionings.values() if item for entry in item.entries
            ),
            sound,
            guides,
            frames_at_once(choice.windows, shape, family.latent.temporal),
            seed,
            padding,
        )
        if self._layout is not None:
            self._layout.fitting = fitting
        self._sides = {side: fitting.prompts(side, item) for side, item in conditionings.items()}
        with_same_windows(self._sides)
        self._first = first
        self._guider = self._composed(
            model, choice, fitting, extra_models or {}, is_guided=is_guided
        )
        self._guides = guides
        self.unguided: Tensor | None = None

    @property
    def first_frame(self) -> Tensor | None:
        """The first latent frames that a video keeps."""
        return self._first.tensors.get(FIRST_FRAME)

    def initial_noise(self, noise: Tensor) -> Tensor:
        """What a sampling starts from: noise, into which some families mix the first image."""
        return self._family.initial_noise(noise, self._first)

    def _is_guided(self, choice: GuiderChoice, sampler: str | None) -> bool:
        """Whether a negative side is evaluated.

        Raises:
            InvalidValue: It would have to be, and the model is asked for one prompt alone.
        """
        model, method = self._evaluator.model, choice.method
        is_told = guides_itself(self._family, model)
        if choice.embedded is not None:
            check_takes_scale(takes_scale=self._family.takes_scale(model.config))
            is_told = False
        if is_told:
            several = not method.is_default or any(item.needs_negative for item in choice.added)
            check_guidable(sampler, needs_negative=several)
        if asks_unguided(sampler) or method.always:
            return True
        has_negative = choice.negative is not None or self._family.needs_negative
        return choice.max_scale > 1 and has_negative and not is_told

    def _composed(
        self,
        model: Denoiser,
        choice: GuiderChoice,
        fitting: PromptFitter,
        extra_models: Mapping[Recipe, Any],
        *,
        is_guided: bool,
    ) -> ComposedGuider:
        family = self._family
        guided_model = GuidedModel(
            model,
            self._evaluator,
            family,
            choice.cfg,
            functools.partial(_scale, family, model, fitting.first, choice),
            choice.changing is not None,
            fitting,
            choice.positive,
            self._sides,
            extra_models,
        )
        guider = choice.method.begin(guided_model) if is_guided else None
        added = [item.begin(guided_model, index) for index, item in enumerate(choice.added)]
        return ComposedGuider(
            guider,
            added,
            self._rescaling(model, choice),
            choice.start,
            choice.end,
            self._shortening(model, choice),
            self._resting(guided_model, choice),
            self._operating(model, choice),
            CleanCombination(family, fitting.guides) if family.guides_clean else None,
            fitting.guides,
        )

    def _rescaling(self, model: Denoiser, choice: GuiderChoice) -> Rescaling | None:
        if not choice.rescale:
            return None
        if not choice.rescales_velocity:
            return Rescaling(choice.rescale)
        return Rescaling(choice.rescale, clean_arithmetic(model.scheduler_config, self._family))

    def _shortening(self, model: Denoiser, choice: GuiderChoice) -> NormLimit | None:
        if choice.norm is None:
            return None
        return NormLimit(clean_arithmetic(model.scheduler_config, self._family), choice.norm)

    def _operating(self, model: Denoiser, choice: GuiderChoice) -> OperatedDirection | None:
        if not choice.operations:
            return None
        arithmetic = clean_arithmetic(model.scheduler_config, self._family)
        return OperatedDirection(arithmetic, choice.operations)

    def _resting(self, guided_model: GuidedModel, choice: GuiderChoice) -> Callable[[Moment], bool]:
        """Whether the scale has come to where the negative side makes no difference."""
        if choice.changing is None or not choice.method.is_default or self._asks_unguided:
            return lambda moment: False
        return lambda moment: guided_model.scale(moment) == 1

    def __call__(self, x: Tensor, moment: Moment) -> Tensor:
        """The model's output for x, guided.

        Args:
            x: The latent as the model takes it.
        """
        return self.evaluate(x, moment)["guided"]

    def evaluate(self, x: Tensor, moment: Moment) -> dict[Side, Tensor]:
        """The output for each side, and what guidance makes of them as ``guided``."""
        outputs = self.evaluate_sides(x, moment)
        guided = self._guider.combine(x, outputs, moment)
        self.unguided = outputs.get("negative", guided)
        if self._guides is not None and "negative" in outputs:
            self.unguided = self._guides.hold_output(x, outputs["negative"], moment.sigma)
        return {**outputs, "guided": guided}

    def evaluate_sides(self, x: Tensor, moment: Moment) -> dict[Side, Tensor]:
        """What the model, or who stands in for it, says about each side."""
        first = self._sides["positive"].at(moment.progress, moment.step, moment.begun)[0]
        self._evaluator.begin(first)
        elsewhere = self._guider.evaluators(moment)
        prompts_by_side = {
            side: self._sides[side].at(moment.progress, moment.step, moment.begun)
            for side in self._guider.sides(moment)
        }
        flat = [
            prompt
            for side, item in prompts_by_side.items()
            if side not in elsewhere
            for prompt in item
        ]
        answers = iter(self._evaluator.evaluate(x, moment, flat) if flat else ())
        return {
            side: evaluate_mean(elsewhere[side], self._sides[side], x, moment)
            if side in elsewhere
            else mean_of([next(answers) for _ in prompts], prompts)
            for side, prompts in prompts_by_side.items()
        }

    @contextmanager
    def calling_between_tiles(self, function: Callable[[], object]) -> Iterator[None]:
        """Inside the `with`, call a function before each tile, or context window, but the first.
        An exception that it raises ends the sampling."""
        # Kept any longer, it would keep the model in memory, as it knows the sampling.
        try:
            self._set_between_tiles(function)
            yield
        finally:
            self._set_between_tiles(bool)

    def _set_between_tiles(self, function: Callable[[], object]) -> None:
        self._between.function = function
        if self._layout is not None:
            self._layout.between_tiles = function

    @property
    def is_savable(self) -> bool:
        """Whether `state` is small enough to be saved now and then."""
        return self._evaluator.is_savable

    @property
    def reuse(self) -> str:
        """What a step cache has spared, in words; empty where there is nothing to tell."""
        return self._evaluator.reuse

    def state(self) -> dict[str, Tensor]:
        """What is kept between steps, by name."""
        cached = {f"{_CACHED}{name}": item for name, item in self._evaluator.state().items()}
        return self._guider.state() | cached

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned.

        Raises:
            ValueError: It is damaged.
        """
        cached = {name: item for name, item in state.items() if name.startswith(_CACHED)}
        self._guider.restore({name: state[name] for name in state.keys() - cached.keys()})
        self._evaluator.restore({name.removeprefix(_CACHED): cached[name] for name in cached})

    def check(self, points: Iterable[tuple[float, int, float]]) -> None:
        """Find out before sampling whether there is a prompt for each of these points.

        Args:
            points: As of `check_prompt_coverage`.
        Raises:
            InvalidValue: The empty prompt is needed and there is none.
        """
        for point in points:
            for side in self._sides.values():
                side.at(*point)


def _any_masked(sides: Iterable[Conditioning | None], empty: ConditioningEntry | None) -> bool:
    """Whether images of adapters lead a part alone beside any of the prompts."""
    entries = [entry for item in sides if item is not None for entry in item.entries]
    entries += [] if empty is None else [empty]
    return any(mask_names(entry.tensors) for entry in entries)


def _scale(
    family: Family, model: Denoiser, first: ConditioningEntry, choice: GuiderChoice, moment: Moment
) -> float:
    """The guidance scale at a moment."""
    scale = family.scale(model, first, choice.cfg, moment)
    return scale if choice.changing is None else choice.changing.at(scale, moment)


def guides_itself(family: Family, model: Denoiser) -> bool:
    """Whether the model was distilled from guidance; see `Family.guides_itself`."""
    return family.guides_itself(model.config, model.settings)
