"""Masked pictures for models that were made to fill them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import Conditioning, ConditioningEntry, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.base import INPAINT_MASK, MASKED_IMAGE, Family
from nodegraph.families.registry import get_family

_GREY = 0.5
"""Stands for what is masked: 0 where pictures are in -1..1."""


def masked_picture(image: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """A mask of 0 and 1, and what a picture keeps beside it.

    Args:
        image: In 0..1, shape (1, height, width, 3).
        mask: In 0..1, shape (1, height, width); from a half up it is filled.
    Returns:
        The mask, shape (1, 1, height, width), and the picture with grey where it is 1.
    Raises:
        InvalidValue: They are of different sizes, or several.
    """
    if image.shape[0] != 1 or mask.shape != image.shape[:3]:
        raise InvalidValue(
            "the mask must be as large as the picture, and there may be one of each",
            port="mask",
            given=f"shape {tuple(mask.shape)} for a picture of {tuple(image.shape)}",
            expected=f"shape {(1, *image.shape[1:3])}",
            hint="ResizeMask brings it to the size of the picture, linked to its `image`.",
        )
    binary_mask = (mask >= 0.5).to(torch.float32)
    return binary_mask[:, None], torch.where(binary_mask[..., None] == 1, _GREY, image)


def fitted_mask(mask: Tensor, image: Tensor) -> Tensor:
    """A mask as large as pictures: scaled on lines.

    Args:
        mask: In 0..1, shape (1 or batch, height, width).
        image: Shape (batch, height, width, channels).
    Raises:
        InvalidValue: They are of different numbers.
    """
    if mask.ndim != 3 or mask.shape[0] not in (1, image.shape[0]):
        raise InvalidValue(
            "there are not as many masks as pictures",
            port="mask",
            given=f"shape {tuple(mask.shape)}",
            expected=f"shape (1 or {image.shape[0]}, height, width)",
        )
    size = image.shape[1:3]
    if mask.shape[1:] == size:
        return mask
    return functional.interpolate(mask[:, None], size=size, mode="bilinear")[:, 0]


def hard_mask(mask: Tensor, image: Tensor) -> Tensor:
    """A mask of 0 and 1, as large as pictures: 1 above a half.

    Args, Raises:
        As of `fitted_mask`.
    """
    return (fitted_mask(mask, image) > 0.5).to(torch.float32)


def greyed(image: Tensor, mask: Tensor) -> Tensor:
    """Pictures with grey where a mask is 1.

    Args:
        mask: As `hard_mask` gives it.
    """
    return torch.where(mask[..., None] == 1, _GREY, image)


def grown_by_square(mask: Tensor, side: int) -> Tensor:
    """A mask that is 1 wherever a square around the pixel meets it.

    A square of an even side reaches a pixel further to the left and upwards, so that a mask grows
    a pixel further to the right and downwards.

    Args:
        mask: Of 0 and 1, shape (batch, height, width).
        side: In pixels; 0 and 1 leave the mask as it is.
    Source: ComfyUI `VAEEncodeForInpaint` (``nodes.py``), whose `grow_mask_by` is a kernel's side.
    """
    if side <= 1:
        return mask
    before = side // 2
    after = side - 1 - before
    padded = functional.pad(mask[:, None], (before, after, before, after))
    return functional.max_pool2d(padded, side, stride=1)[:, 0]


def with_masked_latent(
    conditioning: Conditioning, kept_latent: Tensor, mask: Tensor
) -> Conditioning:
    """Prompts that bring a masked picture.

    Args:
        kept_latent: Latent of what the picture keeps, shape (1, channels, height, width) in cells.
        mask: As `masked_picture` gave it.
    """
    family = get_family(conditioning.family or "")
    return with_tensors(
        conditioning, {MASKED_IMAGE: kept_latent, INPAINT_MASK: family.inpaint_mask(mask)}
    )


def noise_mask_tensors(family: Family, latent: Latent, picture: Tensor) -> dict[str, Tensor]:
    """What a latent's noise mask says of its picture, for models that fill masked ones; else empty.

    Unlike `InpaintConditioning` it doesn't cover what is masked: what lies there the model sees.

    Args:
        picture: That the mask keeps a part of, shape (n, channels, height, width) in cells.
    """
    if latent.noise_mask is None or latent.samples is None or picture.ndim != 4:
        return {}
    mask = (latent.noise_mask[:, None] >= 0.5).to(torch.float32)
    mask = functional.interpolate(mask, size=(latent.height, latent.width))
    return {MASKED_IMAGE: picture, INPAINT_MASK: family.inpaint_mask(mask)}


def with_tensors(conditioning: Conditioning, tensors: Mapping[str, Tensor]) -> Conditioning:
    """Prompts that all bring some tensors, the empty one as well."""

    def shown(entry: ConditioningEntry) -> ConditioningEntry:
        return replace(entry, tensors={**entry.tensors, **tensors})

    empty = conditioning.unconditional
    return replace(
        conditioning,
        entries=tuple(map(shown, conditioning.entries)),
        unconditional=None if empty is None else shown(empty),
    )
