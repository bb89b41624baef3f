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


@pytest.mark.parametrize(("native", "kind"), [("TrackConditioning", "WanTrackToVideo")])
def test_they_go_to_comfyui_and_come_back(native: str, kind: str) -> None:
    workflow = Workflow.load(EXAMPLES / f"{native}.json")
    exported = export(workflow, TABLE, catalog())
    written = {each.type: each for each in exported.foreign.graph.nodes.values()}
    assert native not in exported.unknown
    assert written[kind].inputs["width"] == Source(written["GetImageSize"].id, 0)
    assert written[kind].inputs["clip_vision_output"] == Source(written["CLIPVisionEncode"].id, 0)
    assert any("negative prompt" in message for message in exported.messages)
    assert meaning(there_and_back(workflow)) == meaning(workflow)
