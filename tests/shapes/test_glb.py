"""GLB files follow the standard: read back by a small parser that shares nothing with the writer.

Source: Khronos, glTF 2.0 specification, 3.6.2 (accessors), 3.7.2 (meshes), 4.4 (binary files).
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nodegraph import Mesh, Voxels
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.media.shapes.encoding import encode_mesh
from nodegraph.media.shapes.reading import read_mesh
from nodegraph.media.shapes.voxel_surfaces import mesh_from_voxels
from tests.messages import raises
from tests.shapes.making import box, square

_TYPES = {5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}


@dataclass
class Glb:
    """The two chunks of a file."""

    document: dict[str, Any]
    binary: bytes

    @classmethod
    def parse(cls, data: bytes) -> Glb:
        magic, version, length = struct.unpack_from("<4sII", data)
        assert (magic, version, length) == (b"glTF", 2, len(data))
        chunks: list[tuple[bytes, bytes]] = []
        at = 12
        while at < len(data):
            size, kind = struct.unpack_from("<I4s", data, at)
            assert size % 4 == 0
            chunks.append((kind, data[at + 8 : at + 8 + size]))
            at += 8 + size
        assert at == len(data)
        assert [kind for kind, _ in chunks] == [b"JSON", b"BIN\0"]
        return cls(json.loads(chunks[0][1]), chunks[1][1])

    def view(self, number: int) -> bytes:
        view = self.document["bufferViews"][number]
        start = view.get("byteOffset", 0)
        assert start + view["byteLength"] <= self.document["buffers"][0]["byteLength"]
        return self.binary[start : start + view["byteLength"]]

    def table(self, number: int) -> np.ndarray[Any, Any]:
        accessor = self.document["accessors"][number]
        view = self.document["bufferViews"][accessor["bufferView"]]
        assert (view.get("byteOffset", 0) + accessor.get("byteOffset", 0)) % 4 == 0
        width = _WIDTHS[accessor["type"]]
        values = np.frombuffer(self.view(accessor["bufferView"]), _TYPES[accessor["componentType"]])
        assert len(values) == accessor["count"] * width
        return values.reshape(accessor["count"], width)

    def part(self) -> dict[str, Any]:
        [mesh] = self.document["meshes"]
        [part] = mesh["primitives"]
        assert part.get("mode", 4) == 4
        return part  # type: ignore[no-any-return]


def painted(height: int = 5, width: int = 3) -> Mesh:
    """A square with a texture of odd sides, in steps of 1 / 255."""
    levels = torch.randint(0, 256, (height, width, 3), generator=torch.Generator().manual_seed(1))
    return replace(square(), texture=levels / 255)


@pytest.mark.parametrize("texts", [{}, {"workflow": "x"}, {"workflow": "xy"}, {"workflow": "狐"}])
def test_chunks_are_aligned_whatever_the_texts_are(texts: dict[str, str]) -> None:
    glb = Glb.parse(encode_mesh(painted(), "glb", texts))
    assert glb.document["asset"]["version"] == "2.0"
    assert 0 <= len(glb.binary) - glb.document["buffers"][0]["byteLength"] <= 3


def test_vertices_triangles_and_bounds_come_back() -> None:
    ball = torch.zeros(9, 9, 9)
    ball[2:7, 2:7, 2:7] = 0.9
    mesh = mesh_from_voxels(Voxels(ball), 0.5)

    glb = Glb.parse(encode_mesh(mesh))

    part = glb.part()
    vertices = glb.table(part["attributes"]["POSITION"])
    assert np.array_equal(vertices, mesh.vertices.numpy())
    triangles = glb.table(part["indices"]).reshape(-1, 3)
    assert np.array_equal(triangles, mesh.faces.numpy())
    accessor = glb.document["accessors"][part["attributes"]["POSITION"]]
    assert accessor["min"] == vertices.min(0).tolist()
    assert accessor["max"] == vertices.max(0).tolist()


def test_a_texture_comes_back_byte_by_byte() -> None:
    mesh = painted()
    assert mesh.texture is not None
    assert mesh.uv is not None

    glb = Glb.parse(encode_mesh(mesh))

    part = glb.part()
    material = glb.document["materials"][part["material"]]["pbrMetallicRoughness"]
    texture = glb.document["textures"][material["baseColorTexture"]["index"]]
    image = glb.document["images"][texture["source"]]
    assert image["mimeType"] == "image/png"
    with Image.open(BytesIO(glb.view(image["bufferView"])), formats=["PNG"]) as opened:
        pixels = np.asarray(opened.convert("RGB"))
    assert pixels.tobytes() == (mesh.texture * 255).round().byte().numpy().tobytes()
    # The standard counts from the upper left corner.
    uv = glb.table(part["attributes"]["TEXCOORD_0"])
    assert np.array_equal(uv, np.stack([mesh.uv[:, 0], 1 - mesh.uv[:, 1]], 1))


def test_the_material_of_a_texture_is_the_plain_one_of_the_standard() -> None:
    """Nothing of it changes the colors of the texture, which begins anew beyond its edges."""
    glb = Glb.parse(encode_mesh(painted()))
    [material] = glb.document["materials"]
    look = material["pbrMetallicRoughness"]
    assert (look["metallicFactor"], look["roughnessFactor"]) == (0, 1)
    assert look.get("baseColorFactor", [1, 1, 1, 1]) == [1, 1, 1, 1]
    assert look["baseColorTexture"].get("texCoord", 0) == 0
    assert material.get("alphaMode", "OPAQUE") == "OPAQUE"
    assert glb.document.get("samplers", [{}]) == [{}]
    assert "COLOR_0" not in glb.part()["attributes"]


@pytest.mark.parametrize("is_colored", [False, True])
def test_coordinates_are_kept_without_a_texture(is_colored: bool, tmp_path: Path) -> None:
    mesh = box(is_colored=is_colored)
    mesh = replace(mesh, uv=torch.rand(8, 2, generator=torch.Generator().manual_seed(2)))
    assert mesh.uv is not None
    data = encode_mesh(mesh)

    part = Glb.parse(data).part()
    assert ("COLOR_0" in part["attributes"]) == is_colored
    (tmp_path / "a.glb").write_bytes(data)
    found = read_mesh(tmp_path / "a.glb")
    assert found.uv is not None
    torch.testing.assert_close(found.uv, mesh.uv)
    assert found.texture is None
    assert (found.colors is not None) == is_colored
    if found.colors is not None:
        torch.testing.assert_close(found.colors, mesh.colors, rtol=0, atol=1 / 255)


def test_coordinates_of_other_vertices_are_refused() -> None:
    with raises(InvalidValue, port="mesh", given="shape (7, 2)"):
        encode_mesh(replace(box(), uv=torch.zeros(7, 2)))


def test_vertex_colors_are_opaque_light() -> None:
    glb = Glb.parse(encode_mesh(box(is_colored=True)))
    number = glb.part()["attributes"]["COLOR_0"]
    assert glb.document["accessors"][number]["normalized"] is True
    assert (glb.table(number)[:, 3] == 65535).all()


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 4), (4, 4, 1), (0, 4, 3)])
def test_what_is_no_texture_is_refused(shape: tuple[int, ...]) -> None:
    with raises(InvalidValue, port="mesh", given=f"shape {shape}"):
        encode_mesh(replace(square(), texture=torch.zeros(shape)))


def test_texture_coordinates_without_a_number_are_refused() -> None:
    mesh = square()
    uv = torch.full((4, 2), float("nan"))
    with raises(NumericalError, port="mesh"):
        encode_mesh(replace(mesh, uv=uv))
