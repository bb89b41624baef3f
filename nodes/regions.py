"""Regions of an image: detect, make, filter, crop and paste."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Context, Image, Mask, Range, node
from nodegraph.media.images.regions import Measure, Region
from nodegraph.perception.vision.vision_model import VisionModel

from ._mask_facts import IMAGE_FACTS, IMAGE_TO_MASK
from ._region_facts import check_labels, check_sam, region_mask_facts

_CATEGORY = "mask/regions"
_Factor = Annotated[float, Range(1, 100, step=0.1)]
_Pixels = Annotated[int, Range(0, 16384)]
_Square = Annotated[int, Range(-512, 512)]
_Share = Annotated[float, Range(0, 1, step=0.01)]
Feather = Annotated[int, Range(0, 1024)]
Softness = Annotated[float, Range(0.1, 1024, step=0.5), Advanced()]


class DetectedRegions(NamedTuple):
    """Regions around objects, a mask of all of them, and their number."""

    regions: list[Region]
    mask: Mask
    number: int


@node(
    category=_CATEGORY,
    lane="gpu",
    numerics=True,
    facts={"mask": IMAGE_TO_MASK["mask"]},
    validate=check_labels,
    tags=(
        *("SEGS", "BboxDetectorSEGS", "SegmDetectorSEGS", "ImpactSimpleDetectorSEGS", "yolo"),
        *("ultralytics", "face detector", "adetailer", "bbox", "detailer", "hand", "person"),
    ),
)
def DetectRegions(
    ctx: Context,
    model: VisionModel,
    image: Image,
    labels: str = "",
    threshold: _Share = 0.5,
    crop: _Factor = 3.0,
    grow: _Square = 0,
    smallest: _Pixels = 10,
    most: Annotated[int, Range(1, 1000), Advanced()] = 100,
) -> DetectedRegions:
    """Detect objects, for example faces, and return a region around each.

    Link the regions to DetailRegions, which paints each of them at full size. A model that
    segments, such as YOLO for segmentation, masks the objects; others mask their boxes.

    Args:
        model: RT-DETR, D-FINE, YOLOS, DETR, or a YOLO model as an ONNX file, from LoadVisionModel.
        image: One image.
        labels: Class names, separated by commas. Empty for all classes of the model.
        threshold: Minimum confidence.
        crop: Size of a region, as a multiple of the object's box.
        grow: Side in pixels of a square by which the masks grow. Negative values shrink them.
        smallest: Objects whose width or height in pixels is not above this are left out.
        most: Maximum number of regions, the most confident first.
    """
    from nodegraph.perception.vision.detection import detect_regions

    regions, mask = detect_regions(
        ctx,
        model,
        image,
        labels,
        threshold,
        most,
        grow=grow,
        factor=crop,
        smallest=smallest,
    )
    return DetectedRegions(regions, mask, len(regions))


@node(category=_CATEGORY, tags=("MaskToSEGS", "SEGS", "connected components", "parts of a mask"))
def RegionsFromMask(
    mask: Mask,
    crop: _Factor = 3.0,
    smallest: _Pixels = 10,
    joined: bool = False,
    boxes: bool = False,
    fill_holes: bool = False,
    order: Annotated[Literal["from the top", "from the bottom"], Advanced()] = "from the top",
) -> list[Region]:
    """Make a region around each connected part of a mask.

    Args:
        mask: The mask. Each mask of a batch has its own regions.
        crop: Size of a region, as a multiple of the part's box.
        smallest: Parts whose width or height in pixels is not above this are left out.
        joined: Make one region of all parts of a mask.
        boxes: Mask the whole box of each part.
        fill_holes: Mask the holes of each part, too.
        order: Which parts come first.
    """
    from nodegraph.media.images.inpainting import regions_from_mask

    return regions_from_mask(
        mask,
        crop,
        smallest,
        joined=joined,
        boxes=boxes,
        filled=fill_holes,
        from_bottom=order == "from the bottom",
    )


@node(category=_CATEGORY, tags=("UltimateSDUpscale", "tiles", "tiled upscale", "grid"))
def TileRegions(
    image: Image,
    tile_width: Annotated[int, Range(8, 16384, step=8)] = 512,
    tile_height: Annotated[int, Range(8, 16384, step=8)] = 512,
    padding: Annotated[int, Range(0, 4096, step=8)] = 32,
    order: Literal["rows", "checkerboard"] = "rows",
) -> list[Region]:
    """Divide an image into tiles, as regions for DetailRegions.

    Each tile is painted with the surroundings that the tiles before it have got.

    Args:
        image: Any image.
        tile_width, tile_height: Size of the tiles in pixels.
        padding: Pixels around a tile that the model sees, and into which its edge fades.
        order: Row by row, or first every second tile, and then those between them.
    """
    from nodegraph.media.images.inpainting import tile_region
    from nodegraph.media.images.regions import tile_boxes

    size = image.shape[2], image.shape[1]
    proportions = tile_width + padding, tile_height + padding
    return [
        tile_region(box, padding, proportions, size)
        for box in tile_boxes(size, (tile_width, tile_height), order)
    ]


class MaskOfRegions(NamedTuple):
    """One mask of all regions, and the mask of each, all of the size of the image."""

    mask: Mask
    masks: list[Mask]


@node(
    category=_CATEGORY,
    infer=region_mask_facts,
    tags=("SegsToCombinedMask", "ImpactSEGSToMaskList", "SEGS to mask", "combined mask"),
)
def RegionsMask(regions: list[Region], image: Image | None = None) -> MaskOfRegions:
    """Join the masks of regions into one mask of the image.

    Args:
        regions: The regions.
        image: An image of the size of the mask, for the case that there is no region.
    """
    from nodegraph.media.images.inpainting import region_masks, regions_mask

    size = None if image is None else (image.shape[2], image.shape[1])
    return MaskOfRegions(regions_mask(regions, size), region_masks(regions))


@node(
    category=_CATEGORY,
    tags=("ImpactSegsAndMask", "BitwiseAndMaskForEach", "SubtractMaskForEach", "intersect"),
)
def MaskRegions(
    regions: list[Region],
    mask: Mask,
    keep: Literal["inside", "outside"] = "inside",
) -> list[Region]:
    """Limit the masks of regions by another mask. The size of the regions stays.

    Args:
        regions: The regions.
        mask: A mask for all of them, or a batch with one for each. It is scaled to the image.
        keep: The part of the regions' masks that stays.
    """
    from nodegraph.media.images.inpainting import mask_regions

    return mask_regions(regions, mask, inverted=keep == "outside")


@node(category=_CATEGORY, tags=("ImpactDilateMaskInSEGS", "dilate", "shrink", "erode"))
def GrowRegions(regions: list[Region], pixels: _Square = 10) -> list[Region]:
    """Grow the masks of regions within their crop, or shrink them with a negative number.

    Args:
        regions: The regions.
        pixels: Side of the square by which they grow.
    """
    from nodegraph.media.images.inpainting import grow_regions

    return grow_regions(regions, pixels)


class FilteredRegions(NamedTuple):
    """The selected regions, and the others."""

    regions: list[Region]
    others: list[Region]


_Of = Annotated[Literal["box", "crop"], Advanced()]


@node(
    category=_CATEGORY,
    tags=("ImpactSEGSLabelFilter", "ImpactSEGSRangeFilter", "SEGS filter", "by size", "by class"),
)
def FilterRegions(
    regions: list[Region],
    labels: str = "",
    by: Measure = "area",
    least: Annotated[float, Range(0, 1e12)] = 0.0,
    most: Annotated[float, Range(0, 1e12)] = 1e12,
    of: _Of = "box",
) -> FilteredRegions:
    """Select regions by their label and by a measure.

    Args:
        regions: The regions.
        labels: Class names, separated by commas. Empty for all.
        by: What is measured, in pixels. elongation is the longer side in percent of the shorter
            one. confidence is that of the detector, 0 to 1.
        least, most: The smallest and largest value to select.
        of: Measure the box of the object, or the whole crop.
    """
    from nodegraph.media.images.regions import filter_regions

    return FilteredRegions(*filter_regions(regions, labels, by, least, most, of=of))


@node(category=_CATEGORY, tags=("ImpactSEGSOrderedFilter", "largest face", "order", "SEGS filter"))
def SortRegions(
    regions: list[Region],
    by: Measure = "area",
    descending: bool = True,
    first: Annotated[int, Range(0, 1000)] = 0,
    count: Annotated[int, Range(0, 1000)] = 1000,
    of: _Of = "box",
) -> FilteredRegions:
    """Sort regions, and select some of them, for example the largest face.

    Args:
        regions: The regions.
        by: What is measured, as for FilterRegions.
        descending: The largest value comes first.
        first: How many to leave out at the beginning.
        count: How many to select from there.
        of: Measure the box of the object, or the whole crop.
    """
    from nodegraph.media.images.regions import measure_region

    ordered = sorted(regions, key=lambda region: measure_region(region, by, of), reverse=descending)
    end = first + count
    return FilteredRegions(ordered[first:end], [*ordered[:first], *ordered[end:]])


class CroppedRegion(NamedTuple):
    """The part of the image in a region, and the region's mask."""

    image: Image
    mask: Mask


@node(category=_CATEGORY, tags=("SEGSToImageList", "ImpactSEGSToMaskList", "crop faces", "cut"))
def CropRegion(image: Image, region: Region) -> CroppedRegion:
    """Crop an image to a region. A list of regions gives a list of images.

    Args:
        image: The image in which the region was detected, of any size.
        region: A region.
    """
    from nodegraph.media.images.inpainting import cut_region

    return CroppedRegion(*cut_region(image, region))


@node(category=_CATEGORY, facts={"image": IMAGE_FACTS}, tags=("SEGSPaste", "paste back", "uncrop"))
def PasteRegions(
    image: Image,
    regions: list[Region],
    parts: list[Image],
    feather: Feather = 5,
    softness: Softness = 10.0,
    opacity: Annotated[float, Range(0, 1, step=0.01), Advanced()] = 1.0,
) -> Image:
    """Paste parts into an image where the masks of regions are.

    All pixels that no softened mask reaches stay bit-identical.

    Args:
        image: The image.
        regions: The regions.
        parts: An image for each region, scaled to its size.
        feather: Pixels over which the edges of the masks fade, to both sides.
        softness: Deviation of the Gaussian that softens the edges, in pixels.
        opacity: Opacity of the parts.
    """
    from nodegraph.media.images.inpainting import paste_regions

    return paste_regions(image, regions, parts, feather, softness, opacity)


class SegmentedRegions(NamedTuple):
    """A mask of all objects, and a batch with a mask for each region."""

    mask: Mask
    masks: Mask


@node(
    category=_CATEGORY,
    lane="gpu",
    numerics=True,
    facts={"mask": IMAGE_TO_MASK["mask"]},
    validate=check_sam,
    tags=("SAMDetectorCombined", "SAMDetectorSegmented", "SAM", "SAMLoader", "segment faces"),
)
def SegmentRegions(
    ctx: Context,
    model: VisionModel,
    image: Image,
    regions: list[Region],
    hint: Literal[
        "center", "horizontal", "vertical", "rectangle", "diamond", "mask", "none"
    ] = "center",
    threshold: _Share = 0.93,
    expand: Annotated[int, Range(0, 1000), Advanced()] = 0,
    grow: Annotated[_Square, Advanced()] = 0,
    mask_threshold: Annotated[float, Range(0, 1, step=0.01), Advanced()] = 0.7,
) -> SegmentedRegions:
    """Mask the objects in regions with SAM.

    MaskRegions limits the regions to these masks.

    Args:
        model: SAM, SAM-HQ or SAM 2, from LoadVisionModel.
        image: One image.
        regions: Regions of the image.
        hint: Points on the object, besides its box: in the middle, two or four of them, or all
            over the mask of the region.
        threshold: Confidence from which on masks of the model count. If none has it, the surest
            one counts.
        expand: Pixels by which the boxes are enlarged on each side.
        grow: Side in pixels of a square by which the masks grow. Negative values shrink them.
        mask_threshold: With the hint mask: minimum value of the mask at a point.
    """
    from nodegraph.media.images.mask_morphology import dilate_mask
    from nodegraph.perception.vision.detection import check_single_image
    from nodegraph.perception.vision.segmentation import segment_regions

    check_single_image(image)
    masks = segment_regions(
        ctx,
        model,
        image,
        regions,
        hint=hint,
        threshold=threshold,
        expand=expand,
        mask_threshold=mask_threshold,
    )
    empty = image.new_zeros(1, *image.shape[1:3])
    masks = dilate_mask(masks, grow) if len(masks) else empty
    return SegmentedRegions(masks.amax(0, keepdim=True), masks)
