"""Images taken apart into channels, and batches into images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from nodegraph.errors import InvalidValue
from nodegraph.media.images.editing.pixel_formats import (
    as_rgb,
    check_channels,
    hsv_to_rgb,
    lab_to_rgb,
    map_images,
    rgb_to_hsv,
    rgb_to_lab,
    split_alpha,
    with_channels,
)
from nodegraph.media.images.memory_checks import check_memory
from nodegraph.media.images.resizing import FitMode, resize_image

if TYPE_CHECKING:
    from torch import Tensor

ChannelSpace = Literal["rgb", "hsv", "lab"]


def split_channels(image: Tensor, space: ChannelSpace) -> tuple[Tensor, Tensor, Tensor]:
    """Three gray images of one; alpha is left out.

    Args:
        space: In ``lab``, L is divided by 100, a and b are 128 / 255 where there is no color.
    """
    import torch

    def work(item: Tensor) -> Tensor:
        colors = as_rgb(split_alpha(item)[0])
        if space == "hsv":
            return rgb_to_hsv(colors)
        return colors if space == "rgb" else _lab_shares(colors)

    first, second, third = torch.split(map_images(image, work), 1, dim=-1)
    return first.contiguous(), second.contiguous(), third.contiguous()


def _lab_shares(colors: Tensor) -> Tensor:
    lab = rgb_to_lab(colors)
    return (lab + lab.new_tensor([0, 128, 128])) / lab.new_tensor([100, 255, 255])


def join_channels(parts: Sequence[Tensor], space: ChannelSpace) -> Tensor:
    """The inverse of `split_channels`; of what has colors, the luma counts.

    Raises:
        InvalidValue: The parts differ in size, or in number beyond one for all.
    """
    import torch

    from nodegraph.media.images.editing.pixel_formats import luma

    for port, part in zip(("first", "second", "third"), parts, strict=True):
        check_channels(part, port)
        if part.shape[1:3] != parts[0].shape[1:3] or len(part) not in (1, _count(parts)):
            raise InvalidValue(
                "the channels differ in size or number",
                port=port,
                given=f"{len(part)} of {part.shape[2]} x {part.shape[1]} pixels",
                expected=f"{_count(parts)} of {parts[0].shape[2]} x {parts[0].shape[1]} pixels",
            )
    planes = [map_images(part, lambda item: luma(split_alpha(item)[0])) for part in parts]
    whole = torch.cat([plane.expand(_count(parts), *plane.shape[1:]) for plane in planes], dim=-1)

    def work(item: Tensor) -> Tensor:
        if space == "hsv":
            return hsv_to_rgb(item)
        if space == "rgb":
            return item
        return lab_to_rgb(item * item.new_tensor([100, 255, 255]) - item.new_tensor([0, 128, 128]))

    return map_images(whole, work)


def _count(parts: Sequence[Tensor]) -> int:
    return max(map(len, parts))


def join_batch(images: Sequence[Tensor], fit: FitMode) -> Tensor:
    """Images as one batch, scaled to the size of the first.

    Gray becomes colors where others have some, and what has no alpha becomes opaque where others
    have it.

    Raises:
        InvalidValue: There are none, or they take more memory than there is.
    """
    import torch

    if not images:
        raise InvalidValue("there are no images to combine", port="images")
    for image in images:
        check_channels(image, "images")
    _, height, width, _ = images[0].shape
    channels, count = max(image.shape[-1] for image in images), sum(map(len, images))
    check_memory(width, height, count, 8 * width * height * channels * count, port="images")
    return torch.cat(
        [
            with_channels(
                image
                if image.shape[1:3] == (height, width)
                else resize_image(image, width, height, fit=fit),
                channels,
            )
            for image in images
        ]
    )


def take_from_batch(image: Tensor, index: int, length: int, every: int, *, reverse: bool) -> Tensor:
    """Some images of a batch.

    Args:
        index: The first one, counted from 0; below 0 from the end.
        length: How many at the most; 0 for all from there.
        every: 2 takes every other one.
    Raises:
        InvalidValue: There is no such image.
    """
    count = len(image)
    if not -count <= index < count:
        raise InvalidValue(
            "the batch has no such image",
            port="index",
            given=str(index),
            expected=f"{-count} to {count - 1}",
        )
    chosen = image[index % count :: every]
    chosen = chosen[:length] if length else chosen
    return chosen.flip(0) if reverse else chosen.clone()


def repeat_batch(image: Tensor, times: int) -> Tensor:
    """A batch several times, one behind the other.

    Raises:
        InvalidValue: It takes more memory than there is.
    """
    count, height, width, channels = image.shape
    needed = 4 * width * height * channels * count * times
    check_memory(width, height, count * times, needed, port="times")
    return image.repeat(times, 1, 1, 1)
