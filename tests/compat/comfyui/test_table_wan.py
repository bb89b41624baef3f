"""Conditionings of Wan's special models come from ComfyUI, and go back."""

from __future__ import annotations

from pathlib import Path

import pytest

import nodes
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.exporter import export
from nodegraph.interop.comfyui.foreign_workflow import Source
from tests.compat.comfyui.making import node
from tests.compat.comfyui.test_exporting import TABLE, catalog, meaning, there_and_back
from tests.compat.comfyui.test_table_parts import IMAGE, LOADED, made

EXAMPLES = Path(nodes.__file__).parent / "examples"
SIZE = {"width": 64, "height": 32, "length": 9}
TRACKS = '[[{"x": 1, "y": 2}]]'
SEEN = (
    node("CLIPVisionLoader", clip_name="clip_vision_h.safetensors"),
    node("CLIPVisionEncode", clip_vision=Source("1", 0), image=IMAGE),
)


def test_point_tracks_come_with_the_first_image_at_the_size_of_the_video() -> None:
    shown = {"start_image": IMAGE, "clip_vision_output": Source("2", 0)}
    tracks = node("WanTrackToVideo", tracks=TRACKS, temperature=100.0, topk=3, **SIZE, **shown)
    found = made(LOADED, *SEEN, tracks)
    assert found["track_conditioning"][1] == {
        "image": {"from": "resize_image.image"},
        "tracks": TRACKS,
        "frames": 9,
        "temperature": 100.0,
        "top_k": 3,
        "image_encoder": {"from": "load_image_encoder.image_encoder"},
    }
    assert found["resize_image"][1]["width"] == 64


def test_a_fun_control_model_of_wan22_gets_a_reference_image() -> None:
    shown = {"ref_image": IMAGE, "control_video": IMAGE}
    found = made(LOADED, node("Wan22FunControlToVideo", **SIZE, **shown))
    assert found["control_video_conditioning"][1] == {
        "video": {"from": "resize_image.image"},
        "reference": {"from": "resize_image_2.image"},
        "frames": 9,
    }
    alone = made(LOADED, node("Wan22FunControlToVideo", ref_image=IMAGE))
    assert "video" not in alone["control_video_conditioning"][1]


def test_a_camera_has_the_size_and_the_length_of_the_video() -> None:
    shown = {"start_image": IMAGE, "clip_vision_output": Source("2", 0)}
    sides = {"width": Source("3", 1), "height": Source("3", 2), "length": Source("3", 3)}
    found = made(
        LOADED,
        *SEEN,
        node("WanCameraEmbedding", camera_pose="ClockWise (CW)", speed=0.5, fx=0.7, **SIZE),
        node("WanCameraImageToVideo", camera_conditions=Source("3", 0), **sides, **shown),
    )
    assert found["camera_motion"][1] == {
        "motion": "clockwise",
        "width": 64,
        "height": 32,
        "frames": 9,
        "speed": 0.5,
        "focal_x": 0.7,
        "focal_y": 0.5,
        "center_x": 0.5,
        "center_y": 0.5,
    }
    assert found["camera_conditioning"][1] == {
        "camera": {"from": "camera_motion.camera"},
        "image": {"from": "resize_image.image"},
        "image_encoder": {"from": "load_image_encoder.image_encoder"},
    }
    assert found["resize_image"][1]["width"] == {"from": "camera_motion.width"}
    alone = made(LOADED, node("WanCameraImageToVideo", start_image=IMAGE))
    assert "camera" not in alone["camera_conditioning"][1]


@pytest.mark.parametrize("native", ["CameraConditioning", "CameraMotion"])
def test_a_camera_goes_to_comfyui_and_comes_back(native: str) -> None:
    workflow = Workflow.load(EXAMPLES / f"{native}.json")
    exported = export(workflow, TABLE, catalog())
    written = {each.type: each for each in exported.foreign.graph.nodes.values()}
    assert written["WanCameraEmbedding"].inputs["length"] == 49
    assert written["WanCameraImageToVideo"].inputs["width"] == 832
    assert meaning(there_and_back(workflow)) == meaning(workflow)


@pytest.mark.parametrize(
    ("native", "kind"),
    [
        ("TrackConditioning", "WanTrackToVideo"),
        ("ControlVideoConditioning", "WanFunControlToVideo"),
    ],
)
def test_they_go_to_comfyui_and_come_back(native: str, kind: str) -> None:
    workflow = Workflow.load(EXAMPLES / f"{native}.json")
    exported = export(workflow, TABLE, catalog())
    written = {each.type: each for each in exported.foreign.graph.nodes.values()}
    assert written[kind].inputs["width"] == Source(written["GetImageSize"].id, 0)
    assert written[kind].inputs["clip_vision_output"] == Source(written["CLIPVisionEncode"].id, 0)
    assert any("negative prompt" in message for message in exported.messages)
    assert meaning(there_and_back(workflow)) == meaning(workflow)


def test_a_reference_image_goes_to_the_node_for_wan22() -> None:
    workflow = Workflow.load(EXAMPLES / "ControlVideoConditioning.json")
    inputs = workflow.nodes["control"].inputs
    del inputs["image_encoder"], workflow.nodes["eyes"]
    inputs["reference"] = inputs.pop("image")
    exported = export(workflow, TABLE, catalog())
    kinds = [each.type for each in exported.foreign.graph.nodes.values()]
    assert "Wan22FunControlToVideo" in kinds
    assert meaning(there_and_back(workflow)) == meaning(workflow)
    inputs["image"] = inputs["reference"]
    exported = export(workflow, TABLE, catalog())
    assert "control" in exported.unknown
