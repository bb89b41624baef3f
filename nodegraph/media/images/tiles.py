"""Images and latents cut into overlapping tiles, and put together of them again.

Importing it brings in no torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodegraph.core.ports import port_type
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from torch import Tensor

MOST_TILES = 4096
"""Of one image."""


@port_type(color="#a3b86c")
@dataclass(frozen=True, slots=True)
class Tiling:
    """How an image was cut into tiles, row by row from the upper left.

    Attributes:
        width, height: Of the image, in pixels.
        tile_width, tile_height: Of each tile.
        left, top: Where the columns and the rows of tiles begin, in pixels.
    """

    width: int
    height: int
    tile_width: int
    tile_height: int
    left: tuple[int, ...]
    top: tuple[int, ...]

    @property
    def count(self) -> int:
        """How many tiles there are."""
        return len(self.left) * len(self.top)


def tile_starts(length: int, side: int, overlap: int) -> list[int]:
    """Where tiles along a side begin, evenly spread; a single one where it is no longer than one.

    Args:
        side: Of a tile.
        overlap: What neighbors share at the least, below `side`.
    """
    if length <= side:
        return [0]
    count = math.ceil((length - overlap) / (side - overlap))
    return [round(index * (length - side) / (count - 1)) for index in range(count)]


def build_tiling(width: int, height: int, tile: tuple[int, int], overlap: int) -> Tiling:
    """How an image of a size is cut.

    Args:
        tile: Width and height of the tiles; those of the image where it is smaller.
        overlap: Pixels that neighbors share at the least.
    Raises:
        InvalidValue: Tiles overlap by more than half, or there would be very many.
    """
    if 2 * overlap > min(tile):
        raise InvalidValue(
            "tiles overlap by more than half",
            port="overlap",
            given=f"{overlap} pixels",
            expected=f"at most {min(tile) // 2}",
        )
    columns, rows = tile_starts(width, tile[0], overlap), tile_starts(height, tile[1], overlap)
    if len(columns) * len(rows) > MOST_TILES:
        raise InvalidValue(
            "there are too many tiles",
            port="tile_width",
            given=str(len(columns) * len(rows)),
            expected=f"at most {MOST_TILES}",
            hint="Use larger tiles.",
        )
    size = min(tile[0], width), min(tile[1], height)
    return Tiling(width, height, *size, tuple(columns), tuple(rows))


def split_tiles(image: Tensor, tiling: Tiling) -> list[Tensor]:
    """The tiles of images, row by row, each (batch, tile height, tile width, channels)."""
    height, width = tiling.tile_height, tiling.tile_width
    return [
        image[:, top : top + height, left : left + width].contiguous().clone()
        for top in tiling.top
        for left in tiling.left
    ]


def join_tiles(tiles: Sequence[Tensor], tiling: Tiling) -> Tensor:
    """The image that tiles make up; where they overlap one fades into the other.

    Where two agree they give what they are, to the last bit, so that tiles which weren't changed
    make the image that they were cut from.

    Args:
        tiles: As many as there were, each (batch, height, width, channels); all may be larger or
            smaller by one factor than they were.
    Raises:
        InvalidValue: They are more or fewer, or of sizes that don't fit together.
    """
    factor = _check_tiles(tiles, tiling)
    columns = len(tiling.left)
    rows = [
        _faded(tiles[at : at + columns], [round(x * factor) for x in tiling.left], 2)
        for at in range(0, len(tiles), columns)
    ]
    return _faded(rows, [round(y * factor) for y in tiling.top], 1)


def _faded(parts: Sequence[Tensor], starts: Sequence[int], axis: int) -> Tensor:
    """Parts of one length along an axis, each fading into the next where they overlap."""
    import torch

    whole = parts[0]
    for part, start in zip(parts[1:], starts[1:], strict=True):
        shared = whole.shape[axis] - start
        share = (torch.arange(shared) + 0.5) / max(shared, 1)
        share = share.view([-1 if at == axis else 1 for at in range(4)])
        before, after = whole.narrow(axis, start, shared), part.narrow(axis, 0, shared)
        tail = part.narrow(axis, shared, part.shape[axis] - shared)
        # lerp of equals is what they are, to the last bit
        both = torch.lerp(before, after, share.expand_as(before))
        whole = torch.cat([whole.narrow(axis, 0, start), both, tail], axis)
    return whole


def _check_tiles(tiles: Sequence[Tensor], tiling: Tiling) -> float:
    """How many times larger tiles are than they were."""
    if len(tiles) != tiling.count:
        raise InvalidValue(
            "the number of tiles differs from the number that the image was split into",
            port="tiles",
            given=str(len(tiles)),
            expected=str(tiling.count),
        )
    shapes = {tuple(tile.shape) for tile in tiles}
    height, width = tiles[0].shape[1:3]
    factor = width / tiling.tile_width
    places = (*tiling.left, *tiling.top, tiling.width, tiling.height)
    fits = height == tiling.tile_height * factor and all(
        float(position * factor).is_integer() for position in places
    )
    if len(shapes) > 1 or not fits:
        raise InvalidValue(
            "the tiles do not fit together",
            port="tiles",
            given=", ".join(f"{shape[2]} x {shape[1]} pixels" for shape in sorted(shapes)[:3]),
            expected=f"{tiling.tile_width} x {tiling.tile_height} pixels each, or all enlarged by "
            "one factor, in batches of equal size",
        )
    return factor


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
    import torch

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
    import torch

    at = (torch.arange((span.end - span.start) * scale) + 0.5) / scale
    weight = torch.ones_like(at)
    if overlap and span.start > 0:
        weight = torch.minimum(weight, at / overlap)
    if overlap and span.end < length:
        weight = torch.minimum(weight, (span.end - span.start - at) / overlap)
    return weight
