"""A prompt that lacks what a model follows is found before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nodegraph.families.needed_media import LACKING
from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.test_cogvideox import five_b_image, fun_control_2b
from tests.diffusion.families.test_cosmos import cosmos_v2w, predict2_v2w
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
