"""Images, frames and sound in the order of axes that a call takes."""

from __future__ import annotations

import pytest
import torch

from nodegraph.core.values import Audio, Video
from nodegraph.interop.pipelines.classes import PipelineClass, PipelineInput
from nodegraph.interop.pipelines.conversion import call_arguments, permute_axes


@pytest.mark.parametrize(
    ("axes", "shape"),
    [("bchw", (5, 3, 7, 2)), ("bcfhw", (1, 3, 5, 7, 2)), ("bfchw", (1, 5, 3, 7, 2))],
)
def test_pictures_keep_their_values(axes: str, shape: tuple[int, ...]) -> None:
    frames = torch.rand(5, 7, 2, 3)
    found = permute_axes(frames, axes)
    assert found.shape == shape
    assert torch.equal(found.movedim(axes.index("c"), -1).reshape(frames.shape), frames)


def test_masks_get_a_channel_only_where_one_is_taken() -> None:
    masks = torch.rand(5, 7, 2)
    assert permute_axes(masks, "bhw").shape == (5, 7, 2)
    assert permute_axes(masks, "bhwc").shape == (5, 7, 2, 1)
    assert permute_axes(masks, "bcfhw").shape == (1, 1, 5, 7, 2)


def _given(item: PipelineInput, value: object) -> torch.Tensor:
    found = PipelineClass("FoxPipeline", "m", "video", "progress", inputs=(item,))
    handed: torch.Tensor = call_arguments(found, {item.name: value}, "cpu")[item.name]
    return handed


def test_videos_and_sound_are_handed_over_so() -> None:
    clip = PipelineInput("clip", "video", forms=("Tensor",), axes="bcfhw")
    sound = PipelineInput("sound", "audio", forms=("Tensor",), axes="cn")
    video, audio = Video(torch.rand(5, 4, 6, 3), 8), Audio(torch.rand(2, 100), 16000)
    assert _given(clip, video).shape == (1, 3, 5, 4, 6)
    assert torch.equal(_given(sound, audio), audio.waveform)
