"""Sizes that a model cannot split into patches: sampled at the next larger one, and cropped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import Area, ConditioningEntry, Control, Latent
from nodegraph.families.base import Family
from nodegraph.families.image_conditioning import mask_names
from nodegraph.sampling.controls.files import recipe_kind
from nodegraph.sampling.cropped_conditioning import OVER_PICTURE, covering_control, crop_area
from nodegraph.sampling.regions import Window, area_window


@dataclass(frozen=True, slots=True)
class PaddedLatent:
    """A latent in the size that is sampled.

    The padding lies on the right and below. Prompts, masks and control images keep their position
    and scale in the latent, and continue into the padding.

    Attributes:
        original: The latent before.
        latent: The latent in a size that the model takes. `original` itself if its size is sampled
            as it is, or refused.
        width, height: Size of the result in pixels: that of `original` in whole cells.
        spatial: Pixels along a side of a cell.
    """

    original: Latent
    latent: Latent
    width: int
    height: int
    spatial: int

    @classmethod
    def of(cls, family: Family, latent: Latent) -> PaddedLatent:
        """Pad a latent to whole patches of a model, if it asks for this."""
        multiple, spatial = family.multiple, family.latent.spatial
        if not latent.any_size or not (latent.width % multiple or latent.height % multiple):
            return cls(latent, latent, latent.width, latent.height, spatial)
        # Half a cell goes to the even number, as in ComfyUI.
        width, height = (
            max(1, round(side / spatial)) * spatial for side in (latent.width, latent.height)
        )
        wide, high = (-(-side // multiple) * multiple for side in (width, height))
        cells = high // spatial, wide // spatial
        mask, left = latent.noise_mask, latent.leftover
        if mask is not None:
            if tuple(mask.shape[-2:]) != (height, width):
                mask = functional.interpolate(mask[:, None].float(), (height, width), mode="area")
                mask = mask[:, 0]
            mask = functional.pad(mask, (0, wide - width, 0, high - height), value=1.0)
        if left is not None and left.original is not None:
            left = replace(left, original=_repeated(left.original, *cells))
        padded = replace(
            latent,
            width=wide,
            height=high,
            samples=_padded(latent.samples, (height // spatial, width // spatial), cells),
            noise_mask=mask,
            leftover=left,
        )
        return cls(latent, padded, width, height, spatial)

    @property
    def is_padded(self) -> bool:
        """Whether the sampled size differs from that of the result."""
        return self.latent is not self.original

    @property
    def cells(self) -> tuple[int, int]:
        """Height and width of the result in cells."""
        return self.height // self.spatial, self.width // self.spatial

    def crop(self, sampled: Latent) -> Latent:
        """Return a result of sampling `latent` in the size of the result."""
        if not self.is_padded or sampled.samples is None:
            return sampled
        left = sampled.leftover
        if left is not None and left.original is not None:
            left = replace(left, original=self.crop_cells(left.original))
        return replace(
            sampled,
            width=self.width,
            height=self.height,
            samples=self.crop_cells(sampled.samples),
            noise_mask=self.original.noise_mask,
            leftover=left,
        )

    def crop_cells(self, cells: Tensor) -> Tensor:
        """Return the cells of the result among those that are sampled."""
        if not self.is_padded:
            return cells
        rows, columns = self.cells
        return cells[..., :rows, :columns].contiguous()

    def pad_cells(self, cells: Tensor) -> Tensor:
        """Return cells of the result in the size that is sampled: the first ones are repeated.

        Tensors of another size, such as one that does not fit, stay as they are.
        """
        if not self.is_padded or tuple(cells.shape[-2:]) != self.cells:
            return cells
        return _repeated(cells, *self._sampled_cells)

    def weight(self, weight: Tensor) -> Tensor:
        """Return the weight of a prompt, which continues into the padding.

        Args:
            weight: Of each cell of the result; see `nodegraph.sampling.prompts.Prompt`.
        """
        if not weight.ndim:
            return weight
        rows, columns = self._sampled_cells
        return _continued(weight, rows, columns)

    def entry(self, entry: ConditioningEntry) -> ConditioningEntry:
        """Return a prompt of the result as one of the size that is sampled."""
        mask = entry.mask
        return replace(
            entry,
            mask=None if mask is None else self._picture(mask),
            areas=tuple(map(self._area, entry.areas)),
            controls=tuple(map(self._control, entry.controls)),
            tensors=self.tensors(entry.tensors),
        )

    def tensors(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return tensors of a prompt, those that lie over the picture padded."""
        masks = set(mask_names(tensors))
        padded = {}
        for name, item in tensors.items():
            if name in masks:
                padded[name] = self._picture(item)
            else:
                padded[name] = self.pad_cells(item) if name in OVER_PICTURE else item
        return padded

    @property
    def _sampled_cells(self) -> tuple[int, int]:
        return self.latent.height // self.spatial, self.latent.width // self.spatial

    def _picture(self, pixels: Tensor) -> Tensor:
        """Return masks or images of any resolution, shape (…, height, width), in sampled pixels."""
        if tuple(pixels.shape[-2:]) != (self.height, self.width):
            flat = pixels.reshape(-1, 1, *pixels.shape[-2:]).float()
            scaled = functional.interpolate(flat, (self.height, self.width), mode="area")
            pixels = scaled.reshape(*pixels.shape[:-2], self.height, self.width)
        return _continued(pixels, self.latent.height, self.latent.width)

    def _area(self, area: Area) -> Area:
        """Return an area in pixels of the sampled size. One that reaches the last cell includes
        the padding."""
        size = self.width, self.height
        if area.sampled == "area":
            window = area_window(area, self.cells, size)
            ends = window.top + window.height, window.left + window.width
            more = [
                sampled - own if end == own and start < end else 0
                for end, own, sampled, start in zip(
                    ends, self.cells, self._sampled_cells, (window.top, window.left), strict=True
                )
            ]
            return replace(
                area,
                x=window.left * self.spatial,
                y=window.top * self.spatial,
                width=(window.width + more[1]) * self.spatial,
                height=(window.height + more[0]) * self.spatial,
                unit="pixels",
            )
        scales = size if area.unit == "shares" else (1, 1)
        more = [
            sampled - own if (start + length) * scale > own - self.spatial else 0
            for start, length, scale, own, sampled in zip(
                (area.x, area.y),
                (area.width, area.height),
                scales,
                size,
                (self.latent.width, self.latent.height),
                strict=True,
            )
        ]
        wider = replace(
            area, width=area.width + more[0] / scales[0], height=area.height + more[1] / scales[1]
        )
        whole = Window(0, 0, self.latent.height, self.latent.width)
        return crop_area(wider, whole, size) or area

    def _control(self, control: Control) -> Control:
        if recipe_kind(control.model).sees_latents:
            return replace(control, hint=self.pad_cells(control.hint))
        covering = covering_control(control, (self.width, self.height))
        mask = covering.mask
        hint = self._picture(covering.hint.movedim(-1, 1)).movedim(1, -1)
        return replace(covering, hint=hint, mask=None if mask is None else self._picture(mask))


def _padded(
    samples: Tensor | None, stated: tuple[int, int], cells: tuple[int, int]
) -> Tensor | None:
    """Return samples in the size that is sampled.

    Samples that are more than a rounding off their stated size stay as they are, to be refused.

    Args:
        stated: Height and width of the result in cells.
        cells: Height and width that is sampled.
    """
    if samples is None or any(
        abs(own - side) > 1 for own, side in zip(samples.shape[-2:], stated, strict=True)
    ):
        return samples
    return _repeated(samples, *cells)


def _repeated(cells: Tensor, height: int, width: int) -> Tensor:
    """Append the first rows and columns to the last ones, as often as a size needs them."""
    for axis, size in ((-2, height), (-1, width)):
        indices = torch.arange(size, device=cells.device) % cells.shape[axis]
        cells = cells.index_select(axis, indices)
    return cells


def _continued(pixels: Tensor, height: int, width: int) -> Tensor:
    """Repeat the last row and column, as often as a size needs them."""
    for axis, size in ((-2, height), (-1, width)):
        indices = torch.arange(size, device=pixels.device).clamp(max=pixels.shape[axis] - 1)
        pixels = pixels.index_select(axis, indices)
    return pixels
