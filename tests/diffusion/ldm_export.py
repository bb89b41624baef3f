"""Diffusers modules to the layout of single-file checkpoints: the converter's inverse.

Written from the original code (https://github.com/CompVis/stable-diffusion,
``ldm/modules/diffusionmodules``), independently of the converter under test.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel

Names = dict[str, str]

_UNET_RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
_VAE_ATTENTION = {
    "group_norm": "norm",
    "to_q": "q",
    "to_k": "k",
    "to_v": "v",
    "to_out.0": "proj_out",
}


def ldm_checkpoint(
    unet: UNet2DConditionModel, vae: AutoencoderKL, text_model: CLIPTextModel
) -> dict[str, Tensor]:
    """Everything that a single file of SD 1.x holds."""
    tensors = pictures(unet, vae) | clip(text_model, "cond_stage_model.transformer.")
    positions = torch.arange(text_model.config.max_position_embeddings)[None]
    tensors["cond_stage_model.transformer.text_model.embeddings.position_ids"] = positions
    tensors["alphas_cumprod"] = torch.zeros(1000)
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}


def pictures(unet: UNet2DConditionModel, vae: AutoencoderKL) -> dict[str, Tensor]:
    """UNet and autoencoder."""
    names = dict(_unet_names(unet))
    tensors = {
        f"model.diffusion_model.{_renamed(name, names)}": tensor
        for name, tensor in unet.state_dict().items()
    }
    return tensors | {f"first_stage_model.{name}": item for name, item in _vae_tensors(vae).items()}


def clip(model: nn.Module, prefix: str) -> dict[str, Tensor]:
    """A CLIP encoder as transformers named it once."""
    return {
        f"{prefix}text_model.{name.removeprefix('text_model.')}": tensor
        for name, tensor in model.state_dict().items()
    }


def open_clip(model: nn.Module, prefix: str, *, more_layers: int = 0) -> dict[str, Tensor]:
    """A CLIP encoder as OpenCLIP names it: https://github.com/mlfoundations/open_clip.

    Args:
        more_layers: Copies of the last layer after it, which Stable Diffusion 2.x leaves out.
    """
    given = {name.removeprefix("text_model."): item for name, item in model.state_dict().items()}
    layers = model.config.num_hidden_layers
    tensors = {}
    for name, tensor in given.items():
        new = name
        for old, short in _OPEN_CLIP.items():
            new = new.replace(old, short)
        if ".self_attn." in name and ".out_proj." not in name:
            continue
        tensors[new] = tensor.T if name == "text_projection.weight" else tensor
    for layer in range(layers):
        for end in ("weight", "bias"):
            parts = [given[f"encoder.layers.{layer}.self_attn.{part}_proj.{end}"] for part in "qkv"]
            tensors[f"transformer.resblocks.{layer}.attn.in_proj_{end}"] = torch.cat(parts)
    for more in range(more_layers):
        old, new = (f"transformer.resblocks.{number}." for number in (layers - 1, layers + more))
        copied = {name.replace(old, new): item for name, item in tensors.items() if old in name}
        tensors |= {name: item + 1 for name, item in copied.items()}
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


_OPEN_CLIP = {
    "encoder.layers.": "transformer.resblocks.",
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "final_layer_norm": "ln_final",
    "embeddings.token_embedding": "token_embedding",
    "embeddings.position_embedding.weight": "positional_embedding",
    "text_projection.weight": "text_projection",
}


def _unet_names(unet: UNet2DConditionModel) -> Iterator[tuple[str, str]]:
    """Beginnings of names, diffusers to LDM."""
    yield from {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "add_embedding.linear_1": "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
    }.items()
    block = 1
    for level, down in enumerate(unet.down_blocks):
        for layer in range(len(down.resnets)):
            yield f"down_blocks.{level}.resnets.{layer}", f"input_blocks.{block}.0"
            yield f"down_blocks.{level}.attentions.{layer}", f"input_blocks.{block}.1"
            block += 1
        if down.downsamplers:
            yield f"down_blocks.{level}.downsamplers.0.conv", f"input_blocks.{block}.0.op"
            block += 1
    block = 0
    for level, up in enumerate(unet.up_blocks):
        for layer in range(len(up.resnets)):
            yield f"up_blocks.{level}.resnets.{layer}", f"output_blocks.{block}.0"
            yield f"up_blocks.{level}.attentions.{layer}", f"output_blocks.{block}.1"
            block += 1
        place = 2 if hasattr(up, "attentions") else 1
        yield f"up_blocks.{level}.upsamplers.0.conv", f"output_blocks.{block - 1}.{place}.conv"


def _renamed(name: str, beginnings: Names) -> str:
    old = max((old for old in beginnings if name.startswith(f"{old}.")), key=len)
    rest = name.removeprefix(f"{old}.")
    if ".resnets." in f".{old}":
        part, _, last = rest.rpartition(".")
        rest = f"{_UNET_RESNET[part]}.{last}"
    return f"{beginnings[old]}.{rest}"


def _vae_tensors(vae: AutoencoderKL) -> dict[str, Tensor]:
    levels = len(vae.config.block_out_channels)
    tensors = {}
    for name, tensor in vae.state_dict().items():
        new = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        for level in range(levels):
            new = new.replace(f"down_blocks.{level}.", f"down.{level}.")
            new = new.replace(f"up_blocks.{level}.", f"up.{levels - 1 - level}.")
        new = new.replace("mid_block.attentions.0", "mid.attn_1")
        for index in range(2):
            new = new.replace(f"mid_block.resnets.{index}", f"mid.block_{index + 1}")
        new = new.replace(".resnets.", ".block.")
        for side in ("down", "up"):
            new = new.replace(f"{side}samplers.0.conv", f"{side}sample.conv")
        if ".attn_1." in new:
            for old, short in _VAE_ATTENTION.items():
                new = new.replace(f"attn_1.{old}.", f"attn_1.{short}.")
            # The original attends with 1 x 1 convolutions.
            tensor = tensor[:, :, None, None] if tensor.ndim == 2 else tensor
        tensors[new] = tensor
    return tensors
