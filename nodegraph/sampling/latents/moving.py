"""Latents flipped, turned and cut: nothing of them is computed anew.

An autoencoder's latents don't hold a picture's pixels, so what a moved latent decodes to is the
moved picture only about; sampling a little over it makes up for that. The mask of a latent, and the
picture that is kept where noise is left, move with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import Latent, Leftover
from nodegraph.errors import InvalidValue
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.registry import get_latent_format
from nodegraph.sampling.latents.sizes import LEAST_CELL

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
            "the part isn't within the latent",
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
                "a latent can only be cut between its cells",
                port=port,
                given=f"{value} pixels",
                expected=f"a multiple of {cell}, such as {round(value / cell) * cell}",
            )


def mask_in_pixels(latent: Latent) -> Tensor | None:
    """The noise mask at the latent's own size in pixels; (1 or batch, height, width)."""
    mask, size = latent.noise_mask, (latent.height, latent.width)
    if mask is None or tuple(mask.shape[-2:]) == size:
        return mask
    return functional.interpolate(mask[:, None].float(), size=size, mode="area")[:, 0]


def with_samples(latent: Latent, change: Callable[[Tensor], Tensor]) -> Latent:
    """The latent with changed samples; likewise the picture that is kept where noise is left."""
    if latent.samples is None:
        return latent
    left = latent.leftover
    if left is not None and left.original is not None:
        left = Leftover(left.sigma, left.form, change(left.original))
    return replace(latent, samples=change(latent.samples), leftover=left)
