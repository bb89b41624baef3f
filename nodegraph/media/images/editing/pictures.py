"""The rules that every operation on pictures keeps: one at a time, transparency apart.

A picture is float32, shape (batch, height, width, channels), in 0..1; 1 channel is grey, 3 are
red, green and blue, and a fourth is alpha, 1 where the picture is opaque. Operations on colours
leave alpha alone. What needs colours makes three channels of one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from nodegraph.errors import InvalidValue, NumericalError

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor


def map_images(image: Tensor, work: Callable[[Tensor], Tensor]) -> Tensor:
    """A batch, worked on picture by picture, clipped to 0..1.

    Kernels round by the place that a number has in a tensor, so only what is computed by itself
    is the same alone and in a batch.

    Args:
        work: Is given float32 of shape (1, height, width, channels), not to be changed.
    """
    import torch

    check_channels(image)
    done = [work(item.float().contiguous()) for item in torch.split(image.detach(), 1)]
    return torch.cat(done).clamp(0, 1)


def map_colors(image: Tensor, work: Callable[[Tensor], Tensor], *, rgb: bool = False) -> Tensor:
    """The same for work on colours alone: alpha comes out as it went in.

    Args:
        work: Is given 1 or 3 channels.
        rgb: Make 3 of 1 before.
    """
    import torch

    def of_one(item: Tensor) -> Tensor:
        colors, alpha = split_alpha(item)
        done = work(as_rgb(colors) if rgb else colors)
        return done if alpha is None else torch.cat([done, alpha], dim=-1)

    return map_images(image, of_one)


def check_channels(image: Tensor, port: str = "image") -> None:
    """Refuse what is no batch of pictures.

    Raises:
        InvalidValue: It has other axes, no pixel, or neither 1, 3 nor 4 channels.
    """
    if image.ndim != 4 or image.shape[-1] not in (1, 3, 4) or 0 in image.shape:
        raise InvalidValue(
            "these are no pictures",
            port=port,
            given=f"shape {tuple(image.shape)}",
            expected="(batch, height, width, 1, 3 or 4 channels)",
        )


def check_finite(image: Tensor, port: str = "image") -> None:
    """Refuse pictures that can't be counted or sorted by their values.

    Raises:
        NumericalError: One has NaN or infinity.
    """
    if not image.isfinite().all():
        raise NumericalError("the picture has NaN or infinity", port=port)


def split_alpha(image: Tensor) -> tuple[Tensor, Tensor | None]:
    """The colours, and alpha where there is one: (…, 1 or 3 channels) and (…, 1)."""
    if image.shape[-1] == 4:
        return image[..., :3].contiguous(), image[..., 3:].contiguous()
    return image, None


def as_rgb(colors: Tensor) -> Tensor:
    """Three channels of one."""
    return colors.expand(*colors.shape[:-1], 3).contiguous() if colors.shape[-1] == 1 else colors


def with_channels(image: Tensor, channels: int) -> Tensor:
    """Grey as colours, and opaque where there was no alpha; alpha and colours are never dropped.

    Args:
        channels: At least as many as it has.
    """
    import torch

    if channels > image.shape[-1] == 1:
        image = as_rgb(image)
    if channels > image.shape[-1]:
        image = torch.cat([image, torch.ones_like(image[..., :1])], dim=-1)
    return image


def map_planes(image: Tensor, work: Callable[[Image.Image, int], Image.Image]) -> Tensor:
    """Each channel of each picture through Pillow, as floats: nothing is rounded to 8 bits.

    Args:
        work: Is given a plane of mode F and the number of its channel.
    """
    import numpy as np
    import torch
    from PIL import Image

    check_channels(image)
    pictures = []
    for item in image.detach().float():
        planes = [
            work(Image.fromarray(item[..., channel].contiguous().numpy()), channel)
            for channel in range(item.shape[-1])
        ]
        pictures.append(torch.stack([torch.from_numpy(np.array(plane)) for plane in planes], -1))
    return torch.stack(pictures).clamp(0, 1)


def to_nchw(item: Tensor) -> Tensor:
    """(batch, height, width, channels) as (batch, channels, height, width)."""
    return item.movedim(-1, 1).contiguous()


def to_nhwc(planes: Tensor) -> Tensor:
    """(batch, channels, height, width) as (batch, height, width, channels)."""
    return planes.movedim(1, -1).contiguous()
