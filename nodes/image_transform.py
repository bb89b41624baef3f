"""Resize, crop, rotate and warp images. Alpha is transformed too."""

from __future__ import annotations

from typing import Annotated, Literal

from nodegraph import Advanced, Image, Range, node

from ._image_facts import SAME
from ._image_ports import Anchor
from ._image_transform_facts import (
    check_cropped,
    check_padded,
    check_repeated,
    check_resized,
    check_rotated,
    check_scaled,
    check_warped,
    cropped_facts,
    filled_facts,
    padded_facts,
    resized_facts,
    rotated_facts,
    scaled_facts,
    tiled_facts,
)

_Method = Literal["lanczos", "bicubic", "bilinear", "area", "nearest"]
_Turning = Literal["bicubic", "bilinear", "nearest"]
_Pixels = Annotated[int, Range(0, 16384)]
_Coordinate = Annotated[int, Range(-16384, 16384)]


@node(
    category="image/transform",
    infer=resized_facts,
    validate=check_resized,
    tags=(
        "scale",
        "crop",
        "upscale",
        "letterbox",
        "contain",
        "cover",
        "fit",
        "thumbnail",
        "ImageScale",
        "ImageResize",
        "lanczos",
        "bicubic",
    ),
)
def ResizeImage(
    image: Image,
    width: _Pixels = 512,
    height: _Pixels = 512,
    method: _Method = "lanczos",
    fit: Literal["stretch", "crop", "pad", "inside", "outside"] = "stretch",
    like: Image | None = None,
    multiple_of: Annotated[int, Range(1, 1024), Advanced()] = 1,
    fill: Annotated[str, Advanced()] = "black",
) -> Image:
    """Resize images to a given size.

    Args:
        image: Images of any size.
        width, height: Size in pixels. 0 keeps the aspect ratio.
        method: Interpolation. Nearest keeps pixel values unchanged.
        fit: Stretch ignores the aspect ratio. The others keep it: crop cuts off the excess, pad
            fills the missing area, inside stays within the size, and outside covers it.
        like: An image whose size is used instead.
        multiple_of: Sides are rounded to multiples of this value.
        fill: Padding color. A transparent color gives images with alpha.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.resizing import resize_image

    if like is not None:
        _, height, width, _ = like.shape
    color = parse_color(fill, "fill")
    return resize_image(
        image, width, height, method=method, fit=fit, multiple=multiple_of, fill=color
    )


@node(
    category="image/transform",
    infer=scaled_facts,
    validate=check_scaled,
    tags=(
        "resize",
        "upscale",
        "megapixels",
        "factor",
        "max dimension",
        "total pixels",
        "ImageScaleBy",
        "ImageScaleToTotalPixels",
        "ImageScaleToMaxDimension",
        "lanczos",
    ),
)
def ScaleImage(
    image: Image,
    by: Literal[
        "factor", "longer side", "shorter side", "width", "height", "megapixels"
    ] = "factor",
    amount: Annotated[float, Range(0.001, 16384, step=0.25)] = 2.0,
    method: _Method = "lanczos",
    multiple_of: Annotated[int, Range(1, 1024), Advanced()] = 1,
) -> Image:
    """Scale images and keep their aspect ratio.

    Args:
        image: Images of any size.
        by: Meaning of amount: a factor, a side in pixels, or the total number of pixels.
        amount: The factor, the pixels, or the megapixels. One megapixel is 1024 x 1024 pixels.
        method: Interpolation. Nearest keeps pixel values unchanged.
        multiple_of: Sides are rounded to multiples of this value.
    """
    from nodegraph.media.images.resizing import resize_image, scaled_size

    size = scaled_size((image.shape[2], image.shape[1]), by, amount, multiple_of)
    return resize_image(image, *size, method=method)


@node(
    category="image/transform",
    infer=cropped_facts,
    validate=check_cropped,
    tags=("cut", "trim", "region", "slice", "ImageCrop", "center crop"),
)
def CropImage(
    image: Image,
    width: _Pixels = 512,
    height: _Pixels = 512,
    anchor: Anchor = "center",
    x: _Coordinate = 0,
    y: _Coordinate = 0,
) -> Image:
    """Crop images.

    Args:
        image: Images of any size. The part of the crop outside the image is left out.
        width, height: Size of the crop in pixels. 0 extends to the edge of the image.
        anchor: Edge, corner or center where the crop is placed.
        x, y: Offset in pixels: inwards from an edge, or to the right and down from the center.
    """
    from nodegraph.media.images.editing.transforms import crop

    return crop(image, (width, height), anchor, x, y)


@node(
    category="image/transform",
    infer=padded_facts,
    validate=check_padded,
    tags=("border", "extend", "frame", "canvas", "margin"),
)
def PadImage(
    image: Image,
    left: _Pixels = 0,
    top: _Pixels = 0,
    right: _Pixels = 0,
    bottom: _Pixels = 0,
    border: Literal["color", "edge", "reflect", "wrap"] = "color",
    color: str = "black",
) -> Image:
    """Add a border around images.

    Args:
        image: Images of any size.
        left, top, right, bottom: Pixels to add on each side.
        border: Content of the border: a color, the edge pixels, the mirrored image, or the repeated
            image.
        color: Border color. A transparent color like #00000000 gives images with alpha.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.editing.transforms import pad

    return pad(image, left, top, right, bottom, border, parse_color(color))


@node(
    category="image/transform",
    infer=rotated_facts,
    validate=check_rotated,
    tags=("turn", "straighten", "90", "orientation", "ImageRotate"),
)
def RotateImage(
    image: Image,
    angle: Annotated[float, Range(-360, 360, step=1)] = 90.0,
    expand: bool = True,
    color: str = "black",
    method: Annotated[_Turning, Advanced()] = "bicubic",
) -> Image:
    """Rotate images around their center.

    Args:
        image: Images of any size.
        angle: Angle in degrees, clockwise. Multiples of 90 move pixels without changing their
            values.
        expand: Enlarge the result to fit the whole rotated image. Otherwise the size does not
            change.
        color: Color of the corners. A transparent color like #00000000 gives images with alpha.
        method: Interpolation. Nearest keeps pixel values unchanged.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.editing.transforms import rotate

    return rotate(image, angle, expand=expand, color=parse_color(color), method=method)


@node(category="image/transform", facts=SAME, tags=("mirror", "reflect", "reverse", "ImageFlip"))
def FlipImage(
    image: Image, axis: Literal["horizontal", "vertical", "both"] = "horizontal"
) -> Image:
    """Mirror images.

    Args:
        image: Images of any size.
        axis: Horizontal swaps left and right, vertical swaps top and bottom.
    """
    from nodegraph.media.images.editing.transforms import flip

    return flip(image, axis)


@node(
    category="image/transform",
    facts=SAME,
    tags=("offset", "roll", "wrap", "seamless", "translate", "texture"),
)
def ShiftImage(image: Image, x: _Coordinate = 0, y: _Coordinate = 0) -> Image:
    """Shift images with wrap-around: pixels that leave on one side enter on the opposite side.

    Args:
        image: Images of any size.
        x, y: Pixels to the right and down.
    """
    from nodegraph.media.images.editing.transforms import shift

    return shift(image, x, y)


@node(
    category="image/transform",
    infer=filled_facts,
    validate=check_warped,
    tags=("perspective", "distort", "skew", "shear", "corner pin", "affine"),
)
def WarpImage(
    image: Image,
    corners: str = "0.1,0 0.9,0.1 1,1 0,0.9",
    color: str = "black",
    method: Annotated[_Turning, Advanced()] = "bicubic",
) -> Image:
    """Warp the perspective of images by moving their corners.

    Args:
        image: Images of any size. The size does not change.
        corners: New positions of the corners, clockwise from the top left, as shares of width and
            height. 0,0 1,0 1,1 0,1 has no effect.
        color: Color of the empty area. A transparent color like #00000000 gives images with alpha.
        method: Interpolation. Nearest keeps pixel values unchanged.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.editing.transforms import parse_corners, warp

    return warp(image, parse_corners(corners), parse_color(color), method)


@node(
    category="image/transform",
    infer=tiled_facts,
    validate=check_repeated,
    tags=("repeat", "pattern", "seamless", "wallpaper", "mosaic"),
)
def TileImage(
    image: Image,
    columns: Annotated[int, Range(1, 256)] = 2,
    rows: Annotated[int, Range(1, 256)] = 2,
    mirror: bool = False,
) -> Image:
    """Repeat images in columns and rows.

    Args:
        image: Images of any size.
        columns, rows: Number of repeats in each direction.
        mirror: Mirror every second tile, so that edges match.
    """
    from nodegraph.media.images.editing.transforms import repeat

    return repeat(image, columns, rows, mirror=mirror)
