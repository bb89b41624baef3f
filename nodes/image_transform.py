"""Pictures in other sizes and places; alpha goes along."""

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
    """Scale pictures to a size.

    Args:
        image: Of any size.
        width, height: In pixels; 0 keeps the proportions.
        method: How pixels are made of others; nearest keeps their values.
        fit: Stretch ignores the proportions; crop keeps them and cuts off what is too much; pad
            keeps them and fills up; inside keeps them and stays within the size, outside covers it.
        like: A picture whose size is taken instead.
        multiple_of: Sides are rounded to multiples of it.
        fill: Colour that pad fills up with; one that isn't opaque gives pictures alpha.
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
    """Scale pictures and keep their proportions.

    Args:
        image: Of any size.
        by: What is given: a factor, the pixels of a side, or how many there are in all.
        amount: The factor, the pixels, or the megapixels, of which one has 1024 x 1024.
        method: How pixels are made of others; nearest keeps their values.
        multiple_of: Sides are rounded to multiples of it.
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
    """Cut a part out of pictures.

    Args:
        image: Of any size; what lies outside of it isn't there.
        width, height: Of the part, in pixels; 0 is all from there.
        anchor: Where it lies.
        x, y: Pixels from there: from an edge inwards, from the middle to the right and down.
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
    """Put more around pictures.

    Args:
        image: Of any size.
        left, top, right, bottom: Pixels that are added.
        border: Of what: a colour, the outermost pixels, the mirrored picture, or the picture again.
        color: One that isn't opaque, such as #00000000, gives pictures alpha.
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
    """Turn pictures about their middle.

    Args:
        image: Of any size.
        angle: Degrees, clockwise. Right angles move pixels and change none.
        expand: Make it large enough for all of the picture; else it stays as large as it was.
        color: Of the corners; one that isn't opaque, such as #00000000, gives pictures alpha.
        method: How pixels are made of others; nearest keeps their values.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.editing.transforms import rotate

    return rotate(image, angle, expand=expand, color=parse_color(color), method=method)


@node(category="image/transform", facts=SAME, tags=("mirror", "reflect", "reverse", "ImageFlip"))
def FlipImage(
    image: Image, axis: Literal["horizontal", "vertical", "both"] = "horizontal"
) -> Image:
    """Mirror pictures.

    Args:
        image: Of any size.
        axis: Horizontal exchanges left and right, vertical top and bottom.
    """
    from nodegraph.media.images.editing.transforms import flip

    return flip(image, axis)


@node(
    category="image/transform",
    facts=SAME,
    tags=("offset", "roll", "wrap", "seamless", "translate", "texture"),
)
def ShiftImage(image: Image, x: _Coordinate = 0, y: _Coordinate = 0) -> Image:
    """Move pictures; what leaves at one side comes in at the other.

    Args:
        image: Of any size.
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
    """Pull the corners of pictures to other places.

    Args:
        image: Of any size, and as large afterwards.
        corners: Where they go, from the top left clockwise, as shares of width and height; 0,0 1,0
            1,1 0,1 is where they are.
        color: Of what comes into view; one that isn't opaque, such as #00000000, gives pictures
            alpha.
        method: How pixels are made of others; nearest keeps their values.
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
    """Repeat pictures beside and below themselves.

    Args:
        image: Of any size.
        columns, rows: How often.
        mirror: Turn every other one over, so that edges meet their like.
    """
    from nodegraph.media.images.editing.transforms import repeat

    return repeat(image, columns, rows, mirror=mirror)
