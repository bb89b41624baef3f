"""Stable Diffusion and SDXL in one file: the layout of the original (LDM) training code.

A single file carries weights but no configuration. Everything that shows in the tensors' shapes
is read from them; what doesn't show, families say, or it stands here.

Checked against stable-diffusion-v1-5's config.json files and the original
``v1-inference.yaml`` (https://github.com/CompVis/stable-diffusion).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import FileLayout, count_of

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "model.diffusion_model."
_FIRST, _LAST = "input_blocks.0.0.weight", "out.2.weight"
TOLD = "label_emb.0.0.weight"
"""Tensor of a UNet that is told sizes and the pooled prompt beside the prompt."""
HEAD_WIDTH = 64
"""Of attention heads where a family has no number of them."""
NORM_GROUPS = 32
"""Of every group norm in UNet and VAE."""
TIME_EMBED_WIDTH = 256
"""Of each size that SDXL's UNet is told."""

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


def scheduler_config(
    metadata: Mapping[str, str], names: Collection[str] = (), *, says_prediction: bool = True
) -> dict[str, Any]:
    """The noise schedule: SD 1.x's own, with the prediction type that the file declares.

    Where neither the file nor its family says what the model predicts, nor does what is returned.

    Args:
        metadata: Of the safetensors file; ``modelspec.prediction_type`` may say ``v``.
        names: Of the tensors in it: one called ``v_pred`` marks a model that predicts v, one
            called ``ztsnr`` beside it that it was trained with zero terminal SNR.
        says_prediction: See `SingleFile`.
    Source: https://github.com/Stability-AI/ModelSpec; the two tensors are what trainers write
        and ComfyUI (``comfy/supported_models.py``) heeds.
    """
    declared = metadata.get("modelspec.prediction_type", "").lower()
    if not (says_prediction or declared or "v_pred" in names):
        return {**SCHEDULER_CONFIG, "prediction_type": None}
    is_v = declared.startswith("v") or "v_pred" in names
    config = {**SCHEDULER_CONFIG, "prediction_type": "v_prediction" if is_v else "epsilon"}
    return {**config, **ZERO_TERMINAL_SNR} if is_v and "ztsnr" in names else config


def unet_layout(
    name: str,
    title: str,
    *,
    size: int,
    heads: int | None = None,
    matches: Callable[[Shapes], bool] = lambda unet: True,
) -> FileLayout:
    """How the original training code lays a UNet.

    Args:
        size: Cells per side of the latents that it was trained on.
        heads: Attention heads of its blocks; None for heads that are 64 wide.
        matches: What tells it from other UNets.
    """
    return FileLayout(
        name,
        title,
        "UNet2DConditionModel",
        lambda unet: _is_latents(unet) and matches(unet),
        partial(unet_config, size=size, heads=heads),
        convert_unet,
        (PREFIX, ""),
    )


def _is_latents(unet: Shapes) -> bool:
    """Whether a UNet takes a latent, alone or beside a masked picture and its mask."""
    taken, given = unet.get(_FIRST, ()), unet.get(_LAST, ())
    return len(taken) == 4 and len(given) == 4 and taken[1] in (given[0], 2 * given[0] + 1)


def unet_config(unet: Shapes, size: int, heads: int | None = None) -> dict[str, Any]:
    """The diffusers configuration of a UNet; arguments as of `unet_layout`.

    Raises:
        KeyError: A tensor that every such UNet has is missing.
    """
    channels, depths, layers = _levels(unet)
    contexts = [shape[1] for name, shape in unet.items() if name.endswith("attn2.to_k.weight")]
    if not contexts:
        raise KeyError("attn2.to_k.weight")
    linear = any(len(shape) == 2 for name, shape in unet.items() if name.endswith("proj_in.weight"))
    return {
        "in_channels": unet[_FIRST][1],
        "out_channels": unet[_LAST][0],
        "block_out_channels": tuple(channels),
        "layers_per_block": layers,
        "down_block_types": tuple(
            "CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths
        ),
        "up_block_types": tuple(
            "CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(depths)
        ),
        "transformer_layers_per_block": tuple(max(1, depth) for depth in depths),
        "cross_attention_dim": contexts[0],
        # diffusers calls the number of heads so, for the sake of old files.
        "attention_head_dim": heads or tuple(width // HEAD_WIDTH for width in channels),
        "use_linear_projection": linear,
        "norm_num_groups": NORM_GROUPS,
        "sample_size": size,
        **_told(unet),
    }


def _told(unet: Shapes) -> dict[str, Any]:
    """What a UNet is told beside the prompt: sizes and the pooled prompt, where it is."""
    given = unet.get(TOLD)
    if given is None:
        return {}
    return {
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": TIME_EMBED_WIDTH,
        "projection_class_embeddings_input_dim": given[1],
    }


def _levels(unet: Shapes) -> tuple[list[int], list[int], int]:
    """Channels of each resolution of a UNet and transformer blocks in a layer there, and residual
    blocks per level."""
    channels: list[int] = []
    depths: list[int] = []
    layers = blocks = 0
    for index in range(1, count_of(unet, r"input_blocks\.(\d+)\.")):
        block = f"input_blocks.{index}."
        if f"{block}0.op.weight" in unet:
            blocks = 0
            continue
        if blocks == 0:
            channels.append(unet[f"{block}0.in_layers.2.weight"][0])
            depths.append(count_of(unet, rf"{re.escape(block)}1\.transformer_blocks\.(\d+)\."))
        blocks += 1
        layers = max(layers, blocks)
    return channels, depths, layers


def convert_unet(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The UNet's weights under diffusers' names.

    Args:
        config: Of `unet_config`.
    """
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    whole = {f"{PREFIX}{name}": item for name, item in tensors.items()}
    converted: dict[str, Tensor] = convert_ldm_unet_checkpoint(whole, config)
    return converted
