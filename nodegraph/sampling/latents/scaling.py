"""Latents in other sizes, and the ways between two of them."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import Latent
from nodegraph.media.images.room import check_memory, sampling_bytes
from nodegraph.sampling.latents.moving import cell_side, transform_latent
from nodegraph.sampling.latents.sizes import scaled_size

ScalingMethod = Literal["bislerp", "bicubic", "bilinear", "area", "nearest"]

_NEARLY = 2e-3
"""Sine of the angle between two vectors below which they count as parallel or opposite: float32
can't tell it any better from their product."""
_ZERO = 1e-12
"""Length below which a vector counts as zero."""


def resize_latent(
    latent: Latent, width: int, height: int, factor: float, method: ScalingMethod
) -> Latent:
    """A latent of another size.

    Args:
        width, height: In pixels; 0 keeps the proportions, both 0 scales by `factor`.
        method: How cells are made of others. ``bislerp`` goes from one to the next along the arc
            between them, which keeps their length, and so contrast, where a mean loses some.
    Raises:
        InvalidValue: It gets too large.
    """
    cell = cell_side(latent)
    size = scaled_size((latent.width, latent.height), width, height, factor, cell)
    check_memory(*size, latent.batch_size, sampling_bytes(*size, 1, is_guided=False), port="factor")
    rows, columns = size[1] / latent.height, size[0] / latent.width

    def scale(item: Tensor) -> Tensor:
        shape = round(item.shape[-2] * rows), round(item.shape[-1] * columns)
        return _of_mask(item, shape) if item.ndim == 3 else _of_cells(item, shape, method)

    return transform_latent(latent, scale, *size)


def _of_mask(mask: Tensor, shape: tuple[int, int]) -> Tensor:
    # a mask keeps its hard edges
    return functional.interpolate(mask[:, None].float(), size=shape, mode="nearest")[:, 0]


def _of_cells(samples: Tensor, shape: tuple[int, int], method: ScalingMethod) -> Tensor:
    if samples.ndim == 5:
        frames = [_of_cells(frame, shape, method) for frame in samples.unbind(2)]
        return torch.stack(frames, 2)
    if tuple(samples.shape[-2:]) == shape:
        return samples
    if method == "bislerp":
        return _bislerp(_bislerp(samples, shape[1], -1), shape[0], -2)
    if method in ("nearest", "area"):
        mode = "nearest-exact" if method == "nearest" else method
        return functional.interpolate(samples, size=shape, mode=mode)
    return functional.interpolate(samples, size=shape, mode=method, align_corners=False)


def _bislerp(samples: Tensor, length: int, axis: int) -> Tensor:
    """Scaled along one axis, each new cell on the arc between the two that it lies between."""
    before = samples.shape[axis]
    at = ((torch.arange(length) + 0.5) * before / length - 0.5).clamp(0, before - 1)
    low = at.floor().long()
    high = (low + 1).clamp(max=before - 1)
    share = (at - low).view(-1, *[1] * (-1 - axis))
    return slerp(
        samples.index_select(axis, low), samples.index_select(axis, high), share, axes=(1,)
    )


def slerp(first: Tensor, second: Tensor, share: Tensor | float, *, axes: tuple[int, ...]) -> Tensor:
    """From one vector to another along the arc between their directions; lengths change evenly.

    Where they are parallel, opposite or zero, it is the straight way.

    Args:
        share: 0 is the first, 1 the second.
        axes: Those that the vectors lie along.
    Source: Shoemake 1985, "Animating rotation with quaternion curves", section 3.3.
    """
    share = torch.as_tensor(share, dtype=first.dtype)
    lengths = [item.square().sum(axes, keepdim=True).sqrt() for item in (first, second)]
    units = [
        item / length.clamp(min=_ZERO)
        for item, length in zip((first, second), lengths, strict=True)
    ]
    cosine = (units[0] * units[1]).sum(axes, keepdim=True).clamp(-1, 1)
    angle = cosine.acos()
    sine = angle.sin()
    is_arc = (sine > _NEARLY) & (lengths[0] > _ZERO) & (lengths[1] > _ZERO)
    safe = torch.where(is_arc, sine, torch.ones_like(sine))
    direction = (((1 - share) * angle).sin() * units[0] + (share * angle).sin() * units[1]) / safe
    length = (1 - share) * lengths[0] + share * lengths[1]
    straight = (1 - share) * first + share * second
    blended = torch.where(is_arc, direction * length, straight)
    # the ends themselves, to the last bit
    return torch.where(share == 0, first, torch.where(share == 1, second, blended))
