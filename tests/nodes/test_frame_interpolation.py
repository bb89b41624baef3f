"""LoadFrameInterpolationModel, InterpolateVideo and InterpolateFrames in a graph."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from nodegraph import Environment, HookInputs
from nodes._frame_interpolation_facts import (
    interpolated_image_estimate,
    interpolated_video_facts,
    interpolator_weights,
)
from tests.diffusion.test_frame_interpolation import network
from tests.nodes.conftest import Bench, link
from tests.videos.making import video, written


@pytest.fixture
def film(tmp_path: Path) -> str:
    path = tmp_path / "film.safetensors"
    save_file(network().state_dict(), path)
    return str(path)


def smooth(film: str, **inputs: Any) -> dict[str, Any]:
    return {
        "load": {"type": "LoadVideo", "inputs": {"path": "video.mkv"}},
        "film": {"type": "LoadFrameInterpolationModel", "inputs": {"model": film}},
        "smooth": {
            "type": "InterpolateVideo",
            "inputs": {"model": link("film"), "video": link("load"), **inputs},
        },
    }


@pytest.mark.parametrize(
    ("slow", "rate"), [(False, Fraction(36)), (True, Fraction(12))], ids=["smooth", "slow"]
)
def test_a_video_gets_more_frames_and_keeps_its_sound(
    bench: Bench, film: str, slow: bool, rate: Fraction
) -> None:
    before = video(3, rate=Fraction(12), channels=2)
    written(bench.folder / "inputs", before)
    after = bench.value(smooth(film, multiplier=3, slow_motion=slow), "smooth.video")
    assert after.rate == rate
    assert len(after.frames) == 7
    assert torch.equal(after.frames[::3], before.frames)
    assert after.audio is not None
    assert before.audio is not None
    assert after.audio.waveform.shape == before.audio.waveform.shape
    steps = [(event.data["step"], event.data["total"]) for event in bench.told("node.progress")]
    assert steps[-1] == (4, 4)


def test_images_of_a_batch_get_others_between(bench: Bench, film: str) -> None:
    nodes = {
        "film": {"type": "LoadFrameInterpolationModel", "inputs": {"model": film}},
        "picture": {"type": "Picture", "inputs": {"width": 40, "height": 24, "batch": 2}},
        "between": {
            "type": "InterpolateFrames",
            "inputs": {"model": link("film"), "image": link("picture"), "multiplier": 4},
        },
    }
    images = bench.value(nodes, "between.image")
    assert torch.equal(images[::4], bench.value(nodes, "picture.image"))
    assert images.shape == (5, 24, 40, 3)


def test_a_file_of_another_kind_is_found_before_the_run(bench: Bench, tmp_path: Path) -> None:
    save_file({"x.lora_up.weight": torch.zeros(2, 2)}, tmp_path / "style.safetensors")
    [problem] = bench.problems(
        {
            "film": {
                "type": "LoadFrameInterpolationModel",
                "inputs": {"model": str(tmp_path / "style.safetensors")},
            },
            "picture": {"type": "Picture", "inputs": {"width": 8, "height": 8, "batch": 2}},
            "between": {
                "type": "InterpolateFrames",
                "inputs": {"model": link("film"), "image": link("picture")},
            },
        },
        "between",
    )
    assert (problem.node, problem.port, problem.code) == ("film", "model", "invalid-file")


def hook(film: str = "", **facts: Any) -> HookInputs:
    here = Path()
    literals = {"multiplier": 3, "slow_motion": False, "model": film}
    return HookInputs(literals, facts, Environment((), here, here, here))


def test_facts_and_estimates(film: str) -> None:
    known = {"width": 1920, "height": 1080, "frames": 25, "rate": 24.0}
    assert interpolated_video_facts(hook(video=known)) == {
        "video": {"width": 1920, "height": 1080, "frames": 73, "rate": 72.0}
    }
    short, long = (
        interpolated_image_estimate(
            hook(image={"width": 640, "height": 480, "batch": batch, "channels": 3})
        ).memory
        for batch in (2, 102)
    )
    assert short is not None
    assert long is not None
    # Only the result grows with the length.
    assert long - short == 300 * 640 * 480 * 3 * 4
    numbers = sum(item.numel() for item in network().state_dict().values())
    assert interpolator_weights(hook(film)).weights == {"model": 4 * numbers}
