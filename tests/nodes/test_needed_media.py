"""A prompt without what a model follows, or with too much of it, is found before anything loads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nodegraph.families.needed_media import LACKING
from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.test_cogvideox import five_b_image, fun_control_2b
from tests.diffusion.families.test_cosmos import cosmos_v2w, predict2_v2w
from tests.diffusion.families.test_cosmos25 import cosmos_predict25
from tests.diffusion.families.test_hunyuan_video import skyreels_i2v
from tests.diffusion.families.test_hunyuan_video_i2v import hunyuan_video_i2v
from tests.diffusion.families.test_stable_cascade import stable_cascade_decoder
from tests.diffusion.families.test_wan_animate2 import wan_animate_2
from tests.diffusion.families.video_models import (
    wan22_i2v,
    wan_animate,
    wan_control,
    wan_fun_camera,
    wan_vace,
)
from tests.nodes.conftest import Bench, link

SLOW = pytest.mark.slow
BUILDS = [
    (stable_cascade_decoder, "stage C latent"),
    (wan22_i2v, "first image"),
    pytest.param(wan_vace, "VACE context", marks=SLOW),
    pytest.param(wan_animate, "animation", marks=SLOW),
    pytest.param(wan_fun_camera, "camera path", marks=SLOW),
    pytest.param(wan_control, "control video", marks=SLOW),
    pytest.param(wan_animate_2, "driving video", marks=SLOW),
    pytest.param(cosmos_v2w, "first image", marks=SLOW),
    pytest.param(predict2_v2w, "first image", marks=SLOW),
    pytest.param(five_b_image, "first image", marks=SLOW),
    pytest.param(fun_control_2b, "control video", marks=SLOW),
    pytest.param(skyreels_i2v, "first image", marks=SLOW),
    pytest.param(hunyuan_video_i2v, "first image", marks=SLOW),
]


@pytest.mark.parametrize(("build", "medium"), BUILDS)
def test_a_prompt_without_what_the_model_follows_is_found(
    bench: Bench, build: Callable[[], Any], medium: str
) -> None:
    random_pipeline(build).save_pretrained(bench.folder / "models" / "made")
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "made"}},
        "prompt": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": "a red cat"},
        },
        "latent": {"type": "EmptyVideoLatent", "inputs": {"width": 64, "height": 64, "frames": 9}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                "model": link("load.model"),
                "positive": link("prompt"),
                "latent": link("latent"),
            },
        },
    }
    found = {
        (problem.port, problem.message, problem.hint)
        for problem in bench.problems(nodes, "sample")
        if problem.node == "sample"
    }
    assert ("positive", *LACKING[medium]) in found


@pytest.mark.parametrize(
    ("images", "message", "expected"),
    [
        (4, "the VAE takes videos of 4k + 1 frames", "1 or 5"),
        (13, "the video that is continued is not shorter than the whole video", "fewer than 13"),
        (5, None, None),
    ],
)
def test_first_frames_that_do_not_fit_are_found(
    bench: Bench, images: int, message: str | None, expected: str | None
) -> None:
    random_pipeline(cosmos_predict25).save_pretrained(bench.folder / "models" / "made")
    nodes = continued(bench, images, link("load.vae"))
    found = [
        (problem.port, problem.message, problem.expected)
        for problem in bench.problems(nodes, "film")
    ]
    assert found == ([] if message is None else [("image", message, expected)])


def test_a_vae_of_another_model_is_found(bench: Bench) -> None:
    random_pipeline(cosmos_predict25).save_pretrained(bench.folder / "models" / "made")
    [problem] = bench.problems(continued(bench, 1, link("other.vae")), "film")
    assert (problem.node, problem.port) == ("film", "vae")
    assert problem.message == "the VAE and the prompt belong to different models"


def continued(bench: Bench, images: int, vae: Any) -> dict[str, Any]:
    """A prompt with the first frames of a video of 13."""
    size = {"width": 64, "height": 64}
    links = {"conditioning": link("prompt"), "vae": vae, "image": link("picture")}
    return {
        "load": {"type": "LoadModel", "inputs": {"model": "made"}},
        "other": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "prompt": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": "a red cat"},
        },
        "picture": {"type": "EmptyImage", "inputs": {**size, "batch": images}},
        "film": {"type": "ImageToVideoConditioning", "inputs": {**links, "frames": 13}},
    }
