"""ComfyUI's nodes of MiniMax H3 become prompts with images, keyframes, references and shifts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from nodegraph.interop.comfyui.foreign_workflow import ForeignGraph, Source
from tests.compat.comfyui.supplied import imported, used
from tests.compat.comfyui.test_table_leading import chained, origin


def to_video(kind: str, **inputs: Any) -> ForeignGraph:
    """A workflow of one node; an input that is None is not linked."""
    graph = chained(
        picture=("LoadImage", {"image": "a.png"}),
        make=(kind, {"width": 64, "height": 96, "length": 30, "prompt": "a fox", **inputs}),
        sample=("KSampler", {"positive": Source("make", 0), "latent_image": Source("make", 1)}),
        see=("VAEDecode", {"samples": Source("sample", 0)}),
    )
    made = graph.nodes["make"]
    linked = {name: item for name, item in made.inputs.items() if item is not None}
    return ForeignGraph({**graph.nodes, "make": replace(made, inputs=linked)})


IMAGE = Source("picture", 0)


def test_without_images_it_is_a_prompt_and_an_empty_latent() -> None:
    found = imported(to_video("MiniMaxH3ImageToVideo", first_frame=None, last_frame=None))
    assert not found.placeholders
    (empty,) = used(found.workflow, "EmptyVideoLatent")
    assert (empty["width"], empty["height"], empty["frames"]) == (64, 96, 39)
    assert "a fox" in [each["text"] for each in used(found.workflow, "EncodePrompt")]
    assert used(found.workflow, "VAEDecodeVideo")


def test_the_encoder_and_the_model_see_first_and_last_images() -> None:
    graph = to_video("MiniMaxH3ImageToVideo", first_frame=IMAGE, last_frame=IMAGE)
    workflow = imported(graph).workflow
    (prompt,) = used(workflow, "EncodeEditPrompt")
    assert origin(prompt, "images") == "list"
    (shown,) = used(workflow, "ImageToVideoConditioning")
    assert shown["frames"] == 39
    sized = used(workflow, "ResizeImage")
    assert [each.get("fit", "stretch") for each in sized] == ["stretch", "crop"]


def test_a_last_image_alone_is_a_keyframe() -> None:
    graph = to_video("MiniMaxH3ImageToVideo", first_frame=None, last_frame=IMAGE)
    workflow = imported(graph).workflow
    assert not used(workflow, "ImageToVideoConditioning")
    (keyframe,) = used(workflow, "KeyframeConditioning")
    assert keyframe["frame"] == -1


def test_references_and_guides() -> None:
    graph = chained(
        picture=("LoadImage", {"image": "a.png"}),
        make=(
            "MiniMaxH3ReferenceToVideo",
            {
                "width": 64,
                "height": 96,
                "length": 124,
                "prompt": "<Picture 1> runs",
                "ref_image_size": "max",
                "ref_images.ref_image_0": IMAGE,
                "ref_images.ref_image_1": IMAGE,
            },
        ),
        guide=(
            "MiniMaxH3AddGuide",
            {
                "positive": Source("make", 0),
                "latent": Source("make", 1),
                "image": IMAGE,
                "frame_idx": 36,
            },
        ),
        sample=("KSampler", {"positive": Source("guide", 0), "latent_image": Source("make", 1)}),
    )
    found = imported(graph)
    assert not found.placeholders
    (made,) = used(found.workflow, "ReferenceToVideoConditioning")
    assert made["image_size"] == "2048"
    assert origin(made, "images") == "list"
    (keyframe,) = used(found.workflow, "KeyframeConditioning")
    assert keyframe["frame"] == 36
    assert origin(keyframe, "conditioning") == "reference_to_video_conditioning"


@pytest.mark.parametrize("audio", [3.0, 2.0])
def test_both_shifts_are_set(audio: float) -> None:
    graph = chained(
        shift=("MiniMaxH3SigmaShift", {"shift_video": 10.0, "shift_audio": audio}),
        sample=("KSampler", {"model": Source("shift", 0)}),
    )
    workflow = imported(graph).workflow
    (video,), (sound,) = used(workflow, "SetFlowShift"), used(workflow, "SetSoundShift")
    assert video["shift"] == 10.0
    assert sound.get("shift", 3.0) == audio
    assert origin(used(workflow, "KSampler")[0], "model") == "set_sound_shift"
