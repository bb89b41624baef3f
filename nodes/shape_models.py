"""Shapes from diffusion models: conditioning, decoding, and points."""

from __future__ import annotations

import math
from typing import Annotated

from nodegraph import (
    Advanced,
    Conditioning,
    InvalidValue,
    Latent,
    Mesh,
    PointCloud,
    Range,
    Seed,
    node,
)
from nodegraph.media.shapes.distance_grids import COLOURS, KINDS, SMOOTH, Solid, SolidColour

from ._shape_facts import check_meshing, shape_family


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
