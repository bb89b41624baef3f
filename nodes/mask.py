"""Masks: change, combine, measure, and apply to images."""

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
    infilled_facts,
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
    """Invert a mask: 0 becomes 1 and 1 becomes 0.

    Args:
        mask: Any mask.
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
    """Grow a mask, or shrink it with a negative number of pixels.

    It does not shrink away from the border of the image.

    Args:
        mask: Any mask. Soft edges keep their softness.
        pixels: Distance in pixels. Negative values shrink the mask.
        corners: Shape of the neighborhood: a circle with this radius, a square, or this many steps
            along rows and columns.
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
    """Soften the edges of a mask.

    Args:
        mask: Any mask.
        radius: Width of the soft edge on each side, in pixels.
        method: Gaussian blurs the mask, with half the radius as standard deviation. Linear fades
            evenly with the distance from the edge.
        side: Inward stays inside the mask, so that nothing outside it changes. Outward keeps the
            whole mask at full strength.
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
    """Fade a mask towards the borders of its image, for example to blend pasted tiles.

    Args:
        mask: Any mask.
        left, top, right, bottom: Width of the fade in pixels. 0 leaves that side unchanged.
    """
    from nodegraph.media.images.mask_morphology import fade_borders

    return fade_borders(mask, left, top, right, bottom)


@node(category="mask", facts=MASK_FACTS, tags=("binarize", "hard edge", "MaskThreshold"))
def ThresholdMask(mask: Mask, low: Share = 0.5, high: Share = 1.0) -> Mask:
    """Make a mask hard: 1 where its value is in a range, 0 elsewhere.

    Args:
        mask: Any mask.
        low, high: Limits of the range, both included.
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
    """Combine two masks into one.

    Args:
        first: Any mask.
        second: Any mask. It is scaled to the size of the first, or placed on it.
        how: Union: in either mask. Intersect: in both. Subtract: the first without the second. Xor:
            in only one. Multiply and add combine the values.
        fit: Stretch scales the second mask. Place keeps its size, and the first mask applies around
            it.
        x, y: Position of the upper left corner of the second mask, in pixels.
    """
    from nodegraph.media.images.masks import combine_masks

    return combine_masks(first, second, how, (x, y) if fit == "place" else None)


@node(category="mask", facts=MASK_FACTS, tags=("close holes", "MaskFillHoles", "fill region"))
def FillMaskHoles(mask: Mask, most: Annotated[int, Range(0), Advanced()] = 0) -> Mask:
    """Fill the holes of a mask.

    Args:
        mask: Pixels of 0.5 and above count as masked.
        most: Size of the largest hole to fill, in pixels. 0 fills all holes.
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
    """Remove the small parts of a mask (connected components).

    Args:
        mask: Adjacent pixels above 0 form one part.
        least: Size of the smallest part to keep, in pixels.
        most: Maximum number of parts to keep, the largest first. 0 keeps all parts that are large
            enough.
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
    """Scale a mask to the size of an image, or to a given size.

    Args:
        mask: A mask of any size.
        image: The mask gets the size of this image. If not linked, width and height apply.
        width, height: Size in pixels, if no image is linked.
        method: Interpolation. Nearest keeps hard edges hard.
    """
    from nodegraph.media.images.masks import resize_mask, resolve_size

    return resize_mask(mask, *resolve_size(image, width, height), method)


class MaskBox(NamedTuple):
    """Bounding box of a mask in pixels, and the share of the image that the mask covers."""

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
    """Return the bounding box of a mask as numbers, and how much of the image it covers.

    A batch has one box for all its masks. The box of an empty mask is 0 by 0.

    Args:
        mask: Pixels above 0 count.
        margin: Margin in pixels around the box, limited to the image.
        multiple_of: Make width and height multiples of this, for example 8.
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
    """Convert a mask to an image: white where the mask is 1.

    Args:
        mask: Any mask.
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
    """Show a mask as a color overlay on its image.

    Args:
        image: Any image.
        mask: Any mask. It is scaled to the size of the image.
        color: Color of the overlay.
        opacity: Opacity of the overlay.
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
    """Make part of an image transparent with a mask. PNG and WebP files keep the transparency.

    Args:
        image: Any image. Its alpha channel is replaced.
        mask: Any mask. It is scaled to the size of the image.
        masked: Whether the masked area stays opaque or becomes transparent.
    """
    from nodegraph.media.images.masks import with_alpha

    return with_alpha(image, mask, transparent=masked == "transparent")


@node(
    category="mask",
    infer=composited_facts,
    tags=("ImageCompositeMasked", "paste", "merge images", "layer mask", "inpaint result"),
)
def CompositeMasked(base: Image, overlay: Image, mask: Mask) -> Image:
    """Composite one image over another with a mask. All other pixels stay bit-identical.

    Args:
        base: The image where the mask is 0.
        overlay: The image where the mask is 1. It is scaled to the size of the base.
        mask: Any mask. It is scaled to the size of the base.
    """
    from nodegraph.media.images.masks import composite

    return composite(base, overlay, mask)


class Cropped(NamedTuple):
    """The cropped image, its mask, and its region in the original."""

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
    """Crop an image to its masked area, to work on that area at full resolution.

    StitchCrop pastes the result back. A batch is cropped to the area that contains all its masks.

    Args:
        image: Any image.
        mask: The area to change. It is scaled to the size of the image.
        margin: Margin in pixels around the mask, as context for the model.
        width, height: Size to scale the crop to, usually the training size of the model. If one is
            0, it follows from the aspect ratio of the crop. If both are 0, the crop is not scaled.
        multiple_of: Make the sides of the crop multiples of this.
        empty: How to treat an empty mask: raise an error, or crop to the whole image, to which
            StitchCrop then changes nothing.
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
    """Paste a crop of CropToMask back. Outside the mask all pixels stay bit-identical.

    Args:
        image: The image that was cropped.
        part: The changed crop, of any size.
        region: The region from CropToMask.
        feather: Width of the soft edge in pixels, from the edge of the mask inwards.
    """
    from nodegraph.media.images.inpainting import stitch

    return stitch(image, part, region, feather)


class PaddedPicture(NamedTuple):
    """The padded image, and the mask of the new area."""

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
    """Pad an image for outpainting, and return a mask of the new area.

    Args:
        image: Any image.
        left, top, right, bottom: Pixels to add on each side.
        feather: Width in pixels over which the mask fades into the original image.
        fill: Initial content of the new area: the edge repeated, the image mirrored, a color, or
            colored noise.
        color: Color of the fill, for the fill by color.
        seed: Seed of the noise.
        fade: Linear fades evenly. Quadratic fades more slowly with the distance.
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
    infer=infilled_facts,
    tags=(
        "infill",
        "INPAINT_MaskedFill",
        "telea",
        "patchmatch",
        "outpaint",
        "masked content",
        "content-aware fill",
        "extend",
    ),
)
def FillMasked(
    image: Image,
    mask: Mask | None = None,
    noise: Annotated[float, Range(0, 1, step=0.05)] = 0.0,
    seed: Annotated[int, Seed(), Advanced()] = 0,
) -> Image:
    """Fill the masked and the transparent area of an image with the colors around it.

    Inpainting and outpainting with a denoise below 1 keep some of what is in the image: this gives
    them something sensible to begin with.

    Args:
        image: Any image. Where it is transparent it is filled, too.
        mask: The area to fill. It is scaled to the size of the image. Without one, only what is
            transparent is filled.
        noise: Strength of the noise in the filled area. Models make more detail from noise than
            from smooth colors.
        seed: Seed of the noise.
    """
    from nodegraph.media.images.inpainting import infill

    return infill(image, mask, noise=noise, seed=seed)


@node(
    category="mask",
    lane="io",
    output="files",
    validate=check_result_name,
    tags=("write", "file", "export"),
)
def SaveMask(ctx: Context, mask: Mask, name: str = "mask") -> None:
    """Save masks to the output folder as gray PNG files, which LoadMask can load.

    Args:
        mask: Each mask of the batch is saved to a file.
        name: Prefix of the file names. fruit/apple makes a sub-folder.
    """
    from nodegraph.media.images.embedded_texts import encode_with_texts

    from ._result_files import save_result

    for index, item in enumerate(mask):
        with at_port("mask"):
            data = encode_with_texts(item[..., None], ctx.file_metadata(index))
        save_result(ctx, name, ".png", data, kind="image", index=index)
