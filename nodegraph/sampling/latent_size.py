"""Sizes that a model cannot split into whole patches: sample the next larger one, then crop.

Models refuse such sizes, unless the latent asks for this. ComfyUI rounds an empty latent to whole
cells (`fix_empty_latent_channels` in ``comfy/sample.py``) and repeats rows and columns inside the
model (`pad_to_patch_size` in ``comfy/ldm/common_dit.py``). The results have the same size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.families.base import Family


@dataclass(frozen=True, slots=True)
class PaddedLatent:
    """A latent in the size that is sampled.

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
            missing = (0, wide - mask.shape[-1], 0, high - mask.shape[-2])
            mask = torch.nn.functional.pad(mask, missing, value=1.0)
        if left is not None and left.original is not None:
            left = replace(left, original=_repeated(left.original, *cells))
        padded = replace(
            latent,
            width=wide,
            height=high,
            samples=None if latent.samples is None else _repeated(latent.samples, *cells),
            noise_mask=mask,
            leftover=left,
        )
        return cls(latent, padded, width, height, spatial)

    def crop(self, sampled: Latent) -> Latent:
        """Return a result of sampling `latent` in the size of the result."""
        if self.latent is self.original or sampled.samples is None:
            return sampled
        left = sampled.leftover
        if left is not None and left.original is not None:
            left = replace(left, original=self._cropped(left.original))
        return replace(
            sampled,
            width=self.width,
            height=self.height,
            samples=self._cropped(sampled.samples),
            noise_mask=self.original.noise_mask,
            leftover=left,
        )

    def _cropped(self, cells: Tensor) -> Tensor:
        rows, columns = self.height // self.spatial, self.width // self.spatial
        return cells[..., :rows, :columns].contiguous()


def _repeated(cells: Tensor, height: int, width: int) -> Tensor:
    """Append the first rows and columns to the last ones, as often as a size needs them."""
    for axis, size in ((-2, height), (-1, width)):
        indices = torch.arange(size, device=cells.device) % cells.shape[axis]
        cells = cells.index_select(axis, indices)
    return cells
