"""Parts of pictures cut out, worked on at another size, and put back without a seam."""

from __future__ import annotations

import torch
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.media.images.mask_edges import feather_mask
from nodegraph.media.images.masks import (
    EmptyMask,
    alpha_blend,
    broadcast_batches,
    mask_box,
    match_mask,
    resize_mask,
)
from nodegraph.media.images.regions import Rectangle, Region, expand_box, fit_box
from nodegraph.media.images.resizing import resize_image


def crop_to_mask(
    image: Tensor,
    mask: Tensor,
    *,
    margin: int,
    size: tuple[int, int] = (0, 0),
    multiple: int = 8,
    whole_if_empty: bool = False,
) -> tuple[Tensor, Tensor, Region]:
    """The part of pictures that a mask is in: the part, its mask, and where it belongs.

    Of a batch, all are cut at the same place, which holds the masks of all. What of the part lies
    outside the picture repeats the picture's edge.

    Args:
        image: (batch, height, width, channels).
        mask: (batch, height, width), scaled to the pictures.
        margin: Pixels around the mask.
        size: Width and height of the part, scaled; 0 follows from the mask.
        multiple: What its sides are multiples of.
        whole_if_empty: Take the whole picture for an empty mask.
    Returns:
        The part and its mask have `size`; the region's mask isn't scaled.
    Raises:
        EmptyMask: The mask is 0 everywhere.
    """
    image, mask = match_mask(image, mask)
    picture = image.shape[2], image.shape[1]
    try:
        box: Rectangle = mask_box(mask)
    except EmptyMask:
        if not whole_if_empty:
            raise
        box = (0, 0, *picture)
    box, size = fit_box(expand_box(box, margin, picture), size, multiple, picture)
    part, own = _cut(image, box), _cut(mask[..., None], box)[..., 0]
    region = Region(*box, *picture, own)
    if box[2:] != size:
        part = resize_image(part, *size)
    return part, resize_mask(own, *size), region


def _cut(image: Tensor, box: Rectangle) -> Tensor:
    x, y, width, height = box
    rows = torch.arange(y, y + height).clamp(0, image.shape[1] - 1)
    columns = torch.arange(x, x + width).clamp(0, image.shape[2] - 1)
    return image[:, rows][:, :, columns]


def stitch(image: Tensor, part: Tensor, region: Region, feather: float = 0) -> Tensor:
    """Pictures with a part put back where its mask is; all else keeps its bits.

    Args:
        image: (batch, height, width, channels), those that the part was cut out of.
        part: Of any size; scaled to the region.
        feather: Pixels of the picture over which the part fades in from the mask's edge inwards.
    Raises:
        InvalidValue: The pictures have another size than the region's.
    """
    if (image.shape[2], image.shape[1]) != (region.picture_width, region.picture_height):
        raise InvalidValue(
            "the picture isn't as large as the one that the part was cut out of",
            port="image",
            given=f"{image.shape[2]} x {image.shape[1]} pixels",
            expected=f"{region.picture_width} x {region.picture_height} pixels",
            hint="Link the picture that CropToMask was given.",
        )
    if part.shape[1:3] != (region.height, region.width):
        part = resize_image(part, region.width, region.height)
    image, part = broadcast_batches(image, part, "part")
    # By the distance from the edge: a Gaussian would leave nothing of what is narrower than it.
    fading = feather_mask((region.mask > 0).float(), feather, "linear", "inward")
    mask = torch.minimum(region.mask, fading)
    return _pasted(image, *broadcast_batches(part, mask, "region"), region)


def _pasted(image: Tensor, part: Tensor, mask: Tensor, region: Region) -> Tensor:
    image = image.expand(len(part), *image.shape[1:])
    rows, inner_rows = _overlap(region.y, region.height, region.picture_height)
    columns, inner_columns = _overlap(region.x, region.width, region.picture_width)
    base = image[:, rows, columns]
    changed = alpha_blend(
        base, part[:, inner_rows, inner_columns], mask[:, inner_rows, inner_columns]
    )
    wide = changed.shape[3] > image.shape[3]
    result = (image.expand(*image.shape[:3], changed.shape[3]) if wide else image).clone()
    result[:, rows, columns] = changed
    return result


def _overlap(start: int, side: int, picture: int) -> tuple[slice, slice]:
    """What of a side lies in the picture: there, and in the part."""
    first, last = max(0, start), min(picture, start + side)
    return slice(first, last), slice(first - start, last - start)
