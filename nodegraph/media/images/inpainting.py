"""Image preparation for inpainting: crop to a mask, stitch back, pad for outpainting."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.media.images.colors import color_levels
from nodegraph.media.images.mask_morphology import feather_mask
from nodegraph.media.images.masks import (
    EmptyMask,
    alpha_blend,
    as_rgb,
    broadcast_batches,
    mask_box,
    match_mask,
    resize_mask,
)
from nodegraph.media.images.regions import Rectangle, Region, expand_box, fit_box
from nodegraph.media.images.resizing import resize_image

Fill = Literal["edge", "mirror", "color", "noise"]
Fade = Literal["linear", "quadratic"]
Sides = tuple[int, int, int, int]
"""Pixels to the left, above, to the right and below."""


def pad_for_outpaint(
    image: Tensor,
    sides: Sides,
    *,
    feather: float = 0,
    fill: Fill = "edge",
    color: str = "#808080",
    seed: int = 0,
    fade: Fade = "linear",
) -> tuple[Tensor, Tensor]:
    """Larger images, and a mask of what is new in them.

    Args:
        image: (batch, height, width, channels).
        feather: Pixels over which the mask fades out into the old image.
        fill: What is put into the new part: the pixels of the edge drawn out, the image
            mirrored, a color, or colored noise.
        seed: Of the noise; the same for all of a batch.
        fade: How the mask fades out: evenly, or the slower the further (its square).
    Returns:
        (batch, height, width, 3), where the old part keeps its bits; (1, height, width).
    """
    image = as_rgb(image)
    left, top, right, bottom = sides
    height, width = image.shape[1], image.shape[2]
    rows, columns = torch.arange(-top, height + bottom), torch.arange(-left, width + right)
    if fill in ("edge", "mirror"):
        bring = _mirrored if fill == "mirror" else _clamped
        wide = image[:, bring(rows, height)][:, :, bring(columns, width)]
    else:
        wide = _plain(image, (len(rows), len(columns)), fill, color, seed)
        wide[:, top : top + height, left : left + width] = image
    mask = torch.ones(1, len(rows), len(columns))
    mask[:, top : top + height, left : left + width] = 0
    faded = feather_mask(mask, feather, "linear", "outward")
    return wide, faded.square() if fade == "quadratic" else faded


def _clamped(places: Tensor, side: int) -> Tensor:
    return places.clamp(0, side - 1)


def _mirrored(places: Tensor, side: int) -> Tensor:
    """There and back again, without the edge twice."""
    period = max(1, 2 * (side - 1))
    turned = places % period
    return torch.minimum(turned, period - turned)


def _plain(image: Tensor, size: tuple[int, int], fill: Fill, color: str, seed: int) -> Tensor:
    shape = (len(image), *size, 3)
    if fill == "color":
        return torch.tensor(color_levels(color)).expand(shape).clone()
    noise = torch.rand(1, *size, 3, generator=torch.Generator().manual_seed(seed))
    return noise.expand(shape).clone()


def crop_to_mask(
    image: Tensor,
    mask: Tensor,
    *,
    margin: int,
    size: tuple[int, int] = (0, 0),
    multiple: int = 8,
    whole_if_empty: bool = False,
) -> tuple[Tensor, Tensor, Region]:
    """The part of images that a mask is in: the part, its mask, and where it belongs.

    Of a batch, all are cut at the same place, which holds the masks of all. What of the part lies
    outside the image repeats the image's edge.

    Args:
        image: (batch, height, width, channels).
        mask: (batch, height, width), scaled to the images.
        margin: Pixels around the mask.
        size: Width and height of the part, scaled; 0 follows from the mask.
        multiple: What its sides are multiples of.
        whole_if_empty: Take the whole image for an empty mask.
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
    """Images with a part put back where its mask is; all else keeps its bits.

    Args:
        image: (batch, height, width, channels), those that the part was cut out of.
        part: Of any size; scaled to the region.
        feather: Pixels of the image over which the part fades in from the mask's edge inwards.
    Raises:
        InvalidValue: The images have another size than the region's.
    """
    if (image.shape[2], image.shape[1]) != (region.picture_width, region.picture_height):
        raise InvalidValue(
            "the image has another size than the one that the part was cropped from",
            port="image",
            given=f"{image.shape[2]} x {image.shape[1]} pixels",
            expected=f"{region.picture_width} x {region.picture_height} pixels",
            hint="Link the image that is linked to CropToMask.",
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
    """What of a side lies in the image: there, and in the part."""
    first, last = max(0, start), min(picture, start + side)
    return slice(first, last), slice(first - start, last - start)
