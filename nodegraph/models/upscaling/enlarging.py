"""Pictures made larger by an upscale model, in tiles."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.families.tiling import TileSize, tiled
from nodegraph.media.images.room import check_memory, resizing_bytes
from nodegraph.models.upscaling.loading import Upscaler


@torch.no_grad()
def upscale_image(
    upscaler: Upscaler,
    image: Tensor,
    *,
    tile: int = 0,
    overlap: int = 16,
    on_tile: Callable[[int, int], None] = lambda step, total: None,
) -> Tensor:
    """Pictures as an upscale model makes them, one by one.

    What is more than the model takes, such as transparency, is scaled by a cubic filter.

    Args:
        image: float32 in 0..1, shape (batch, height, width, channels), 1, 3 or 4 of them.
        tile: Side of the tiles that the model sees at a time, in pixels of `image`; 0 is all.
        overlap: Pixels that neighbouring tiles share and fade over, less than a tile.
        on_tile: Told after each tile how many are done, of how many in all pictures.
    Returns:
        float32 in 0..1 on the CPU, with the channels of `image`.
    Raises:
        InvalidValue: Tiles overlap by more than half, or the result takes more memory than there
            is.
        NumericalError: The result has NaN or infinity.
    """
    batch, height, width, channels = image.shape
    scale = upscaler.scale
    size = width * scale, height * scale
    check_memory(*size, batch, resizing_bytes(*size, batch * max(3, channels)), port="image")
    tiles = tile_size(tile or max(height, width), overlap if tile else 0)
    made = []
    for number, picture in enumerate(image.movedim(-1, 1)):

        def report(step: int, total: int, before: int = number) -> None:
            on_tile(before * total + step, batch * total)

        made.append(_upscale_one(upscaler, picture[None], tiles, report))
    result = torch.cat(made).movedim(1, -1).contiguous()
    if not torch.isfinite(result).all():
        raise NumericalError("the upscale model gave NaN or infinity", port="model")
    return result


def tile_size(tile: int, overlap: int) -> TileSize:
    """Tiles of a side, in pixels.

    Raises:
        InvalidValue: They overlap by more than half.
    """
    if 2 * overlap > tile:
        raise InvalidValue(
            "tiles overlap by more than half",
            port="overlap",
            given=f"{overlap} pixels",
            expected=f"{tile // 2} at most",
        )
    return TileSize(tile, overlap)


def _upscale_one(
    upscaler: Upscaler, picture: Tensor, tiles: TileSize, done: Callable[[int, int], None]
) -> Tensor:
    """(1, channels, height, width) on the CPU, in 0..1."""
    colours = picture[:, :3] if picture.shape[1] >= 3 else picture[:, :1]
    grey = colours.shape[1] == 1
    if upscaler.channels == 3 and grey:
        colours = colours.expand(-1, 3, -1, -1)
    elif upscaler.channels == 1 and not grey:
        # the model's channel is one of brightness: each colour by itself
        parts = [_tiles(upscaler, colours[:, i : i + 1], tiles, done) for i in range(3)]
        return _with_extra_channels(torch.cat(parts, 1), picture, upscaler.scale)
    made = _tiles(upscaler, colours, tiles, done)
    return _with_extra_channels(
        made.mean(1, keepdim=True) if grey else made, picture, upscaler.scale
    )


def _tiles(
    upscaler: Upscaler, colours: Tensor, tiles: TileSize, done: Callable[[int, int], None]
) -> Tensor:
    def work(part: Tensor) -> Tensor:
        placed = part.contiguous().to(upscaler.device, upscaler.dtype)
        upscaled: Tensor = upscaler.module(placed)
        return upscaled.to("cpu", torch.float32).clamp(0, 1)

    return tiled(colours, work, cells=1, out=upscaler.scale, tiles=tiles, done=done)


def _with_extra_channels(made: Tensor, picture: Tensor, scale: int) -> Tensor:
    """With the channels that the model doesn't see."""
    remaining = picture[:, made.shape[1] :]
    if not remaining.shape[1]:
        return made
    larger = functional.interpolate(remaining, scale_factor=scale, mode="bicubic").clamp(0, 1)
    return torch.cat([made, larger], 1)
