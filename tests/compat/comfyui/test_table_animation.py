"""Wan Animate comes from ComfyUI, in one segment or in several."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.interop.comfyui.foreign_workflow import ForeignWorkflow, Source
from nodegraph.interop.comfyui.importer import translate
from tests.compat.comfyui.making import graph, node
from tests.compat.comfyui.test_table_parts import IMAGE, LOADED, TABLE, made, whole

SEEN = (
    node("CLIPVisionLoader", clip_name="clip_vision_h.safetensors"),
    node("CLIPVisionEncode", clip_vision=Source("1", 0), image=IMAGE),
)
SIZE = {"width": 64, "height": 32, "length": 9}
VIDEOS = {
    "reference_image": IMAGE,
    "pose_video": IMAGE,
    "face_video": IMAGE,
    "clip_vision_output": Source("2", 0),
}
TRIMMED = {"samples": Source("3", 2), "trim_amount": Source("3", 3)}


def segment(**inputs: Any) -> dict[str, Any]:
    return node("WanAnimateToVideo", **SIZE, **VIDEOS, **inputs)


def test_a_character_moves_by_poses_and_a_face() -> None:
    found = made(LOADED, *SEEN, segment())
    assert found["animation_conditioning"][1] == {
        "image": {"from": "resize_image.image"},
        "pose": {"from": "resize_image_2.image"},
        "face": {"from": "resize_image_3.image"},
        "frames": 9,
        "start": 0,
        "overlap": 5,
        "image_encoder": {"from": "load_image_encoder.image_encoder"},
    }
    assert found["resize_image_2"][1]["width"] == 64
    face = found["resize_image_3"][1]
    assert (face["width"], face["height"]) == (512, 512)


def test_a_replaced_person_has_a_video_around_it_and_a_mask() -> None:
    mask = node("LoadImageMask", image="m.png", channel="red")
    found = made(
        LOADED, *SEEN, mask, segment(background_video=IMAGE, character_mask=Source("3", 0))
    )
    inputs = found["animation_conditioning"][1]
    assert inputs["mask"] == {"from": "mask_from_channel.mask"}
    assert found[inputs["background"]["from"].split(".")[0]][1]["height"] == 32
    everywhere = made(LOADED, *SEEN, segment(background_video=IMAGE))
    assert everywhere["animation_conditioning"][1]["mask"] == {"from": "solid_mask.mask"}
    assert everywhere["solid_mask"][1] == {"width": 64, "height": 32}


def test_a_second_segment_continues_the_first() -> None:
    later = segment(continue_motion=Source("0", 0), video_frame_offset=Source("3", 5))
    cut = node("ImageFromBatch", image=IMAGE, batch_index=Source("4", 4), length=4096)
    found = made(LOADED, *SEEN, segment(), later, cut, node("SaveImage", images=Source("5", 0)))
    second = found["animation_conditioning_2"][1]
    assert second["start"] == {"from": "animation_conditioning.next_start"}
    assert found[second["previous"]["from"].split(".")[0]][0] == "ResizeImage"
    starts = [inputs["index"] for kind, inputs in found.values() if kind == "ImageFromBatch"]
    assert sorted(starts) == [0, 0, 5]


@pytest.mark.parametrize(
    ("offset", "more", "start"),
    [
        (20, {}, 20),
        (20, {"continue_motion": IMAGE}, 15),
        (3, {"continue_motion": IMAGE}, 0),
        (20, {"continue_motion": IMAGE, "continue_motion_max_frames": 1}, 19),
    ],
)
def test_a_segment_that_continues_another_begins_with_its_last_frames(
    offset: int, more: dict[str, Any], start: int
) -> None:
    found = made(LOADED, *SEEN, segment(video_frame_offset=offset, **more))
    assert found["animation_conditioning"][1]["start"] == start


def test_an_offset_of_another_overlap_is_computed() -> None:
    later = segment(
        continue_motion=IMAGE, continue_motion_max_frames=1, video_frame_offset=Source("3", 5)
    )
    found = made(LOADED, *SEEN, segment(), later)
    assert found["animation_conditioning_2"][1]["start"] == {"from": "formula.integer"}
    assert found["formula"][1] == {
        "expression": "max(a - b, 0)",
        "a": {"from": "animation_conditioning.end"},
        "b": 1,
    }


def test_the_frame_of_the_image_is_not_part_of_the_latent() -> None:
    found = made(LOADED, *SEEN, segment(), node("TrimVideoLatent", **TRIMMED))
    assert not any(kind == "CutLatentFrames" for kind, _ in found.values())


@pytest.mark.parametrize("missing", ["reference_image", "pose_video", "face_video"])
def test_what_is_missing_is_said(missing: str) -> None:
    inputs = {name: value for name, value in VIDEOS.items() if name != missing}
    nodes = (LOADED, *SEEN, node("WanAnimateToVideo", **SIZE, **inputs))
    written = ForeignWorkflow(graph(**{str(at): each for at, each in enumerate(nodes)}))
    (outcome,) = translate(written, TABLE).placeholders
    assert missing in outcome.untranslated_reason


def driven(**inputs: Any) -> dict[str, Any]:
    shown = {name: VIDEOS[name] for name in ("reference_image", "pose_video")}
    seen = {"clip_vision_output": Source("2", 0), "clip_vision_output_pose": Source("2", 0)}
    return node("WanAnimate2ToVideo", **SIZE, **shown, **seen, **inputs)


def test_a_character_moves_as_in_a_driving_video() -> None:
    texts = (node("CLIPTextEncode", text="an apple"), node("CLIPTextEncode", text="a dance"))
    inputs = {"positive": Source("3", 0), "positive_pose": Source("4", 0), "pose_strength": 0.5}
    found = made(LOADED, *SEEN, *texts, driven(**inputs))
    assert found["driving_video_conditioning"][1] == {
        "conditioning": {"from": "encode_prompt.conditioning"},
        "image": {"from": "resize_image.image"},
        "video": {"from": "resize_image_2.image"},
        "motion": {"from": "encode_prompt_2.conditioning"},
        "frames": 9,
        "start": 0,
        "overlap": 1,
        "motion_strength": 0.5,
        "character_strength": 1.0,
        "image_encoder": {"from": "load_image_encoder.image_encoder"},
    }


def test_a_second_segment_of_animate_2_continues_the_first() -> None:
    later = driven(continue_motion=IMAGE, video_frame_offset=Source("3", 5))
    found = made(LOADED, *SEEN, driven(), later)
    second = found["driving_video_conditioning_2"][1]
    assert second["start"] == {"from": "driving_video_conditioning.next_start"}
    assert "previous" in second


def test_a_switch_with_an_open_side_begins_a_video_or_continues_it() -> None:
    condition = node("PrimitiveBoolean", value=True)
    switch = node("ComfySwitchNode", switch=Source("3", 0), on_false=IMAGE)
    segment = driven(continue_motion=Source("4", 0), video_frame_offset=20)
    text = node("CLIPTextEncode", text="a dance")
    shown = node("TrimVideoLatent", samples=Source("6", 2), trim_amount=Source("6", 3))
    found = made(
        LOADED,
        *SEEN,
        condition,
        switch,
        text,
        segment | {"inputs": {**segment["inputs"], "positive": Source("5", 0)}},
        shown,
        node("VAEDecode", samples=Source("7", 0)),
    )
    first, second = (
        inputs for kind, inputs in found.values() if kind == "DrivingVideoConditioning"
    )
    assert (first["start"], "previous" in first) == (20, False)
    assert (second["start"], "previous" in second) == (19, True)
    decoded = next(inputs for kind, inputs in found.values() if kind == "VAEDecodeVideo")
    chosen = found[decoded["latent"]["from"].partition(".")[0]]
    assert chosen == (
        "Switch",
        {
            "condition": {"from": "boolean.value"},
            "on_true": {"from": "driving_video_conditioning.latent"},
            "on_false": {"from": "driving_video_conditioning_2.latent"},
        },
    )


def test_what_animate_2_stores_is_no_patch_of_the_model() -> None:
    loaded = node("UNETLoader", unet_name="wan_animate_2.safetensors")
    cache = node("WanAnimate2Cache", model=Source("0", 0), device="gpu", dtype="int8")
    sampler = node("ModelSamplingSD3", model=Source("1", 0))
    found = whole(loaded, cache, sampler)
    assert "LoadDiffusionModel" in {each.type for each in found.nodes.values()}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"pose_end_percent": 0.5}, "pose_end_percent"),
        ({"batch_size": 2}, "batch_size"),
        ({}, "one block"),
    ],
)
def test_what_differs_is_said(inputs: dict[str, Any], message: str) -> None:
    nodes = (LOADED, *SEEN, driven(**inputs))
    written = ForeignWorkflow(graph(**{str(at): each for at, each in enumerate(nodes)}))
    assert any(message in said for _, said in translate(written, TABLE).differences)
