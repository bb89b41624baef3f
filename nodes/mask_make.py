"""Masks from files, images, shapes and numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from nodegraph import Advanced, Context, File, Image, Mask, Multiline, Range, node

from ._credentials import warn_if_changed
from ._facts import image_state
from ._image_file_facts import check_image
from ._mask_facts import (
    IMAGE_TO_MASK,
    box_masks_facts,
    check_boxes,
    check_color,
    check_made,
    loaded_mask_facts,
    new_mask_facts,
)

Side = Annotated[int, Range(0, 16384, step=8)]
Share = Annotated[float, Range(0, 1, step=0.01)]


@node(
    category="mask/make",
    lane="io",
    infer=loaded_mask_facts,
    validate=check_image,
    fingerprint=image_state,
    tags=("open", "read", "LoadImageMask", "paint", "inpaint", "upload mask", "mask editor"),
)
def LoadMask(
    ctx: Context,
    path: Annotated[str, File("image")],
    channel: Literal["auto", "brightness", "transparency", "red", "green", "blue"] = "auto",
) -> Mask:
    """Load a mask from an image file, for example one that was painted in another program.

    Args:
        path: PNG, WebP and other formats. Relative paths start from the inputs folder.
        channel: Channel to use as the mask. Auto uses the transparency if the file has any, else
            the brightness: white is masked.
    """
    from nodegraph.media.images.images import read_image
    from nodegraph.media.images.masks import mask_from_file

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    most, names = environment.max_image_pixels, environment.readable is None
    mask = mask_from_file(*read_image(file, max_pixels=most, names=names), channel)
    warn_if_changed(ctx, file)
    return mask


@node(
    category="mask/make",
    infer=new_mask_facts,
    validate=check_made,
    tags=("empty mask", "full mask", "blank", "solid"),
)
def SolidMask(
    image: Image | None = None, width: Side = 512, height: Side = 512, value: Share = 1.0
) -> Mask:
    """Make a mask with the same value everywhere.

    Args:
        image: The mask gets the size of this image. If not linked, width and height apply.
        width, height: Size in pixels, if no image is linked.
        value: 1 masks everything, 0 masks nothing.
    """
    import torch

    from nodegraph.media.images.masks import resolve_size

    columns, rows = resolve_size(image, width, height)
    return torch.full((1, rows, columns), float(value))


@node(
    category="mask/make",
    facts=IMAGE_TO_MASK,
    validate=check_color,
    tags=(
        "color range",
        "chroma key",
        "green screen",
        "MaskFromColor+",
        "select color",
        "ImageColorToMask",
        "ColorToMask",
    ),
)
def MaskFromColor(
    image: Image, color: str = "#ffffff", tolerance: Share = 0.1, softness: Share = 0.0
) -> Mask:
    """Mask the pixels of a color.

    Args:
        image: Any image.
        color: The color as #rrggbb or by name.
        tolerance: Maximum difference of each of red, green and blue. 0 masks only the exact color.
        softness: Range of differences above the tolerance over which the mask fades out.
    """
    from nodegraph.media.images.masks import mask_from_color

    return mask_from_color(image, color, tolerance, softness)


@node(
    category="mask/make",
    facts=IMAGE_TO_MASK,
    tags=(
        "ImageToMask",
        "image to mask",
        "luminosity mask",
        "alpha",
        "grayscale",
        "SplitImageWithAlpha",
    ),
)
def MaskFromChannel(
    image: Image,
    channel: Literal[
        "luminance", "red", "green", "blue", "alpha", "saturation", "value"
    ] = "luminance",
) -> Mask:
    """Make a mask from the brightness, transparency or another channel of an image.

    Args:
        image: Any image. An image without alpha is opaque everywhere.
        channel: Luminance weighs the colors by perceived brightness. Value is the brightest of the
            three colors.
    """
    from nodegraph.media.images.masks import mask_from_channel

    return mask_from_channel(image, channel)


@node(
    category="mask/make",
    infer=new_mask_facts,
    validate=check_made,
    tags=("rectangle", "ellipse", "circle", "marquee", "draw", "CreateShapeMask"),
)
def ShapeMask(
    image: Image | None = None,
    width: Side = 512,
    height: Side = 512,
    shape: Literal["rectangle", "ellipse", "diamond"] = "rectangle",
    x: float = 0.25,
    y: float = 0.25,
    shape_width: Annotated[float, Range(0)] = 0.5,
    shape_height: Annotated[float, Range(0)] = 0.5,
    unit: Literal["shares", "pixels"] = "shares",
    angle: Annotated[float, Range(-360, 360, step=5), Advanced()] = 0.0,
) -> Mask:
    """Make a mask of a rectangle, an ellipse or a diamond.

    Args:
        image: The mask gets the size of this image. If not linked, width and height apply.
        width, height: Size in pixels, if no image is linked.
        shape: The shape. It fills its box, and its edge is antialiased.
        x, y: Left and upper edge of the box.
        shape_width, shape_height: Width and height of the box.
        unit: Unit of x, y, shape_width and shape_height: shares of the image's sides, 0 to 1, or
            pixels.
        angle: Clockwise rotation about the center, in degrees.
    """
    from nodegraph.media.images.masks import box_to_pixels, resolve_size, shape_mask

    size = resolve_size(image, width, height)
    return shape_mask(
        size, box_to_pixels((x, y, shape_width, shape_height), size, unit), shape, angle
    )


@node(
    category="mask/make",
    infer=box_masks_facts,
    validate=check_boxes,
    tags=(
        "bbox",
        "bounding boxes",
        "regions",
        "rectangles",
        "json",
        "detector",
        "YOLO",
        "Ultralytics",
    ),
)
def MaskFromBoxes(
    boxes: Annotated[str, Multiline()] = "[[0.25, 0.25, 0.5, 0.5]]",
    image: Image | None = None,
    width: Side = 512,
    height: Side = 512,
    unit: Literal["shares", "pixels"] = "shares",
    each: Literal["one mask", "a mask each"] = "one mask",
) -> Mask:
    """Make a mask from boxes in text form, for example from a detector.

    Args:
        boxes: Boxes as [[x, y, width, height], ...], or four numbers per line.
        image: The mask gets the size of this image. If not linked, width and height apply.
        width, height: Size in pixels, if no image is linked.
        unit: Shares of the image's sides, 0 to 1, or pixels.
        each: All boxes in one mask, or a batch with one mask per box.
    """
    from nodegraph.media.images.masks import box_to_pixels, boxes_mask, resolve_size
    from nodegraph.media.images.regions import parse_boxes

    size = resolve_size(image, width, height)
    placed = [box_to_pixels(box, size, unit) for box in parse_boxes(boxes, unit=unit)]
    return boxes_mask(size, placed, each=each != "one mask")


@node(
    category="mask/make",
    infer=new_mask_facts,
    validate=check_made,
    tags=("ramp", "fade", "transition", "vignette"),
)
def GradientMask(
    image: Image | None = None,
    width: Side = 512,
    height: Side = 512,
    kind: Literal["linear", "radial"] = "linear",
    angle: Annotated[float, Range(-360, 360, step=5)] = 0.0,
    start: Share = 0.0,
    end: Share = 1.0,
) -> Mask:
    """Make a mask with a gradient from 0 to 1.

    Args:
        image: The mask gets the size of this image. If not linked, width and height apply.
        width, height: Size in pixels, if no image is linked.
        kind: Linear rises along a line. Radial falls from the center to the sides.
        angle: Direction of a linear gradient, in degrees clockwise: 0 rises to the right, 90 rises
            downwards.
        start, end: Where the gradient starts and ends, as shares of its length. An end before the
            start reverses it.
    """
    from nodegraph.media.images.masks import gradient_mask, resolve_size

    return gradient_mask(resolve_size(image, width, height), kind, angle, start, end)
