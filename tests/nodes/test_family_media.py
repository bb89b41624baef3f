"""Nodes and latents that a model cannot use are found before anything is loaded.

Each family meets each conditioning node and each kind of latent. What a run would refuse, the check
before it has to find.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegraph.families.registry import FAMILIES
from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.tiny_models import TINY, TINY_SOUND
from tests.nodes.conftest import Bench, link

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")  # Chroma
ALL = {**TINY, **TINY_SOUND}
QUICK = ("z-image", "ace-step", "wan")
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ALL]

Nodes = dict[str, dict[str, Any]]
FolderOf = Callable[[str], str]
PROMPT, VAE, IMAGE = link("prompt"), link("load.vae"), link("picture.image")
ENCODER = link("load.text_encoder")


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory: pytest.TempPathFactory) -> FolderOf:
    """The path of a tiny model's folder, by the name of its family."""
    known: dict[str, Path] = {}

    def saved(name: str) -> str:
        if name not in known:
            known[name] = tmp_path_factory.mktemp("models") / name
            random_pipeline(ALL[name].build).save_pretrained(known[name])
        return str(known[name])

    return saved


def ksampler(name: str, **more: Any) -> dict[str, Any]:
    inputs = {"model": link("load.model"), "positive": PROMPT, "latent": link("latent")}
    options = {"steps": 1, "cfg": 1.0, "sampler": ALL[name].sampler, "schedule": "normal"}
    return {"type": "KSampler", "inputs": {**inputs, **options, **more}}


def base(name: str, folder: str) -> Nodes:
    """What the cases below link to."""
    side, frames = max(64, FAMILIES[name].multiple), ALL[name].frames
    size = {"width": side, "height": side}
    plain = {"type": "EmptyLatent", "inputs": size}
    video = {"type": "EmptyVideoLatent", "inputs": {**size, "frames": frames}}
    return {
        "load": {"type": "LoadModel", "inputs": {"model": folder}},
        "prompt": {"type": "EncodePrompt", "inputs": {"encoder": ENCODER, "text": "a red cat"}},
        "picture": {"type": "Picture", "inputs": size},
        "frames": {"type": "Picture", "inputs": {**size, "batch": frames}},
        "film": {"type": "VideoFromImages", "inputs": {"images": link("frames.image")}},
        "camera": {"type": "CameraMotion", "inputs": {**size, "frames": max(frames, 5)}},
        "encoded": {"type": "VAEEncode", "inputs": {"vae": VAE, "image": IMAGE}},
        "sound": {"type": "EmptyAudioLatent", "inputs": {"frames": 9}},
        "latent": video if frames > 1 else plain,
        "sample": ksampler(name),
    }


def cases(name: str) -> Iterator[tuple[str, str, Nodes]]:
    """A title, the node to run, and the nodes of a case."""
    side, frames = max(64, FAMILIES[name].multiple), ALL[name].frames
    size = {"width": side, "height": side}
    shown = {"conditioning": PROMPT, "vae": VAE}
    both = {"positive": link("node.conditioning"), "latent": link("node.latent")}
    for kind, inputs, links in (
        ("ReferenceLatents", {"conditioning": PROMPT, "latent": link("encoded")}, None),
        ("ImageConditioning", {**shown, "image": IMAGE}, both),
        ("ImageToVideoConditioning", {**shown, "image": IMAGE, "frames": frames}, both),
        ("TrackConditioning", {**shown, "image": IMAGE, "frames": frames}, both),
        ("CameraConditioning", {**shown, "camera": link("camera.camera")}, both),
        ("VaceConditioning", {**shown, **size, "frames": frames}, both),
        (
            "ControlVideoConditioning",
            {**shown, "video": link("frames.image"), "frames": frames},
            both,
        ),
        ("KeyframeConditioning", {**shown, "latent": link("latent"), "image": IMAGE}, None),
        ("SecondExpertCfg", {"conditioning": PROMPT}, None),
        ("SizeConditioning", {"conditioning": PROMPT}, None),
    ):
        sample = ksampler(name, **(links or {"positive": link("node")}))
        yield kind, "sample", {"node": {"type": kind, "inputs": inputs}, "sample": sample}
    guide = {"latent": link("latent"), "vae": VAE, "image": IMAGE}
    yield (
        "AddFrameGuide",
        "sample",
        {
            "node": {"type": "AddFrameGuide", "inputs": guide},
            "sample": ksampler(name, latent=link("node")),
        },
    )
    for kind, inputs in (
        ("SetSoundShift", {"model": link("load.model")}),
        ("EncodeSongPrompt", {"encoder": ENCODER, "caption": "a", "lyrics": "b"}),
        ("VAEEncode", {"vae": VAE, "image": IMAGE}),
        ("VAEEncodeVideo", {"vae": VAE, "video": link("film")}),
        ("VAEDecode", {"vae": VAE, "latent": link("sample")}),
        ("VAEDecodeVideo", {"vae": VAE, "latent": link("sample")}),
        ("VAEDecodeAudio", {"vae": VAE, "latent": link("sample")}),
    ):
        yield kind, "node", {"node": {"type": kind, "inputs": inputs}}
    for kind, inputs in (
        ("EmptyLatent", {"width": 64, "height": 64}),
        ("EmptyVideoLatent", {**size, "frames": 9}),
        ("EmptyAudioLatent", {"frames": 9}),
        ("EmptyMusicLatent", {"seconds": 0.64, "family": "ace-step"}),
        ("EmptyMusicLatent", {"seconds": 0.64, "family": "longcat-audio"}),
        ("CombineSoundLatent", {"video": link("latent"), "sound": link("sound")}),
    ):
        other = {"type": kind, "inputs": inputs}
        yield kind, "sample", {"other": other, "sample": ksampler(name, latent=link("other"))}


FOUND_LATER = (
    # The model's own check of a value, not of a kind of input.
    "the images of the prompt and its reference latents do not match",
    "the model edits one image, and the conditioning has",
    "the video that is continued is not shorter",
    "the sound does not fit the model or the video",
    "the model needs image embeddings of the first image",
    "a latent with one sound is needed",
    # What the model needs beside the text.
    "the model is image-to-video, and the conditioning has no",
    "the model is Wan Animate 2, and the conditioning has no driving video",
    "the prompt and its references have different numbers of images",
)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_run_refuses_is_found_before_it(
    bench: Bench, folder_of: FolderOf, name: str
) -> None:
    late = []
    for title, target, nodes in cases(name):
        graph = {**base(name, folder_of(name)), **nodes}
        if bench.problems(graph, target):
            continue
        for error in bench.run(graph, target).errors:
            message = str(error)
            if not any(known in message for known in FOUND_LATER):
                late.append((title, message))
    assert not late


def sampled(folder: str, name: str, **nodes: Any) -> Nodes:
    return {**base(name, folder), **nodes}


@pytest.mark.parametrize("name", TINY_SOUND)
def test_an_empty_latent_of_images_is_not_for_sound(
    bench: Bench, folder_of: FolderOf, name: str
) -> None:
    """Its size may fit by chance."""
    latent = {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}}
    [problem] = bench.problems(sampled(folder_of(name), name, latent=latent), "sample")
    assert (problem.node, problem.port) == ("sample", "latent")
    assert problem.message.endswith("generates sound, and the latent is one of images or videos")
    assert f"family {name}" in (problem.hint or "")


def guides(*frames: int, append: bool = False, count: int = 33) -> Nodes:
    """A chain of guides on a video, of an image whose number is known."""
    image = {"type": "EmptyImage", "inputs": {"width": 64, "height": 64}}
    nodes: Nodes = {"single": image}
    latent = {"width": 64, "height": 64, "frames": count}
    nodes["latent"] = {"type": "EmptyVideoLatent", "inputs": latent}
    before = "latent"
    for number, frame in enumerate(frames):
        inputs = {"latent": link(before), "vae": VAE, "image": link("single"), "frame": frame}
        before = f"guide{number}"
        nodes[before] = {"type": "AddFrameGuide", "inputs": {**inputs, "append": append}}
    return nodes


@pytest.mark.parametrize("frames", [(0, 0), (9, 9), (32, 9, -1), (9, -24)])
def test_two_guides_at_one_frame_are_found(
    bench: Bench, folder_of: FolderOf, frames: tuple[int, ...]
) -> None:
    nodes = {**base("ltx2", folder_of("ltx2")), **guides(*frames)}
    last = f"guide{len(frames) - 1}"
    [problem] = bench.problems(nodes, last)
    assert (problem.node, problem.port) == (last, "frame")
    assert problem.message == "the video has another guide at this frame"


@pytest.mark.parametrize(("frames", "append"), [((0, 9, -1), False), ((0, 0), True)])
def test_guides_at_several_frames_and_control_videos_are_fine(
    bench: Bench, folder_of: FolderOf, frames: tuple[int, ...], append: bool
) -> None:
    nodes = {**base("ltx2", folder_of("ltx2")), **guides(*frames, append=append)}
    assert not bench.run(nodes, f"guide{len(frames) - 1}").errors


def keyframes(*frames: int) -> Nodes:
    nodes: Nodes = {}
    before = "prompt"
    for number, frame in enumerate(frames):
        inputs = {"conditioning": link(before), "latent": link("latent"), "frame": frame}
        before = f"key{number}"
        nodes[before] = {
            "type": "KeyframeConditioning",
            "inputs": {**inputs, "vae": VAE, "image": IMAGE},
        }
    return nodes


def test_two_keyframes_at_one_frame_are_found(bench: Bench, folder_of: FolderOf) -> None:
    video = {"width": 64, "height": 64, "frames": 22}
    latent = {"latent": {"type": "EmptyVideoLatent", "inputs": video}}
    start = {**base("minimax-h3", folder_of("minimax-h3")), **latent}
    [problem] = bench.problems({**start, **keyframes(21, 0, -1)}, "key2")
    assert (problem.node, problem.port, problem.given) == ("key2", "frame", "21")
    assert problem.message == "the video has another keyframe at this frame"
    assert not bench.problems({**start, **keyframes(0, 9, -1)}, "key2")
