"""Prompts of a sampling: fit them to the model, select them by step, average outputs."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import compress

import torch
from torch import Tensor

from nodegraph.core.values import (
    SPAN_TOLERANCE,
    Conditioning,
    ConditioningEntry,
    Grounding,
    ScheduledAdapter,
    StepSpan,
)
from nodegraph.errors import InvalidValue
from nodegraph.families.base import GUIDANCE, SHARED, Family
from nodegraph.families.components import Denoiser
from nodegraph.families.image_conditioning import (
    CONTROL_IMAGE,
    MASK_MULTIPLE,
    OVER_CELLS,
    is_condition,
    mask_names,
)
from nodegraph.families.model_step import GuideLayout, Lead, SamplingRequest, Side, SoundLayout
from nodegraph.families.patches import reference_latents
from nodegraph.models.gligen import box_tensors, check_family
from nodegraph.sampling.controls.control_residuals import ActiveControls
from nodegraph.sampling.padded_latent import PaddedLatent
from nodegraph.sampling.regions import Window, area_mask, area_window, cells_of, mask_to_cells


@dataclass(frozen=True)
class PromptFitter:
    """What the prompts of a sampling are fitted to.

    Attributes:
        width, height: In pixels.
        shape: Of the latent: (batch, channels, height, width) in cells, or with frames.
        cfg: Guidance scale.
        first: The first positive prompt, whose images go for those that bring none.
        empty: The empty prompt, if a conditioning brings it.
        controls: The images that lead beside prompts.
        embedded: The scale that the model gets as input.
        inpaint_tensors: The latent's own masked image, see `SamplingRequest`.
        grounding: The first text boxes, with whose GLIGEN layers the prompts of all sides are
            read. None if no prompt has some.
        sound: Position of the sound in the latent; see `SamplingRequest`.
        frames_at_once: Of the video; see `SamplingRequest`.
        seed: See `SamplingRequest`.
        padding: What the latent is padded by, if it is.
        masked: Whether images lead a part alone beside any prompt: what of the latent is shown
            for one is shown for those of the other sides, too.
    """

    model: Denoiser
    family: Family
    width: int
    height: int
    shape: tuple[int, ...]
    cfg: float
    first: ConditioningEntry
    empty: ConditioningEntry | None
    controls: ActiveControls
    embedded: float | None = None
    inpaint_tensors: Mapping[str, Tensor] = field(default_factory=dict)
    masked: bool = False
    grounding: Grounding | None = None
    sound: SoundLayout | None = None
    guides: GuideLayout | None = None
    frames_at_once: int | None = None
    seed: int | None = None
    padding: PaddedLatent | None = None

    def prompts(self, side: Side, conditioning: Conditioning | None) -> Prompts:
        """The prompts of one side; None stands for the empty one.

        Raises:
            InvalidValue: One doesn't fit the model.
        """
        entries = () if conditioning is None else entries_of(side, conditioning)
        return Prompts(
            side,
            [self.prompt(side, entry, str(index)) for index, entry in enumerate(entries)],
            None if self.empty is None else self.prompt(side, self.empty, "empty"),
        )

    def prompt(self, side: Side, entry: ConditioningEntry, name: str) -> Prompt:
        """An entry of a side.

        Args:
            name: Among the entries of the side.
        Raises:
            InvalidValue: It doesn't fit the model.
        """
        weight = self._weight(entry)
        if self.padding is not None:
            entry = self.padding.entry(entry)
        source = entry
        if self.sound is not None and weight.ndim:
            weight = over_sound(weight, self.shape, self.sound, entry.strength)
        lead: Lead = "negative" if side.startswith("negative") else "positive"
        entry = self._with_guidance(self._with_picture(entry))
        request = SamplingRequest(
            lead,
            self.width,
            self.height,
            self.shape,
            self._scale_input(entry),
            self.inpaint_tensors,
            self.sound,
            self.guides,
            self.frames_at_once,
            self.seed,
        )
        tensors = self.family.fit(self.model, entry, request)
        _check_counts(tensors, self.shape[0], side)
        if entry.references and not reference_latents(tensors):
            raise InvalidValue(
                f"{self.family.title} takes no reference images",
                port=side,
                given=f"{len(entry.references)} reference images",
                hint="Remove ReferenceLatents, or load an editing model.",
            )
        if CONTROL_IMAGE in entry.tensors and CONTROL_IMAGE not in tensors:
            raise InvalidValue(
                f"this {self.family.title} takes no control image",
                port=side,
                hint="Load a model that does, such as Flux.1 Canny, or remove ImageConditioning.",
            )
        adapters = entry.adapters
        if self.grounding is not None:
            # Prompts without boxes are read with empty ones, in one batch with the others.
            adapters = (*adapters, self.grounding.layers)
            tensors = {**tensors, **self._boxes(side, lead, entry)}
        controls = self.controls.register(side, entry.controls)
        placed = {name: self._placed(name, tensor) for name, tensor in tensors.items()}
        window = self._window(entry, tensors)
        named = f"{side} {name}"
        return Prompt(
            placed,
            weight,
            entry.start,
            entry.end,
            named,
            entry.steps,
            controls,
            window,
            adapters,
            entry.is_fallback,
            side,
            source,
        )

    def _weight(self, entry: ConditioningEntry) -> Tensor:
        padding = self.padding
        if padding is None:
            return weight_of(entry, self.shape, self.width, self.height)
        own = (*self.shape[:-2], *padding.cells)
        return padding.weight(weight_of(entry, own, padding.width, padding.height))

    def _boxes(self, side: Side, lead: Lead, entry: ConditioningEntry) -> dict[str, Tensor]:
        check_family(self.family.name, side)
        grounding, other = entry.grounding, self.grounding
        if grounding is None and other is not None and lead == "negative":
            grounding = other if other.guides_negative else None
        return box_tensors(grounding, entry.embeddings, self.width, self.height, side)

    def _window(self, entry: ConditioningEntry, tensors: Mapping[str, Tensor]) -> Window | None:
        if self.sound is not None:
            return None  # a part of the picture has the whole sound
        sizes = (self.shape, self.width, self.height)
        if not (self.masked or mask_names(tensors)):
            return window_of(entry, *sizes, self.family.multiple)
        window = window_of(entry, *sizes, MASK_MULTIPLE)
        if window is None:
            return None
        # at the edge of an image that is no multiple itself: it is shown whole
        cell = self.family.latent.spatial
        fits = not any(side * cell % MASK_MULTIPLE for side in (window.height, window.width))
        return window if fits else None

    def _with_picture(self, entry: ConditioningEntry) -> ConditioningEntry:
        """What the first positive prompt brings of images goes for those that bring none."""
        first = self.first
        shared_tensors = {name: first.tensors[name] for name in SHARED if name in first.tensors}
        references = entry.references or first.references
        return replace(entry, tensors={**shared_tensors, **entry.tensors}, references=references)

    def _with_guidance(self, entry: ConditioningEntry) -> ConditioningEntry:
        """With the scale that the model gets: the guider's, else its own, if it takes one."""
        if not self.family.takes_scale(self.model.config):
            kept = {name: item for name, item in entry.tensors.items() if name != GUIDANCE}
            return replace(entry, tensors=kept)
        if self.embedded is None:
            return entry
        return replace(entry, tensors={**entry.tensors, GUIDANCE: torch.tensor([self.embedded])})

    def _scale_input(self, entry: ConditioningEntry) -> float:
        """The scale as a number, which is the sampler's where nobody says another."""
        if self.embedded is not None:
            return self.embedded
        return float(entry.tensors[GUIDANCE]) if GUIDANCE in entry.tensors else self.cfg

    def _placed(self, name: str, tensor: Tensor) -> Tensor:
        device, dtype = self._computes
        # Latents of conditions stay in float32, as the latents that are sampled.
        keeps = not tensor.is_floating_point() or is_condition(name)
        return tensor.to(device, tensor.dtype if keeps else dtype)

    @cached_property
    def _computes(self) -> tuple[torch.device, torch.dtype]:
        # diffusers looks through all modules of a model to tell either.
        return self.model.device, self.model.dtype


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conditioning entry where the model needs it.

    Attributes:
        tensors: As `Family.fit` gave them, in the model's dtype, on its device.
        weight: Share among the prompts of a step; 0-dimensional, or (1, 1, height, width) in
            latent cells where it applies to part of the image only.
        start, end: Part of the sampling it applies to, 0 to 1.
        name: Tells it from the others of a sampling.
        steps: Steps it applies at, besides; None: any.
        controls: Places of the images that lead beside it; see `controls.leading.ActiveControls`.
        window: What the model is shown of the latent, if that isn't all of it.
        adapters: As of `ConditioningEntry`.
        is_fallback: As of `ConditioningEntry`.
        side: That it is of.
        entry: What it was fitted from, to fit it to a part of the latent.
    """

    tensors: Mapping[str, Tensor]
    weight: Tensor
    start: float = 0.0
    end: float = 1.0
    name: str = ""
    steps: StepSpan | None = None
    controls: tuple[int, ...] = ()
    window: Window | None = None
    adapters: tuple[ScheduledAdapter, ...] = ()
    is_fallback: bool = False
    side: Side = ""
    entry: ConditioningEntry | None = None

    def applies(self, progress: float, step: int, begun: float | None = None) -> bool:
        """Whether it takes part at a point of the sampling.

        Args:
            progress: Part of the sampling that is done, 0 to below 1.
            step: Steps that are done.
            begun: Part of it up to which those that begin there have begun; None: `progress`.
        """
        is_its_step = self.steps is None or self.steps.holds(step)
        has_begun = self.start - SPAN_TOLERANCE <= (progress if begun is None else begun)
        return is_its_step and has_begun and progress < self.end


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

    def at(self, progress: float, step: int, begun: float | None = None) -> list[Prompt]:
        """The prompts that apply, and the empty one for cells where none does.

        Args:
            progress, step, begun: As of `Prompt.applies`.
        Raises:
            InvalidValue: The empty prompt is needed and there is none.
        """
        applying = tuple(prompt.applies(progress, step, begun) for prompt in self.prompts)
        if applying not in self._covers:
            self._covers[applying] = self._cover(list(compress(self.prompts, applying)))
        return self._covers[applying]

    def _cover(self, applying: list[Prompt]) -> list[Prompt]:
        # One that counts nowhere, as of an empty mask, is not worth an evaluation.
        prompts = [prompt for prompt in _with_fallbacks(applying) if bool(prompt.weight.any())]
        if not prompts:
            return [self._empty_prompt(torch.tensor(1.0))]
        bare = _total([prompt.weight for prompt in prompts]) <= 0
        return [*prompts, self._empty_prompt(bare.float())] if bare.any() else prompts

    def _empty_prompt(self, weight: Tensor) -> Prompt:
        if self.empty is None:
            raise InvalidValue(
                "an empty prompt is needed, and the conditioning has none",
                port=self.side,
                expected=f"a {self.side} prompt that applies to the whole image and all steps",
                hint="Link an EncodePrompt; its text may be empty.",
            )
        return replace(self.empty, weight=weight)


def _with_fallbacks(applying: list[Prompt]) -> list[Prompt]:
    """The prompts that apply; those for the rest with the weight that the others leave, if any.

    Source: ComfyUI's default conditioning, whose weight is max(0, 1 - sum of the others).
    """
    own = [prompt for prompt in applying if not prompt.is_fallback]
    if len(own) == len(applying):
        return own
    remaining = torch.tensor(1.0)
    if own:
        remaining = (1 - _total([prompt.weight for prompt in own])).clamp(min=0)
    if not remaining.any():
        return own
    return own + [
        replace(prompt, weight=prompt.weight * remaining)
        for prompt in applying
        if prompt.is_fallback
    ]


def weight_of(entry: ConditioningEntry, shape: Sequence[int], width: int, height: int) -> Tensor:
    """The share of an entry among the prompts of a step; see `Prompt`.

    Args:
        shape: Of the latent, in cells.
        width, height: In pixels.
    """
    weight = torch.tensor(float(entry.strength))
    masks = [] if entry.mask is None else [entry.mask.float()]
    masks += [area_mask(area, width, height) for area in entry.areas if area.sampled == "picture"]
    for mask in masks:
        cells = mask_to_cells(mask, shape[-2], shape[-1])
        weight = weight * (cells if len(shape) == 4 else cells.unsqueeze(2))
    size = width, height
    for area in entry.areas:
        if area.sampled == "area":
            window = area_window(area, shape[-2:], size)
            # where a mask says how far a prompt counts, ComfyUI has no area fade in
            fade = area.feather if entry.mask is None else 0.0
            cells = window.weight(shape[-2:], cells_of(fade, shape[-2:], size))
            weight = weight * cells.expand(*(1,) * (len(shape) - 2), *cells.shape)
    return weight


def over_sound(values: Tensor, shape: Sequence[int], sound: SoundLayout, of_sound: float) -> Tensor:
    """Values of the cells of a picture, for all frames of a latent with sound.

    Args:
        values: Of the cells, shape (n, 1, 1, height, width).
        shape: Of the latent, with its sound.
        of_sound: The value of the sound.
    Returns:
        Shape (n, 1, frames, height, width).
    """
    whole = values.expand(-1, -1, shape[2], -1, -1).clone()
    whole[:, :, sound.frames :] = of_sound
    return whole


def window_of(
    entry: ConditioningEntry, shape: Sequence[int], width: int, height: int, multiple: int
) -> Window | None:
    """What a model is shown of the latent for an entry; None for all of it.

    Beside an image that leads it is all, as that is of the whole, too, and so are text boxes.

    Args:
        shape, width, height: As of `weight_of`.
        multiple: Of pixels that the model takes sides of.
    """
    cells = shape[-2:]
    windows = [
        area_window(area, cells, (width, height))
        for area in entry.areas
        if area.sampled == "area" and not (entry.controls or entry.grounding)
    ]
    if not windows:
        return None
    met = functools.reduce(Window.intersection, windows)
    if not (met.height and met.width):
        return None  # it counts nowhere
    return met.aligned(max(1, round(multiple * cells[0] / height)), cells)


def with_same_windows(sides: Mapping[Side, Prompts]) -> None:
    """Ask about the windows of each side's prompts on the others as well, as ComfyUI does: with
    the prompt there of the least window around it, besides the prompts that there are."""
    for side, prompts in sides.items():
        for prompt in prompts.prompts:
            if prompt.window is None:
                continue
            for other, there in sides.items():
                if other != side:
                    _share_window(prompt, prompt.window, there)


def _cells_shown(prompt: Prompt) -> float:
    return float("inf") if prompt.window is None else prompt.window.height * prompt.window.width


def _share_window(prompt: Prompt, window: Window, there: Prompts) -> None:
    known = list(there.prompts)
    if not known and there.empty is not None:
        known = [there.empty]
    around = [item for item in known if item.window is None or item.window.contains(window)]
    least = min(around, key=_cells_shown, default=None)
    if least is not None and least.window != window:
        name = f"{least.name} in {prompt.name}"
        same = replace(prompt, tensors=least.tensors, name=name, side=least.side, entry=least.entry)
        there.prompts = [*known, same]


def entries_of(side: Side, conditioning: Conditioning) -> Sequence[ConditioningEntry]:
    if not conditioning.entries:
        raise InvalidValue("the conditioning is empty", port=side, hint="Link an EncodePrompt.")
    return conditioning.entries


def mean_of(outputs: Sequence[Tensor], prompts: Sequence[Prompt]) -> Tensor:
    """The outputs' mean by weight."""
    if len(prompts) == 1:
        return outputs[0]  # untouched, so that not a bit changes
    weights = [prompt.weight.to(outputs[0].device, outputs[0].dtype) for prompt in prompts]
    weighted = [output * weight for output, weight in zip(outputs, weights, strict=True)]
    return torch.stack(weighted).sum(0) / _total(weights)


def _total(weights: Sequence[Tensor]) -> Tensor:
    return functools.reduce(torch.add, weights)


def _check_counts(tensors: Mapping[str, Tensor], batch: int, side: Side) -> None:
    """Refuse images of a prompt of which there is neither one nor one for each item."""
    for name in OVER_CELLS:
        if name in tensors and len(tensors[name]) not in (1, batch):
            raise InvalidValue(
                "the number of images of a prompt is neither 1 nor the batch size",
                port=side,
                given=f"{len(tensors[name])} images for a batch of {batch}",
                expected=f"1 or {batch}",
                hint="Sample the latent output of the node that added the images.",
            )
