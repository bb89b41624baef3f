"""Inputs that a model's family does not take are found before anything is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.test_anima import anima
from tests.diffusion.families.test_flux import flux
from tests.diffusion.families.test_hidream import hidream
from tests.diffusion.families.test_joyimage import joyimage_edit
from tests.diffusion.families.test_longcat_audio import longcat_audio
from tests.diffusion.families.test_minimax_music3 import minimax_music3
from tests.diffusion.families.test_z_image import z_image
from tests.nodes.conftest import Bench, link

Folders = Callable[[Callable[[], Any]], str]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """The path of a tiny model's folder."""
    known: dict[str, Path] = {}

    def saved(build: Callable[[], Any]) -> str:
        name = build.__name__
        if name not in known:
            known[name] = tmp_path_factory.mktemp("models") / name
            random_pipeline(build).save_pretrained(known[name])
        return str(known[name])

    return saved


def graph(model: str, latent: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A sampling and what it needs, with further nodes or others in their place."""
    inputs = {"model": link("load.model"), "positive": link("prompt"), "latent": link("latent")}
    words = {"encoder": link("load.text_encoder"), "text": "a red cat"}
    options = {"steps": 2, "cfg": 1.0, "sampler": "euler", "schedule": "normal"}
    return {
        "load": {"type": "LoadModel", "inputs": {"model": model}},
        "prompt": {"type": "EncodePrompt", "inputs": words},
        "latent": latent,
        "sample": {"type": "KSampler", "inputs": {**inputs, **options}},
        **more,
    }


def empty(width: int = 64, height: int = 64) -> dict[str, Any]:
    return {"type": "EmptyLatent", "inputs": {"width": width, "height": height}}


def video(**inputs: Any) -> dict[str, Any]:
    return {"type": "EmptyVideoLatent", "inputs": {"width": 64, "height": 64, **inputs}}


PROMPT, VAE, IMAGE = {"conditioning": link("prompt")}, link("load.vae"), link("picture.image")
CAMERA = {"type": "CameraMotion", "inputs": {"width": 64, "height": 64, "frames": 5}}
ENCODER = {"encoder": link("load.text_encoder"), "text": "a red cat"}


@pytest.mark.parametrize(
    ("kind", "inputs", "port"),
    [
        ("ImageToVideoConditioning", {**PROMPT, "vae": VAE, "image": IMAGE}, "conditioning"),
        ("TrackConditioning", {**PROMPT, "vae": VAE, "image": IMAGE}, "conditioning"),
        ("VaceConditioning", {**PROMPT, "vae": VAE}, "conditioning"),
        ("ControlVideoConditioning", {**PROMPT, "vae": VAE, "video": IMAGE}, "conditioning"),
        (
            "CameraConditioning",
            {**PROMPT, "vae": VAE, "camera": link("camera.camera")},
            "conditioning",
        ),
        (
            "KeyframeConditioning",
            {**PROMPT, "latent": link("latent"), "vae": VAE, "image": IMAGE},
            "conditioning",
        ),
        ("ReferenceToVideoConditioning", {**ENCODER, "images": IMAGE}, "encoder"),
        ("EncodeEditPrompt", {**ENCODER, "images": link("list")}, "encoder"),
        ("EncodeMusicPrompt", {"encoder": link("load.text_encoder")}, "encoder"),
    ],
)
def test_a_node_of_another_family_is_found(
    bench: Bench, folder_of: Folders, kind: str, inputs: dict[str, Any], port: str
) -> None:
    nodes = graph(
        folder_of(z_image),
        empty(),
        picture={"type": "Picture", "inputs": {"width": 64, "height": 64}},
        list={"type": "ImageList", "inputs": {"image": IMAGE}},
        camera=CAMERA,
        node={"type": kind, "inputs": inputs},
    )
    [problem] = bench.problems(nodes, "node")
    assert (problem.node, problem.port) == ("node", port)
    assert "Z-Image" in problem.message


def followed(model: str, **more: Any) -> dict[str, Any]:
    """A sampling whose prompt has a control image."""
    shown = {**PROMPT, "vae": VAE, "image": IMAGE}
    nodes = graph(
        model,
        empty(),
        picture={"type": "Picture", "inputs": {"width": 64, "height": 64}},
        shown={"type": "ImageConditioning", "inputs": shown},
        **more,
    )
    nodes["sample"]["inputs"]["positive"] = link("shown.conditioning")
    return nodes


def test_a_control_image_for_a_model_that_takes_none_is_found(
    bench: Bench, folder_of: Folders
) -> None:
    [problem] = bench.problems(followed(folder_of(flux)), "sample")
    assert (problem.node, problem.port) == ("sample", "positive")
    assert "a control image, which this model of Flux.1 does not take" in problem.message


def test_a_lora_may_make_a_model_take_a_control_image(bench: Bench, folder_of: Folders) -> None:
    width, channels = 8, 64
    pair = {
        "transformer.x_embedder.lora_A.weight": torch.randn(2, 2 * channels),
        "transformer.x_embedder.lora_B.weight": torch.randn(width, 2),
    }
    file = bench.folder / "models" / "canny.safetensors"
    file.parent.mkdir(exist_ok=True)
    save_file(pair, str(file))
    adapted = {"model": link("load.model"), "lora": "canny.safetensors"}
    nodes = followed(folder_of(flux), adapted={"type": "LoadLora", "inputs": adapted})
    nodes["sample"]["inputs"]["model"] = link("adapted.model")
    assert not [each for each in bench.problems(nodes, "sample") if each.node == "sample"]


def test_hidream_takes_a_control_image_beside_its_own(bench: Bench, folder_of: Folders) -> None:
    assert not bench.problems(followed(folder_of(hidream)), "sample")


@pytest.mark.parametrize(
    ("latent", "words"),
    [
        ({"type": "EmptyMusicLatent", "inputs": {"seconds": 0.64}}, "different format"),
        ({"type": "EmptyAudioLatent", "inputs": {}}, "different format"),
        (video(frames=9), "number of frames"),
    ],
)
def test_a_latent_of_another_kind_is_found(
    bench: Bench, folder_of: Folders, latent: dict[str, Any], words: str
) -> None:
    problems = bench.problems(graph(folder_of(z_image), latent), "sample")
    assert words in problems[0].message
    assert problems[0].port == "latent"


def test_a_size_beyond_the_positions_is_found(bench: Bench, folder_of: Folders) -> None:
    [problem] = bench.problems(graph(folder_of(anima), empty(512, 64)), "sample")
    assert "no positions for a latent of this size" in problem.message
    assert problem.expected == "at most 192 x 192 pixels"


def test_tiles_make_a_size_beyond_the_positions_possible(bench: Bench, folder_of: Folders) -> None:
    parts = {
        "guider": {
            "type": "TiledGuidance",
            "inputs": {"guider": link("plain"), "tile_width": 64, "tile_height": 64},
        },
        "plain": {"type": "BasicGuider", "inputs": {"conditioning": link("prompt")}},
        "sample": {
            "type": "SampleCustom",
            "inputs": {
                "model": link("load.model"),
                "guider": link("guider"),
                "latent": link("latent"),
                "noise": link("noise"),
                "sampler": link("sampler"),
                "schedule": link("schedule"),
            },
        },
        "noise": {"type": "RandomNoise", "inputs": {"seed": 1}},
        "sampler": {"type": "SelectSampler", "inputs": {"sampler": "euler"}},
        "schedule": {
            "type": "BasicSchedule",
            "inputs": {"schedule": "normal", "steps": 1},
        },
    }
    nodes = graph(folder_of(anima), empty(256, 64), **parts)
    assert not bench.run(nodes, "sample").errors


def test_a_video_is_not_decoded_as_an_image(bench: Bench, folder_of: Folders) -> None:
    decode = {"type": "VAEDecode", "inputs": {"vae": VAE, "latent": link("sample")}}
    nodes = graph(folder_of(joyimage_edit), video(frames=9), decode=decode)
    [problem] = bench.problems(nodes, "decode")
    assert (problem.node, problem.given) == ("decode", "9 frames")


def test_several_videos_are_not_decoded_at_once(bench: Bench, folder_of: Folders) -> None:
    decode = {"type": "VAEDecodeVideo", "inputs": {"vae": VAE, "latent": link("sample")}}
    nodes = graph(folder_of(joyimage_edit), video(frames=9, batch_size=3), decode=decode)
    [problem] = bench.problems(nodes, "decode")
    assert (problem.node, problem.given) == ("decode", "a batch of 3")


def test_several_sounds_are_not_decoded_at_once(bench: Bench, folder_of: Folders) -> None:
    music = {"family": "longcat-audio", "seconds": 1.0, "batch_size": 3}
    decode = {"type": "VAEDecodeAudio", "inputs": {"vae": VAE, "latent": link("sample")}}
    nodes = graph(
        folder_of(longcat_audio), {"type": "EmptyMusicLatent", "inputs": music}, decode=decode
    )
    [problem] = bench.problems(nodes, "decode")
    assert (problem.node, problem.given) == ("decode", "a batch of 3")


@pytest.mark.parametrize("missing", ["tags", "lyrics"])
def test_a_song_without_tags_or_lyrics_is_not_composed(
    bench: Bench, folder_of: Folders, missing: str
) -> None:
    texts = {"tags": "calm piano", "lyrics": "[intro] la", missing: " "}
    song = {"encoder": link("load.text_encoder"), "seconds": 1.0, **texts}
    load = {"type": "LoadModel", "inputs": {"model": folder_of(minimax_music3)}}
    nodes = {"load": load, "song": {"type": "EncodeMusicPrompt", "inputs": song}}
    [problem] = bench.problems(nodes, "song")
    assert (problem.port, problem.given) == (missing, "an empty text")
