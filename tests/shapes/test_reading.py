"""Files of shapes by strangers: of several parts, damaged, with claims and ways out."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from trimesh.resolvers import FilePathResolver

from nodegraph import Mesh
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.shapes import shape_files
from nodegraph.media.shapes import shape_files as glb_checks
from nodegraph.media.shapes.reading import read_mesh, read_point_cloud
from nodegraph.media.shapes.shape_files import glb_bytes, shape_format
from tests.messages import raises
from tests.shapes.making import FORMATS, box, cloud, square, written


def edited(path: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """A GLB whose JSON was changed."""
    data = path.read_bytes()
    size = struct.unpack("<I", data[12:16])[0]
    told = json.loads(data[20 : 20 + size])
    change(told)
    text = json.dumps(told).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + size :]
    head = b"glTF" + struct.pack("<II", 2, 20 + len(text) + len(rest))
    path.write_bytes(head + struct.pack("<I", len(text)) + b"JSON" + text + rest)
    return path


def test_parts_come_where_they_lie_as_one(tmp_path: Path) -> None:
    scene = trimesh.Scene()
    scene.add_geometry(trimesh.creation.box())
    moved = trimesh.transformations.translation_matrix([10, 0, 0])
    red = trimesh.creation.box()
    red.visual.vertex_colors = [255, 0, 0, 255]
    scene.add_geometry(red, transform=moved)
    path = tmp_path / "scene.glb"
    path.write_bytes(scene.export(file_type="glb"))

    found = read_mesh(path)

    assert (found.vertices.shape, found.faces.shape) == ((16, 3), (24, 3))
    assert found.faces.max() == 15
    assert found.vertices[:, 0].max() == 10.5
    assert found.colors is not None
    assert (found.colors[found.vertices[:, 0] > 5] == torch.tensor([1.0, 0, 0])).all()


@pytest.mark.parametrize(
    ("nodes", "volume"),
    [
        ([{"mesh": 0, "scale": [-1, 1, 1]}], 1),
        ([{"mesh": 0, "scale": [-2, -1, -3]}], 6),
        ([{"mesh": 0, "scale": [-2, -1, 3]}], 6),
        ([{"mesh": 0, "matrix": [0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]}], 1),
        ([{"children": [1], "scale": [1, 1, -1]}, {"mesh": 0, "scale": [1, -1, 1]}], 1),
        ([{"children": [1], "scale": [1, 1, -1]}, {"mesh": 0, "scale": [1, 2, 3]}], 6),
    ],
)
def test_a_mirrored_part_keeps_its_outside(
    tmp_path: Path, nodes: list[dict[str, Any]], volume: float
) -> None:
    """What glTF 2.0 says of negative determinants (3.7.4)."""
    plain = box()
    path = edited(written(tmp_path, plain), lambda told: told.update(nodes=nodes))

    found = read_mesh(path)

    assert enclosed(found) == pytest.approx(volume * enclosed(plain), rel=1e-5)
    assert enclosed(found) > 0


def enclosed(mesh: Mesh) -> float:
    """The volume within; negative where the triangles show their backs."""
    first, second, third = mesh.vertices[mesh.faces].unbind(1)
    return float((first * second.cross(third, dim=1)).sum() / 6)


COLORED = [
    ("H", 5123, 65535, {}),
    ("f", 5126, 1, {}),
    ("f", 5126, 1, {"material": 0}),
]


@pytest.mark.parametrize(("letter", "number", "most", "part"), COLORED)
def test_colors_of_a_glb_are_amounts_of_light(
    tmp_path: Path, letter: str, number: int, most: int, part: dict[str, Any]
) -> None:
    """What glTF 2.0 says of COLOR_0 (3.7.2.1); the dark ones are told apart."""
    light = np.array([[0.0003035, 0.2158605, 1]] * 3)
    corners = np.eye(3, dtype="<f4").tobytes()
    binary = corners + (light * most).round(9).astype("<" + letter).tobytes().ljust(36, b"\0")
    told = {
        "asset": {"version": "2.0", "generator": "another"},
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0, "COLOR_0": 1}, **part}]}],
        "materials": [{}],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "type": "VEC3", "count": 3},
            {"bufferView": 1, "componentType": number, "type": "VEC3", "count": 3},
        ],
        "bufferViews": [
            {"buffer": 0, "byteLength": 36},
            {"buffer": 0, "byteOffset": 36, "byteLength": 36},
        ],
        "buffers": [{"byteLength": 72}],
    }
    path = tmp_path / "a.glb"
    path.write_bytes(glb_bytes(told, binary))

    colors = read_mesh(path).colors

    assert colors is not None
    # sRGB levels by the formula of IEC 61966-2-1.
    assert (colors * 255).round().tolist() == [[1, 128, 255]] * 3


def test_the_one_color_of_a_glb_is_an_amount_of_light(tmp_path: Path) -> None:
    path = written(tmp_path, box())
    half = {"baseColorFactor": [0.2158605, 0, 1, 1]}
    edited(path, lambda told: told["materials"][0].update(pbrMetallicRoughness=half))

    colors = read_mesh(path).colors

    assert colors is not None
    assert (colors[0] * 255).round().tolist() == [128, 0, 255]


def test_squares_and_negative_numbers_of_an_obj_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    path.write_text("o it\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf -4 -3 -2 -1\n")
    assert sorted(read_mesh(path).faces.unique().tolist()) == [0, 1, 2, 3]


def test_lines_of_an_obj_go_on_after_a_backslash(tmp_path: Path) -> None:
    path = tmp_path / "a.obj"
    path.write_bytes(
        b"# of C:\\scans\\\nv 0 0\\\n0\nv 1 0 0\nv \\\r\n 1 1 0\nv 0 1 0\nf 1 2 \\ \n3\\\n4\n"
    )
    mesh = read_mesh(path)
    assert mesh.vertices.tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]
    assert sorted({*mesh.faces.flatten().tolist()}) == [0, 1, 2, 3]
    assert len(mesh.faces) == 2


def refused(*_: Any) -> None:
    raise KeyboardInterrupt("another file was opened")


def test_what_an_obj_refers_to_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    (tmp_path / "secret.mtl").write_text("newmtl a\nmap_Kd secret.png\n")
    (tmp_path / "secret.png").write_bytes(b"no image")
    monkeypatch.setattr(FilePathResolver, "get", refused)
    path = folder / "a.obj"
    path.write_text(
        "mtllib ../secret.mtl\nmtllib /etc/passwd\nusemtl a\n"
        "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nf 1/1 2/2 3/3\n"
    )
    found = read_mesh(path)
    assert (found.texture, len(found.faces)) == (None, 1)


def test_what_a_ply_refers_to_is_not_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FilePathResolver, "get", refused)
    (tmp_path / "secret.png").write_bytes(b"no image")
    path = tmp_path / "a.ply"
    path.write_text(
        "ply\nformat ascii 1.0\ncomment TextureFile ../secret.png\nelement vertex 3\n"
        "property float x\nproperty float y\nproperty float z\nelement face 1\n"
        "property list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n"
    )
    assert len(read_mesh(path).faces) == 1


@pytest.mark.parametrize("uri", ["../../etc/passwd", "https://example.org/a.bin", "data:,"])
@pytest.mark.parametrize("part", ["images", "buffers"])
def test_a_glb_with_parts_elsewhere_is_refused(tmp_path: Path, part: str, uri: str) -> None:
    path = edited(written(tmp_path, square()), lambda told: told[part].append({"uri": uri}))
    with raises(InvalidFile):
        read_mesh(path)


def lengthen(told: dict[str, Any]) -> None:
    told["accessors"].append({"componentType": 5126, "count": 10**12, "type": "VEC3"})


def put_within_itself(told: dict[str, Any]) -> None:
    told["nodes"] = [{"mesh": 0, "children": [1]}, {"children": [0]}]


def show_often(told: dict[str, Any]) -> None:
    told["nodes"] = [{"mesh": 0}] * 1000
    told["accessors"][0]["count"] = 10**6


@pytest.mark.parametrize(
    "change",
    [
        lengthen,
        put_within_itself,
        show_often,
        lambda told: told.update(nodes=[{"children": [1]}, {}, {"children": [1]}]),
        lambda told: told.update(nodes=[{"children": [7]}]),
        lambda told: told.update(extensionsRequired=["KHR_draco"]),
        lambda told: told.update(accessors=3),
        lambda told: told.update(nodes=[{"mesh": 5}]),
        lambda told: told["accessors"][0].update(count=10**6),
        lambda told: told["accessors"][0].update(count="many"),
        lambda told: told["accessors"][1].update(componentType=1),
        lambda told: told.pop("meshes"),
    ],
)
def test_a_glb_that_claims_something_odd_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any]
) -> None:
    path = edited(written(tmp_path, box()), change)
    with raises(InvalidFile):
        read_mesh(path)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9])
def test_a_file_that_is_cut_short_is_told(tmp_path: Path, format: Any, part: float) -> None:
    path = written(tmp_path, box(is_colored=True), format)
    data = path.read_bytes()
    if format == "obj" and part > 0.5:
        data = data[: int(len(data) * 0.3)] + data[int(len(data) * 0.8) :]
        path.write_bytes(data)
    else:
        path.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(InvalidFile):
        read_mesh(path)


@pytest.mark.parametrize("format", FORMATS)
def test_no_damage_does_more_than_being_told(tmp_path: Path, format: Any) -> None:
    path = written(tmp_path, box(is_colored=True), format)
    data = path.read_bytes()
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        broken = bytearray(data)
        for at in torch.randint(0, len(data), (4,), generator=generator).tolist():
            broken[at] = int(torch.randint(0, 256, (1,), generator=generator))
        path.write_bytes(broken)
        try:
            found = read_mesh(path)
        except InvalidFile:
            continue
        assert found.vertices.isfinite().all()
        assert found.faces.max() < len(found.vertices)


@pytest.mark.parametrize(
    "content", [b"", b"just words", b"v 1 2", b"\0" * 500, b"ply", b"glTF", b"solid it\n", b"{}"]
)
def test_what_is_no_shape_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mesh.glb"
    path.write_bytes(content)
    with pytest.raises(InvalidFile):
        read_mesh(path)


def test_a_missing_file_is_told_with_one_like_it(tmp_path: Path) -> None:
    written(tmp_path, box())
    with raises(InvalidFile):
        read_mesh(tmp_path / "mehs.glb")


def test_a_file_that_is_too_large_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shape_files, "LARGEST", 100)
    with raises(InvalidFile, given="980 B"):
        read_mesh(written(tmp_path, box()))


def test_tables_and_textures_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, square())
    monkeypatch.setattr(glb_checks, "MOST_TEXELS", 15)
    with raises(InvalidFile):
        read_mesh(path)
    monkeypatch.setattr(glb_checks, "MOST_NUMBERS", 10)
    with raises(InvalidFile):
        read_mesh(path)


def test_points_are_no_mesh_but_a_mesh_has_points(tmp_path: Path) -> None:
    from nodegraph.media.shapes.encoding import encode_points

    path = tmp_path / "points.ply"
    path.write_bytes(encode_points(cloud(5)))
    with raises(InvalidFile):
        read_mesh(path)
    found = read_point_cloud(written(tmp_path, box(is_colored=True)))
    assert torch.equal(found.points, box().vertices)
    assert found.colors is not None


def test_that_the_package_is_missing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shape_files, "find_spec", lambda name: None)
    with raises(InvalidValue):
        read_mesh(written(tmp_path, box()))


@pytest.mark.parametrize(
    "content",
    [
        b"# Blender\no Cube\nv 1.0 -1.0e-3 .5\nvt 0.5 0.5\nvn 0 1 0\nf 1/1/1 2//1 3\n",
        b"mtllib a b.mtl\r\nv 1 2 3\r\n",
        b"v 1 2 3\n" * 1000,
    ],
)
def test_an_obj_is_known_by_its_lines(content: bytes) -> None:
    assert shape_format(content[:4096]) == "obj"
    assert trimesh.load(BytesIO(content), file_type="obj") is not None


@pytest.mark.parametrize(
    "content", [b"# Title\n\nWords.\n", b"v\n", b"very 1 2 3\n", b"f x\n", b"# only\n# comments\n"]
)
def test_words_are_no_obj(content: bytes) -> None:
    assert shape_format(content) is None


def test_a_texture_of_a_format_that_starts_programs_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, square())
    data = path.read_bytes()
    at = data.index(b"\x89PNG")
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n"
    path.write_bytes(data[:at] + script + data[at + len(script) :])
    with raises(InvalidFile):
        read_mesh(path)


def test_a_damaged_texture_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, square())
    data = bytearray(path.read_bytes())
    at = data.index(b"IDAT") + 8
    data[at : at + 4] = b"\0\0\0\0"
    path.write_bytes(data)
    for read in (read_mesh, read_point_cloud):
        with raises(InvalidFile):
            read(path)


@pytest.mark.parametrize("place", ["1e200", "nan", "-inf"])
def test_places_that_are_none_are_told(tmp_path: Path, place: str) -> None:
    path = tmp_path / "a.obj"
    path.write_text(f"# {shape_files.MARK} a b\nv 0 0 {place}\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    with raises(InvalidFile):
        read_mesh(path)


def test_a_picture_of_a_billion_pixels_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, square())
    data = bytearray(path.read_bytes())
    at = data.index(b"IHDR")
    data[at + 4 : at + 12] = struct.pack(">II", 2**15, 2**15)
    data[at + 17 : at + 21] = struct.pack(">I", zlib.crc32(data[at : at + 17]))
    path.write_bytes(data)
    with raises(InvalidFile):
        read_mesh(path)
