"""Nodes of shapes in a graph: files in, files out with a moving image beside, drawings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from nodegraph import Mesh, PointCloud
from nodegraph.media.images.embedded_texts import read_metadata
from nodegraph.media.shapes import shape_files
from nodegraph.media.shapes.encoding import encode_points
from nodegraph.media.shapes.reading import read_mesh, read_point_cloud
from nodegraph.media.shapes.shape_files import shape_texts
from tests.nodes.conftest import Bench, link
from tests.shapes.making import box, cloud, written


def then(type: str, port: str = "mesh", load: str = "LoadMesh", **inputs: Any) -> dict[str, Any]:
    """What is loaded, and one node behind it."""
    file = "points.ply" if load == "LoadPointCloud" else "mesh.glb"
    return {
        "load": {"type": load, "inputs": {"path": file}},
        "next": {"type": type, "inputs": {port: link("load"), **inputs}},
    }


@pytest.fixture
def inputs(bench: Bench) -> Path:
    folder = bench.folder / "inputs"
    written(folder, box(is_colored=True))
    (folder / "points.ply").write_bytes(encode_points(cloud(20)))
    return folder


def test_a_mesh_is_loaded_until_its_file_changes(bench: Bench, inputs: Path) -> None:
    nodes = then("DrawMesh")
    found = bench.value(nodes, "load.mesh")
    assert isinstance(found, Mesh)
    assert torch.equal(found.vertices, box().vertices)
    bench.run(nodes, "load")
    assert bench.run(nodes, "load").nodes["load"].status == "cached"

    written(inputs, box())

    assert bench.value(nodes, "load.mesh").colors is None


@pytest.mark.usefixtures("inputs")
def test_points_are_loaded(bench: Bench) -> None:
    found = bench.value(then("SavePointCloud", "point_cloud", "LoadPointCloud"), "load.point_cloud")
    assert isinstance(found, PointCloud)
    assert torch.equal(found.points, cloud(20).points)


@pytest.mark.parametrize(
    ("name", "message"),
    [("mehs.glb", "Did you mean `mesh.glb`?"), ("words.glb", "none that is read: plain text")],
)
def test_what_is_wrong_with_a_file_is_told_before_running(
    bench: Bench, inputs: Path, name: str, message: str
) -> None:
    (inputs / "words.glb").write_text("just words")
    nodes = then("DrawMesh")
    nodes["load"]["inputs"]["path"] = name

    [problem] = bench.problems(nodes, "load")

    assert (problem.node, problem.port) == ("load", "path")
    assert message in str(problem)


@pytest.mark.usefixtures("inputs")
def test_that_the_package_is_missing_is_told_before_running(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shape_files, "find_spec", lambda name: None)
    [problem] = bench.problems(then("DrawMesh"), "load")
    assert problem.hint == "Run `pip install 'nodegraph[shapes]'`."


@pytest.mark.parametrize(
    "format", ["glb", *(pytest.param(name, marks=pytest.mark.slow) for name in ("ply", "obj"))]
)
@pytest.mark.usefixtures("inputs")
def test_results_are_numbered_carry_their_workflow_and_lie_beside_their_picture(
    bench: Bench, format: str
) -> None:
    nodes = then("SaveMesh", name="boxes/box", format=format)

    file, picture = bench.run(nodes).files

    assert file.path == bench.folder / "outputs" / "boxes" / f"box_00001.{format}"
    assert (file.kind, picture.kind) == ("mesh", "image")
    texts = shape_texts(file.path)
    assert json.loads(texts["workflow"])["nodes"].keys() == nodes.keys()
    assert torch.equal(read_mesh(file.path).vertices, box().vertices)
    assert picture.path.name == "box_00001.webp"
    assert read_metadata(picture.path)["workflow"] == texts["workflow"]
    with Image.open(picture.path) as opened:
        assert (opened.size, opened.is_animated) == ((192, 192), True)  # type: ignore[attr-defined]


@pytest.mark.usefixtures("inputs")
def test_points_are_saved(bench: Bench) -> None:
    nodes = then("SavePointCloud", "point_cloud", "LoadPointCloud", picture=False)
    [file] = bench.run(nodes).files
    assert (file.path.name, file.kind) == ("points_00001.ply", "points")
    assert torch.equal(read_point_cloud(file.path).points, cloud(20).points)


@pytest.mark.usefixtures("inputs")
@pytest.mark.parametrize("load", ["LoadMesh", "LoadPointCloud"])
def test_shapes_are_drawn_and_turned(bench: Bench, load: str) -> None:
    drawn = bench.value(then("DrawMesh", load=load, size=32), "next.image")
    turned = bench.value(then("MeshTurntable", load=load, size=16, frames=3, rate=8), "next.video")

    assert drawn.shape == (1, 32, 32, 3)
    assert (turned.frames.shape, turned.rate) == ((3, 16, 16, 3), 8)
