"""The prompts that apply at a step of a sampling, and the mean of what they are answered with."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress

import torch
from torch import Tensor

from nodegraph.core.values import SPAN_TOLERANCE, Conditioning, ConditioningEntry, StepSpan
from nodegraph.errors import InvalidValue
from nodegraph.families.model_step import Side
from nodegraph.sampling.areas import Window, area_mask, area_window, cells_of
from nodegraph.sampling.masks import mask_to_cells


@dataclass(frozen=True, slots=True)
class Prompt:
    """A conditioning entry where the model needs it.

    Attributes:
        tensors: As `Family.fit` gave them, in the model's dtype, on its device.
        weight: Share among the prompts of a step; 0-dimensional, or (1, 1, height, width) in
            latent cells where it applies to part of the picture only.
        start, end: Part of the sampling it applies to, 0 to 1.
        name: Tells it from the others of a sampling.
        steps: Steps it applies at, besides; None: any.
        controls: Places of the pictures that lead beside it; see `controls.leading.ActiveControls`.
        window: What the model is shown of the latent, if that isn't all of it.
    """

    tensors: Mapping[str, Tensor]
    weight: Tensor
    start: float = 0.0
    end: float = 1.0
    name: str = ""
    steps: StepSpan | None = None
    controls: tuple[int, ...] = ()
    window: Window | None = None

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


def window_of(
    entry: ConditioningEntry, shape: Sequence[int], width: int, height: int, multiple: int
) -> Window | None:
    """What a model is shown of the latent for an entry; None for all of it.

    Beside a picture that leads it is all, as that is of the whole, too.

    Args:
        shape, width, height: As of `weight_of`.
        multiple: Of pixels that the model takes sides of.
    """
    cells = shape[-2:]
    windows = [
        area_window(area, cells, (width, height))
        for area in entry.areas
        if area.sampled == "area" and not entry.controls
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
        same = replace(prompt, tensors=least.tensors, name=f"{least.name} in {prompt.name}")
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
