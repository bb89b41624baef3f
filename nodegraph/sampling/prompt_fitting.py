"""Conditioning entries as the model takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry
from nodegraph.errors import InvalidValue
from nodegraph.families.base import CONTROL_IMAGE, GUIDANCE, SHARED, Family
from nodegraph.families.components import Denoiser
from nodegraph.families.ip_adapter_pictures import MASK_MULTIPLE, mask_names
from nodegraph.families.model_step import Lead, SamplingRequest, Side
from nodegraph.families.patches import reference_latents
from nodegraph.sampling.areas import Window
from nodegraph.sampling.controls.control_residuals import ActiveControls
from nodegraph.sampling.step_prompts import (
    Prompt,
    Prompts,
    entries_of,
    weight_of,
    window_of,
)


@dataclass(frozen=True)
class PromptFitter:
    """What the prompts of a sampling are fitted to.

    Attributes:
        width, height: In pixels.
        shape: Of the latent: (batch, channels, height, width) in cells, or with frames.
        cfg: Guidance scale.
        first: The first positive prompt, whose pictures go for those that bring none.
        empty: The empty prompt, if a conditioning brings it.
        controls: The pictures that lead beside prompts.
        embedded: The scale that the model is told.
        inpaint_tensors: The latent's own masked picture, see `SamplingRequest`.
        masked: Whether pictures lead a part alone beside any prompt: what of the latent is shown
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

    def prompts(self, side: Side, conditioning: Conditioning | None) -> Prompts:
        """The prompts of one side; None stands for the empty one.

        Raises:
            InvalidValue: One doesn't fit the model.
        """
        entries = () if conditioning is None else entries_of(side, conditioning)
        return Prompts(
            side,
            [self._prompt(side, entry, str(index)) for index, entry in enumerate(entries)],
            None if self.empty is None else self._prompt(side, self.empty, "empty"),
        )

    def _prompt(self, side: Side, entry: ConditioningEntry, name: str) -> Prompt:
        weight = weight_of(entry, self.shape, self.width, self.height)
        lead: Lead = "negative" if side.startswith("negative") else "positive"
        entry = self._with_guidance(self._with_picture(entry))
        request = SamplingRequest(
            lead,
            self.width,
            self.height,
            self.shape,
            self._scale_input(entry),
            self.inpaint_tensors,
        )
        tensors = self.family.fit(self.model, entry, request)
        if entry.references and not reference_latents(tensors):
            raise InvalidValue(
                f"{self.family.title} looks at no pictures",
                port=side,
                given=f"{len(entry.references)} to look at",
                hint="Leave ReferenceLatents out, or load a model that edits.",
            )
        if CONTROL_IMAGE in entry.tensors and CONTROL_IMAGE not in tensors:
            raise InvalidValue(
                f"this {self.family.title} follows no picture",
                port=side,
                hint="Load one that does, such as Flux.1 Canny, or leave ImageConditioning out.",
            )
        controls = self.controls.register(side, entry.controls)
        placed = {name: self._placed(tensor) for name, tensor in tensors.items()}
        window = self._window(entry, tensors)
        named = f"{side} {name}"
        return Prompt(placed, weight, entry.start, entry.end, named, entry.steps, controls, window)

    def _window(self, entry: ConditioningEntry, tensors: Mapping[str, Tensor]) -> Window | None:
        sizes = (self.shape, self.width, self.height)
        if not (self.masked or mask_names(tensors)):
            return window_of(entry, *sizes, self.family.multiple)
        window = window_of(entry, *sizes, MASK_MULTIPLE)
        if window is None:
            return None
        # at the edge of a picture that is no multiple itself: it is shown whole
        cell = self.family.latent.spatial
        fits = not any(side * cell % MASK_MULTIPLE for side in (window.height, window.width))
        return window if fits else None

    def _with_picture(self, entry: ConditioningEntry) -> ConditioningEntry:
        """What the first positive prompt brings of pictures goes for those that bring none."""
        first = self.first
        shared_tensors = {name: first.tensors[name] for name in SHARED if name in first.tensors}
        references = entry.references or first.references
        return replace(entry, tensors={**shared_tensors, **entry.tensors}, references=references)

    def _with_guidance(self, entry: ConditioningEntry) -> ConditioningEntry:
        """With the scale that the model is told: the guider's, else its own, if it takes one."""
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

    def _placed(self, tensor: Tensor) -> Tensor:
        device, dtype = self._computes
        return tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype)

    @cached_property
    def _computes(self) -> tuple[torch.device, torch.dtype]:
        # diffusers looks through all modules of a model to tell either.
        return self.model.device, self.model.dtype
