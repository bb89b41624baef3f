"""Models of published sizes with random weights, in the diffusers layout, in float16.

Source of the configurations: those published with Stable Diffusion 1.5 and SDXL base 1.0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import diffusers
import numpy as np
import torch
import transformers

from nodegraph.families.vocabulary import MERGES, read_clip_vocabulary
from nodegraph.weights.single_files.unet import SCHEDULER_CONFIG

Config = dict[str, Any]

_UNET: Config = {
    "_class_name": "UNet2DConditionModel",
    "act_fn": "silu",
    "center_input_sample": False,
    "downsample_padding": 1,
    "flip_sin_to_cos": True,
    "freq_shift": 0,
    "in_channels": 4,
    "layers_per_block": 2,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-05,
    "norm_num_groups": 32,
    "out_channels": 4,
}
_VAE: Config = {
    "_class_name": "AutoencoderKL",
    "act_fn": "silu",
    "block_out_channels": [128, 256, 512, 512],
    "down_block_types": ["DownEncoderBlock2D"] * 4,
    "in_channels": 3,
    "latent_channels": 4,
    "layers_per_block": 2,
    "norm_num_groups": 32,
    "out_channels": 3,
    "up_block_types": ["UpDecoderBlock2D"] * 4,
}
_CLIP_L: Config = {
    "architectures": ["CLIPTextModel"],
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "dropout": 0.0,
    "eos_token_id": 2,
    "hidden_act": "quick_gelu",
    "hidden_size": 768,
    "initializer_factor": 1.0,
    "initializer_range": 0.02,
    "intermediate_size": 3072,
    "layer_norm_eps": 1e-05,
    "max_position_embeddings": 77,
    "model_type": "clip_text_model",
    "num_attention_heads": 12,
    "num_hidden_layers": 12,
    "pad_token_id": 1,
    "projection_dim": 768,
    "vocab_size": 49408,
}
_CLIP_G = _CLIP_L | {
    "architectures": ["CLIPTextModelWithProjection"],
    "hidden_act": "gelu",
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_attention_heads": 20,
    "num_hidden_layers": 32,
    "projection_dim": 1280,
}
_SCHEDULER: Config = dict(SCHEDULER_CONFIG)

MODELS: Mapping[str, Mapping[str, Config]] = {
    "Stable Diffusion 1.5": {
        "unet": _UNET
        | {
            "attention_head_dim": 8,
            "block_out_channels": [320, 640, 1280, 1280],
            "cross_attention_dim": 768,
            "down_block_types": ["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
            "sample_size": 64,
            "up_block_types": ["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3,
        },
        "text_encoder": _CLIP_L,
        "vae": _VAE | {"sample_size": 512},
        "scheduler": _SCHEDULER,
    },
    "SDXL": {
        "unet": _UNET
        | {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "attention_head_dim": [5, 10, 20],
            "block_out_channels": [320, 640, 1280],
            "cross_attention_dim": 2048,
            "down_block_types": ["DownBlock2D"] + ["CrossAttnDownBlock2D"] * 2,
            "projection_class_embeddings_input_dim": 2816,
            "sample_size": 128,
            "transformer_layers_per_block": [1, 2, 10],
            "up_block_types": ["CrossAttnUpBlock2D"] * 2 + ["UpBlock2D"],
            "use_linear_projection": True,
        },
        "text_encoder": _CLIP_L,
        "text_encoder_2": _CLIP_G,
        "vae": _VAE | {"sample_size": 1024, "scaling_factor": 0.13025, "force_upcast": True},
        "scheduler": _SCHEDULER
        | {
            "_class_name": "EulerDiscreteScheduler",
            "interpolation_type": "linear",
            "sample_max_value": 1.0,
            "use_karras_sigmas": False,
        },
    },
}
"""By name and role. CLIP's classes stand in `architectures`, the others' in `_class_name`."""

_PADDING = {"text_encoder": "<|endoftext|>", "text_encoder_2": "!"}
_LENGTH = 2**22
"""Numbers in the random block that all large weights are cut from."""


def _smaller(role: str, published: Config) -> Config:
    """What is changed of a configuration to try things out: fewer layers, half as wide."""
    if role.startswith("text_encoder"):
        return {"num_hidden_layers": 1}
    if role == "scheduler":
        return {}
    half = [width // 2 for width in published["block_out_channels"]]
    fewer = {"transformer_layers_per_block": 1} if role == "unet" else {}
    return {"layers_per_block": 1, "block_out_channels": half, **fewer}


def class_name(config: Config) -> str:
    """The class of diffusers or transformers that a configuration names."""
    return str(config.get("_class_name") or config["architectures"][0])


def write_model(name: str, folder: Path, *, small: bool) -> None:
    """A model of `MODELS` with random weights.

    Args:
        small: Fewer layers, and half as wide, to try things out.
    """
    index: Config = {"_diffusers_version": "0.21.0"}
    pipeline = "StableDiffusionXLPipeline" if name == "SDXL" else "StableDiffusionPipeline"
    for role, published in MODELS[name].items():
        config = published | (_smaller(role, published) if small else {})
        library = "transformers" if "model_type" in config else "diffusers"
        index[role] = [library, class_name(config)]
        if role == "scheduler":
            _write_json(folder / role / "scheduler_config.json", config)
            continue
        _write_json(folder / role / "config.json", config)
        stem = "model" if library == "transformers" else "diffusion_pytorch_model"
        _write_weights(config, folder / role / f"{stem}.safetensors")
        if library == "transformers":
            tokenizer = role.replace("text_encoder", "tokenizer")
            index[tokenizer] = ["transformers", "CLIPTokenizer"]
            _write_tokenizer(folder / tokenizer, _PADDING[role])
    _write_json(folder / "model_index.json", index | {"_class_name": pipeline})


def _write_weights(config: Config, path: Path) -> None:
    """Random weights, tensor by tensor, so that no more than one block of them is in memory."""
    shapes = _shapes(config)
    header: Config = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [start, end]}
    block = (np.random.default_rng(0).standard_normal(_LENGTH) * 0.02).astype("<f2")
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            is_scale = len(shape) == 1 and name.endswith("weight")
            numbers = np.ones(shape, "<f2") if is_scale else block
            _write_repeated(file, numbers, math.prod(shape))


def _write_repeated(file: BinaryIO, numbers: np.ndarray[Any, Any], count: int) -> None:
    while count > 0:
        part = numbers[:count]
        file.write(part.tobytes())
        count -= len(part)


def _shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Of a component's tensors by name, in the order of files: by name."""
    with torch.device("meta"):
        if "model_type" in config:
            kind = getattr(transformers, class_name(config))
            module = kind(kind.config_class(**config))
        else:
            module = getattr(diffusers, class_name(config)).from_config(config)
    return {name: tuple(item.shape) for name, item in sorted(module.state_dict().items())}


def _write_tokenizer(folder: Path, padding: str) -> None:
    words, pairs = read_clip_vocabulary(MERGES)
    marks = {"bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>"}
    marks |= {"unk_token": "<|endoftext|>", "pad_token": padding}
    settings = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True}
    _write_json(folder / "vocab.json", words)
    lines = ["#version: 0.2", *(" ".join(pair) for pair in pairs), ""]
    (folder / "merges.txt").write_text("\n".join(lines), "utf-8")
    _write_json(folder / "special_tokens_map.json", marks)
    _write_json(folder / "tokenizer_config.json", {**settings, **marks})


def _write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2), "utf-8")
