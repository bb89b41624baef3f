"""Nodes of voxels: slices in, meshes out, saved with the workflow."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from nodegraph_nodes.voxels import MeshFromVoxels, VoxelsFromMask

from nodegraph import Voxels
from nodegraph.errors import InvalidValue
from nodegraph.media.shapes.shape_files import shape_texts
from tests.messages import raises
from tests.nodes.conftest import Bench, link


def disk(**inputs: Any) -> dict[str, Any]:
    """A stack of eight disks, its surface, and the file of it."""
    shape = {"width": 16, "height": 16, "shape": "ellipse"}
    return {
        "mask": {"type": "ShapeMask", "inputs": shape},
        "shown": {"type": "MaskToImage", "inputs": {"mask": link("mask")}},
        "stack": {"type": "RepeatImage", "inputs": {"image": link("shown"), "times": 8}},
        "slices": {"type": "MaskFromChannel", "inputs": {"image": link("stack")}},
        "voxels": {"type": "VoxelsFromMask", "inputs": {"mask": link("slices")}},
        "mesh": {"type": "MeshFromVoxels", "inputs": {"voxels": link("voxels"), **inputs}},
        "save": {
            "type": "SaveMesh",
            "inputs": {"mesh": link("mesh"), "name": "disks/disk", "picture": False},
        },
    }


def test_slices_stack_away_from_the_viewer_with_their_top_up() -> None:
    mask = torch.zeros(2, 3, 4)
    mask[0, 0, 0] = 1  # of the first slice the upper left corner

    voxels = VoxelsFromMask(mask)
    mesh = MeshFromVoxels(voxels, 0.5, "blocks")

    assert voxels.values.nonzero().tolist() == [[1, 2, 0]]
    assert mesh.vertices.amin(0).tolist() == [-1.0, 0.25, 0.0]
    assert mesh.vertices.amax(0).tolist() == [-0.5, 0.75, 0.5]


def test_no_slices_are_refused() -> None:
    with raises(InvalidValue, port="mask", given="shape (0, 3, 4)"):
        VoxelsFromMask(torch.zeros(0, 3, 4))
    with raises(InvalidValue, port="threshold"):
        MeshFromVoxels(Voxels(torch.zeros(3, 3, 3)))


@pytest.mark.parametrize("algorithm", ["surface_net", "blocks"])
def test_a_surface_is_saved_with_its_workflow_under_its_name(bench: Bench, algorithm: str) -> None:
    nodes = disk(algorithm=algorithm)

    [file] = bench.run(nodes).files

    assert file.path == bench.folder / "outputs" / "disks" / "disk_00001.glb"
    assert file.kind == "mesh"
    assert json.loads(shape_texts(file.path)["workflow"])["nodes"].keys() == nodes.keys()


def test_voxels_are_kept_between_runs(bench: Bench) -> None:
    nodes = disk()
    bench.run(nodes)
    nodes["mesh"]["inputs"]["threshold"] = 0.5
    assert bench.run(nodes).nodes["voxels"].status == "cached"
