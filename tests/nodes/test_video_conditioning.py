"""Cameras, point tracks and reference images of Wan's special models, in a graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.diffusion.families.video_models import wan22_fun_camera, wan22_fun_control, wan_i2v
from tests.nodes.conftest import Bench, link
from tests.nodes.test_video_latent import graph, saved

ModelAt = Callable[[Callable[[], Any]], Path]


@pytest.fixture(scope="module")
def model_at(tmp_path_factory: pytest.TempPathFactory) -> ModelAt:
    folders: dict[Any, Path] = {}

    def at(build: Callable[[], Any]) -> Path:
        if build not in folders:
            folders[build] = saved(tmp_path_factory, build)
        return folders[build]

    return at


def conditioned(folder: Path, kind: str, **inputs: Any) -> dict[str, Any]:
    nodes = graph(folder)
    del nodes["empty"], nodes["encode"]
    nodes["picture"] = {"type": "Picture", "inputs": {"width": 48, "height": 32}}
    nodes["beside"] = {
        "type": kind,
        "inputs": {"conditioning": link("prompt"), "vae": link("load.vae"), **inputs},
    }
    linked = {"positive": link("beside.conditioning"), "latent": link("beside.latent")}
    nodes["sample"]["inputs"] |= linked
    return nodes


def with_camera(folder: Path, **motion: Any) -> dict[str, Any]:
    shown = {"camera": link("motion.camera"), "image": link("picture")}
    nodes = conditioned(folder, "CameraConditioning", **shown)
    size = {"width": 48, "height": 32, "frames": 5}
    nodes["motion"] = {"type": "CameraMotion", "inputs": {**size, **motion}}
    return nodes


def test_a_camera_moves_through_a_video(bench: Bench, model_at: ModelAt) -> None:
    still, moved = (
        bench.value(with_camera(model_at(wan22_fun_camera), motion=motion), "decode.video")
        for motion in ("static", "pan right")
    )
    assert moved.frames.shape == (5, 32, 48, 3)
    assert not torch.equal(still.frames, moved.frames)


@pytest.mark.parametrize(
    ("motion", "port", "expected"),
    [({"frames": 6}, "camera", "5 or 9"), ({"width": 64}, "image", "64 x 32 pixels")],
)
def test_a_camera_that_does_not_fit_is_told_beforehand(
    bench: Bench, model_at: ModelAt, motion: dict[str, Any], port: str, expected: str
) -> None:
    nodes = with_camera(model_at(wan22_fun_camera), **motion)
    nodes["picture"] = {"type": "EmptyImage", "inputs": {"width": 48, "height": 32}}
    [problem] = bench.problems(nodes, "beside")
    assert (problem.port, problem.expected) == (port, expected)


def test_a_reference_image_comes_with_a_control_video(bench: Bench, model_at: ModelAt) -> None:
    shown = {"video": link("picture"), "reference": link("picture"), "frames": 5}
    nodes = conditioned(model_at(wan22_fun_control), "ControlVideoConditioning", **shown)
    assert bench.value(nodes, "decode.video").frames.shape == (5, 32, 48, 3)


def test_points_move_along_tracks(bench: Bench, model_at: ModelAt) -> None:
    tracks = '[[{"x": 10, "y": 10}, {"x": 20, "y": 10}]]'
    shown = {"image": link("picture"), "tracks": tracks, "frames": 5}
    nodes = conditioned(model_at(wan_i2v), "TrackConditioning", **shown)
    prompt = bench.value(nodes, "beside.conditioning").entries[0]
    assert prompt.tensors["film_mask"].shape == (1, 4, 2, 4, 6)
    nodes["beside"]["inputs"]["tracks"] = "no"
    assert "tracks of points cannot be read" in str(bench.failure(nodes, "beside"))
