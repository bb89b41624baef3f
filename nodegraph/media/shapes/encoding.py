"""Shapes as the bytes of files; written here, so that saving needs no package."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.media.shapes.shape_files import (
    ShapeFormat,
    comment_lines,
    glb_bytes,
    srgb_to_linear,
    texture_colors,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from nodegraph.core.spatial_values import Mesh, PointCloud

SHAPE_SUFFIXES: Mapping[ShapeFormat, str] = {"glb": ".glb", "ply": ".ply", "obj": ".obj"}
_FLOAT, _SHORT, _UINT = 5126, 5123, 5125
"""glTF's numbers of types."""


def encode_mesh(
    mesh: Mesh, format: ShapeFormat = "glb", metadata: Mapping[str, str] | None = None
) -> bytes:
    """A mesh as the bytes of a file; equal meshes give equal bytes.

    Vertices come back bit by bit, colors in 8 bits; in a GLB they are amounts of light, as its
    standard says. Only GLB holds a texture and its coordinates: in PLY and OBJ each vertex gets
    the color that it has there.

    Args:
        metadata: Texts of one line each by name, such as ``workflow``.
    Raises:
        InvalidValue: It is none that can be written.
        NumericalError: NaN or infinity.
    """
    check_mesh(mesh)
    texts = metadata or {}
    if format == "glb":
        return _glb(mesh, texts)
    vertices, faces = _array(mesh.vertices), mesh.faces.cpu().numpy()
    colors = vertex_colors(mesh)
    levels = None if colors is None else _levels(colors)
    if format == "ply":
        return _ply(vertices, levels, faces, texts)
    if format == "obj":
        return _obj(vertices, levels, faces, texts)
    raise InvalidValue(
        f"there is no mesh format {format!r}",
        port="format",
        expected=", ".join(SHAPE_SUFFIXES),
    )


def encode_points(cloud: PointCloud, metadata: Mapping[str, str] | None = None) -> bytes:
    """Points as the bytes of a PLY file; see `encode_mesh`."""
    check_points(cloud)
    levels = None if cloud.colors is None else _levels(cloud.colors)
    return _ply(_array(cloud.points), levels, None, metadata or {})


def check_mesh(mesh: Mesh) -> None:
    """Refuse what can be neither written nor drawn.

    Raises:
        InvalidValue: There are no triangles, or the parts don't fit each other.
        NumericalError: NaN or infinity.
    """
    vertices, faces = mesh.vertices, mesh.faces
    count = len(vertices)
    if vertices.shape[1:] != (3,) or faces.shape[1:] != (3,) or not count or not len(faces):
        raise InvalidValue(
            "this is not a mesh",
            port="mesh",
            given=f"vertices {tuple(vertices.shape)}, faces {tuple(faces.shape)}",
            expected="(vertices, 3) and (faces, 3), at least one of each",
        )
    if int(faces.min()) < 0 or int(faces.max()) >= count:
        raise InvalidValue(
            "a triangle refers to a vertex that does not exist",
            port="mesh",
            given=f"{int(faces.min())} to {int(faces.max())}",
            expected=f"0 to {count - 1}",
        )
    _check_finite(vertices, "mesh")
    _check_colors(mesh.colors, count, "mesh")
    if mesh.texture is not None and (mesh.uv is None or mesh.uv.shape != (count, 2)):
        raise InvalidValue("a texture needs a texture coordinate (uv) for each vertex", port="mesh")
    if mesh.uv is not None and mesh.uv.shape != (count, 2):
        raise InvalidValue(
            "the number of texture coordinates differs from the number of vertices",
            port="mesh",
            given=f"shape {tuple(mesh.uv.shape)}",
            expected=f"({count}, 2)",
        )
    texture = mesh.texture
    if texture is not None and (texture.shape[2:] != (3,) or not texture.numel()):
        raise InvalidValue(
            "this is not a texture",
            port="mesh",
            given=f"shape {tuple(texture.shape)}",
            expected="(height, width, 3), at least one pixel",
        )
    if mesh.uv is not None and not mesh.uv.isfinite().all():
        raise NumericalError("some texture coordinates are NaN or infinity", port="mesh")


def check_points(cloud: PointCloud) -> None:
    """Refuse what can be neither written nor drawn; see `check_mesh`."""
    points = cloud.points
    if points.shape[1:] != (3,) or not len(points):
        raise InvalidValue(
            "this is not a point cloud",
            port="point_cloud",
            given=f"shape {tuple(points.shape)}",
            expected="(points, 3), at least one",
        )
    _check_finite(points, "point_cloud")
    _check_colors(cloud.colors, len(points), "point_cloud")


def _check_finite(values: Tensor, port: str) -> None:
    if not values.isfinite().all():
        raise NumericalError("some points have no position: NaN or infinity", port=port)


def _check_colors(colors: Tensor | None, count: int, port: str) -> None:
    if colors is not None and colors.shape != (count, 3):
        raise InvalidValue(
            "the number of colors differs from the number of points",
            port=port,
            given=f"shape {tuple(colors.shape)}",
            expected=f"({count}, 3)",
        )


def vertex_colors(mesh: Mesh) -> Tensor | None:
    """A color for each vertex, from its texture where it has one; shape (vertices, 3)."""
    if mesh.texture is None or mesh.uv is None:
        return mesh.colors
    return sample_texture(mesh.texture, mesh.uv)


def sample_texture(texture: Tensor, uv: Tensor) -> Tensor:
    """Colors at places of a texture, which begins anew beyond its edges; shape (places, 3)."""
    import torch

    return torch.from_numpy(texture_colors(_array(texture), _array(uv)))


def _array(values: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = values.detach().cpu().float().contiguous().numpy()
    return array


def _levels(colors: Tensor) -> NDArray[np.uint8]:
    return (_array(colors).clip(0, 1) * 255).round().astype(np.uint8)


def _light(colors: Tensor) -> NDArray[np.uint16]:
    """Colors as glTF 2.0 has those of vertices (3.7.2.1): linear light, and opaque.

    In 16 bits, as in 8 the dark ones would run together.
    """
    levels = np.full((len(colors), 4), 65535, "<u2")
    levels[:, :3] = (srgb_to_linear((_levels(colors) / 255).astype(np.float32)) * 65535).round()
    return levels


def _ply(
    vertices: NDArray[np.float32],
    levels: NDArray[np.uint8] | None,
    faces: NDArray[Any] | None,
    texts: Mapping[str, str],
) -> bytes:
    columns: list[tuple[str, str]] = [(name, "<f4") for name in "xyz"]
    head = ["ply", "format binary_little_endian 1.0", *comment_lines(texts, "comment ")]
    head += [f"element vertex {len(vertices)}", *(f"property float {name}" for name in "xyz")]
    if levels is not None:
        colors = ("red", "green", "blue")
        columns += [(name, "u1") for name in colors]
        head += [f"property uchar {name}" for name in colors]
    table = np.empty(len(vertices), columns)
    for at, (name, _) in enumerate(columns):
        table[name] = vertices[:, at] if at < 3 or levels is None else levels[:, at - 3]
    body = table.tobytes()
    if faces is not None:
        head += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
        rows = np.empty(len(faces), [("count", "u1"), ("corners", "<i4", 3)])
        rows["count"], rows["corners"] = 3, faces
        body += rows.tobytes()
    return "\n".join([*head, "end_header", ""]).encode() + body


def _obj(
    vertices: NDArray[np.float32],
    levels: NDArray[np.uint8] | None,
    faces: NDArray[Any],
    texts: Mapping[str, str],
) -> bytes:
    lines = comment_lines(texts, "# ")
    # Nine digits tell every float32 from its neighbors.
    places = [f"v {x:.9g} {y:.9g} {z:.9g}" for x, y, z in vertices.tolist()]
    if levels is not None:
        colors = (levels / 255).tolist()
        places = [
            f"{line} {r:.4f} {g:.4f} {b:.4f}"
            for line, (r, g, b) in zip(places, colors, strict=True)
        ]
    corners = [f"f {a} {b} {c}" for a, b, c in (faces + 1).tolist()]
    return "\n".join([*lines, *places, *corners, ""]).encode()


class _Buffer:
    """The binary part of a GLB, and what tells of its pieces."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.views: list[dict[str, Any]] = []
        self.tables: list[dict[str, Any]] = []

    def add(self, data: bytes) -> int:
        """The number of a new piece."""
        self.views.append({"buffer": 0, "byteOffset": len(self.data), "byteLength": len(data)})
        self.data += data + bytes(-len(data) % 4)
        return len(self.views) - 1

    def table(self, values: NDArray[Any], kind: int, form: str, **more: Any) -> int:
        """The number of a new table."""
        accessor = {"bufferView": self.add(values.tobytes()), "componentType": kind, "type": form}
        self.tables.append({**accessor, "count": len(values), **more})
        return len(self.tables) - 1


def _glb(mesh: Mesh, texts: Mapping[str, str]) -> bytes:
    buffer, vertices = _Buffer(), _array(mesh.vertices)
    low, high = vertices.min(0).tolist(), vertices.max(0).tolist()
    attributes = {"POSITION": buffer.table(vertices, _FLOAT, "VEC3", min=low, max=high)}
    corners = mesh.faces.cpu().numpy().astype("<u4").reshape(-1)
    indices = buffer.table(corners, _UINT, "SCALAR")
    material: dict[str, Any] = {"metallicFactor": 0, "roughnessFactor": 1}
    more: dict[str, Any] = {}
    if mesh.uv is not None:
        # Without a texture, too: one may be painted for them. Counted from above there.
        places = _array(mesh.uv).copy()
        places[:, 1] = 1 - places[:, 1]
        attributes["TEXCOORD_0"] = buffer.table(places, _FLOAT, "VEC2")
    if mesh.texture is not None:
        view = buffer.add(_png(mesh.texture))
        more = {"images": [{"bufferView": view, "mimeType": "image/png"}]}
        more |= {"textures": [{"source": 0}]}
        material["baseColorTexture"] = {"index": 0}
    elif mesh.colors is not None:
        colors = buffer.table(_light(mesh.colors), _SHORT, "VEC4", normalized=True)
        attributes["COLOR_0"] = colors
    document = {
        "asset": {"version": "2.0", "generator": "nodegraph", "extras": dict(texts)},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": indices, "material": 0}]}],
        "materials": [{"pbrMetallicRoughness": material, "doubleSided": True}],
        "accessors": buffer.tables,
        "bufferViews": buffer.views,
        "buffers": [{"byteLength": len(buffer.data)}],
        **more,
    }
    return glb_bytes(document, bytes(buffer.data))


def _png(texture: Tensor) -> bytes:
    from nodegraph.media.images.images import to_pil

    data = BytesIO()
    to_pil(texture).save(data, "PNG")
    return data.getvalue()
