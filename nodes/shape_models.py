"""Shapes by diffusion: what to ask for, and meshes and points of what came of it."""

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
    """What shapes are to be like; what isn't told is left to the model.

    Args:
        solid: What they are.
        color: Of all of it.
        proportion: Their height by their width: 2 is twice as tall as wide.
    """
    from nodegraph.families.items.conditioning import item_conditioning

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
    """Meshes of shapes that were sampled, each closed and in its colour.

    Args:
        latent: One or several, of a KSampler with a model such as tiny/shapes.
        smooth: Cells of the 32 a side over which surfaces are evened, as models leave seams; 0
            for none.
        largest: Leave crumbs beside the largest piece out.
    """
    from nodegraph.families.items.latents import all_items
    from nodegraph.media.shapes.distance_grids import extract_surface, from_tokens, largest_piece

    cells = zip(*from_tokens(all_items(latent, "shapes")), strict=True)
    candidates = [extract_surface(grid, color, smooth=smooth) for grid, color in cells]
    meshes = [mesh for mesh in candidates if mesh is not None]
    if not meshes:
        raise InvalidValue(
            "none of the shapes has an inside",
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
    """Points spread evenly over a mesh, with its colours.

    Args:
        mesh: With some area.
        count: How many points.
        seed: Equal ones give equal points.
    """
    from nodegraph.media.shapes.distance_grids import surface_points

    return surface_points(mesh, count, seed)
