"""Pictures cut into tiles that overlap, and put together again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nodegraph.core.ports import port_type
from nodegraph.errors import InvalidValue
from nodegraph.images.room import check_room, resizing_bytes

if TYPE_CHECKING:
    from torch import Tensor


@port_type(color="#b39ddb")
@dataclass(frozen=True)
class TileLayout:
    """Where tiles lie in the pictures that they are of.

    Attributes:
        width, height: Of the pictures, in pixels.
        tile_width, tile_height: Of each tile.
        lefts, tops: Where columns and rows begin. Tiles go row by row, picture by picture.
    """

    width: int
    height: int
    tile_width: int
    tile_height: int
    lefts: tuple[int, ...]
    tops: tuple[int, ...]


def tile_layout(size: tuple[int, int], tile: tuple[int, int], overlap: int) -> TileLayout:
    """Tiles of one size that cover a picture, evenly spaced.

    Args:
        size, tile: Width and height; a tile is no larger than the picture.
        overlap: Pixels that neighbours share at the least.
    Raises:
        InvalidValue: The overlap is as large as a tile.
    """
    width, height = min(tile[0], size[0]), min(tile[1], size[1])
    lefts, tops = _starts(size[0], width, overlap), _starts(size[1], height, overlap)
    return TileLayout(*size, width, height, lefts, tops)


def _starts(length: int, part: int, overlap: int) -> tuple[int, ...]:
    if part == length:
        return (0,)
    if overlap >= part:
        raise InvalidValue(
            "tiles can't overlap by all that they are",
            port="overlap",
            given=f"{overlap} pixels",
            expected=f"less than {part}",
        )
    count = math.ceil((length - overlap) / (part - overlap))
    return tuple(round(at * (length - part) / (count - 1)) for at in range(count))


def split_tiles(image: Tensor, layout: TileLayout) -> Tensor:
    """The tiles of all pictures as one batch.

    Returns:
        Shape (pictures * rows * columns, tile_height, tile_width, channels).
    """
    import torch

    count, _, _, channels = image.shape
    pixels = layout.tile_width * layout.tile_height
    tiles = count * len(layout.lefts) * len(layout.tops)
    needed = 4 * pixels * tiles * channels
    check_room(layout.tile_width, layout.tile_height, tiles, needed, port="image")
    return torch.cat(
        [
            item[:, top : top + layout.tile_height, left : left + layout.tile_width]
            for item in torch.split(image, 1)
            for top in layout.tops
            for left in layout.lefts
        ]
    )


def join_tiles(tiles: Tensor, layout: TileLayout) -> Tensor:
    """Pictures made of their tiles, which fade into each other where they overlap.

    Args:
        tiles: As many as `split_tiles` gave; all may be larger or smaller by one factor, and the
            pictures are so, too.
    Raises:
        InvalidValue: Their number or proportions differ, or there isn't enough memory.
    """
    import torch

    each = len(layout.lefts) * len(layout.tops)
    count, height, width, channels = tiles.shape
    scale = width / layout.tile_width
    if count % each or abs(height - layout.tile_height * scale) > 1:
        raise InvalidValue(
            "these aren't the tiles of that layout",
            port="tiles",
            given=f"{count} of {width} x {height} pixels",
            expected=f"{each} for each picture, {layout.tile_width} x {layout.tile_height} pixels"
            " or larger by one factor",
        )
    size = round(layout.width * scale), round(layout.height * scale)
    lefts = _scaled(layout.lefts, layout.width - layout.tile_width, size[0] - width)
    tops = _scaled(layout.tops, layout.height - layout.tile_height, size[1] - height)
    check_room(*size, count // each, resizing_bytes(*size, 2 * channels), port="tiles")
    across, down = _weights(lefts, width), _weights(tops, height)
    pictures = []
    for parts in torch.split(tiles, each):
        total = torch.zeros(size[1], size[0], channels)
        weight = torch.zeros(size[1], size[0], 1)
        for at, part in enumerate(parts):
            row, column = divmod(at, len(lefts))
            share = (down[row][:, None] * across[column][None])[..., None]
            rows = slice(tops[row], tops[row] + height)
            columns = slice(lefts[column], lefts[column] + width)
            total[rows, columns] += part * share
            weight[rows, columns] += share
        pictures.append(total / weight)
    return torch.stack(pictures).clamp(0, 1)


def _scaled(starts: tuple[int, ...], last: int, new_last: int) -> list[int]:
    return [round(start * new_last / last) if last else 0 for start in starts]


def _weights(starts: list[int], length: int) -> list[Tensor]:
    """How much each tile counts along a side: less towards where it overlaps its neighbours."""
    import torch

    made = []
    for at, start in enumerate(starts):
        weight = torch.ones(length)
        before = starts[at - 1] + length - start if at else 0
        after = start + length - starts[at + 1] if at + 1 < len(starts) else 0
        if before > 0:
            weight[:before] *= (torch.arange(before) + 0.5) / before
        if after > 0:
            weight[length - after :] *= (torch.arange(after, 0, -1) - 0.5) / after
        made.append(weight)
    return made
