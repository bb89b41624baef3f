"""Two pictures edge to edge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nodegraph.media.images.colors import Color, paint
from nodegraph.media.images.editing.pictures import check_channels, with_channels
from nodegraph.media.images.editing.placing import Size
from nodegraph.media.images.room import check_memory, resizing_bytes

if TYPE_CHECKING:
    from torch import Tensor

StitchSide = Literal["right", "below", "left", "above"]


def stitched_sizes(
    first: Size, second: Size, side: StitchSide, *, match: bool
) -> tuple[Size, Size]:
    """Width and height that both have beside each other.

    Args:
        match: Scale the second so that the edges at which they meet are alike.
    """
    if not match:
        return first, second
    if side in ("right", "left"):
        return first, (max(1, round(second[0] * first[1] / second[1])), first[1])
    return first, (first[0], max(1, round(second[1] * first[0] / second[0])))


def stitch(
    image: Tensor, other: Tensor, side: StitchSide, *, match: bool, gap: int, color: Color
) -> Tensor:
    """One picture with another one at its side, in the middle of it.

    Args:
        other: As many, or one for all; grey becomes colours and alpha comes in where one has it.
        side: Where the other one is.
        match: See `stitched_sizes`.
        gap: Pixels between them.
        color: Of what is between and around.
    Raises:
        InvalidValue: They are of different numbers, or take more memory than there is.
    """
    from nodegraph.media.images.masks import broadcast_batches
    from nodegraph.media.images.resizing import resize_image

    check_channels(image)
    check_channels(other, "other")
    sizes = ((image.shape[2], image.shape[1]), (other.shape[2], other.shape[1]))
    own, other_size = stitched_sizes(*sizes, side, match=match)
    if other_size != sizes[1]:
        other = resize_image(other, *other_size)
    channels = max(image.shape[-1], other.shape[-1], 4 if color[3] < 1 else 1)
    image, other = broadcast_batches(
        with_channels(image, channels), with_channels(other, channels), "other"
    )
    flat = side in ("right", "left")
    width = own[0] + gap + other_size[0] if flat else max(own[0], other_size[0])
    height = max(own[1], other_size[1]) if flat else own[1] + gap + other_size[1]
    check_memory(width, height, len(image), resizing_bytes(width, height, len(image) * channels),
               port="other")  # fmt: skip
    made = paint(color, channels).expand(len(image), height, width, channels).clone()
    parts = (image, other) if side in ("right", "below") else (other, image)
    start = 0
    for part in parts:
        rows, columns = part.shape[1:3]
        top = (height - rows) // 2 if flat else start
        left = start if flat else (width - columns) // 2
        made[:, top : top + rows, left : left + columns] = part
        start += (columns if flat else rows) + gap
    return made
