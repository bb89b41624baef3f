"""Blend and composite images, and work with channels and batches."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from nodegraph import Advanced, Image, Mask, Range, node

from ._image_combine_facts import (
    batch_slice_facts,
    flattened_facts,
    joined_batch_facts,
    joined_channels_facts,
    layered_facts,
    repeated_batch_facts,
)
from ._image_facts import check_colors
from ._image_ports import Anchor, BlendMode

_Share = Annotated[float, Range(0, 1, step=0.05)]


@node(
    category="image/combine",
    infer=layered_facts,
    tags=("mix", "multiply", "screen", "overlay", "soft light", "ImageBlend", "crossfade"),
)
def BlendImages(
    image: Image,
    other: Image,
    mode: BlendMode = "normal",
    opacity: _Share = 0.5,
    mask: Mask | None = None,
) -> Image:
    """Blend one image over another with a blend mode.

    Args:
        image: The lower image.
        other: The upper image. If its size differs, it is scaled to cover the lower image and
            cropped.
        mode: Blend mode, as in Photoshop and CSS.
        opacity: Opacity of the upper image.
        mask: Area where the upper image is visible: 1 shows it. If not linked, it is visible
            everywhere.
    """
    from nodegraph.media.images.editing.compositing import blend_images

    return blend_images(image, other, mask, mode, opacity)


@node(
    category="image/combine",
    infer=layered_facts,
    tags=(
        "paste",
        "layer",
        "watermark",
        "logo",
        "image in image",
        "ImageCompositeMasked",
        "image composite",
        "overlay",
        "compositor",
    ),
)
def CompositeImage(
    image: Image,
    layer: Image,
    mask: Mask | None = None,
    anchor: Anchor = "top left",
    x: Annotated[int, Range(-16384, 16384)] = 0,
    y: Annotated[int, Range(-16384, 16384)] = 0,
    opacity: _Share = 1.0,
    mode: BlendMode = "normal",
) -> Image:
    """Paste an image onto another one at a position.

    Args:
        image: The lower image. The result has its size.
        layer: The image to paste. It is not scaled. Its alpha is used.
        mask: Area where the layer is visible: 1 shows it. It is scaled to the layer. If not linked,
            the whole layer is visible.
        anchor: Edge, corner or center where the layer is placed.
        x, y: Offset in pixels: inwards from an edge, or to the right and down from the center.
        opacity: Opacity of the layer.
        mode: Blend mode, as in Photoshop and CSS.
    """
    from nodegraph.media.images.editing.compositing import composite_layer

    return composite_layer(image, layer, mask, anchor=anchor, x=x, y=y, mode=mode, opacity=opacity)


@node(
    category="image/combine",
    infer=flattened_facts,
    validate=check_colors,
    tags=(
        "remove alpha",
        "background",
        "matte",
        "rgba to rgb",
        "transparency",
        "SplitImageWithAlpha",
    ),
)
def FlattenImage(image: Image, color: str = "white") -> Image:
    """Remove transparency by placing images on a background color.

    Args:
        image: The images. An image without alpha does not change.
        color: Background color.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.editing.compositing import flatten

    return flatten(image, parse_color(color))


class ImageChannels(NamedTuple):
    """Channels of an image as grayscale images."""

    first: Image
    second: Image
    third: Image


_CHANNEL = {name: f"image.{name}" for name in ("width", "height", "batch")}


@node(
    category="image/combine",
    facts={"first": _CHANNEL, "second": _CHANNEL, "third": _CHANNEL},
    tags=("rgb", "hsv", "lab", "red", "green", "blue", "separate", "decompose"),
)
def SplitChannels(image: Image, space: Literal["rgb", "hsv", "lab"] = "rgb") -> ImageChannels:
    """Split images into channels. Each channel is a grayscale image.

    Args:
        image: Images of any size. To get alpha, use MaskFromChannel.
        space: Color space: red, green, blue; hue, saturation, value; or CIE L, a, b. In a and b,
            middle gray means no color.
    """
    from nodegraph.media.images.editing.channels import split_channels

    return ImageChannels(*split_channels(image, space))


@node(
    category="image/combine",
    infer=joined_channels_facts,
    tags=("rgb", "hsv", "lab", "merge", "combine", "compose"),
)
def JoinChannels(
    first: Image, second: Image, third: Image, space: Literal["rgb", "hsv", "lab"] = "rgb"
) -> Image:
    """Combine channels into an image.

    Args:
        first, second, third: Grayscale images of one size. Of color images the brightness is used.
        space: Color space of the channels, see SplitChannels.
    """
    from nodegraph.media.images.editing.channels import join_channels

    return join_channels((first, second, third), space)


@node(
    category="image/combine",
    infer=joined_batch_facts,
    tags=("batch", "list to batch", "ImageBatch", "concatenate", "frames", "BatchImagesNode"),
)
def JoinImages(
    images: list[Image],
    more: list[Image] | None = None,
    fit: Annotated[
        Literal["stretch", "crop", "pad"],
        Advanced(),
    ] = "crop",
) -> Image:
    """Combine images into one batch.

    Args:
        images: One image, or a list. All are scaled to the size of the first.
        more: Further images, appended at the end.
        fit: How images of another aspect ratio are fitted: stretched, cropped, or padded with
            black.
    """
    from nodegraph.media.images.editing.channels import join_batch

    return join_batch([*images, *(more or ())], fit)


@node(
    category="image/combine",
    infer=batch_slice_facts,
    tags=("slice", "pick", "first", "last", "reverse", "every nth", "frames"),
)
def ImageFromBatch(
    image: Image,
    index: Annotated[int, Range(-4096, 4095)] = 0,
    length: Annotated[int, Range(0, 4096)] = 1,
    every: Annotated[int, Range(1, 4096), Advanced()] = 1,
    reverse: Annotated[bool, Advanced()] = False,
) -> Image:
    """Take some images from a batch.

    Args:
        image: The batch.
        index: First image, counted from 0. -1 is the last.
        length: Maximum number of images. 0 takes all from there.
        every: Take every nth image; 2 takes every second one.
        reverse: Reverse the order.
    """
    from nodegraph.media.images.editing.channels import take_from_batch

    return take_from_batch(image, index, length, every, reverse=reverse)


@node(
    category="image/combine",
    infer=repeated_batch_facts,
    tags=("batch", "copies", "duplicate", "RepeatImageBatch"),
)
def RepeatImage(image: Image, times: Annotated[int, Range(1, 4096)] = 2) -> Image:
    """Repeat images in one batch.

    Args:
        image: An image, or a batch, which is repeated as a whole.
        times: Number of repeats.
    """
    from nodegraph.media.images.editing.channels import repeat_batch

    return repeat_batch(image, times)


@node(
    category="image/combine",
    tags=("unbatch", "batch to list", "for each", "separate", "RebatchImages"),
)
def ImageList(image: Image) -> list[Image]:
    """Split a batch into a list, so that the following nodes run once per image.

    Args:
        image: The batch.
    """
    return [item.clone() for item in image[:, None]]
