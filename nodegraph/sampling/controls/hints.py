"""Control pictures as networks are shown them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import Control
from nodegraph.errors import InvalidValue
from nodegraph.sampling.controls.kinds import kind_of

if TYPE_CHECKING:
    from nodegraph.families.model_step import Side

HIDDEN = -1.0
"""Pixels of what is to be filled, for networks that see pixels. Source: ControlNet 1.1's inpaint
model, https://github.com/lllyasviel/ControlNet-v1-1-nightly, as in diffusers' documentation."""


def fit_hint(
    control: Control, network: Any, size: tuple[int, int], shape: Sequence[int], side: Side
) -> Tensor:
    """What a network is shown of a control picture, in its dtype and on its device.

    A picture of another size than the sampling's is scaled until it covers that, and what is
    beyond is cut off evenly.

    Args:
        size: Width and height in pixels.
        shape: Of the latent.
    Returns:
        Shape (1 or batch, channels, height, width), in pixels or cells.
    Raises:
        InvalidValue: On the port of the side: it doesn't fit, and can't be made to.
    """
    kind = kind_of(network)
    if len(control.hint) not in (1, shape[0]):
        raise InvalidValue(
            "there are as many control pictures as neither one nor what is sampled",
            port=side,
            given=f"{len(control.hint)} control pictures for a batch of {shape[0]}",
            expected=f"1 or {shape[0]}",
        )
    if kind.sees_latents:
        hint = _cells(control, shape, side)
    else:
        hint = _pixels(control, kind.channels, size, side)
    # In memory in the usual order, as another would give other last bits.
    return hint.to(network.device, network.dtype).contiguous()


def _cells(control: Control, shape: Sequence[int], side: Side) -> Tensor:
    cells = tuple(control.hint.shape[-2:])
    if cells != tuple(shape[-2:]):
        raise InvalidValue(
            "the control picture and the latent differ in size",
            port=side,
            given=f"{cells[1]} x {cells[0]} cells for a latent of {shape[-1]} x {shape[-2]}",
            hint="The network sees latents, which aren't resized: put a ResizeImage before the "
            "ApplyControlNet.",
        )
    return control.hint


def _pixels(control: Control, channels: int, size: tuple[int, int], side: Side) -> Tensor:
    hint = _coloured(control.hint, channels, side).movedim(-1, 1)
    hint = resize_to_cover(hint, size)
    if control.mask is not None:
        hidden = resize_to_cover(control.mask[:, None], size, sharp=True) >= 0.5
        hint = torch.where(hidden, HIDDEN, hint)
    return hint


def _coloured(hint: Tensor, channels: int, side: Side) -> Tensor:
    """A picture with the channels that a network wants."""
    if hint.shape[-1] == channels:
        return hint
    if hint.shape[-1] == 4:
        hint = hint[..., :3]
    if channels == 3:
        return hint.expand(*hint.shape[:-1], 3) if hint.shape[-1] == 1 else hint
    if channels == 1:
        return hint.mean(-1, keepdim=True)
    raise InvalidValue(
        "the control network wants a picture of other channels",
        port=side,
        given=str(hint.shape[-1]),
        expected=str(channels),
    )


def resize_to_cover(pixels: Tensor, size: tuple[int, int], *, sharp: bool = False) -> Tensor:
    """Pictures scaled until they cover a size, and cut to it evenly; as they are where they fit.

    Args:
        pixels: Shape (n, channels, height, width).
        size: Width and height.
        sharp: Whether each pixel is one of the given ones.
    """
    width, height = size
    if tuple(pixels.shape[-2:]) == (height, width):
        return pixels
    scale = max(height / pixels.shape[-2], width / pixels.shape[-1])
    rows = max(height, round(pixels.shape[-2] * scale))
    columns = max(width, round(pixels.shape[-1] * scale))
    if sharp:
        scaled = functional.interpolate(pixels, (rows, columns), mode="nearest-exact")
    else:
        scaled = functional.interpolate(pixels, (rows, columns), mode="bicubic", antialias=True)
        scaled = scaled.clamp(0, 1)
    top, left = (rows - height) // 2, (columns - width) // 2
    return scaled[..., top : top + height, left : left + width]
