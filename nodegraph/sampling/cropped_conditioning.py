"""Prompts of a picture, cropped to a rectangle of it: a tile, or a region to paint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from nodegraph.core.values import Area, ConditioningEntry, Control
from nodegraph.families.image_conditioning import (
    CONDITION_CLIP,
    CONDITION_VIDEO,
    CONDITION_VIDEO_MASK,
    CONTROL_LATENTS,
    NO_STAGE_C,
    OVER_CELLS,
    STAGE_C,
    mask_names,
)
from nodegraph.media.images.masks import resize_mask
from nodegraph.sampling.controls.control_residuals import resize_to_cover
from nodegraph.sampling.controls.files import recipe_kind
from nodegraph.sampling.regions import Window

OVER_PICTURE = (
    *OVER_CELLS,
    *(CONDITION_CLIP, CONDITION_VIDEO, CONDITION_VIDEO_MASK, CONTROL_LATENTS),
    *(STAGE_C, NO_STAGE_C),
)
"""Tensors of a prompt that lie over the picture, in cells or in pixels."""


@dataclass(frozen=True)
class ConditioningCrop:
    """Cropping of prompts to a rectangle of the picture that they are for.

    Attributes:
        window: The rectangle, in pixels of the picture.
        width, height: Of the picture, in pixels.
        covering: Control images at the picture's size, by the identity of the original. Crops of
            one picture share them.
    """

    window: Window
    width: int
    height: int
    covering: dict[int, Control] = field(default_factory=dict, compare=False)
    _controls: dict[int, Control] = field(default_factory=dict, compare=False)

    def tensors(self, whole: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return a prompt's tensors, those over the picture cropped."""
        over = {name for name in OVER_PICTURE if name in whole} | set(mask_names(whole))
        return {name: self._cut(item) if name in over else item for name, item in whole.items()}

    def entry(self, entry: ConditioningEntry) -> ConditioningEntry | None:
        """Return an entry in the rectangle; None if it applies nowhere in it."""
        mask = entry.mask
        if mask is not None:
            mask = self._cut(resize_mask(mask, self.width, self.height))
            if not bool(mask.any()):
                return None
        size = self.width, self.height
        areas = [crop_area(area, self.window, size) for area in entry.areas]
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


def crop_area(
    area: Area, window: Window, size: tuple[int, int], scale: tuple[float, float] = (1.0, 1.0)
) -> Area | None:
    """Return an area of a picture in a rectangle of it; None if it lies outside.

    Args:
        window: The rectangle, in pixels of the picture.
        size: Width and height of the picture.
        scale: Factor by which the rectangle is enlarged, across and down. Pixels follow it.
    """
    is_share = area.unit == "shares"
    across, down = size if is_share else (1, 1)
    left = max(area.x * across - window.left, 0.0)
    top = max(area.y * down - window.top, 0.0)
    right = min((area.x + area.width) * across - window.left, window.width)
    below = min((area.y + area.height) * down - window.top, window.height)
    if right <= left or below <= top:
        return None
    feather = area.feather
    if is_share:
        scale = 1 / window.width, 1 / window.height
        if area.sampled == "picture":
            # the feather is a share of the shorter side
            feather *= min(size) / min(window.width, window.height)
    else:
        feather *= min(scale)
    return replace(
        area,
        x=left * scale[0],
        y=top * scale[1],
        width=(right - left) * scale[0],
        height=(below - top) * scale[1],
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
