"""Meshes and point clouds: load, save and render."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from nodegraph import Advanced, Context, File, Image, Mesh, PointCloud, Range, Video, node

from ._credentials import warn_if_changed
from ._facts import check_result_name, image_state
from ._result_files import result_name, save_result, save_turntable
from ._shape_facts import check_shape

_ELEVATION = 20.0


@node(
    category="3d",
    lane="io",
    validate=check_shape,
    fingerprint=image_state,
    tags=("open", "read", "model", "glb", "obj", "ply"),
)
def LoadMesh(ctx: Context, path: Annotated[str, File("mesh")]) -> Mesh:
    """Load a mesh from a file. Several objects are joined into one mesh.

    Colors and texture are loaded. Other files that the file refers to, for example the materials
    of an OBJ, are not loaded.

    Args:
        path: GLB, PLY or OBJ file. Relative paths start from the inputs folder.
    """
    from nodegraph.media.shapes.reading import read_mesh

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    mesh = read_mesh(file, names=environment.readable is None)
    warn_if_changed(ctx, file)
    return mesh


@node(
    category="3d",
    lane="io",
    validate=check_shape,
    fingerprint=image_state,
    tags=("open", "read", "scan", "ply"),
)
def LoadPointCloud(ctx: Context, path: Annotated[str, File("mesh")]) -> PointCloud:
    """Load a point cloud from a file.

    Args:
        path: PLY, GLB or OBJ file. The vertices of meshes are used. Relative paths start from the
            inputs folder.
    """
    from nodegraph.media.shapes.reading import read_point_cloud

    environment = ctx.environment
    file = environment.inputs / Path(path).expanduser()
    points = read_point_cloud(file, names=environment.readable is None)
    warn_if_changed(ctx, file)
    return points


@node(
    category="3d",
    lane="io",
    output="files",
    validate=check_result_name,
    tags=("write", "file", "model", "export"),
)
def SaveMesh(
    ctx: Context,
    mesh: Mesh,
    name: str = "mesh",
    format: Literal["glb", "ply", "obj"] = "glb",
    picture: Annotated[bool, Advanced()] = True,
) -> None:
    """Save a mesh to the output folder, with the workflow that made it.

    Files are numbered: chair_00001.glb. A file with the same content is not written again.

    Args:
        mesh: The mesh, with its colors or texture.
        name: Prefix of the file names. chairs/chair makes a sub-folder.
        format: Only GLB stores a texture. In PLY and OBJ, the vertices get its colors.
        picture: Also save an animation that shows the mesh from all sides.
    """
    from nodegraph.media.shapes.encoding import SHAPE_SUFFIXES, encode_mesh

    content = encode_mesh(mesh, format, ctx.file_metadata())
    name = result_name(ctx, name)
    save_result(ctx, name, SHAPE_SUFFIXES[format], content, kind="mesh")
    if picture:
        save_turntable(ctx, name, mesh)


@node(
    category="3d",
    lane="io",
    output="files",
    validate=check_result_name,
    tags=("write", "file", "scan", "export"),
)
def SavePointCloud(
    ctx: Context,
    point_cloud: PointCloud,
    name: str = "points",
    picture: Annotated[bool, Advanced()] = True,
) -> None:
    """Save a point cloud to the output folder as PLY, with the workflow that made it.

    Files are numbered: scan_00001.ply. A file with the same content is not written again.

    Args:
        point_cloud: The point cloud, with its colors.
        name: Prefix of the file names. scans/scan makes a sub-folder.
        picture: Also save an animation that shows the points from all sides.
    """
    from nodegraph.media.shapes.encoding import encode_points

    content = encode_points(point_cloud, ctx.file_metadata())
    name = result_name(ctx, name)
    save_result(ctx, name, ".ply", content, kind="points")
    if picture:
        save_turntable(ctx, name, point_cloud)


@node(category="3d", tags=("render", "picture", "look", "preview"))
def DrawMesh(
    mesh: Mesh | PointCloud,
    size: Annotated[int, Range(16, 4096)] = 512,
    angle: Annotated[float, Range(-360, 360)] = 30.0,
    elevation: Annotated[float, Range(-90, 90)] = _ELEVATION,
) -> Image:
    """Render a mesh or point cloud from one side.

    Args:
        mesh: The mesh or point cloud. It is scaled to fit.
        size: Side of the square image in pixels.
        angle: Rotation in degrees.
        elevation: Camera elevation in degrees.
    """
    from nodegraph.media.shapes.rendering import draw_shape

    return draw_shape(mesh, size, angle=angle, elevation=elevation)


@node(category="3d", tags=("render", "spin", "rotate", "preview"))
def MeshTurntable(
    ctx: Context,
    mesh: Mesh | PointCloud,
    frames: Annotated[int, Range(1, 1000)] = 48,
    size: Annotated[int, Range(16, 4096)] = 384,
    rate: Annotated[float, Range(0.001, 1000)] = 24.0,
    elevation: Annotated[float, Range(-90, 90)] = _ELEVATION,
) -> Video:
    """Render a turntable video of a mesh or point cloud: one full rotation.

    Args:
        mesh: The mesh or point cloud. It is scaled to fit.
        frames: Number of frames.
        size: Side of the square frames in pixels.
        rate: Frames per second.
        elevation: Camera elevation in degrees.
    """
    from nodegraph.media.shapes.rendering import turntable
    from nodegraph.media.videos.rates import exact_rate

    pictures = turntable(
        mesh, frames, size, elevation=elevation, on_progress=lambda done: ctx.progress(done, frames)
    )
    return Video(pictures, exact_rate(rate))
