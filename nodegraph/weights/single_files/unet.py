"""Stable Diffusion and SDXL in one file: the layout of the original (LDM) training code.

A single file carries weights but no configuration. Everything that shows in the tensors' shapes
is read from them; what doesn't show, families say, or it stands here.

Checked against stable-diffusion-v1-5's config.json files and the original
``v1-inference.yaml`` (https://github.com/CompVis/stable-diffusion).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, Tensors, count_of

if TYPE_CHECKING:
    from torch import Tensor

PREFIX = "model.diffusion_model."
_FIRST = ("input_blocks.0.0.weight", "conv_in.weight")
_LAST = ("out.2.weight", "conv_out.weight")
_TIMED = ("time_embed.0.weight", "time_embedding.linear_1.weight")
_ADDED_EMBEDDINGS = ("label_emb.0.0.weight", "add_embedding.linear_1.weight")
"""Tensors that tell a UNet, by their original names and those of diffusers."""
_GUIDED = "time_embedding.cond_proj.weight"
"""Of one that was distilled from guidance."""
_TEXT_PROJECTION = "encoder_hid_proj.weight"
"""Of one that brings embeddings of prompts to the width of its attention."""
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


DECLARED_PREDICTION = "modelspec.prediction_type"
"""Key of a file's metadata that says what its model predicts."""
V_MARK = "v_pred"
"""Name of a tensor that marks a file whose model predicts v."""


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
    declared = metadata.get(DECLARED_PREDICTION, "").lower()
    if not (says_prediction or declared or V_MARK in names):
        return {**SCHEDULER_CONFIG, "prediction_type": None}
    is_v = declared.startswith("v") or V_MARK in names
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
    """How the original training code lays a UNet, or how diffusers does.

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
        marks=tuple((name,) for name in _TIMED),
    )


def has_added_conditions(unet: Shapes) -> bool:
    """Whether a UNet is told sizes and the pooled prompt beside the prompt."""
    return any(name in unet for name in _ADDED_EMBEDDINGS)


def projects_text(unet: Shapes) -> bool:
    """Whether a UNet projects the embeddings of its prompts, as that of Kolors."""
    return _TEXT_PROJECTION in unet


def added_condition_width(unet: Shapes) -> int:
    """How many numbers that are."""
    return _of(unet, _ADDED_EMBEDDINGS)[1]


def _of(unet: Shapes, names: tuple[str, str]) -> tuple[int, ...]:
    """The shape of a tensor by its original name or that of diffusers; of no number without."""
    return next((unet[name] for name in names if name in unet), ())


def _is_latents(unet: Shapes) -> bool:
    """Whether a UNet takes a latent, alone, beside an image to follow, or beside a masked image
    and its mask."""
    taken, last = _of(unet, _FIRST), _of(unet, _LAST)
    if not _of(unet, _TIMED):
        return False
    if not len(taken) == len(last) == 4:
        return False
    return taken[1] in (last[0], 2 * last[0], 2 * last[0] + 1)


def unet_config(unet: Shapes, size: int, heads: int | None = None) -> dict[str, Any]:
    """The diffusers configuration of a UNet; arguments as of `unet_layout`.

    Raises:
        KeyError: A tensor that every such UNet has is missing.
    """
    channels, depths, layers = levels(unet)
    contexts = [shape[1] for name, shape in unet.items() if name.endswith("attn2.to_k.weight")]
    if not contexts:
        raise KeyError("attn2.to_k.weight")
    linear = any(len(shape) == 2 for name, shape in unet.items() if name.endswith("proj_in.weight"))
    return {
        "in_channels": _of(unet, _FIRST)[1],
        "out_channels": _of(unet, _LAST)[0],
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
        **added_embedding_config(unet),
    }


def added_embedding_config(unet: Shapes) -> dict[str, Any]:
    """What a UNet is told beside the prompt: sizes and the pooled prompt, where it is."""
    config: dict[str, Any] = {}
    if has_added_conditions(unet):
        config = {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": TIME_EMBED_WIDTH,
            "projection_class_embeddings_input_dim": added_condition_width(unet),
        }
    if _GUIDED in unet:
        config["time_cond_proj_dim"] = unet[_GUIDED][1]
    if _TEXT_PROJECTION in unet:
        config["encoder_hid_dim"] = unet[_TEXT_PROJECTION][1]
        config["encoder_hid_dim_type"] = "text_proj"
    return config


def levels(unet: Shapes) -> tuple[list[int], list[int], int]:
    """Channels of each resolution on the way down, transformer blocks in a layer there, and
    residual blocks per level; of tensors by their original names or those of diffusers."""
    return _levels(unet) if _FIRST[0] in unet else _levels_here(unet)


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


def _levels_here(unet: Shapes) -> tuple[list[int], list[int], int]:
    """As `_levels`, by the names of diffusers."""
    blocks = [f"down_blocks.{at}" for at in range(count_of(unet, r"down_blocks\.(\d+)\."))]
    channels = [unet[f"{block}.resnets.0.conv1.weight"][0] for block in blocks]
    depths = [
        count_of(unet, rf"{re.escape(block)}\.attentions\.0\.transformer_blocks\.(\d+)\.")
        for block in blocks
    ]
    return channels, depths, count_of(unet, r"down_blocks\.0\.resnets\.(\d+)\.")


def convert_unet(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The UNet's weights under diffusers' names; what isn't known keeps its own.

    Args:
        config: Of `unet_config`.
    """
    if _FIRST[0] not in tensors:
        return dict(tensors)
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    whole = {f"{PREFIX}{name}": item for name, item in tensors.items()}
    converted: dict[str, Tensor] = convert_ldm_unet_checkpoint(whole, config)
    known = {id(item) for item in converted.values()}
    return converted | {name: item for name, item in tensors.items() if id(item) not in known}


_ORIGINAL = {
    "conv_in": "input_blocks.0.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
}
_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}


def unet_blocks(config: Mapping[str, Any]) -> dict[str, str]:
    """Layers of a UNet by their names in diffusers, with their original names.

    Args:
        config: Its diffusers configuration.
    Returns:
        Beginnings of names, such as ``down_blocks.0.resnets.1``: ``input_blocks.2.0``.
    """
    return dict(_unet_blocks(config))


def _unet_blocks(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield from _ORIGINAL.items()
    down, up = config["down_block_types"], config["up_block_types"]
    layers, block = int(config["layers_per_block"]), 1
    for level in range(len(down)):
        for layer in range(layers):
            yield f"down_blocks.{level}.resnets.{layer}", f"input_blocks.{block}.0"
            yield f"down_blocks.{level}.attentions.{layer}", f"input_blocks.{block}.1"
            block += 1
        if level < len(down) - 1:
            yield f"down_blocks.{level}.downsamplers.0.conv", f"input_blocks.{block}.0.op"
            block += 1
    block = 0
    for level, kind in enumerate(up):
        for layer in range(layers + 1):
            yield f"up_blocks.{level}.resnets.{layer}", f"output_blocks.{block}.0"
            yield f"up_blocks.{level}.attentions.{layer}", f"output_blocks.{block}.1"
            block += 1
        # It stands behind the residual layer, and behind the attention if there is one.
        last = 2 if "Attn" in kind else 1
        yield f"up_blocks.{level}.upsamplers.0.conv", f"output_blocks.{block - 1}.{last}.conv"


def unet_to_original(tensors: Tensors, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a UNet under their original names.

    Args:
        config: Its diffusers configuration.
    Raises:
        KeyError: The original code has no such layer.
    """
    blocks = unet_blocks(config)
    return {_unet_name(name, blocks): tensor for name, tensor in tensors.items()}


def _unet_name(name: str, blocks: Mapping[str, str]) -> str:
    own = max((block for block in blocks if name.startswith(f"{block}.")), key=len, default="")
    if not own:
        raise KeyError(name)
    remaining = name.removeprefix(f"{own}.")
    if ".resnets." in f".{own}.":
        part, _, end = remaining.rpartition(".")
        remaining = f"{_RESNET[part]}.{end}"
    return f"{blocks[own]}.{remaining}"
