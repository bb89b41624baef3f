"""Masks of objects from points, boxes and colors, without a model."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Image, InvalidValue, Mask, Range, node

from ._mask_facts import (
    IMAGE_TO_MASK,
    SAME_SIZE_RGB,
    check_required_points,
    check_selecting,
)

_CATEGORY = "mask/segment"
Unit = Literal["shares", "pixels"]


class CutOut(NamedTuple):
    """The image without its background, and the mask of what remains."""

    image: Image
    mask: Mask


@node(
    category=_CATEGORY,
    facts={"image": SAME_SIZE_RGB["image"], "mask": IMAGE_TO_MASK["mask"]},
    tags=("rembg", "RMBG", "BiRefNet", "cut out", "transparent", "subject", "alpha"),
)
def RemoveBackground(
    image: Image,
    tolerance: Annotated[float, Range(0, 1, step=0.01)] = 0.1,
    softness: Annotated[float, Range(0, 64, step=0.5)] = 1.0,
) -> CutOut:
    """Make the even background of an image transparent, for example a white one.

    For a complex background use ForegroundMask. Or mask the object with SelectByBox, SelectByPoints
    or SegmentAnything, and use SetAlpha.

    Args:
        image: An image whose border is background.
        tolerance: Maximum difference of each of red, green and blue from the colors of the border.
        softness: Width in pixels over which the edge fades inwards.
    """
    from nodegraph.media.images.classical_segmentation import plain_background
    from nodegraph.media.images.masks import with_alpha

    mask = plain_background(image, tolerance, softness)
    return CutOut(with_alpha(image, mask, transparent=False), mask)


@node(
    category=_CATEGORY,
    facts=IMAGE_TO_MASK,
    validate=check_required_points,
    tags=("flood fill", "bucket", "select color", "wand", "similar"),
)
def MagicWand(
    image: Image,
    points: str = "0.5, 0.5",
    unit: Unit = "shares",
    tolerance: Annotated[float, Range(0, 1, step=0.01)] = 0.1,
    connected: bool = True,
) -> Mask:
    """Mask the area that has the color of a given point.

    Args:
        image: Any image. The points apply to all images of a batch.
        points: x and y of one or several points, for example 0.5, 0.5 or [[0.2, 0.3], [0.8, 0.3]].
        unit: Unit of the coordinates: shares of the image's sides, 0 to 1, or pixels.
        tolerance: Maximum difference of each of red, green and blue from this color.
        connected: Mask only pixels connected with the point. If off, all pixels of this color.
    """
    from nodegraph.media.images.classical_segmentation import select_similar_colors

    return select_similar_colors(
        image, _points(image, points, unit), tolerance, connected=connected
    )


@node(
    category=_CATEGORY,
    facts=IMAGE_TO_MASK,
    validate=check_selecting,
    numerics=True,
    tags=("random walker", "click", "object selection", "scribble", "segment", "scikit-image"),
)
def SelectByPoints(
    image: Image,
    points: str = "0.5, 0.5",
    excluded: str = "",
    unit: Unit = "shares",
    radius: Annotated[int, Range(0, 256), Advanced()] = 3,
) -> Mask:
    """Mask the object at a point, up to its edges. No model is needed.

    Args:
        image: Any image. The points apply to all images of a batch.
        points: x and y of points on the object, for example 0.5, 0.5 or [[0.2, 0.3], [0.8, 0.3]].
        excluded: Points outside the object. If empty, the border of the image is excluded.
        unit: Unit of the coordinates: shares of the image's sides, 0 to 1, or pixels.
        radius: Radius in pixels around each point that surely belongs to the object.
    """
    from nodegraph.media.images.classical_segmentation import select_by_points

    wanted, other = _points(image, points, unit), _points(image, excluded, unit, "excluded")
    return select_by_points(image, wanted, other, radius)


@node(
    category=_CATEGORY,
    facts=IMAGE_TO_MASK,
    validate=check_selecting,
    numerics=True,
    tags=("grabcut", "rectangle", "object selection", "cut out", "segment", "scikit-image"),
)
def SelectByBox(image: Image, box: str = "0.1, 0.1, 0.8, 0.8", unit: Unit = "shares") -> Mask:
    """Mask the object in a box: what differs from the surroundings of the box. No model is needed.

    Args:
        image: Any image. The box applies to all images of a batch.
        box: x, y, width and height of a box around the object, for example 0.1, 0.1, 0.8, 0.8.
        unit: Unit of the coordinates: shares of the image's sides, 0 to 1, or pixels.
    """
    from nodegraph.media.images.classical_segmentation import select_by_box
    from nodegraph.media.images.masks import box_to_pixels
    from nodegraph.media.images.regions import parse_boxes

    boxes = parse_boxes(box, "box", unit)
    if len(boxes) != 1:
        raise InvalidValue("the selection needs one box", port="box", given=f"{len(boxes)} boxes")
    x, y, width, height = box_to_pixels(boxes[0], (image.shape[2], image.shape[1]), unit)
    return select_by_box(image, (round(x), round(y), round(width), round(height)))


class PartsOfPicture(NamedTuple):
    """The image in segments of one color each, and the borders of the segments."""

    image: Image
    borders: Mask


Parts = Annotated[int, Range(2, 20000)]
Method = Literal["slic", "felzenszwalb", "watershed"]


@node(
    category=_CATEGORY,
    facts={**SAME_SIZE_RGB, "borders": IMAGE_TO_MASK["mask"]},
    validate=check_selecting,
    numerics=True,
    tags=("slic", "mosaic", "simplify", "low poly", "stained glass", "scikit-image"),
)
def Superpixels(image: Image, parts: Parts = 200, method: Method = "slic") -> PartsOfPicture:
    """Divide an image into superpixels, each filled with its mean color.

    Args:
        image: Any image.
        parts: Approximate number of segments.
        method: Slic makes segments of about the same size. Felzenszwalb makes larger segments in
            even areas. Watershed follows the edges.
    """
    from nodegraph.media.images.classical_segmentation import superpixels

    return PartsOfPicture(*superpixels(image, method, parts))


@node(
    category=_CATEGORY,
    facts=IMAGE_TO_MASK,
    validate=check_selecting,
    numerics=True,
    tags=("slic", "click", "quick selection", "segment", "scikit-image"),
)
def SelectSuperpixels(
    image: Image,
    points: str = "0.5, 0.5",
    unit: Unit = "shares",
    parts: Parts = 50,
    method: Method = "slic",
) -> Mask:
    """Mask the superpixels that contain the given points.

    Args:
        image: Any image. The points apply to all images of a batch.
        points: x and y of one or several points, for example 0.5, 0.5 or [[0.2, 0.3], [0.8, 0.3]].
        unit: Unit of the coordinates: shares of the image's sides, 0 to 1, or pixels.
        parts, method: As for Superpixels, which shows the segments.
    """
    from nodegraph.media.images.classical_segmentation import select_superpixels

    return select_superpixels(image, _points(image, points, unit), method, parts)


def _points(image: Image, text: str, unit: str, port: str = "points") -> list[tuple[int, int]]:
    from nodegraph.media.images.classical_segmentation import pixel_points
    from nodegraph.media.images.regions import parse_points

    points = parse_points(text, port)
    if not points and port == "points":
        raise InvalidValue("no point is given", port=port, expected="x and y, for example 0.5, 0.5")
    return pixel_points(points, (image.shape[2], image.shape[1]), unit, port)
