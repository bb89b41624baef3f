"""Transform latents: resize, flip, rotate, crop, and cut videos by frames.

A transformed latent decodes only approximately to the transformed image; sampling it again with
low denoise corrects that. The latent's mask, and the image kept with leftover noise, are
transformed with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import Latent, Leftover
from nodegraph.errors import InvalidValue
from nodegraph.families.latent_formats import LEAST_CELL, LatentFormat, scaled_size
from nodegraph.families.registry import get_latent_format
from nodegraph.media.images.memory_checks import check_memory, sampling_bytes


def cut_frames(latent: Latent, start: int, count: int) -> Latent:
    """Some latent frames of a video.

    Args:
        start: The first, counted from 0; below 0 from the end.
        count: How many at most; 0 is all from there.
    Raises:
        InvalidValue: It is of no video, or has no such frames.
    """
    frames = _frames(latent)
    first = start + frames if start < 0 else start
    last = min(frames, first + count) if count else frames
    if not 0 <= first < last:
        raise InvalidValue(
            "the video does not have these latent frames",
            port="start",
            given=str(start),
            expected=f"{-frames} to {frames - 1}",
        )
    cut = with_samples(latent, lambda samples: samples[:, :, first:last].contiguous())
    return _counted(cut, last - first)


def frames_as_batch(latent: Latent, size: int = 1) -> Latent:
    """A batch of shorter videos, one after the other, of an item each of which is a part.

    Args:
        size: Latent frames of each; what doesn't fill a part at the end is left out.
    Raises:
        InvalidValue: It is of no video, or has fewer frames.
    """
    parts = _frames(latent) // size
    if not parts:
        raise InvalidValue(
            "the video has fewer latent frames than the requested part",
            port="size",
            given=str(size),
            expected=f"{_frames(latent)} at most",
        )

    def apart(samples: Tensor) -> Tensor:
        batch, channels, _, height, width = samples.shape
        whole = samples[:, :, : parts * size]
        cut = whole.reshape(batch, channels, parts, size, height, width)
        return cut.movedim(2, 1).flatten(0, 1).contiguous()

    mask, batch = latent.noise_mask, latent.batch_size * parts
    several = mask is not None and len(mask) > 1
    batched = replace(
        with_samples(latent, apart),
        batch_size=batch,
        batch_index=None,
        noise_mask=mask.repeat_interleave(parts, 0) if several and mask is not None else mask,
    )
    return _counted(batched, size)


def _frames(latent: Latent) -> int:
    """Latent frames."""
    samples = latent.samples
    if samples is None or samples.ndim != 5:
        raise InvalidValue(
            "the latent is empty: it has only a size"
            if samples is None
            else "the latent is not a video latent",
            port="latent",
            expected="a video latent, for example from VAEEncodeVideo",
        )
    return int(samples.shape[2])


def _counted(latent: Latent, frames: int) -> Latent:
    """With the frames that so many latent frames decode to."""
    known = None if latent.format is None else get_latent_format(latent.format)
    return replace(latent, frames=frames if known is None else known.pixel_frames(frames))


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
        return _of_mask(item, shape) if item.ndim == 3 else resize_cells(item, shape, method)

    return transform_latent(latent, scale, *size)


def _of_mask(mask: Tensor, shape: tuple[int, int]) -> Tensor:
    # a mask keeps its hard edges
    return functional.interpolate(mask[:, None].float(), size=shape, mode="nearest")[:, 0]


def resize_cells(samples: Tensor, shape: tuple[int, int], method: ScalingMethod) -> Tensor:
    """Latents of another size.

    Args:
        samples: Shape (batch, channels, height, width), or with frames before the height.
        shape: New height and width in cells.
    """
    if samples.ndim == 5:
        frames = [resize_cells(frame, shape, method) for frame in samples.unbind(2)]
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


Axis = Literal["horizontal", "vertical"]

_PLAIN = LatentFormat("", 0)


def cell_side(latent: Latent) -> int:
    """Pixels along a latent cell's side."""
    if latent.samples is None:
        return LEAST_CELL
    return latent.width // latent.samples.shape[-1]


def flip_latent(latent: Latent, axis: Axis) -> Latent:
    """Mirrored: ``horizontal`` swaps left and right, ``vertical`` top and bottom."""
    side = -1 if axis == "horizontal" else -2
    return transform_latent(latent, lambda item: item.flip(side), latent.width, latent.height)


def rotate_latent(latent: Latent, quarters: int) -> Latent:
    """Turned by so many quarters of a circle, clockwise."""
    size = latent.width, latent.height
    width, height = size[::-1] if quarters % 2 else size
    return transform_latent(latent, lambda item: item.rot90(-quarters, (-2, -1)), width, height)


def transform_latent(
    latent: Latent, move: Callable[[Tensor], Tensor], width: int, height: int
) -> Latent:
    """A latent whose cells are elsewhere.

    Args:
        move: Takes samples (batch, channels, …, height, width) in the finest cells, or a mask
            (batch, height, width), to what they become.
        width, height: Of the result, in pixels.
    """
    latent_format = _PLAIN if latent.format is None else get_latent_format(latent.format)

    def of_cells(samples: Tensor) -> Tensor:
        return latent_format.from_cells(move(latent_format.to_cells(samples))).contiguous()

    mask = latent.noise_mask
    return replace(
        with_samples(latent, of_cells),
        width=width,
        height=height,
        noise_mask=None if mask is None else move(mask).contiguous(),
    )


def crop_latent(latent: Latent, left: int, top: int, width: int, height: int) -> Latent:
    """A part of a latent.

    Args:
        left, top, width, height: In pixels, multiples of the cell's side.
    Raises:
        InvalidValue: They aren't, or the part isn't within the latent.
    """
    cell = cell_side(latent)
    check_cells(cell, x=left, y=top, width=width, height=height)
    if left + width > latent.width or top + height > latent.height:
        raise InvalidValue(
            "the part is not inside the latent",
            port="width" if left + width > latent.width else "height",
            given=f"{width} x {height} pixels at {left}, {top}",
            expected=f"a part of {latent.width} x {latent.height} pixels",
        )

    def cut(item: Tensor, step: int) -> Tensor:
        rows = slice(top // step, (top + height) // step)
        columns = slice(left // step, (left + width) // step)
        return item[..., rows, columns].contiguous()

    mask = mask_in_pixels(latent)
    return replace(
        with_samples(latent, lambda samples: cut(samples, cell)),
        width=width,
        height=height,
        noise_mask=None if mask is None else cut(mask, 1),
    )


def check_cells(cell: int, **pixels: int) -> None:
    """Refuse places and sizes that aren't whole cells.

    Args:
        cell: Pixels along a cell's side.
        pixels: By port.
    Raises:
        InvalidValue: Says the nearest one.
    """
    for port, value in pixels.items():
        if value % cell:
            raise InvalidValue(
                "a latent can be cut only at cell borders",
                port=port,
                given=f"{value} pixels",
                expected=f"a multiple of {cell}, for example {round(value / cell) * cell}",
            )


def mask_in_pixels(latent: Latent) -> Tensor | None:
    """The noise mask at the latent's own size in pixels; (1 or batch, height, width)."""
    mask, size = latent.noise_mask, (latent.height, latent.width)
    if mask is None or tuple(mask.shape[-2:]) == size:
        return mask
    return functional.interpolate(mask[:, None].float(), size=size, mode="area")[:, 0]


def with_samples(latent: Latent, change: Callable[[Tensor], Tensor]) -> Latent:
    """The latent with changed samples; likewise the image that is kept where noise is left."""
    if latent.samples is None:
        return latent
    left = latent.leftover
    if left is not None and left.original is not None:
        left = Leftover(left.sigma, left.form, change(left.original))
    return replace(latent, samples=change(latent.samples), leftover=left)


_LEAST_LENGTH = 1e-10
"""Added to lengths, so that cells of zeros stay zeros."""
_DEVIATIONS = 5
"""Standard deviations above the mean length that tone mapping takes for the brightest."""


def tone_map(samples: Tensor, multiplier: float = 1.0) -> Tensor:
    """Shorten the vectors of cells by Reinhard's curve, the long ones most.

    Source: ComfyUI's LatentOperationTonemapReinhard; the curve is of Reinhard et al. 2002,
    https://doi.org/10.1145/566654.566575, equation 3.

    Args:
        samples: Shape (batch, channels, …, height, width).
        multiplier: Factor of the length that is mapped to half of itself.
    """
    lengths = torch.linalg.vector_norm(samples, dim=1, keepdim=True) + _LEAST_LENGTH
    axes = list(range(1, samples.ndim))
    mean, deviation = (of(lengths, dim=axes, keepdim=True) for of in (torch.mean, torch.std))
    top = (deviation * _DEVIATIONS + mean) * multiplier
    mapped = lengths / top
    toned: Tensor = samples / lengths * (mapped / (mapped + 1) * top)
    return toned


def sharpen_lengths(samples: Tensor, radius: int, sigma: float, amount: float) -> Tensor:
    """Sharpen the lengths of the vectors of cells; their directions stay.

    Source: ComfyUI's LatentOperationSharpen.

    Args:
        samples: Shape (batch, channels, …, height, width).
        radius: Cells that the blur covers to each side. Near borders, the latent is mirrored.
        sigma: Standard deviation of the blur, as a share of `radius`.
        amount: 10 times this is the factor of the difference to the blurred lengths.
    Raises:
        InvalidValue: The radius is not smaller than the sides of the latent.
    """
    if radius >= min(samples.shape[-2:]):
        raise InvalidValue(
            "the radius is too large for the latent",
            port="radius",
            given=str(radius),
            expected=f"below {min(samples.shape[-2:])} cells",
        )
    lengths = torch.linalg.vector_norm(samples, dim=1, keepdim=True) + 1e-6
    places = torch.linspace(-1, 1, 2 * radius + 1, dtype=samples.dtype, device=samples.device)
    kernel = torch.exp(-(places[:, None] ** 2 + places**2) / (2 * sigma**2))
    kernel = -10 * amount * kernel / kernel.sum()
    kernel[radius, radius] += 1 - kernel.sum()
    # Frames of a video are sharpened one by one.
    pictures = lengths.reshape(-1, 1, *lengths.shape[-2:])
    padded = functional.pad(pictures, (radius,) * 4, mode="reflect")
    sharpened = functional.conv2d(padded, kernel[None, None]).reshape(lengths.shape)
    result: Tensor = samples / lengths * sharpened
    return result
