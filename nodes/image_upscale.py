"""Pictures made larger by networks, and cut into tiles for it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Context, File, Image, Range, node
from nodegraph.families.helper_recipes import UpscaleModel
from nodegraph.media.images.tiles import Tiling
from nodegraph.models.upscaler_files import BUNDLED_UPSCALER, open_upscaler

from ._upscale_facts import (
    SMALL_TILE,
    check_split,
    check_upscaled,
    check_upscaler,
    joined_facts,
    split_facts,
    upscale_estimate,
    upscaled_image_facts,
    upscaler_outputs,
    upscaler_state,
    upscaler_weights,
)


class LoadedUpscaleModel(NamedTuple):
    model: UpscaleModel


@node(
    category="image/upscale",
    lane="io",
    infer=upscaler_outputs,
    validate=check_upscaler,
    fingerprint=upscaler_state,
    estimate=upscaler_weights,
    tags=("UpscaleModelLoader", "ESRGAN", "SwinIR", "RealESRGAN", "super resolution", "spandrel"),
)
def LoadUpscaleModel(
    ctx: Context, model: Annotated[str, File("model")] = BUNDLED_UPSCALER
) -> LoadedUpscaleModel:
    """Open a network that makes pictures larger, or mends them.

    Compact ones (SRVGGNetCompact) are read as they are; ESRGAN, SwinIR, HAT, DAT, SPAN and many
    others by the package spandrel: pip install "nodegraph[upscale]".

    Args:
        model: Name under a models folder or path of a .safetensors file, or tiny/upscaler, which
            comes along: twice as large, for pictures like those of the model tiny. A .pth file
            only if the settings allow pickle files.
    """
    environment = ctx.environment
    allow = environment.allow_pickle
    return LoadedUpscaleModel(open_upscaler(model, environment.models, allow_pickle=allow))


@node(
    category="image/upscale",
    lane="gpu",
    numerics=True,
    infer=upscaled_image_facts,
    validate=check_upscaled,
    estimate=upscale_estimate,
    tags=("ImageUpscaleWithModel", "enlarge", "super resolution", "hires", "4x", "2x", "tiled"),
)
def UpscaleImage(
    ctx: Context,
    model: UpscaleModel,
    image: Image,
    factor: Annotated[float, Range(0, 16, step=0.25)] = 0.0,
    tile: Annotated[int, Range(0, 16384, step=32), Advanced()] = 512,
    overlap: Annotated[int, Range(0, 4096, step=8), Advanced()] = 32,
) -> Image:
    """Make pictures larger by a network that was trained for it.

    Args:
        model: From LoadUpscaleModel.
        image: Of any size; transparency is scaled by a cubic filter.
        factor: How many times larger its sides get; 0 is what the model does. Others are scaled
            from there by Lanczos' filter.
        tile: Side of the tiles that the model sees at a time, in pixels, which bounds the memory;
            0 is the whole picture. Smaller ones if memory runs out.
        overlap: Pixels that neighbouring tiles share and fade over, half of a tile at most.
    """
    from nodegraph.media.images.resizing import resize_image
    from nodegraph.models.upscaling.upscaler import upscale_image

    if ctx.footprint == "small":
        tile, overlap = min(tile or SMALL_TILE, SMALL_TILE), min(overlap, SMALL_TILE // 2)
    with ctx.weights(model, calls_only=True) as upscaler:
        upscaled = upscale_image(upscaler, image, tile=tile, overlap=overlap, on_tile=ctx.progress)
    width, height = (max(1, round(side * factor)) for side in (image.shape[2], image.shape[1]))
    if not factor or (upscaled.shape[2], upscaled.shape[1]) == (width, height):
        return upscaled
    return resize_image(upscaled, width, height)


class ImageTiles(NamedTuple):
    """Parts of a picture, and how they make it up."""

    tiles: list[Image]
    tiling: Tiling


@node(
    category="image/transform",
    infer=split_facts,
    validate=check_split,
    tags=("tiled upscale", "Ultimate SD Upscale", "cut", "crop", "grid", "tiled diffusion"),
)
def SplitTiles(
    image: Image,
    tile_width: Annotated[int, Range(1, 16384)] = 512,
    tile_height: Annotated[int, Range(1, 16384)] = 512,
    overlap: Annotated[int, Range(0, 4096)] = 64,
) -> ImageTiles:
    """Cut pictures into overlapping tiles, such as to sample a large one part by part.

    The tiles are a list: nodes linked to it run for each. JoinTiles puts them together.

    Args:
        image: Of any size; of a batch all are cut alike.
        tile_width, tile_height: In pixels; the picture's own where it is smaller.
        overlap: Pixels that neighbours share at the least, half of a tile at most.
    """
    from nodegraph.media.images.tiles import build_tiling, split_tiles

    tiling = build_tiling(image.shape[2], image.shape[1], (tile_width, tile_height), overlap)
    return ImageTiles(split_tiles(image, tiling), tiling)


@node(
    category="image/transform",
    infer=joined_facts,
    tags=("tiled upscale", "Ultimate SD Upscale", "stitch", "merge", "blend", "feather"),
)
def JoinTiles(tiles: list[Image], tiling: Tiling) -> Image:
    """Put tiles together to a picture; where they overlap, one fades into the other.

    Where nothing was changed it is the picture that was cut, to the last bit.

    Args:
        tiles: From SplitTiles, whatever was done to them; all may be larger by one factor.
        tiling: From SplitTiles, too.
    """
    from nodegraph.media.images.tiles import join_tiles

    return join_tiles(tiles, tiling)
