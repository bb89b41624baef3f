"""Voxels: grids of numbers in space, and their surfaces."""

from __future__ import annotations

from typing import Annotated

from nodegraph import Mask, Mesh, Range, Voxels, node
from nodegraph.media.shapes.voxel_surfaces import SurfaceAlgorithm


@node(category="3d", tags=("slices", "stack", "volume", "scan", "tomography", "grid"))
def VoxelsFromMask(mask: Mask) -> Voxels:
    """Stack the masks of a batch to a grid of voxels.

    The first mask is in front, and the top of the masks is up.

    Args:
        mask: Slices of the solid, for example of a scan. 1 is inside.
    """
    from nodegraph.media.shapes.voxel_surfaces import check_voxels

    # Rows count downward and slices away from the viewer; y points up, and z to the viewer.
    voxels = Voxels(mask.flip(0, 1).contiguous())
    check_voxels(voxels, "mask")
    return voxels


@node(
    category="3d",
    tags=("surface", "marching cubes", "surface nets", "blocks", "mesh", "convert", "VoxelToMesh"),
)
def MeshFromVoxels(
    voxels: Voxels,
    threshold: Annotated[float, Range(-1000.0, 1000.0, step=0.01)] = 0.6,
    algorithm: SurfaceAlgorithm = "surface_net",
) -> Mesh:
    """Make a closed mesh around the voxels above a threshold.

    The longest side of the grid spans -1 to 1.

    Args:
        voxels: Grid of numbers, of at most 512 per side.
        threshold: Numbers above it are inside.
        algorithm: Surface nets give a smooth surface. Blocks give each voxel as a cube.
    """
    from nodegraph.media.shapes.voxel_surfaces import mesh_from_voxels

    return mesh_from_voxels(voxels, threshold, algorithm)
