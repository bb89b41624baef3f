"""Conditionings of a picture, cropped to a rectangle of it: a tile, or a region to paint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from nodegraph.core.values import Area, Conditioning, ConditioningEntry, Control
from nodegraph.families.base import OVER_CELLS, SHARED
from nodegraph.families.image_conditioning import CONDITION_VIDEO, mask_names
from nodegraph.media.images.masks import resize_mask
from nodegraph.sampling.controls.control_residuals import resize_to_cover
from nodegraph.sampling.controls.files import recipe_kind
from nodegraph.sampling.regions import Window

_OVER_PICTURE = (*OVER_CELLS, CONDITION_VIDEO)
"""Tensors of a prompt that lie over the picture, in cells or in pixels."""


@dataclass(frozen=True)
class ConditioningCrop:
    """Cropping of conditionings to a rectangle of the picture that they are for.

    Attributes:
        window: The rectangle, in pixels of the picture.
        width, height: Of the picture, in pixels.
        scale: Factor by which the rectangle is enlarged, across and down. Areas in pixels follow.
        covering: Control images at the picture's size, by the identity of the original. Crops of
            one picture share them.
    """

    window: Window
    width: int
    height: int
    scale: tuple[float, float] = (1.0, 1.0)
    covering: dict[int, Control] = field(default_factory=dict, compare=False)
    _controls: dict[int, Control] = field(default_factory=dict, compare=False)

    def conditioning(self, whole: Conditioning | None) -> Conditioning | None:
        """Return what applies in the rectangle. Where no entry does, it is the empty prompt.

        Masks, areas, control images, masks of IP-Adapter images and tensors over latent cells are
        cropped. Entries whose mask or areas leave the rectangle empty are left out.
        """
        if whole is None or not whole.entries:
            return whole
        first, empty = whole.entries[0], whole.unconditional
        entries = [self.entry(_with_shared(entry, first)) for entry in whole.entries]
        kept = [entry for entry in entries if entry is not None]
        cropped_empty = None if empty is None else self.entry(empty)
        if not kept:
            kept = [self.unlimited_entry(_with_shared(empty or first, first))]
        return replace(whole, entries=tuple(kept), unconditional=cropped_empty)

    def tensors(self, whole: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a prompt's tensors, those over the picture cropped."""
        over = {name for name in _OVER_PICTURE if name in whole} | set(mask_names(whole))
        return {name: self._cut(item) if name in over else item for name, item in whole.items()}

    def entry(self, entry: ConditioningEntry) -> ConditioningEntry | None:
        """Return an entry in the rectangle; None if it applies nowhere in it."""
        mask = entry.mask
        if mask is not None:
            mask = self._cut(resize_mask(mask, self.width, self.height))
            if not bool(mask.any()):
                return None
        areas = [self._area(area) for area in entry.areas]
        present = tuple(area for area in areas if area is not None)
        if len(present) < len(areas):
            return None
        controls = tuple(self._control(control) for control in entry.controls)
        tensors = self.tensors(entry.tensors)
        return replace(entry, mask=mask, areas=present, controls=controls, tensors=tensors)

    def unlimited_entry(self, entry: ConditioningEntry) -> ConditioningEntry:
        """Return an entry without what limits it to a part of the picture."""
        cropped = self.entry(replace(entry, mask=None, areas=()))
        assert cropped is not None
        return cropped

    def _cut(self, tensor: Tensor) -> Tensor:
        """Return the part of a tensor that covers the picture at any resolution."""
        return self.window.crop_image(tensor, (self.height, self.width)).contiguous()

    def _control(self, control: Control) -> Control:
        """Return a control image in the rectangle. Prompts that share one share the result."""
        if id(control) not in self._controls:
            self._controls[id(control)] = self._cropped_control(control)
        return self._controls[id(control)]

    def _cropped_control(self, control: Control) -> Control:
        if recipe_kind(control.model).sees_latents:
            return replace(control, hint=self._cut(control.hint))
        size = self.width, self.height
        if id(control) not in self.covering:
            self.covering[id(control)] = covering_control(control, size)
        covering = self.covering[id(control)]
        hint = self._cut(covering.hint.movedim(-1, 1)).movedim(1, -1)
        mask = None if covering.mask is None else self._cut(covering.mask)
        return replace(control, hint=hint, mask=mask)

    def _area(self, area: Area) -> Area | None:
        """Return an area in the rectangle; None if it lies outside."""
        window, is_share = self.window, area.unit == "shares"
        across, down = (self.width, self.height) if is_share else (1, 1)
        left = max(area.x * across - window.left, 0.0)
        top = max(area.y * down - window.top, 0.0)
        right = min((area.x + area.width) * across - window.left, window.width)
        below = min((area.y + area.height) * down - window.top, window.height)
        if right <= left or below <= top:
            return None
        feather, scales = area.feather, self.scale
        if is_share:
            scales = 1 / window.width, 1 / window.height
            if area.sampled == "picture":
                # the feather is a share of the shorter side
                feather *= min(self.width, self.height) / min(window.width, window.height)
        elif area.sampled == "picture":
            feather *= min(self.scale)
        return replace(
            area,
            x=left * scales[0],
            y=top * scales[1],
            width=(right - left) * scales[0],
            height=(below - top) * scales[1],
            feather=feather,
        )


def covering_control(control: Control, size: tuple[int, int]) -> Control:
    """Return a control image in pixels, scaled until it covers a picture and center-cropped.

    Args:
        size: Width and height of the picture.
    """
    hint = resize_to_cover(control.hint.movedim(-1, 1), size).movedim(1, -1)
    mask = control.mask
    if mask is not None:
        mask = resize_to_cover(mask[:, None], size, sharp=True)[:, 0]
    return control if hint.shape == control.hint.shape else replace(control, hint=hint, mask=mask)


def _with_shared(entry: ConditioningEntry, first: ConditioningEntry) -> ConditioningEntry:
    """Return an entry with the images of the first one, which may be left out of the rectangle."""
    shared = {name: first.tensors[name] for name in SHARED if name in first.tensors}
    return replace(
        entry,
        tensors={**shared, **entry.tensors},
        references=entry.references or first.references,
    )
