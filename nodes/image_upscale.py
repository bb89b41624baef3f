"""Upscale images with networks, and split images into tiles."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from nodegraph import Advanced, Context, File, Image, Range, node
from nodegraph.families.helper_recipes import UpscaleModel
from nodegraph.media.images.tiles import Tiling
from nodegraph.models.helper_files import BUNDLED_UPSCALER, open_upscaler

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
    """Load an upscale or restoration model.

    Compact models (SRVGGNetCompact) need nothing else. ESRGAN, SwinIR, HAT, DAT, SPAN and many
    others need the package spandrel: pip install "nodegraph[upscale]".

    Args:
        model: Name under a models folder or path of a .safetensors file. tiny/upscaler is included:
            it upscales images like those of the model tiny by 2. A .pth file works only if the
            settings allow pickle files.
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
    """Upscale images with a trained upscale model.

    Args:
        model: A model from LoadUpscaleModel.
        image: Images of any size. Transparency is scaled with bicubic interpolation.
        factor: Scale of the sides. 0 uses the scale of the model. For other values the result is
            resized with Lanczos interpolation.
        tile: Side of the tiles in pixels, which limits the memory. 0 processes the whole image at
            once. If memory runs out, smaller tiles are used.
        overlap: Overlap of neighboring tiles in pixels, blended. At most half a tile.
    """
    from nodegraph.media.images.resizing import resize_image
    from nodegraph.models.upscaling import upscale_image

    if ctx.footprint == "small":
        tile, overlap = min(tile or SMALL_TILE, SMALL_TILE), min(overlap, SMALL_TILE // 2)
    with ctx.weights(model, calls_only=True) as upscaler:
        upscaled = upscale_image(upscaler, image, tile=tile, overlap=overlap, on_tile=ctx.progress)
    width, height = (max(1, round(side * factor)) for side in (image.shape[2], image.shape[1]))
    if not factor or (upscaled.shape[2], upscaled.shape[1]) == (width, height):
        return upscaled
    return resize_image(upscaled, width, height)


class ImageTiles(NamedTuple):
    """Tiles of an image, and their layout."""

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
    """Split images into overlapping tiles, for example to sample a large image tile by tile.

    The tiles are a list: the following nodes run once per tile. JoinTiles joins them again.

    Args:
        image: Images of any size. All images of a batch are split in the same way.
        tile_width, tile_height: Tile size in pixels, limited to the size of the image.
        overlap: Minimum overlap of neighboring tiles in pixels. At most half a tile.
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
    """Join tiles into an image. Overlapping areas are blended.

    If the tiles were not changed, the result equals the split image exactly.

    Args:
        tiles: Tiles from SplitTiles, also processed ones. All may be scaled by one factor.
        tiling: The tiling output of SplitTiles.
    """
    from nodegraph.media.images.tiles import join_tiles

    return join_tiles(tiles, tiling)
