"""Music comes from ComfyUI with its tags and lyrics, and goes back."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.core.parts import NodeEntry
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.importer import import_document, node_table
from tests.compat.comfyui.test_exporting import meaning, there_and_back

SAID = {
    "tags": "calm piano",
    "lyrics": "[verse]\nla",
    "bpm": 72,
    "language": "en",
}
MODEL_OF_CODES = {
    "seed": 31,
    "cfg_scale": 2.0,
    "temperature": 0.85,
    "top_p": 0.9,
    "top_k": 0,
    "min_p": 0.0,
}


def prompt(*, codes: bool) -> dict[str, Any]:
    """What ComfyUI's server is sent for a song."""
    names = {"timesignature": "4", "keyscale": "E minor", "duration": 120.0}
    music = {"clip": ["load", 1], **SAID, **names, **MODEL_OF_CODES, "generate_audio_codes": codes}
    sampled = {
        "model": ["load", 0],
        "positive": ["music", 0],
        "negative": ["none", 0],
        "latent_image": ["length", 0],
        "seed": 31,
        "steps": 8,
        "cfg": 1.0,
        "sampler_name": "euler",
        "scheduler": "simple",
        "denoise": 1.0,
    }
    nodes = {
        "load": ("CheckpointLoaderSimple", {"ckpt_name": "ace.safetensors"}),
        "music": ("TextEncodeAceStepAudio1.5", music),
        "none": ("ConditioningZeroOut", {"conditioning": ["music", 0]}),
        "length": ("EmptyAceStep1.5LatentAudio", {"seconds": 120.0, "batch_size": 1}),
        "sample": ("KSampler", sampled),
        "decode": ("VAEDecodeAudio", {"samples": ["sample", 0], "vae": ["load", 2]}),
        "save": ("SaveAudio", {"audio": ["decode", 0], "filename_prefix": "audio/song"}),
    }
    return {name: {"class_type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}


@pytest.mark.parametrize("codes", [True, False])
def test_music_is_imported_and_audio_codes_are_told(codes: bool) -> None:
    found = import_document(prompt(codes=codes), node_table())
    assert not found.placeholders
    nodes = {entry.type: entry.inputs for entry in found.workflow.nodes.values()}
    music = nodes["EncodeMusicPrompt"]
    assert {name: music[name] for name in SAID} == SAID
    assert (music["seconds"], music["time_signature"], music["key"]) == (120.0, "4", "E minor")
    assert nodes["EmptyMusicLatent"]["seconds"] == 120.0
    assert {"ZeroOutConditioning", "KSampler", "VAEDecodeAudio", "SaveAudio"} <= nodes.keys()
    differences = [said for _, said in found.differences if "audio codes" in said]
    assert len(differences) == codes


def test_sound_goes_back_as_the_nodes_that_it_came_from() -> None:
    workflow = import_document(prompt(codes=True), node_table()).workflow
    assert meaning(there_and_back(workflow)) == meaning(workflow)


def split_prompt() -> dict[str, Any]:
    """The same from files of their own."""
    nodes = prompt(codes=False)
    encoders = {"clip_name1": "qwen_0.6b_ace15.st", "clip_name2": "qwen_4b_ace15.st"}
    for name, kind, inputs in (
        ("load", "UNETLoader", {"unet_name": "ace.st", "weight_dtype": "default"}),
        ("clip", "DualCLIPLoader", {**encoders, "type": "ace", "device": "default"}),
        ("vae", "VAELoader", {"vae_name": "ace_1.5_vae.st"}),
    ):
        nodes[name] = {"class_type": kind, "inputs": inputs}
    nodes["music"]["inputs"]["clip"] = ["clip", 0]
    nodes["decode"]["inputs"]["vae"] = ["vae", 0]
    return nodes


def test_a_text_encoder_also_reads_the_diffusion_model() -> None:
    workflow = import_document(split_prompt(), node_table()).workflow
    nodes = {entry.type: (name, entry.inputs) for name, entry in workflow.nodes.items()}
    _, encoder = nodes["LoadTextEncoder"]
    assert encoder == {"family": "ace-step", "file": "qwen_0.6b_ace15.st", "file_2": "ace.st"}
    vae, _ = nodes["LoadVae"]
    assert nodes["EncodeMusicPrompt"][1]["vae"] == {"from": f"{vae}.vae"}


def test_parts_of_a_model_of_music_go_back() -> None:
    workflow = import_document(split_prompt(), node_table()).workflow
    assert meaning(there_and_back(workflow)) == meaning(workflow)


def test_an_edit_of_music_is_a_placeholder_there() -> None:
    nodes = {
        "load": NodeEntry(type="LoadModel", inputs={"model": "ace"}),
        "sound": NodeEntry(type="LoadAudio", inputs={"path": "song.flac"}),
        "music": NodeEntry(
            type="EncodeMusicPrompt",
            inputs={
                "encoder": {"from": "load.text_encoder"},
                "vae": {"from": "load.vae"},
                "source": {"from": "sound"},
                "task": "cover",
            },
        ),
    }
    workflow = Workflow(title="cover", nodes=nodes)
    assert meaning(there_and_back(workflow)) == meaning(workflow)


@pytest.mark.parametrize(
    ("file", "family"),
    [
        ("stable-audio-open-1.0.safetensors", "stable-audio"),
        ("stable_audio_3_medium.safetensors", "stable-audio-3"),
    ],
)
def test_the_length_of_a_sound_is_for_its_model(file: str, family: str) -> None:
    nodes = prompt(codes=False)
    nodes["load"]["inputs"]["ckpt_name"] = file
    t5 = {"stable-audio": "t5-base.st", "stable-audio-3": "t5gemma_b_b_ul2.st"}[family]
    for name, kind, inputs in (
        ("clip", "CLIPLoader", {"clip_name": t5, "type": "stable_audio", "device": "default"}),
        ("music", "CLIPTextEncode", {"clip": ["clip", 0], "text": "rain"}),
        ("length", "EmptyLatentAudio", {"seconds": 8.0, "batch_size": 1}),
    ):
        nodes[name] = {"class_type": kind, "inputs": inputs}
    found = import_document(nodes, node_table())
    assert not found.placeholders
    types = {entry.type: entry.inputs for entry in found.workflow.nodes.values()}
    assert types["EmptyMusicLatent"] == {"seconds": 8.0, "batch_size": 1, "family": family}
    assert types["LoadTextEncoder"] == {"family": family, "file": t5, "file_2": file}
    assert meaning(there_and_back(found.workflow)) == meaning(found.workflow)
