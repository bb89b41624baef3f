"""Several pictures as one, channels and batches."""

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
from ._image_ports import Anchor

_Mode = Literal[
    "normal",
    "multiply",
    "screen",
    "overlay",
    "darken",
    "lighten",
    "color dodge",
    "color burn",
    "hard light",
    "soft light",
    "difference",
    "exclusion",
    "add",
    "subtract",
    "divide",
    "hue",
    "saturation",
    "color",
    "luminosity",
]
_Share = Annotated[float, Range(0, 1, step=0.05)]


@node(
    category="image/combine",
    infer=layered_facts,
    tags=("mix", "multiply", "screen", "overlay", "soft light", "ImageBlend", "crossfade"),
)
def BlendImages(
    image: Image,
    other: Image,
    mode: _Mode = "normal",
    opacity: _Share = 0.5,
    mask: Mask | None = None,
) -> Image:
    """Lay a picture over another one by a blend mode.

    Args:
        image: Below.
        other: Above; one of another size is scaled to it, and what is too much is cut off.
        mode: As in Photoshop and CSS.
        opacity: How much of the upper one shows.
        mask: 1 where it shows; all of it if left out.
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
        "picture in picture",
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
    mode: _Mode = "normal",
) -> Image:
    """Put a picture onto another one, at a place.

    Args:
        image: Below; the result is as large.
        layer: What is put on it, as large as it is. Its alpha is heeded.
        mask: 1 where the layer shows, scaled to it; all of it if left out.
        anchor: Edge, corner or middle that it lies at.
        x, y: Pixels from there: from an edge inwards, from the middle to the right and down.
        opacity: How much of it shows.
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
    """Put transparent pictures onto a colour.

    Args:
        image: One without alpha stays as it is.
        color: What shows through.
    """
    from nodegraph.media.images.colors import parse_color
    from nodegraph.media.images.editing.compositing import flatten

    return flatten(image, parse_color(color))


class ImageChannels(NamedTuple):
    """Grey pictures of one's channels."""

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
    """Take pictures apart into their channels, each a grey picture.

    Args:
        image: Of any size; alpha is left out, MaskFromChannel gives it.
        space: Red, green, blue; hue, saturation, value; or CIE L, a, b, of which a and b are
            middle grey where there is no colour.
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
    """Put a picture together of its channels.

    Args:
        first, second, third: Grey pictures of one size; of others the brightness counts.
        space: What they stand for, see SplitChannels.
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
    """Put pictures into one batch.

    Args:
        images: One, or a list of them. All are scaled to the size of the first.
        more: Others, which come behind.
        fit: How those of other proportions are scaled: stretched, cut, or padded with black.
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
    """Take some pictures of a batch.

    Args:
        image: The batch.
        index: The first one, counted from 0; -1 is the last.
        length: How many at the most; 0 is all from there.
        every: 2 takes every other one, 3 every third.
        reverse: Turn their order around.
    """
    from nodegraph.media.images.editing.channels import take_from_batch

    return take_from_batch(image, index, length, every, reverse=reverse)


@node(
    category="image/combine",
    infer=repeated_batch_facts,
    tags=("batch", "copies", "duplicate", "RepeatImageBatch"),
)
def RepeatImage(image: Image, times: Annotated[int, Range(1, 4096)] = 2) -> Image:
    """Take pictures several times, in one batch.

    Args:
        image: One, or a batch, which is repeated as a whole.
        times: How often.
    """
    from nodegraph.media.images.editing.channels import repeat_batch

    return repeat_batch(image, times)


@node(
    category="image/combine",
    tags=("unbatch", "batch to list", "for each", "separate", "RebatchImages"),
)
def ImageList(image: Image) -> list[Image]:
    """Take a batch apart into a list, so that what follows runs for each picture by itself.

    Args:
        image: The batch.
    """
    return [item.clone() for item in image[:, None]]
