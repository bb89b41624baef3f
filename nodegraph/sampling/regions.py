"""Regions of a latent: masks in cells, areas as masks and as windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.core.values import Area


def mask_to_cells(mask: Tensor, height: int, width: int, *, smooth: bool = False) -> Tensor:
    """A pixel mask as the share of each latent cell that it covers.

    So a cell is 0 exactly if all its pixels are, and a mask that follows the cells' borders comes
    out as it is.

    Args:
        mask: 0..1, shape (batch, height, width) in pixels of any size.
        height, width: Latent cells.
        smooth: Interpolate on lines between the pixels around each cell's middle instead.
    Returns:
        Shape (batch, 1, height, width).
    """
    mode = "bilinear" if smooth else "area"
    return functional.interpolate(mask.unsqueeze(1), size=(height, width), mode=mode)


_ROUNDING = 1e-6
"""What the mean of ones may lack of 1."""


def step_mask(mask: Tensor, gradual: float, remaining: float) -> Tensor:
    """What a step changes of a latent.

    Args:
        mask: In cells, 0..1.
        gradual: As of `Latent.gradual`.
        remaining: Share of the sampling's timesteps that is left when the step begins, 1 at first.
    Returns:
        Shaped as the mask: 1 where it is at least `left` and above 0, else 0; mixed with the mask
        by `gradual`.
    Source: Levin & Fried 2023, arXiv:2306.00950, algorithm 1.
    """
    if not gradual:
        return mask
    begun = (mask >= remaining - _ROUNDING) & (mask > 0)
    return torch.lerp(mask, begun.to(mask.dtype), gradual)


def area_mask(area: Area, width: int, height: int) -> Tensor:
    """How far an area covers each pixel of an image.

    Args:
        width, height: Of the image, in pixels.
    Returns:
        float32 in 0..1, shape (1, height, width). 1 inside, 0 outside; pixels that a side runs
        through are covered in part. Over the feather it rises evenly from the side inwards.
    """
    is_share = area.unit == "shares"
    scales = (width, height) if is_share else (1, 1)
    feather = area.feather * (min(width, height) if is_share else 1)
    across = _covered(area.x * scales[0], area.width * scales[0], feather, width)
    down = _covered(area.y * scales[1], area.height * scales[1], feather, height)
    return (down[:, None] * across[None, :])[None]


def _covered(start: float, length: float, feather: float, pixels: int) -> Tensor:
    """How far each pixel of a row is covered, shape (pixels,)."""
    places = torch.arange(pixels, dtype=torch.float64)
    end = min(start + length, pixels)
    begin = max(start, 0.0)
    covered = (torch.clamp(places + 1, max=end) - torch.clamp(places, min=begin)).clamp(0, 1)
    # Nothing fades towards the image's own edge.
    for is_inner, distance in (
        (begin > 0, places + 0.5 - begin),
        (end < pixels, end - places - 0.5),
    ):
        if is_inner and feather > 0:
            covered = covered * (distance / feather).clamp(0, 1)
    return covered.to(torch.float32)


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of a latent, in cells."""

    top: int
    left: int
    height: int
    width: int

    def crop(self, latent: Tensor) -> Tensor:
        """What lies in it, of anything that is as high and wide as the latent."""
        below, right = self.top + self.height, self.left + self.width
        return latent[..., self.top : below, self.left : right]

    def crop_image(self, picture: Tensor, cells: Sequence[int]) -> Tensor:
        """What lies in it, of an image of any size that covers the latent; a pixel at least.

        Args:
            cells: Height and width of the latent.
        """
        places = []
        for start, length, count, pixels in (
            (self.top, self.height, cells[0], picture.shape[-2]),
            (self.left, self.width, cells[1], picture.shape[-1]),
        ):
            begin = min(round(start * pixels / count), pixels - 1)
            places.append(slice(begin, max(round((start + length) * pixels / count), begin + 1)))
        return picture[..., places[0], places[1]]

    def paste(self, inner: Tensor, latent: Tensor) -> Tensor:
        """What it holds, with zeros around it."""
        whole = inner.new_zeros(*inner.shape[:-2], *latent.shape[-2:])
        self.crop(whole).copy_(inner)
        return whole

    def contains(self, other: Window) -> bool:
        """Whether another lies in it."""
        return self.intersection(other) == other

    def intersection(self, other: Window) -> Window:
        """What lies in both; of no height or width if nothing does."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        below = min(self.top + self.height, other.top + other.height)
        right = min(self.left + self.width, other.left + other.width)
        return Window(top, left, max(below - top, 0), max(right - left, 0))

    def aligned(self, step: int, cells: Sequence[int]) -> Window:
        """The least one around it whose sides are multiples, as some models take cells in groups.

        Args:
            cells: Height and width of the latent.
        """
        top, left = self.top // step * step, self.left // step * step
        below = -(-(self.top + self.height) // step) * step
        right = -(-(self.left + self.width) // step) * step
        return Window(top, left, min(below, cells[0]) - top, min(right, cells[1]) - left)

    def weight(self, cells: Sequence[int], fades: tuple[float, float]) -> Tensor:
        """How far it counts in each cell: 1 inside and 0 outside. From those of its sides that
        aren't the latent's it fades in, each cell by the same more.

        Args:
            cells: Height and width of the latent.
            fades: Over how many cells, down and across; a quarter of its side at most.
        Returns:
            float32, shape (height, width) of the latent.
        """
        weight = torch.zeros(tuple(cells))
        down = _fading(self.top, self.height, cells[0], fades[0])
        across = _fading(self.left, self.width, cells[1], fades[1])
        self.crop(weight).copy_(down[:, None] * across[None, :])
        return weight


def area_window(area: Area, cells: Sequence[int], size: tuple[int, int]) -> Window:
    """An area in whole cells, as ComfyUI counts them: pixels are rounded down, shares to the
    nearest cell.

    Args:
        cells: Height and width of the latent.
        size: Width and height of the image in pixels.
    """
    places = []
    for start, length, count, pixels in (
        (area.y, area.height, cells[0], size[1]),
        (area.x, area.width, cells[1], size[0]),
    ):
        if area.unit == "shares":
            begin, extent = round(start * count), max(1, round(length * count))
        else:
            begin, extent = int(start * count // pixels), int(length * count // pixels)
        places.append((min(begin, count), min(extent, max(count - begin, 0))))
    (top, height), (left, width) = places
    return Window(top, left, height, width)


def cells_of(pixels: float, cells: Sequence[int], size: tuple[int, int]) -> tuple[float, float]:
    """A length in pixels in cells, down and across; arguments are those of `area_window`."""
    return pixels * cells[0] / size[1], pixels * cells[1] / size[0]


def _fading(start: int, length: int, cells: int, fade: float) -> Tensor:
    """How far each cell of a row of a window counts, shape (length,)."""
    weight = torch.ones(length)
    most = min(round(fade), length // 4)
    if most > 0:
        rising = torch.arange(1, most + 1) / most
        if start > 0:
            weight[:most] *= rising
        if start + length < cells:
            weight[length - most :] *= rising.flip(0)
    return weight
