"""Shapes: meshes of voxels, and files of meshes.

ComfyUI has 3D files as values; here they are meshes until they are saved. What its page keeps of
the camera that shows a file has no counterpart.

Source of the inputs: ComfyUI, ``comfy_extras/nodes_hunyuan3d.py`` and ``nodes_save_3d.py``.
"""

from __future__ import annotations

from nodegraph.interop.comfyui.entries import Choice, TableEntry, entry
from nodegraph.interop.comfyui.table.images import name_of, prefix_of
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Untranslatable

_ALGORITHMS = Choice({"surface net": "surface_net", "basic": "blocks"})
_THRESHOLD = "threshold: FLOAT = 0.6"


def _surface(node: Passage) -> None:
    algorithm = "basic" if node.type == "VoxelToMeshBasic" else node.literal("algorithm")
    name = node.add(
        "MeshFromVoxels",
        voxels=node.inputs["voxel"],
        threshold=node.inputs["threshold"],
        algorithm=_ALGORITHMS.ours(algorithm),
    )
    node.give("MESH", MadeOutput(name, "mesh"))


def _surface_back(node: Passage) -> None:
    threshold = node.inputs["threshold"]
    if not threshold.is_link and not -1 <= threshold.content <= 1:
        raise Untranslatable(f"ComfyUI has thresholds of -1 to 1, not {threshold.content:g}")
    name = node.add(
        "VoxelToMesh",
        voxel=node.inputs["voxels"],
        algorithm=_ALGORITHMS.theirs(node.literal("algorithm")),
        threshold=threshold,
    )
    node.give("mesh", MadeOutput(name, "MESH"))


def _save(node: Passage) -> None:
    mesh, name = node.inputs["mesh"], name_of(node)
    node.add("SaveMesh", mesh=mesh, name=name, format="glb", picture=False)


def _save_back(node: Passage) -> None:
    form = node.literal("format")
    if form != "glb":
        node.tell(f"ComfyUI does not write meshes as {form.upper()}: it writes GLB instead")
    node.add("SaveGLB", mesh=node.inputs["mesh"], filename_prefix=prefix_of(node))


def _as_file(node: Passage) -> None:
    node.give("model_3d", node.inputs["mesh"])


def _info(node: Passage) -> None:
    """Pass the mesh on: its counts are a text of ComfyUI's node, which nothing here writes."""
    node.give("mesh", node.inputs["mesh"])


def _save_scene(node: Passage) -> None:
    """Save the mesh of a scene; its camera and the placement of models stay ComfyUI's."""
    placed = [name for name in ("model_3d_info", "camera_info") if name in node.inputs]
    if placed:
        raise Untranslatable(f"nodegraph saves meshes without {' and '.join(placed)}")
    mesh = node.inputs["model_3d"]
    name = name_of(node) if "filename_prefix" in node.inputs else "preview"
    node.add("SaveMesh", mesh=mesh, name=name, format="glb", picture=False)
    node.give("model_3d", mesh)
    for side in ("width", "height"):
        node.give(side, node.inputs[side])


_SCENE = (
    'viewport_state: STRING = "", model_3d_info: LOAD3D_MODEL_INFO?, camera_info: LOAD3D_CAMERA?, '
    "width: INT = 1024, height: INT = 1024) -> model_3d: FILE_3D, "
    "model_3d_info: LOAD3D_MODEL_INFO, camera_info: LOAD3D_CAMERA, width: INT, height: INT"
)
"""``viewport_state`` is a widget of its own type; its value is what the page shows."""

ENTRIES: tuple[TableEntry, ...] = (
    entry(
        f'VoxelToMesh(voxel: VOXEL, algorithm: COMBO = "surface net", {_THRESHOLD}) -> MESH',
        _surface,
        "MeshFromVoxels",
        _surface_back,
    ),
    entry(f"VoxelToMeshBasic(voxel: VOXEL, {_THRESHOLD}) -> MESH", _surface),
    entry(
        'SaveGLB(mesh: MESH, filename_prefix: STRING = "3d/ComfyUI")',
        _save,
        "SaveMesh",
        _save_back,
    ),
    entry("GetMeshInfo(mesh: MESH) -> mesh: MESH, info: STRING", _info),
    entry("MeshToFile3D(mesh: MESH) -> model_3d: FILE_3D_GLB", _as_file),
    entry(
        f'Save3DAdvanced(model_3d: FILE_3D, filename_prefix: STRING = "3d/ComfyUI", {_SCENE}',
        _save_scene,
    ),
    entry(f"Preview3DAdvanced(model_3d: FILE_3D, {_SCENE}", _save_scene),
)
