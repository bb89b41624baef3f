"""Stable Diffusion 1.x in one file: the layout of the original (LDM) training code.

A single file carries weights but no configuration. Everything that shows in the tensors' shapes
is read from them; what doesn't show is the same in every SD 1.x model and stands here.

Checked against stable-diffusion-v1-5's config.json files and the original
``v1-inference.yaml`` (https://github.com/CompVis/stable-diffusion).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.errors import InvalidFile

if TYPE_CHECKING:
    from torch import Tensor

UNET_PREFIX = "model.diffusion_model."
VAE_PREFIX = "first_stage_model."
TEXT_PREFIX = "cond_stage_model.transformer."

ATTENTION_HEADS = 8
"""Of every attention block of the UNet; shapes don't show it."""
TEXT_HEAD_WIDTH = 64
"""CLIP's width per head: 768 wide makes 12 heads."""
NORM_GROUPS = 32
"""Of every group norm in UNet and VAE."""
TRAINED_SIZE = 512
"""Pixels per side of the pictures that SD 1.x was trained on."""

SCHEDULER_CONFIG: Mapping[str, Any] = {
    "_class_name": "PNDMScheduler",
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "clip_sample": False,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "set_alpha_to_one": False,
    "skip_prk_steps": True,
    "steps_offset": 1,
    "timestep_spacing": "leading",
    "trained_betas": None,
}


ZERO_TERMINAL_SNR: Mapping[str, Any] = {
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}
"""What makes a schedule begin at noise alone. Source: Lin et al. 2023, arXiv:2305.08891."""


def scheduler_config(metadata: Mapping[str, str], names: Collection[str] = ()) -> dict[str, Any]:
    """The noise schedule: SD 1.x's own, with the prediction type that the file declares.

    Args:
        metadata: Of the safetensors file; ``modelspec.prediction_type`` may say ``v``.
        names: Of the tensors in it: one called ``v_pred`` marks a model that predicts v, one
            called ``ztsnr`` beside it that it was trained with zero terminal SNR.
    Source: https://github.com/Stability-AI/ModelSpec; the two tensors are what trainers write
        and ComfyUI (``comfy/supported_models.py``) heeds.
    """
    declared = metadata.get("modelspec.prediction_type", "epsilon").lower()
    is_v = declared.startswith("v") or "v_pred" in names
    config = {**SCHEDULER_CONFIG, "prediction_type": "v_prediction" if is_v else "epsilon"}
    return {**config, **ZERO_TERMINAL_SNR} if is_v and "ztsnr" in names else config


def unet_config(shapes: Shapes) -> dict[str, Any]:
    """The diffusers configuration of the UNet in a checkpoint.

    Args:
        shapes: Of all tensors in the file.
    Raises:
        KeyError: A tensor that every SD 1.x UNet has is missing.
    """
    unet = _part(shapes, UNET_PREFIX)
    channels, attends, layers = _levels(unet)
    contexts = [shape[1] for name, shape in unet.items() if name.endswith("attn2.to_k.weight")]
    if not contexts:
        raise KeyError("attn2.to_k.weight")
    return {
        "in_channels": unet["input_blocks.0.0.weight"][1],
        "out_channels": unet["out.2.weight"][0],
        "block_out_channels": tuple(channels),
        "layers_per_block": layers,
        "down_block_types": tuple(
            "CrossAttnDownBlock2D" if attention else "DownBlock2D" for attention in attends
        ),
        "up_block_types": tuple(
            "CrossAttnUpBlock2D" if attention else "UpBlock2D" for attention in reversed(attends)
        ),
        "cross_attention_dim": contexts[0],
        # diffusers calls the number of heads so, for the sake of old files.
        "attention_head_dim": ATTENTION_HEADS,
        "norm_num_groups": NORM_GROUPS,
        "sample_size": TRAINED_SIZE // vae_downscale(shapes),
    }


def _levels(unet: Shapes) -> tuple[list[int], list[bool], int]:
    """Channels and attention of each resolution of a UNet, and residual blocks per level."""
    channels: list[int] = []
    attends: list[bool] = []
    layers = blocks = 0
    for index in range(1, _count(unet, r"input_blocks\.(\d+)\.")):
        block = f"input_blocks.{index}."
        if f"{block}0.op.weight" in unet:
            blocks = 0
            continue
        if blocks == 0:
            channels.append(unet[f"{block}0.in_layers.2.weight"][0])
            attends.append(f"{block}1.norm.weight" in unet)
        blocks += 1
        layers = max(layers, blocks)
    return channels, attends, layers


def vae_config(shapes: Shapes) -> dict[str, Any]:
    """The diffusers configuration of the autoencoder in a checkpoint.

    Raises:
        KeyError: A tensor that every SD 1.x autoencoder has is missing.
    """
    vae = _part(shapes, VAE_PREFIX)
    levels = _count(vae, r"encoder\.down\.(\d+)\.")
    return {
        "in_channels": vae["encoder.conv_in.weight"][1],
        "out_channels": vae["decoder.conv_out.weight"][0],
        "block_out_channels": tuple(
            vae[f"encoder.down.{level}.block.0.conv1.weight"][0] for level in range(levels)
        ),
        "down_block_types": ("DownEncoderBlock2D",) * levels,
        "up_block_types": ("UpDecoderBlock2D",) * levels,
        "layers_per_block": _count(vae, r"encoder\.down\.0\.block\.(\d+)\."),
        "latent_channels": vae["post_quant_conv.weight"][0],
        "norm_num_groups": NORM_GROUPS,
        "sample_size": TRAINED_SIZE,
        "scaling_factor": 0.18215,
    }


def vae_downscale(shapes: Shapes) -> int:
    """Pixels per latent cell, along one side."""
    levels = _count(_part(shapes, VAE_PREFIX), r"encoder\.down\.(\d+)\.")
    return int(2 ** max(0, levels - 1))


def text_config(shapes: Shapes) -> dict[str, Any]:
    """The transformers configuration of the CLIP text encoder in a checkpoint.

    Raises:
        KeyError: A tensor that every CLIP text encoder has is missing.
    """
    text = {_text_name(name): shape for name, shape in _part(shapes, TEXT_PREFIX).items()}
    vocabulary, width = text["embeddings.token_embedding.weight"]
    return {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "intermediate_size": text["encoder.layers.0.mlp.fc1.weight"][0],
        "num_hidden_layers": _count(text, r"encoder\.layers\.(\d+)\."),
        "num_attention_heads": max(1, width // TEXT_HEAD_WIDTH),
        "max_position_embeddings": text["embeddings.position_embedding.weight"][0],
        "hidden_act": "quick_gelu",
        # As CLIP's own vocabulary ends: ..., bos, eos.
        "bos_token_id": vocabulary - 2,
        "eos_token_id": vocabulary - 1,
        "pad_token_id": vocabulary - 1,
    }


def convert_unet(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The UNet's weights under diffusers' names.

    Args:
        tensors: The checkpoint's tensors whose names start with `UNET_PREFIX`.
        config: Of `unet_config`.
    """
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    converted: dict[str, Tensor] = convert_ldm_unet_checkpoint(dict(tensors), config)
    return converted


def convert_vae(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The autoencoder's weights under diffusers' names.

    Args:
        tensors: The checkpoint's tensors whose names start with `VAE_PREFIX`.
        config: Of `vae_config`.
    """
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    converted: dict[str, Tensor] = convert_ldm_vae_checkpoint(dict(tensors), config)
    return converted


def convert_text(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The text encoder's weights under transformers' names.

    Args:
        tensors: The checkpoint's tensors whose names start with `TEXT_PREFIX`.
    """
    names = {name: _text_name(name.removeprefix(TEXT_PREFIX)) for name in tensors}
    # The position ids are 0, 1, 2, …: the module makes them itself.
    return {
        names[name]: tensor
        for name, tensor in tensors.items()
        if not names[name].endswith("position_ids")
    }


def pickle_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a pickle checkpoint, without reading their bytes."""
    return {name: tuple(tensor.shape) for name, tensor in _unpickle(path, "meta").items()}


def pickle_tensors(path: Path, prefix: str) -> dict[str, Tensor]:
    """The tensors of a pickle checkpoint whose names start with `prefix`."""
    tensors = _unpickle(path, "cpu")
    return {name: tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _unpickle(path: Path, device: str) -> dict[str, Tensor]:
    """Open a pickle checkpoint that the user allows, without running code in it.

    Raises:
        InvalidFile: It is damaged or holds more than tensors.
    """
    import pickle

    import torch

    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise InvalidFile(
            f"{path} can't be opened: it is damaged or holds objects besides tensors.",
            hint="Convert it to safetensors.",
        ) from error
    content = content.get("state_dict", content) if isinstance(content, dict) else {}
    return {name: value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _text_name(name: str) -> str:
    """A text encoder's tensor name without the level that older versions of transformers had."""
    return name.removeprefix("text_model.")


def _part(shapes: Shapes, prefix: str) -> dict[str, tuple[int, ...]]:
    return {
        name.removeprefix(prefix): shape
        for name, shape in shapes.items()
        if name.startswith(prefix)
    }


def _count(names: Shapes, pattern: str) -> int:
    """How many different numbers the pattern's group takes in the names."""
    found = (re.match(pattern, name) for name in names)
    return len({match[1] for match in found if match})
