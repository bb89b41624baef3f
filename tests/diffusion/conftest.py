"""Tiny Stable Diffusion 1.x models with random weights, in the diffusers folder layout.

They are architecturally complete and load with the stock pipeline, so that what nodegraph
computes can be compared with what diffusers computes, in a fraction of a second.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

SD1_SCHEDULER: dict[str, Any] = {
    "_class_name": "PNDMScheduler",
    "_diffusers_version": "0.42.0",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "trained_betas": None,
}
"""As in stable-diffusion-v1-5's scheduler/scheduler_config.json, with the implied defaults."""

_MERGES = ("a p", "ap p", "l e</w>", "app le</w>", "r e", "re d</w>", "f o", "fo x</w>")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Compute on one thread: for models this small, waiting for others takes all the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def sd1_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny SD 1.x model: epsilon prediction, leading spacing, 77 tokens, f8 latents."""
    return write_sd1(tmp_path_factory.mktemp("models") / "sd1-random", SD1_SCHEDULER)


@pytest.fixture(scope="session")
def sd1_v_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same architecture with v prediction and trailing spacing."""
    scheduler = SD1_SCHEDULER | {
        "_class_name": "DDIMScheduler",
        "clip_sample": False,
        "prediction_type": "v_prediction",
        "timestep_spacing": "trailing",
    }
    del scheduler["skip_prk_steps"]
    return write_sd1(tmp_path_factory.mktemp("models") / "sd1-v-random", scheduler, seed=1)


@pytest.fixture(scope="session")
def sd1_pipeline(sd1_folder: Path) -> StableDiffusionPipeline:
    """The stock pipeline of the model, to compare with; shared, so leave it as it is."""
    pipeline = StableDiffusionPipeline.from_pretrained(sd1_folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def write_sd1(folder: Path, scheduler: dict[str, Any], seed: int = 0) -> Path:
    """Write a whole model folder that `StableDiffusionPipeline.from_pretrained` loads."""
    state = torch.get_rng_state()
    torch.manual_seed(seed)
    try:
        tiny_unet().save_pretrained(folder / "unet")
        tiny_vae().save_pretrained(folder / "vae")
        vocabulary = write_tokenizer(folder / "tokenizer")
        tiny_text_model(vocabulary).save_pretrained(folder / "text_encoder")
    finally:
        torch.set_rng_state(state)
    write_json(folder / "scheduler" / "scheduler_config.json", scheduler)
    write_json(
        folder / "model_index.json",
        {
            "_class_name": "StableDiffusionPipeline",
            "_diffusers_version": "0.42.0",
            "feature_extractor": [None, None],
            "requires_safety_checker": False,
            "safety_checker": [None, None],
            "scheduler": ["diffusers", scheduler["_class_name"]],
            "text_encoder": ["transformers", "CLIPTextModel"],
            "tokenizer": ["transformers", "CLIPTokenizer"],
            "unet": ["diffusers", "UNet2DConditionModel"],
            "vae": ["diffusers", "AutoencoderKL"],
        },
    )
    return folder


def tiny_unet() -> UNet2DConditionModel:
    """Two levels of 32 and 64 channels, both attending to a text 32 wide."""
    return UNet2DConditionModel(
        sample_size=8,
        in_channels=4,
        out_channels=4,
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        layers_per_block=1,
        attention_head_dim=2,
        cross_attention_dim=32,
        norm_num_groups=8,
    )


def tiny_vae() -> AutoencoderKL:
    """Four levels, so a latent cell is 8 pixels wide as in SD 1.x."""
    return AutoencoderKL(
        sample_size=64,
        block_out_channels=(8, 8, 16, 16),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
        scaling_factor=0.18215,
    )


def tiny_text_model(vocabulary: dict[str, int]) -> CLIPTextModel:
    """A CLIP text encoder 32 wide with two layers."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=77,
            bos_token_id=vocabulary["<|startoftext|>"],
            eos_token_id=vocabulary["<|endoftext|>"],
            pad_token_id=vocabulary["<|endoftext|>"],
        )
    )


def write_tokenizer(folder: Path, max_length: int = 77) -> dict[str, int]:
    """Write a CLIP byte-pair tokenizer with every byte and a handful of merges.

    Returns:
        The vocabulary: token to id.
    """
    letters = list(_byte_letters())
    tokens = letters + [letter + "</w>" for letter in letters]
    tokens += [merge.replace(" ", "") for merge in _MERGES]
    tokens += ["<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    write_json(folder / "vocab.json", vocabulary)
    merges = "\n".join(("#version: 0.2", *_MERGES, ""))
    (folder / "merges.txt").write_text(merges, encoding="utf-8")
    write_json(
        folder / "tokenizer_config.json",
        {
            "bos_token": "<|startoftext|>",
            "eos_token": "<|endoftext|>",
            "model_max_length": max_length,
            "pad_token": "<|endoftext|>",
            "tokenizer_class": "CLIPTokenizer",
            "unk_token": "<|endoftext|>",
        },
    )
    return vocabulary


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _byte_letters() -> str:
    """The 256 printable letters that stand for bytes in byte-level BPE (GPT-2's encoder.py)."""
    kept = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1)]
    kept += range(ord("®"), ord("ÿ") + 1)
    moved = [256 + index for index in range(256 - len(kept))]
    return "".join(map(chr, kept + moved))
