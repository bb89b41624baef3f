"""Masks changed, put together, measured and applied to pictures."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Context, Image, Mask, Range, Seed, node
from nodegraph.errors import at_port
from nodegraph.media.images.regions import Region

from ._facts import check_result_name
from ._mask_facts import (
    IMAGE_FACTS,
    MASK_FACTS,
    check_color,
    check_cropped,
    check_made,
    check_padded,
    combined_mask_facts,
    composited_facts,
    cropped_facts,
    masked_picture_facts,
    masked_rgba_facts,
    padded_facts,
    resized_mask_facts,
)
from .mask_make import Share, Side

Border = Annotated[int, Range(0, 16384)]
Offset = Annotated[int, Range(-16384, 16384), Advanced()]


@node(category="mask", facts=MASK_FACTS, tags=("inverse", "select inverse", "negative"))
def InvertMask(mask: Mask) -> Mask:
    """Mask what isn't masked, and the other way round.

    Args:
        mask: Any.
    """
    return 1 - mask


@node(
    category="mask",
    facts=MASK_FACTS,
    tags=("shrink", "expand", "contract", "dilate", "erode", "GrowMask", "mask padding"),
)
def GrowMask(
    mask: Mask,
    pixels: Annotated[int, Range(-1024, 1024)] = 8,
    corners: Literal["round", "square", "diamond"] = "round",
) -> Mask:
    """Make a mask reach further, or less far with a negative number.

    It doesn't shrink away from the picture's border.

    Args:
        mask: Any; soft edges move as they are.
        pixels: How far; below 0 it shrinks.
        corners: Within a circle of so many pixels, within a square, or within so many steps along
            rows and columns.
    """
    from nodegraph.media.images.mask_morphology import grow_mask

    return grow_mask(mask, pixels, corners)


@node(
    category="mask",
    facts=MASK_FACTS,
    tags=("blur mask", "soft edge", "smooth", "mask blur", "MaskBlur+"),
)
def FeatherMask(
    mask: Mask,
    radius: Annotated[float, Range(0, 512, step=0.5)] = 8.0,
    method: Literal["gaussian", "linear"] = "gaussian",
    side: Literal["both", "inward", "outward"] = "both",
) -> Mask:
    """Make a mask's edges soft.

    Args:
        mask: Any.
        radius: Pixels that it fades over, to each side.
        method: Gaussian blurs it, with half the radius as deviation; linear fades evenly with the
            distance from the edge.
        side: Inward stays inside the mask, so that nothing outside it changes; outward keeps all
            of it.
    """
    from nodegraph.media.images.mask_morphology import feather_mask

    return feather_mask(mask, radius, method, side)


@node(
    category="mask",
    facts=MASK_FACTS,
    tags=("FeatherMask", "feather", "vignette", "soft border", "gradient", "blend tiles"),
)
def FadeMaskBorders(
    mask: Mask, left: Border = 0, top: Border = 0, right: Border = 0, bottom: Border = 0
) -> Mask:
    """Let a mask fall evenly towards the borders of its picture, such as to blend what is pasted.

    Args:
        mask: Any.
        left, top, right, bottom: Pixels over which it falls; 0 leaves that side as it is.
    """
    from nodegraph.media.images.mask_morphology import fade_borders

    return fade_borders(mask, left, top, right, bottom)


@node(category="mask", facts=MASK_FACTS, tags=("binarize", "hard edge", "MaskThreshold"))
def ThresholdMask(mask: Mask, low: Share = 0.5, high: Share = 1.0) -> Mask:
    """Make a mask hard: 1 where its value is in a range, 0 elsewhere.

    Args:
        mask: Any.
        low, high: Both belong to the range.
    """
    from nodegraph.media.images.masks import threshold_mask

    return threshold_mask(mask, low, high)


@node(
    category="mask",
    infer=combined_mask_facts,
    tags=("MaskComposite", "boolean", "and", "or", "difference", "merge masks", "exclude"),
)
def CombineMasks(
    first: Mask,
    second: Mask,
    how: Literal["union", "intersect", "subtract", "xor", "multiply", "add"] = "union",
    fit: Annotated[Literal["stretch", "place"], Advanced()] = "stretch",
    x: Offset = 0,
    y: Offset = 0,
) -> Mask:
    """Make one mask of two.

    Args:
        first: Any.
        second: It is scaled to the first one's size, or placed on it.
        how: Union: in either; intersect: in both; subtract: the first without the second; xor: in
            one alone; multiply and add the values.
        fit: Stretch scales the second; place keeps its size, and the first one beside it.
        x, y: Where the second's upper left corner is placed, in pixels.
    """
    from nodegraph.media.images.masks import combine_masks

    return combine_masks(first, second, how, (x, y) if fit == "place" else None)


@node(category="mask", facts=MASK_FACTS, tags=("close holes", "MaskFillHoles", "fill region"))
def FillMaskHoles(mask: Mask, most: Annotated[int, Range(0), Advanced()] = 0) -> Mask:
    """Mask what is enclosed by a mask.

    Args:
        mask: Counts as masked from a half up.
        most: Pixels of the largest hole that is filled; 0 fills all.
    """
    from nodegraph.media.images.mask_morphology import fill_holes

    return fill_holes(mask, most)


@node(
    category="mask",
    facts=MASK_FACTS,
    tags=("remove small", "despeckle", "islands", "connected components", "largest"),
)
def KeepMaskParts(
    mask: Mask, least: Annotated[int, Range(0)] = 64, most: Annotated[int, Range(0, 10000)] = 0
) -> Mask:
    """Drop a mask's small parts.

    Args:
        mask: Pixels above 0 that touch are one part.
        least: Pixels of the smallest part that stays.
        most: How many parts stay, the largest ones; 0 keeps all that are large enough.
    """
    from nodegraph.media.images.mask_morphology import filter_components

    return filter_components(mask, least, most)


@node(
    category="mask",
    infer=resized_mask_facts,
    validate=check_made,
    tags=("scale mask", "upscale mask"),
)
def ResizeMask(
    mask: Mask,
    image: Image | None = None,
    width: Side = 512,
    height: Side = 512,
    method: Annotated[
        Literal["bilinear", "bicubic", "lanczos", "area", "nearest"], Advanced()
    ] = "bilinear",
) -> Mask:
    """Scale a mask to a picture, or to a size.

    Args:
        mask: Of any size.
        image: It gets this picture's size; without it, width and height say.
        width, height: In pixels, without a picture.
        method: How pixels are made of others; nearest keeps hard edges hard.
    """
    from nodegraph.media.images.masks import resize_mask, resolve_size

    return resize_mask(mask, *resolve_size(image, width, height), method)


class MaskBox(NamedTuple):
    """Where a mask is, in pixels, and the share of the picture that it covers."""

    x: int
    y: int
    width: int
    height: int
    share: float


@node(category="mask", tags=("bounding box", "bbox", "area", "MaskBoundingBox+", "empty"))
def MaskBounds(
    mask: Mask,
    margin: Annotated[int, Range(0, 16384)] = 0,
    multiple_of: Annotated[int, Range(1, 512), Advanced()] = 1,
) -> MaskBox:
    """The box that a mask is in, as numbers, and how much of the picture it covers.

    A batch has one box for all. An empty mask is in a box of 0 by 0.

    Args:
        mask: Pixels above 0 count.
        margin: Pixels around it, as far as the picture reaches.
        multiple_of: What width and height are made multiples of, such as 8.
    """
    from nodegraph.media.images.masks import mask_box, mask_share
    from nodegraph.media.images.regions import expand_box, fit_box

    if not bool((mask > 0).any()):
        return MaskBox(0, 0, 0, 0, 0.0)
    picture = mask.shape[2], mask.shape[1]
    grown = expand_box(mask_box(mask), margin, picture)
    return MaskBox(*fit_box(grown, (0, 0), multiple_of, picture)[0], mask_share(mask))


@node(
    category="mask",
    facts={"image": {name: f"mask.{name}" for name in ("width", "height", "batch")}},
    tags=("mask to image", "MaskToImage", "show mask", "convert"),
)
def MaskToImage(mask: Mask) -> Image:
    """A mask as a picture: white where it masks.

    Args:
        mask: Any.
    """
    from nodegraph.media.images.masks import mask_to_image

    return mask_to_image(mask)


@node(
    category="mask",
    infer=masked_picture_facts,
    validate=check_color,
    tags=(
        "show mask",
        "preview mask",
        "MaskPreview",
        "rubylith",
        "quick mask",
        "ImageAndMaskPreview",
    ),
)
def MaskOverlay(image: Image, mask: Mask, color: str = "#ff0000", opacity: Share = 0.5) -> Image:
    """Show a mask over its picture.

    Args:
        image: Any.
        mask: It is scaled to the picture.
        color: What is masked is tinted with it.
        opacity: How strongly.
    """
    from nodegraph.media.images.masks import overlay_mask

    return overlay_mask(image, mask, color, opacity)


@node(
    category="mask",
    infer=masked_rgba_facts,
    tags=("JoinImageWithAlpha", "transparency", "cut out", "layer mask", "rgba"),
)
def SetAlpha(
    image: Image, mask: Mask, masked: Literal["opaque", "transparent"] = "opaque"
) -> Image:
    """Make a part of a picture transparent, by a mask. Saved as PNG or WebP, it stays so.

    Args:
        image: Its own transparency is replaced.
        mask: It is scaled to the picture.
        masked: Whether what is masked stays opaque or becomes transparent.
    """
    from nodegraph.media.images.masks import with_alpha

    return with_alpha(image, mask, transparent=masked == "transparent")


@node(
    category="mask",
    infer=composited_facts,
    tags=("ImageCompositeMasked", "paste", "merge pictures", "layer mask", "inpaint result"),
)
def CompositeMasked(base: Image, overlay: Image, mask: Mask) -> Image:
    """Put one picture over another where a mask says; all else stays bit for bit.

    Args:
        base: What is seen where the mask is 0.
        overlay: What is seen where the mask is 1; scaled to the base.
        mask: Scaled to the base.
    """
    from nodegraph.media.images.masks import composite

    return composite(base, overlay, mask)


class Cropped(NamedTuple):
    """A part of a picture, its mask, and where it belongs."""

    image: Image
    mask: Mask
    region: Region


@node(
    category="mask",
    infer=cropped_facts,
    validate=check_cropped,
    tags=(
        "face detailer",
        "adetailer",
        "inpaint only masked",
        "InpaintCrop",
        "detail",
        "zoom",
        "FaceDetailer",
        "Impact Pack detailer",
        "SEGS",
    ),
)
def CropToMask(
    image: Image,
    mask: Mask,
    margin: Annotated[int, Range(0, 4096, step=8)] = 32,
    width: Annotated[int, Range(0, 16384, step=8)] = 0,
    height: Annotated[int, Range(0, 16384, step=8)] = 0,
    multiple_of: Annotated[int, Range(1, 512), Advanced()] = 8,
    empty: Annotated[Literal["error", "whole picture"], Advanced()] = "error",
) -> Cropped:
    """Cut out the part of a picture that is masked, to work on it at full size.

    StitchCrop puts it back. A batch is cut at the place that holds all of its masks.

    Args:
        image: Any.
        mask: What is to change; scaled to the picture.
        margin: Pixels around the mask, for the model to see what is there.
        width, height: What the part is scaled to: the size that the model likes. 0 follows from
            the mask; both 0 keep its pixels.
        multiple_of: What its sides are made multiples of.
        empty: What an empty mask is: an error, or the whole picture, to which StitchCrop then
            changes nothing.
    """
    from nodegraph.media.images.inpainting import crop_to_mask

    return Cropped(
        *crop_to_mask(
            image,
            mask,
            margin=margin,
            size=(width, height),
            multiple=multiple_of,
            whole_if_empty=empty != "error",
        )
    )


@node(
    category="mask",
    facts={"image": IMAGE_FACTS},
    tags=("paste back", "uncrop", "InpaintStitch", "face detailer", "adetailer", "FaceDetailer"),
)
def StitchCrop(
    image: Image,
    part: Image,
    region: Region,
    feather: Annotated[float, Range(0, 512, step=1)] = 8.0,
) -> Image:
    """Put a part back that CropToMask cut out; outside the mask nothing changes, bit for bit.

    Args:
        image: The picture that it was cut out of.
        part: As it is now, of any size.
        region: Of CropToMask.
        feather: Pixels over which it fades in from the mask's edge inwards.
    """
    from nodegraph.media.images.inpainting import stitch

    return stitch(image, part, region, feather)


class PaddedPicture(NamedTuple):
    """A larger picture, and what is new in it."""

    image: Image
    mask: Mask


Pad = Annotated[int, Range(0, 8192, step=8)]


@node(
    category="mask",
    infer=padded_facts,
    validate=check_padded,
    tags=("ImagePadForOutpaint", "outpaint", "extend", "uncrop", "canvas size", "zoom out"),
)
def PadForOutpaint(
    image: Image,
    left: Pad = 0,
    top: Pad = 0,
    right: Pad = 64,
    bottom: Pad = 0,
    feather: Annotated[float, Range(0, 1024, step=1)] = 16.0,
    fill: Literal["edge", "mirror", "color", "noise"] = "edge",
    color: str = "#808080",
    seed: Annotated[int, Seed(), Advanced()] = 0,
    fade: Annotated[Literal["linear", "quadratic"], Advanced()] = "linear",
) -> PaddedPicture:
    """Make room around a picture for a model to fill, and a mask of it.

    Args:
        image: Any.
        left, top, right, bottom: Pixels that are added.
        feather: Pixels over which the mask fades out into the old picture.
        fill: What is there to begin with: the edge drawn out, the picture mirrored, a colour, or
            coloured noise.
        color: Of the fill by colour.
        seed: Of the noise.
        fade: Linear fades evenly, quadratic the slower the further.
    """
    from nodegraph.media.images.inpainting import pad_for_outpaint

    sides = (left, top, right, bottom)
    return PaddedPicture(
        *pad_for_outpaint(
            image, sides, feather=feather, fill=fill, color=color, seed=seed, fade=fade
        )
    )


@node(
    category="mask",
    lane="io",
    output="files",
    validate=check_result_name,
    tags=("write", "file", "export"),
)
def SaveMask(ctx: Context, mask: Mask, name: str = "mask") -> None:
    """Write masks to the output folder as gray PNGs, which LoadMask reads again.

    Args:
        mask: Each of the batch gets a file of its own.
        name: What the file names begin with; fruit/apple makes a sub-folder.
    """
    from nodegraph.media.images.workflow_metadata import encode_with_workflow

    from ._result_files import save_result

    for item in mask:
        with at_port("mask"):
            data = encode_with_workflow(item[..., None], ctx.workflow)
        save_result(ctx, name, ".png", data, kind="image")
