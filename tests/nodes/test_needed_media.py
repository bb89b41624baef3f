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
from tests.diffusion.families.test_inpainting import flux_fill, sd1_fill
from tests.diffusion.families.test_ltx2 import ltx2
from tests.diffusion.families.test_sana_video import sana_video_720p, sana_video_720p_i2v
from tests.diffusion.families.test_stable_cascade import stable_cascade_decoder
from tests.diffusion.families.test_wan_animate2 import wan_animate_2
from tests.diffusion.families.test_z_image_omni import z_image_omni
from tests.diffusion.families.video_models import (
    wan22_5b,
    wan22_5b_fun_control,
    wan22_5b_inpaint,
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
    pytest.param(wan22_5b_inpaint, "first image", marks=SLOW),
    pytest.param(wan22_5b_fun_control, "control video", marks=SLOW),
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


def test_the_model_of_text_and_images_needs_no_image(bench: Bench) -> None:
    nodes = loaded(bench, wan22_5b)
    nodes["latent"] = {
        "type": "EmptyVideoLatent",
        "inputs": {"width": 64, "height": 64, "frames": 9},
    }
    nodes["sample"] = sampled(link("prompt"), link("latent"))
    assert found_at(bench, nodes, "sample") == []


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


def loaded(bench: Bench, build: Callable[[], Any]) -> dict[str, Any]:
    """The model of a pipeline, and a prompt for it."""
    random_pipeline(build).save_pretrained(bench.folder / "models" / "made")
    return {
        "load": {"type": "LoadModel", "inputs": {"model": "made"}},
        "prompt": {
            "type": "EncodePrompt",
            "inputs": {"encoder": link("load.text_encoder"), "text": "a red cat"},
        },
    }


def sampled(positive: Any, latent: Any) -> dict[str, Any]:
    links = {"model": link("load.model"), "positive": positive, "latent": latent}
    return {"type": "KSampler", "inputs": {**links, "schedule": "normal"}}


def found_at(bench: Bench, nodes: dict[str, Any], node: str) -> list[tuple[str, str]]:
    problems = bench.problems(nodes, node)
    return [(each.port or "", each.message) for each in problems if each.node == node]


UNFILLED = ("positive", LACKING["masked image"][0])


def filling(bench: Bench, build: Callable[[], Any]) -> dict[str, Any]:
    size = {"width": 64, "height": 64}
    return {
        **loaded(bench, build),
        "empty": {"type": "EmptyLatent", "inputs": size},
        "picture": {"type": "EmptyImage", "inputs": size},
        "encoded": {
            "type": "VAEEncode",
            "inputs": {"vae": link("load.vae"), "image": link("picture")},
        },
        "mask": {"type": "SolidMask", "inputs": size},
        "masked": {
            "type": "SetNoiseMask",
            "inputs": {"latent": link("encoded"), "mask": link("mask")},
        },
        "filled": {
            "type": "InpaintConditioning",
            "inputs": {
                "conditioning": link("prompt"),
                "vae": link("load.vae"),
                "image": link("picture"),
                "mask": link("mask"),
            },
        },
    }


INPAINTING = [sd1_fill, pytest.param(flux_fill, marks=SLOW)]


@pytest.mark.parametrize("build", INPAINTING)
@pytest.mark.parametrize("latent", ["empty", "encoded"])
def test_an_inpainting_model_without_an_image_is_found(
    bench: Bench, build: Callable[[], Any], latent: str
) -> None:
    nodes = {**filling(bench, build), "sample": sampled(link("prompt"), link(latent))}
    assert UNFILLED in found_at(bench, nodes, "sample")


@pytest.mark.parametrize("build", INPAINTING)
@pytest.mark.parametrize(
    ("positive", "latent"),
    [("prompt", "masked"), ("filled.conditioning", "empty"), ("filled.conditioning", "encoded")],
)
def test_an_inpainting_model_takes_the_image_from_the_prompt_or_the_latent(
    bench: Bench, build: Callable[[], Any], positive: str, latent: str
) -> None:
    nodes = {**filling(bench, build), "sample": sampled(link(positive), link(latent))}
    assert UNFILLED not in found_at(bench, nodes, "sample")


def test_other_models_need_no_masked_image(bench: Bench) -> None:
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "prompt": {"type": "EncodePrompt", "inputs": {"encoder": link("load.text_encoder")}},
        "empty": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "sample": sampled(link("prompt"), link("empty")),
    }
    assert found_at(bench, nodes, "sample") == []


@pytest.mark.parametrize(
    ("images", "references", "is_found"), [(1, 1, False), (2, 1, True), (1, 0, True), (0, 1, True)]
)
def test_prompt_and_references_have_as_many_images(
    bench: Bench, images: int, references: int, is_found: bool
) -> None:
    size = {"width": 64, "height": 64}
    nodes = loaded(bench, z_image_omni)
    if images:
        nodes["prompt"]["type"] = "EncodeEditPrompt"
        nodes["prompt"]["inputs"]["images"] = link("picture")
    nodes |= {
        "picture": {"type": "EmptyImage", "inputs": {**size, "batch": max(images, 1)}},
        "one": {"type": "EmptyImage", "inputs": size},
        "empty": {"type": "EmptyLatent", "inputs": size},
        "encoded": {
            "type": "VAEEncode",
            "inputs": {"vae": link("load.vae"), "image": link("one")},
        },
        "referring": {
            "type": "ReferenceLatents",
            "inputs": {"conditioning": link("prompt"), "latent": link("encoded")},
        },
        "sample": sampled(link("referring" if references else "prompt"), link("empty")),
    }
    message = "the prompt and its references have different numbers of images"
    assert (("positive", message) in found_at(bench, nodes, "sample")) == is_found


@pytest.mark.parametrize(
    ("width", "latent", "is_found"),
    [(64, "film.latent", False), (64, "same", False), (96, "same", True)],
)
def test_a_first_image_of_another_size_is_found(
    bench: Bench, width: int, latent: str, is_found: bool
) -> None:
    nodes = {
        **loaded(bench, sana_video_720p_i2v),
        "picture": {"type": "EmptyImage", "inputs": {"width": width, "height": 64}},
        "film": {
            "type": "ImageToVideoConditioning",
            "inputs": {
                "conditioning": link("prompt"),
                "vae": link("load.vae"),
                "image": link("picture"),
                "frames": 9,
            },
        },
        "same": {"type": "EmptyVideoLatent", "inputs": {"width": 64, "height": 64, "frames": 9}},
        "sample": sampled(link("film.conditioning"), link(latent)),
    }
    message = "the first image was encoded for a video of another size"
    assert (("positive", message) in found_at(bench, nodes, "sample")) == is_found


@pytest.mark.parametrize("node", ["VAEDecodeAudio", "VAEEncodeAudio"])
@pytest.mark.parametrize(
    ("build", "is_found"),
    [(sana_video_720p, True), pytest.param(ltx2, False, marks=SLOW)],
)
@pytest.mark.parametrize("loader", ["LoadModel", "LoadVae"])
def test_a_vae_without_its_parts_for_sound_is_found(
    bench: Bench, node: str, build: Callable[[], Any], is_found: bool, loader: str
) -> None:
    nodes = loaded(bench, build)
    nodes["vae"] = {"type": "LoadVae", "inputs": {"vae": "made"}}
    vae = link("load.vae" if loader == "LoadModel" else "vae")
    nodes["sound"] = {"type": "LoadAudio", "inputs": {"path": "a.wav"}}
    nodes["latent"] = {"type": "EmptyVideoLatent", "inputs": {"width": 64, "height": 64}}
    linked = {"audio": link("sound")} if "Encode" in node else {"latent": link("latent")}
    nodes["listen"] = {"type": node, "inputs": {"vae": vae, **linked}}
    message = "this VAE decodes videos alone: the parts for sound are missing"
    assert (("vae", message) in found_at(bench, nodes, "listen")) == is_found
