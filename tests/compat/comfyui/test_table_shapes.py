"""Meshes of voxels and files of meshes come from ComfyUI, and go back."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.importer import import_document, node_table
from tests.compat.comfyui.test_exporting import there_and_back


def prompt(kind: str = "VoxelToMesh", **inputs: Any) -> dict[str, Any]:
    """What ComfyUI's server is sent for a mesh."""
    nodes = {
        "mesh": (kind, {"voxel": ["latent", 0], "threshold": 0.45, **inputs}),
        "save": ("SaveGLB", {"mesh": ["mesh", 0], "filename_prefix": "3d/%date:yyyy%_fox"}),
        "latent": ("VAEDecodeHunyuan3D", {}),
    }
    return {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}


def by_type(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    nodes = import_document(document, node_table()).workflow.nodes.values()
    return {node.type: dict(node.inputs) for node in nodes}


@pytest.mark.parametrize(
    ("kind", "inputs", "algorithm"),
    [
        ("VoxelToMesh", {"algorithm": "surface net"}, "surface_net"),
        ("VoxelToMesh", {"algorithm": "basic"}, "blocks"),
        ("VoxelToMeshBasic", {}, "blocks"),
    ],
)
def test_voxels_become_a_mesh(kind: str, inputs: dict[str, Any], algorithm: str) -> None:
    surface = by_type(prompt(kind, **inputs))["MeshFromVoxels"]
    assert (surface.get("algorithm", "surface_net"), surface["threshold"]) == (algorithm, 0.45)


def test_a_glb_is_saved_without_a_picture() -> None:
    saved = by_type(prompt(algorithm="basic"))["SaveMesh"]
    assert saved["picture"] is False
    assert saved.get("format", "glb") == "glb"
    assert str(saved["name"]).startswith("3d/")


def scene(kind: str, **inputs: Any) -> dict[str, Any]:
    """A mesh that becomes a file, which is saved or shown."""
    shown = {"model_3d": ["file", 0], "width": 640, "height": 480, **inputs}
    return {
        **prompt(algorithm="basic"),
        "info": {"class_type": "GetMeshInfo", "inputs": {"mesh": ["mesh", 0]}},
        "file": {"class_type": "MeshToFile3D", "inputs": {"mesh": ["info", 0]}},
        "save": {"class_type": kind, "inputs": shown},
        "empty": {
            "class_type": "EmptyLatentImage",
            "inputs": {"width": ["save", 3], "height": ["save", 4], "batch_size": 1},
        },
    }


@pytest.mark.parametrize(
    ("kind", "inputs", "name"),
    [
        ("Save3DAdvanced", {"filename_prefix": "3d/fox"}, "3d/fox"),
        ("Preview3DAdvanced", {}, "preview"),
    ],
)
def test_a_scene_is_saved_as_its_mesh(kind: str, inputs: dict[str, Any], name: str) -> None:
    workflow = import_document(scene(kind, **inputs), node_table()).workflow
    [saved] = (node for node in workflow.nodes.values() if node.type == "SaveMesh")
    assert saved.inputs["name"] == name
    assert str(saved.inputs["mesh"]["from"]).startswith("mesh")
    [empty] = (node for node in workflow.nodes.values() if node.type == "EmptyLatent")
    assert (empty.inputs["width"], empty.inputs["height"]) == (640, 480)


def test_a_camera_is_not_translated() -> None:
    camera = {"class_type": "CameraAngle", "inputs": {}}
    document = scene("Preview3DAdvanced", camera_info=["camera", 0]) | {"camera": camera}
    found = import_document(document, node_table())
    reasons = {each.type: each.untranslated_reason for each in found.placeholders}
    assert "without camera_info" in reasons["Preview3DAdvanced"]


def native(**inputs: Any) -> Workflow:
    return Workflow(
        nodes={
            "mesh": NodeEntry(type="MeshFromVoxels", inputs={"threshold": 0.45, **inputs}),
            "save": NodeEntry(type="SaveMesh", inputs={"name": "fox", "picture": False}),
        }
    )


@pytest.mark.parametrize("algorithm", ["surface_net", "blocks"])
def test_a_surface_goes_back(algorithm: str) -> None:
    found = {
        node.type: dict(node.inputs)
        for node in there_and_back(native(algorithm=algorithm)).nodes.values()
    }
    surface = found["MeshFromVoxels"]
    assert (surface.get("algorithm", "surface_net"), surface["threshold"]) == (algorithm, 0.45)
    assert found["SaveMesh"]["name"] == "fox"
