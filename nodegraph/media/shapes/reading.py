"""Files of shapes as values, read by trimesh from nothing but their own bytes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.spatial_values import Mesh, PointCloud
from nodegraph.errors import InvalidFile
from nodegraph.media.shapes.shape_files import (
    ShapeArrays,
    ShapeFormat,
    check_glb,
    check_pictures,
    check_shapes_installed,
    glb_bytes,
    glb_json,
    join_continued_lines,
    linear_to_srgb,
    name_materials,
    open_shape,
    texture_colors,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class _Part:
    """One of the shapes that a file shows.

    Attributes:
        shape: As trimesh has it; it may be shown several times.
        vertices: Where its vertices lie.
        faces: Its triangles, counter-clockwise as seen from outside; of points, none.
        is_linear: Whether its colors, but a texture's, are amounts of light.
    """

    shape: Any
    vertices: NDArray[Any]
    faces: Any
    is_linear: bool


def read_mesh(path: Path, *, names: bool = True) -> Mesh:
    """The mesh in a file: all that it shows, as one.

    Colors and texture are kept; where several parts have different textures, these become colors
    of their vertices. What an OBJ or PLY refers to in other files isn't read.

    Args:
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, damaged, refused, or holds no triangles.
        InvalidValue: trimesh isn't installed.
    """
    import torch

    arrays = shape_arrays(path, names=names)
    if arrays is None:
        raise InvalidFile(
            f"there are no triangles in {path}",
            hint="If it holds points, use a LoadPointCloud instead.",
        )
    places = (arrays.points, arrays.faces, arrays.colors, arrays.uv, arrays.texture)
    vertices, faces, *looks = (None if each is None else torch.from_numpy(each) for each in places)
    assert vertices is not None
    assert faces is not None
    return Mesh(vertices, faces, *looks)


def shape_arrays(path: Path, *, names: bool = True) -> ShapeArrays | None:
    """What `read_mesh` gives, without torch; None of what holds no triangles."""
    import numpy as np

    parts = [part for part in _parts(path, names) if len(part.faces)]
    if not parts:
        return None
    before = np.cumsum([0, *(len(part.vertices) for part in parts)])
    faces = [part.faces + first for part, first in zip(parts, before, strict=False)]
    vertices = _finite(np.concatenate([part.vertices for part in parts]), path)
    corners = np.concatenate(faces).astype(np.int64)
    if corners.min() < 0 or corners.max() >= len(vertices):
        raise InvalidFile(f"{path} is damaged: its triangles refer to vertices that do not exist")
    mesh = ShapeArrays(vertices, corners)
    if len(parts) == 1:
        mesh = _painted(mesh, parts[0].shape)
    return mesh if mesh.texture is not None else replace(mesh, colors=_colors_of(parts))


def read_point_cloud(path: Path, *, names: bool = True) -> PointCloud:
    """The points in a file; of a mesh, its vertices.

    Args:
        names: Whether an error may name files like one that is missing.
    Raises:
        InvalidFile: It is missing, damaged, refused, or holds no points.
        InvalidValue: trimesh isn't installed.
    """
    import torch

    arrays = point_arrays(path, names=names)
    colors = None if arrays.colors is None else torch.from_numpy(arrays.colors)
    return PointCloud(torch.from_numpy(arrays.points), colors)


def point_arrays(path: Path, *, names: bool = True) -> ShapeArrays:
    """What `read_point_cloud` gives, without torch."""
    import numpy as np

    parts = [part for part in _parts(path, names) if len(part.vertices)]
    if not parts:
        raise InvalidFile(f"there are no points in {path}")
    points = _finite(np.concatenate([part.vertices for part in parts]), path)
    return ShapeArrays(points, colors=_colors_of(parts))


def _parts(path: Path, names: bool) -> list[_Part]:
    """What a file shows, each part where it lies."""
    check_shapes_installed()
    import trimesh

    file, kind = open_shape(path, names=names)
    document: dict[str, Any] = {}
    binary = b""
    with file:
        if kind == "glb":
            document = glb_json(file, str(path))
            binary = file.read()[8:]
            check_glb(document, str(path))
            check_pictures(document, binary, str(path))
            file.seek(0)
        data = file.read()
    try:
        if name_materials(document):
            data = glb_bytes(document, binary)
        if kind == "obj":
            data = join_continued_lines(data)
        _check_counts(data, kind)
        # Without a resolver, nothing that it names elsewhere is opened.
        scene = trimesh.load_scene(
            BytesIO(data), file_type=kind, resolver=None, process=False, maintain_order=True
        )
        parts = [_placed(scene, node, kind == "glb") for node in scene.graph.nodes_geometry]
    except Exception as error:
        raise InvalidFile(
            f"{path} is damaged or truncated: {error}", hint="Copy or download it again."
        ) from error
    return parts


def _placed(scene: Any, node: str, is_linear: bool) -> _Part:
    """A part of a scene, where it lies there."""
    import numpy as np

    transform, name = scene.graph[node]
    shape = scene.geometry[name]
    vertices = shape.vertices
    faces: Any = getattr(shape, "faces", ())
    if not np.array_equal(transform, np.eye(4)):
        vertices = vertices @ transform[:3, :3].T + transform[:3, 3]
        if len(faces) and np.linalg.det(transform[:3, :3]) < 0:
            # Mirrored: the order of the corners would be that seen from inside.
            faces = faces[:, ::-1]
    return _Part(shape, vertices, faces, is_linear)


def _check_counts(data: bytes, format: ShapeFormat) -> None:
    """Refuse a PLY with fewer bytes than elements, which would be read in part."""
    if format != "ply":
        return
    head, _, body = data.partition(b"end_header")
    lines = [line.split() for line in head.splitlines() if line.startswith(b"element ")]
    if sum(int(line[2]) for line in lines) > len(body):
        raise ValueError("it is shorter than stated")


def _finite(values: NDArray[Any], path: Path) -> NDArray[np.float32]:
    import numpy as np

    with np.errstate(over="ignore"):
        points = np.ascontiguousarray(values, np.float32)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise InvalidFile(f"{path} is damaged: some of its points have no position")
    return points


def _painted(mesh: ShapeArrays, shape: Any) -> ShapeArrays:
    """A mesh with its texture and the coordinates of it, as far as it has them."""
    import numpy as np

    uv = getattr(shape.visual, "uv", None)
    if uv is None or len(uv) != len(mesh.points):
        return mesh
    places = np.ascontiguousarray(uv, np.float32)
    if not np.isfinite(places).all():
        return mesh
    mesh, picture = replace(mesh, uv=places), _texture(shape)
    if picture is None:
        return mesh
    return replace(mesh, texture=np.asarray(picture.convert("RGB"), np.float32) / np.float32(255))


def _texture(shape: Any) -> Any:
    """Its image; of a GLB, as elsewhere trimesh puts a gray one in place of what isn't read."""
    return getattr(getattr(shape.visual, "material", None), "baseColorTexture", None)


def _colors_of(parts: list[_Part]) -> NDArray[np.float32] | None:
    """Colors of all vertices; None if no part has any."""
    import numpy as np

    colors: list[NDArray[np.float32]] = []
    is_colored = False
    for part in parts:
        own = _own_colors(part)
        is_colored |= own is not None
        plain = np.full((len(part.vertices), 3), 0.8, np.float32)
        colors.append(plain if own is None else own)
    return np.concatenate(colors) if is_colored else None


def _own_colors(part: _Part) -> NDArray[np.float32] | None:
    """Colors of a part's vertices, or the one of all of it; None if unknown."""
    import numpy as np

    shape, visual = part.shape, getattr(part.shape, "visual", None)
    colors: Any = getattr(shape, "colors", None) if visual is None else None
    if visual is not None and visual.kind == "texture":
        colors = visual.vertex_attributes.get("color")
        if colors is None:
            return _material_colors(part)
    elif visual is not None and visual.kind is not None:
        colors = visual.vertex_colors
    if colors is None or len(colors) != len(shape.vertices) or not np.size(colors):
        return None
    most = np.iinfo(colors.dtype).max if colors.dtype.kind == "u" else 1
    levels: Any = np.asarray(colors, np.float32)[:, :3].clip(0, most) / np.float32(most)
    return linear_to_srgb(levels) if part.is_linear else levels


def _material_colors(part: _Part) -> NDArray[np.float32] | None:
    """The texture's color at each vertex, or the one color of the whole; None if unknown."""
    import numpy as np

    shape = part.shape
    picture, uv = _texture(shape), shape.visual.uv
    count = len(shape.vertices)
    if picture is not None and uv is not None and len(uv) == count and np.isfinite(uv).all():
        pixels = np.asarray(picture.convert("RGB"), np.float32) / np.float32(255)
        return texture_colors(pixels, np.asarray(uv, np.float32))
    factor = getattr(shape.visual.material, "baseColorFactor", None)
    if factor is None:
        return None
    levels = np.asarray(factor, np.float32)[:3] / np.float32(255)
    return np.tile(linear_to_srgb(levels) if part.is_linear else levels, (count, 1))
