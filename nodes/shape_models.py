"""Shapes from diffusion models: conditioning, decoding, and points."""

from __future__ import annotations

import math
from typing import Annotated

from nodegraph import (
    Advanced,
    Conditioning,
    Context,
    Image,
    InvalidValue,
    Latent,
    Mesh,
    PointCloud,
    Range,
    Seed,
    Vae,
    node,
)
from nodegraph.media.shapes.distance_grids import COLOURS, KINDS, SMOOTH, Solid, SolidColour

from ._shape_facts import (
    check_meshing,
    check_solid_vae,
    check_solid_views,
    rendered_views,
    shape_family,
)

_PARTS = 1000
"""Of the work, as progress is counted."""


@node(
    category="conditioning",
    infer=shape_family,
    tags=("3d", "shapes", "mesh", "solid", "table", "chair", "class", "generate"),
)
def ShapeConditioning(
    solid: Solid | None = None,
    color: SolidColour | None = None,
    proportion: Annotated[float, Range(0.5, 2, step=0.05)] | None = None,
) -> Conditioning:
    """Conditioning for a shape model: what the shapes should look like.

    Inputs that are left out are not conditioned.

    Args:
        solid: Kind of the shapes.
        color: Color of the whole shape.
        proportion: Ratio of height to width: 2 is twice as tall as wide.
    """
    from nodegraph.families.item_family import item_conditioning

    categories = (
        None if solid is None else KINDS.index(solid),
        None if color is None else list(COLOURS).index(color),
    )
    tall = None if proportion is None else math.log2(proportion)
    return item_conditioning("shapes", categories, (tall,))


@node(
    category="3d",
    validate=check_meshing,
    tags=("shapes", "mesh", "decode", "marching cubes", "signed distance", "VAEDecode"),
)
def DecodeShapes(
    latent: list[Latent],
    smooth: Annotated[float, Range(0.0, 3.0), Advanced()] = SMOOTH,
    largest: Annotated[bool, Advanced()] = True,
) -> list[Mesh]:
    """Decode latents of a shape model to meshes. Each mesh is closed and has one color.

    Args:
        latent: Latents from a KSampler with a shape model, for example tiny/shapes.
        smooth: Smoothing radius, in cells of the grid of 32 per side, because models leave seams. 0
            does not smooth.
        largest: Keep only the largest piece, and remove small fragments.
    """
    from nodegraph.families.items.latents import all_items
    from nodegraph.media.shapes.distance_grids import extract_surface, from_tokens, largest_piece

    cells = zip(*from_tokens(all_items(latent, "shapes")), strict=True)
    candidates = [extract_surface(grid, color, smooth=smooth) for grid, color in cells]
    meshes = [mesh for mesh in candidates if mesh is not None]
    if not meshes:
        raise InvalidValue(
            "no shape has an interior",
            port="latent",
            given=f"{len(candidates)} shapes",
            hint="Sample with more steps, or with cfg 1 to 2.",
        )
    return [largest_piece(mesh) for mesh in meshes] if largest else meshes


@node(
    category="3d",
    label="VAE decode views",
    lane="gpu",
    numerics=True,
    infer=rendered_views,
    validate=check_solid_views,
    tags=("render", "turntable", "nerf", "shap-e", "text to 3d", "image to 3d", "VAEDecode"),
)
def VAEDecodeViews(
    ctx: Context,
    vae: Vae,
    latent: Latent,
    views: Annotated[int, Range(1, 200)] = 20,
    size: Annotated[int, Range(8, 1024)] = 64,
) -> Image:
    """Render the solids of a latent from cameras on a circle around them.

    The first and the last view of a solid are the same. On a CPU this takes minutes: use
    VAEDecodeMesh there.

    Args:
        vae: The VAE of a model that generates solids, such as Shap-E.
        latent: Latents from a sampler.
        views: Number of views of each solid.
        size: Side of the square images in pixels. Twice the size takes four times as long.
    """
    from nodegraph.models.vae import decode_views

    def report(share: float) -> None:
        ctx.progress(round(share * _PARTS), _PARTS)

    with ctx.weights(vae) as autoencoder:
        return decode_views(autoencoder, latent, views=views, size=size, on_progress=report)


@node(
    category="3d",
    label="VAE decode mesh",
    lane="gpu",
    numerics=True,
    validate=check_solid_vae,
    tags=("surface", "marching cubes", "shap-e", "text to 3d", "image to 3d", "VAEDecode"),
)
def VAEDecodeMesh(
    ctx: Context,
    vae: Vae,
    latent: Latent,
    grid: Annotated[int, Range(8, 256, step=8)] = 128,
) -> list[Mesh]:
    """Decode the solids of a latent to closed meshes with colors, one for each solid.

    Solids without a surface are left out.

    Args:
        vae: The VAE of a model that generates solids, such as Shap-E.
        latent: Latents from a sampler.
        grid: Cells per side of the grid. More give finer details. Twice as many take eight times
            as long.
    """
    from nodegraph.models.vae import decode_meshes

    def report(share: float) -> None:
        ctx.progress(round(share * _PARTS), _PARTS)

    with ctx.weights(vae) as autoencoder:
        return decode_meshes(autoencoder, latent, grid=grid, on_progress=report)


@node(category="3d", tags=("sample", "surface", "point cloud", "scan", "convert"))
def PointsFromMesh(
    mesh: Mesh,
    count: Annotated[int, Range(1, 10_000_000)] = 2048,
    seed: Annotated[int, Seed()] = 0,
) -> PointCloud:
    """Sample points evenly on the surface of a mesh, with its colors.

    Args:
        mesh: A mesh with a surface area above 0.
        count: Number of points.
        seed: Seed of the points. The same seed gives the same points.
    """
    from nodegraph.media.shapes.distance_grids import surface_points

    return surface_points(mesh, count, seed)
