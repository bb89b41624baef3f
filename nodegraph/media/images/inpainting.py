"""Image preparation for inpainting: crop to a mask or region, paste back, pad and fill."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.errors import InvalidValue
from nodegraph.media.images.colors import color_levels
from nodegraph.media.images.mask_morphology import (
    dilate_mask,
    feather_mask,
    fill_holes,
    label_components,
    soften_mask,
)
from nodegraph.media.images.masks import (
    EmptyMask,
    alpha_blend,
    as_rgb,
    broadcast_batches,
    mask_box,
    match_mask,
    resize_mask,
)
from nodegraph.media.images.regions import (
    Box,
    Rectangle,
    Region,
    enlarge_box,
    expand_box,
    fit_box,
)
from nodegraph.media.images.resizing import resize_image

Fill = Literal["edge", "mirror", "color", "noise"]
Fade = Literal["linear", "quadratic"]
_LEAST = 1e-6
"""Weights below this count as none: their colors are rounding errors."""
_GRAY = 0.5
"""Of an image that is empty everywhere."""
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


def region_around(
    mask: Tensor, box: Box, factor: float, label: str = "", confidence: float = 1.0
) -> Region:
    """The region of an object: its box enlarged about its middle, and the mask in it.

    Args:
        mask: (height, width), of the whole image.
        factor: Of the sides of the box.
    """
    height, width = mask.shape
    x, y, wide, high = enlarge_box(box, factor, (width, height))
    part = mask[y : y + high, x : x + wide].float().contiguous().clone()
    return Region(x, y, wide, high, width, height, part[None], label, confidence, box)


def tile_region(
    tile: Rectangle, padding: int, proportions: tuple[int, int], picture: tuple[int, int]
) -> Region:
    """A region that masks a tile, with padding around it, moved into the image if it fits.

    Args:
        proportions: Width and height to whose proportions it is brought.
        picture: Width and height.
    """
    crop, _ = fit_box(expand_box(tile, padding, picture), proportions, 1, picture)
    x, y, width, height = crop
    mask = torch.zeros(1, height, width)
    left, top = tile[0] - x, tile[1] - y
    mask[:, top : top + tile[3], left : left + tile[2]] = 1
    return Region(*crop, *picture, mask, box=tile)


def box_pixels(box: Box, size: tuple[int, int]) -> Tensor:
    """A mask of all pixels that a box touches, (height, width).

    Args:
        size: Width and height.
    """
    mask = torch.zeros(size[1], size[0])
    left, top = max(0, int(box[0])), max(0, int(box[1]))
    mask[top : int(box[1] + box[3]) + 1, left : int(box[0] + box[2]) + 1] = 1
    return mask


def regions_from_mask(
    mask: Tensor,
    factor: float,
    smallest: int,
    *,
    joined: bool = False,
    boxes: bool = False,
    filled: bool = False,
    from_bottom: bool = False,
) -> list[Region]:
    """A region for each connected part of a mask.

    Args:
        mask: (batch, height, width).
        factor: Of the sides of each part's box.
        smallest: Parts whose width or height is not above it are left out.
        joined: All parts of a mask are one region, of any size.
        boxes: The mask of a region is its whole box.
        filled: Holes of parts are filled.
        from_bottom: The parts that begin lowest come first.
    """
    regions: list[Region] = []
    for plane in mask:
        levels = (plane * 255).int() > 0
        labels = torch.from_numpy(label_components(levels.numpy()))
        parts = [labels > 0] if joined else [labels == n for n in range(1, int(labels.max()) + 1)]
        for part in reversed(parts) if from_bottom else parts:
            if not part.any():
                continue
            x, y, width, height = mask_box(part[None].float())
            if not joined and min(width, height) <= smallest:
                continue
            shape = fill_holes(part[None].float())[0] if filled else plane * part
            if boxes:
                shape = shape.clone()
                shape[y : y + height, x : x + width] = 1
            shape = shape if joined else (shape >= _FAINT).float()
            regions.append(region_around(shape, (x, y, width, height), factor))
    return regions


_FAINT = 0.1
"""Pixels of a part below it do not belong to its region."""


def region_masks(regions: Sequence[Region]) -> list[Tensor]:
    """The mask of each region in its image, (1, height, width)."""
    return [regions_mask([region], None) for region in regions]


def regions_mask(regions: Sequence[Region], size: tuple[int, int] | None) -> Tensor:
    """What all regions together mask, (1, height, width).

    Args:
        size: Width and height of the mask where there is no region.
    Raises:
        InvalidValue: There is neither a region nor a size.
    """
    if regions:
        size = regions[0].picture_width, regions[0].picture_height
    if size is None:
        raise InvalidValue(
            "there is no region, so the size of the mask is not known",
            port="image",
            hint="Link the image in which the regions were detected.",
        )
    mask = torch.zeros(1, size[1], size[0])
    for region in regions:
        _write_maximum(mask, fit_region(region, size))
    return mask


def _write_maximum(mask: Tensor, region: Region) -> None:
    rows, inner_rows = _overlap(region.y, region.height, mask.shape[1])
    columns, inner_columns = _overlap(region.x, region.width, mask.shape[2])
    part = region.mask.amax(0)[inner_rows, inner_columns]
    mask[0, rows, columns] = torch.maximum(mask[0, rows, columns], part)


def mask_regions(
    regions: Sequence[Region], mask: Tensor, *, inverted: bool = False
) -> list[Region]:
    """Regions whose masks lie within another mask, or without it.

    Args:
        mask: (1 or regions, height, width): for all of them, or one for each.
        inverted: Keep what lies outside the mask.
    Raises:
        InvalidValue: There are more regions than masks.
    """
    if len(mask) not in (1, len(regions)) and regions:
        raise InvalidValue(
            "the number of masks and regions differs",
            port="mask",
            given=str(len(mask)),
            expected=f"1 or {len(regions)}",
        )
    changed = []
    for at, region in enumerate(regions):
        plane = mask[at if len(mask) > 1 else 0]
        whole = resize_mask(plane[None], region.picture_width, region.picture_height)
        part = _cut((1 - whole if inverted else whole)[..., None], region.rectangle)[..., 0]
        changed.append(replace(region, mask=torch.minimum(region.mask, part)))
    return changed


def grow_regions(regions: Sequence[Region], side: int) -> list[Region]:
    """Regions whose masks are grown by a square within the region, or shrunk below 0."""
    return [replace(region, mask=dilate_mask(region.mask, side)) for region in regions]


def fit_region(region: Region, size: tuple[int, int]) -> Region:
    """A region of an image, in the same image of another size.

    Args:
        size: Width and height.
    """
    if size == (region.picture_width, region.picture_height):
        return region
    across, down = size[0] / region.picture_width, size[1] / region.picture_height
    x, y = int(region.x * across), int(region.y * down)
    width = max(1, int((region.x + region.width) * across) - x)
    height = max(1, int((region.y + region.height) * down) - y)
    box = region.box
    if box is not None:
        box = box[0] * across, box[1] * down, box[2] * across, box[3] * down
    mask = resize_mask(region.mask, width, height)
    return Region(x, y, width, height, *size, mask, region.label, region.confidence, box)


def cut_region(image: Tensor, region: Region) -> tuple[Tensor, Tensor]:
    """The part of images in a region, and its mask, both of the region's size.

    Args:
        image: (batch, height, width, channels).
    """
    fitted = fit_region(region, (image.shape[2], image.shape[1]))
    return _cut(image, fitted.rectangle), fitted.mask


def paste_regions(
    image: Tensor,
    regions: Sequence[Region],
    parts: Sequence[Tensor],
    feather: int,
    softness: float,
    opacity: float = 1.0,
) -> Tensor:
    """Images with parts pasted one after the other where the masks of regions are.

    All pixels that no softened mask reaches keep their bits.

    Args:
        image: (batch, height, width, channels).
        parts: One for each region, (batch, height, width, channels), of any size.
        feather, softness: Reach and deviation of the Gaussian that softens the masks, in pixels.
        opacity: Factor of the masks.
    Raises:
        InvalidValue: The number of parts and regions differs.
    """
    if len(parts) != len(regions):
        raise InvalidValue(
            "the number of parts and regions differs",
            port="parts",
            given=str(len(parts)),
            expected=str(len(regions)),
        )
    for region, part in zip(regions, parts, strict=True):
        fitted = fit_region(region, (image.shape[2], image.shape[1]))
        is_fitting = part.shape[1:3] == (fitted.height, fitted.width)
        layer = part if is_fitting else resize_image(part, fitted.width, fitted.height)
        image, layer = broadcast_batches(image, layer, "parts")
        mask = soften_mask(fitted.mask, feather, softness) * opacity
        image = _pasted(image, *broadcast_batches(layer, mask, "regions"), fitted)
    return image


def infill(
    image: Tensor,
    mask: Tensor | None = None,
    *,
    noise: float = 0.0,
    seed: int = 0,
) -> Tensor:
    """The masked and the transparent part of images, filled from what surrounds it.

    The colors are spread by the pull-push algorithm: averages of ever larger squares, of which the
    finest that holds anything counts. Source: S. J. Gortler et al., "The Lumigraph", SIGGRAPH 1996,
    section 3.4.

    Args:
        image: (batch, height, width, channels), 0..1; alpha is not multiplied into the colors.
        mask: (batch, height, width), 0..1: what is to be filled, besides what is transparent.
        noise: Standard deviation of Gaussian noise in the filled part, 0..1.
        seed: Of the noise; the same for all of a batch.
    Returns:
        (batch, height, width, 3), 0..1. Where nothing is to be filled the bits stay.
    Raises:
        InvalidValue: Images and masks are of different numbers.
    """
    kept = image[..., 3:] if image.shape[3] == 4 else torch.ones_like(image[..., :1])
    if mask is not None:
        both, mask = match_mask(torch.cat((as_rgb(image), kept), -1), mask)
        image, kept = both, both[..., 3:] * (1 - mask[..., None])
    colors = as_rgb(image)
    spread = _spread(colors, kept)
    if noise > 0:
        generator = torch.Generator().manual_seed(seed)
        spread = spread + noise * torch.randn(1, *colors.shape[1:], generator=generator)
    mixed = colors * kept + spread * (1 - kept)
    return torch.where(kept < 1, mixed.clamp(0, 1), colors)


def _spread(colors: Tensor, weights: Tensor) -> Tensor:
    """Colors everywhere, from those that have a weight.

    Args:
        colors: (batch, height, width, 3).
        weights: (batch, height, width, 1), 0..1.
    """
    levels = [(colors.movedim(-1, 1), weights.movedim(-1, 1))]
    while max(levels[-1][0].shape[2:]) > 1:
        levels.append(_halved(*levels[-1]))
    top, weight = levels.pop()
    whole = torch.where(weight > _LEAST, top, _GRAY)
    for finer, weight in reversed(levels):
        height, width = finer.shape[2:]
        coarse = functional.interpolate(whole, scale_factor=2, mode="bilinear")
        whole = finer * weight + coarse[..., :height, :width] * (1 - weight)
    return whole.movedim(1, -1)


def _halved(colors: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Averages of squares of 2 x 2 by their weights, and how much of each square counts."""
    total = _quartered(weights)
    mean = _quartered(colors * weights) / total.clamp(min=_LEAST)
    return mean, (4 * total).clamp(max=1)


def _quartered(values: Tensor) -> Tensor:
    """Means of squares of 2 x 2; what lies beyond an edge counts as 0."""
    odd = values.shape[2] % 2, values.shape[3] % 2
    return functional.avg_pool2d(functional.pad(values, (0, odd[1], 0, odd[0])), 2)
