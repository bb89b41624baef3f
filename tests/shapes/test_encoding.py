"""What is written comes back: corners bit by bit, colors in 8 bits, textures, texts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import trimesh

from nodegraph import Mesh, PointCloud
from nodegraph.errors import InvalidValue, NumericalError
from nodegraph.media.shapes.encoding import encode_mesh, encode_points, vertex_colors
from nodegraph.media.shapes.reading import read_mesh, read_point_cloud
from nodegraph.media.shapes.shape_files import ShapeFormat, shape_format, shape_texts
from tests.messages import raises
from tests.shapes.making import FORMATS, box, cloud, square, written

TEXTS = {"workflow": json.dumps({"prompt": "Fuchs 狐 🦊 \n" * 5000}), "nodegraph": "0.1.0"}


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("is_colored", [False, True])
def test_a_mesh_comes_back(tmp_path: Path, format: ShapeFormat, is_colored: bool) -> None:
    made = box(is_colored=is_colored)

    found = read_mesh(written(tmp_path, made, format))

    assert torch.equal(found.vertices, made.vertices)
    assert torch.equal(found.faces, made.faces)
    assert (found.colors is None) == (made.colors is None)
    if made.colors is not None and found.colors is not None:
        assert torch.equal((found.colors * 255).round(), (made.colors * 255).round())


def test_a_glb_holds_a_texture_and_the_others_its_colors(tmp_path: Path) -> None:
    made = square()

    found = read_mesh(written(tmp_path, made, "glb"))

    assert found.uv is not None
    assert found.texture is not None
    assert torch.equal(found.uv, made.uv)  # type: ignore[arg-type]
    torch.testing.assert_close(found.texture, made.texture, rtol=0, atol=1 / 255)
    wanted = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 0, 0.2], [0.2, 0, 0]])
    assert torch.allclose(vertex_colors(made), wanted)  # type: ignore[arg-type]
    colors = read_mesh(written(tmp_path, made, "ply")).colors
    torch.testing.assert_close(colors, wanted, rtol=0, atol=1 / 255)


@pytest.mark.parametrize("format", FORMATS)
def test_other_programs_read_it(tmp_path: Path, format: ShapeFormat) -> None:
    path = written(tmp_path, box(is_colored=True), format)
    found = trimesh.load_mesh(path, process=False)
    assert found.vertices.shape == (8, 3)
    assert found.is_watertight


def test_every_level_of_color_comes_back_from_the_light_of_a_glb(tmp_path: Path) -> None:
    levels = torch.arange(258).reshape(86, 3).clip(max=255)
    made = Mesh(torch.rand(86, 3), torch.tensor([[0, 1, 2]]), levels / 255)
    path = written(tmp_path, made, "glb")

    (shape,) = trimesh.load_scene(path, process=False).geometry.values()
    light = shape.visual.vertex_attributes["color"]
    found = read_mesh(path).colors

    assert light[levels[:, 0] == 126, 2].tolist() == [14146]  # sRGB 128, of 65535
    assert found is not None
    assert torch.equal((found * 255).round(), levels.float())


@pytest.mark.parametrize("is_colored", [False, True])
def test_points_come_back(tmp_path: Path, is_colored: bool) -> None:
    made, path = cloud(is_colored=is_colored), tmp_path / "points.ply"
    path.write_bytes(encode_points(made))

    found = read_point_cloud(path)

    assert torch.equal(found.points, made.points)
    if is_colored:
        torch.testing.assert_close(found.colors, made.colors)
    else:
        assert found.colors is None


@pytest.mark.parametrize("format", FORMATS)
def test_equal_meshes_are_equal_bytes_with_their_texts(tmp_path: Path, format: ShapeFormat) -> None:
    data = encode_mesh(box(), format, TEXTS)

    assert encode_mesh(box(), format, TEXTS) == data
    path = tmp_path / "mesh"
    path.write_bytes(data)
    assert shape_texts(path) == TEXTS
    assert shape_format(data[:4096]) == format
    assert torch.equal(read_mesh(path).vertices, box().vertices)


def test_a_mesh_without_texts_has_none(tmp_path: Path) -> None:
    for each in FORMATS:
        assert shape_texts(written(tmp_path, box(), each)) == {}


def whole(*faces: list[int]) -> torch.Tensor:
    return torch.tensor(faces, dtype=torch.long).reshape(-1, 3)


@pytest.mark.parametrize(
    "made",
    [
        Mesh(torch.zeros(3, 3), whole()),
        Mesh(torch.zeros(0, 3), whole([0, 1, 2])),
        Mesh(torch.zeros(3, 2), whole([0, 1, 2])),
        Mesh(torch.zeros(3, 3), whole([0, 1, 3])),
        Mesh(torch.zeros(3, 3), whole([0, 1, -1])),
        replace(box(), colors=torch.zeros(7, 3)),
        replace(square(), uv=None),
    ],
)
def test_what_is_no_mesh_is_refused(made: Mesh) -> None:
    with raises(InvalidValue, port="mesh"):
        encode_mesh(made)


def test_what_are_no_points_is_refused() -> None:
    with raises(InvalidValue, port="point_cloud", given="shape (0, 3)"):
        encode_points(PointCloud(torch.zeros(0, 3)))
    with raises(NumericalError, port="point_cloud"):
        encode_points(PointCloud(torch.full((1, 3), float("nan"))))
    with raises(InvalidValue, port="format"):
        encode_mesh(box(), "stl")  # type: ignore[arg-type]
