"""Working on large images in overlapping tiles that are blended into each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from nodegraph.media.images.tiles import tile_starts

TILE = 32
"""Latent cells along a tile's side; smaller images are cut into about halves."""
LEAST_TILE = 16
"""Sides up to this are not cut: the overlap would be most of a tile."""
OVERLAP = 8
"""Latent cells that neighboring tiles share, and over which one fades into the other."""


@dataclass(frozen=True, slots=True)
class TileSize:
    """How large tiles are, in latent cells.

    Attributes:
        side: Of a tile.
        overlap: What neighboring tiles share at the least, below `side`.
    """

    side: int
    overlap: int

    def spans(self, length: int) -> list[TileSpan]:
        """Tiles along a side, evenly spread; a single one where it is no longer than a tile."""
        starts = tile_starts(length, self.side, self.overlap)
        return [TileSpan(start, start + min(self.side, length)) for start in starts]


@dataclass(frozen=True, slots=True)
class TileSpan:
    """A tile along one side, in latent cells."""

    start: int
    end: int


def spans(length: int) -> list[TileSpan]:
    """Tiles along a side, evenly spread, each sharing `OVERLAP` cells or more with the next."""
    tile = min(TILE, max(LEAST_TILE, -(-(length + OVERLAP) // 2)))
    return TileSize(tile, OVERLAP).spans(length)


def tiled(
    tensor: Tensor,
    work: Callable[[Tensor], Tensor],
    *,
    cells: int,
    out: int,
    tiles: TileSize | None = None,
    done: Callable[[int, int], None] = lambda step, total: None,
) -> Tensor:
    """The result of `work` on a whole image or latent, put together from its tiles.

    Args:
        tensor: Shape (1, channels, height, width), or with frames before the height.
        work: Takes a part of it to a result whose sides are `out / cells` times as long.
        cells, out: Steps per latent cell, along a side, of what is given and of the result.
        tiles: How large they are; as `spans` has it if not said.
        done: Called after each tile with how many are done, of how many.
    Returns:
        float32 on the CPU.
    """
    height, width = (side // cells for side in tensor.shape[-2:])
    total: Tensor | None = None
    weights = torch.zeros(1, 1, height * out, width * out)
    cut = spans if tiles is None else tiles.spans
    overlap = OVERLAP if tiles is None else tiles.overlap
    across, down = cut(width), cut(height)
    for row, rows in enumerate(down):
        for column, columns in enumerate(across):
            part = tensor[(..., _steps(rows, cells), _steps(columns, cells))]
            made = work(part).to("cpu", torch.float32)
            if total is None:
                total = torch.zeros(*made.shape[:-2], *weights.shape[-2:])
            weight = _fading(rows, height, out, overlap)[:, None] * _fading(
                columns, width, out, overlap
            )
            region = (..., _steps(rows, out), _steps(columns, out))
            total[region] += made * weight
            weights[region] += weight
            done(row * len(across) + column + 1, len(down) * len(across))
    assert total is not None
    return total / weights


def _steps(span: TileSpan, scale: int) -> slice:
    return slice(span.start * scale, span.end * scale)


def _fading(span: TileSpan, length: int, scale: int, overlap: int) -> Tensor:
    """How much a tile counts at each of its steps: less towards its neighbors."""
    at = (torch.arange((span.end - span.start) * scale) + 0.5) / scale
    weight = torch.ones_like(at)
    if overlap and span.start > 0:
        weight = torch.minimum(weight, at / overlap)
    if overlap and span.end < length:
        weight = torch.minimum(weight, (span.end - span.start - at) / overlap)
    return weight
