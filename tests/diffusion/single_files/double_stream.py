"""Transformers of diffusers under the names of who made the models: what circulates as files.

Written from the original code, independently of the tables that nodegraph reads such files by:
https://github.com/black-forest-labs/flux (``model.py``), https://github.com/Stability-AI/sd3.5
(``mmditx.py``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor

Tensors: TypeAlias = "Mapping[str, Tensor]"
Pairs = tuple[tuple[str, str], ...]

_FLUX: Pairs = (
    ("single_transformer_blocks.*.attn.norm_q", "single_blocks.*.norm.query_norm"),
    ("single_transformer_blocks.*.attn.norm_k", "single_blocks.*.norm.key_norm"),
    ("single_transformer_blocks.*.norm.linear", "single_blocks.*.modulation.lin"),
    ("single_transformer_blocks.*.proj_out", "single_blocks.*.linear2"),
    ("transformer_blocks.*.norm1_context.linear", "double_blocks.*.txt_mod.lin"),
    ("transformer_blocks.*.norm1.linear", "double_blocks.*.img_mod.lin"),
    ("transformer_blocks.*.attn.norm_added_q", "double_blocks.*.txt_attn.norm.query_norm"),
    ("transformer_blocks.*.attn.norm_added_k", "double_blocks.*.txt_attn.norm.key_norm"),
    ("transformer_blocks.*.attn.norm_q", "double_blocks.*.img_attn.norm.query_norm"),
    ("transformer_blocks.*.attn.norm_k", "double_blocks.*.img_attn.norm.key_norm"),
    ("transformer_blocks.*.attn.to_out.0", "double_blocks.*.img_attn.proj"),
    ("transformer_blocks.*.attn.to_add_out", "double_blocks.*.txt_attn.proj"),
    ("transformer_blocks.*.ff_context.net.0.proj", "double_blocks.*.txt_mlp.0"),
    ("transformer_blocks.*.ff_context.net.2", "double_blocks.*.txt_mlp.2"),
    ("transformer_blocks.*.ff.net.0.proj", "double_blocks.*.img_mlp.0"),
    ("transformer_blocks.*.ff.net.2", "double_blocks.*.img_mlp.2"),
    ("context_embedder", "txt_in"),
    ("x_embedder", "img_in"),
    ("time_text_embed.timestep_embedder.linear_1", "time_in.in_layer"),
    ("time_text_embed.timestep_embedder.linear_2", "time_in.out_layer"),
    ("time_text_embed.guidance_embedder.linear_1", "guidance_in.in_layer"),
    ("time_text_embed.guidance_embedder.linear_2", "guidance_in.out_layer"),
    ("time_text_embed.text_embedder.linear_1", "vector_in.in_layer"),
    ("time_text_embed.text_embedder.linear_2", "vector_in.out_layer"),
    ("distilled_guidance_layer.layers.*.linear_1", "distilled_guidance_layer.layers.*.in_layer"),
    ("distilled_guidance_layer.layers.*.linear_2", "distilled_guidance_layer.layers.*.out_layer"),
    ("distilled_guidance_layer.norms.*", "distilled_guidance_layer.norms.*"),
    ("norm_out.linear", "final_layer.adaLN_modulation.1"),
    ("proj_out", "final_layer.linear"),
)

_SD3: Pairs = (
    (
        "transformer_blocks.*.norm1_context.linear",
        "joint_blocks.*.context_block.adaLN_modulation.1",
    ),
    ("transformer_blocks.*.norm1.linear", "joint_blocks.*.x_block.adaLN_modulation.1"),
    ("transformer_blocks.*.attn.norm_added_q", "joint_blocks.*.context_block.attn.ln_q"),
    ("transformer_blocks.*.attn.norm_added_k", "joint_blocks.*.context_block.attn.ln_k"),
    ("transformer_blocks.*.attn.norm_q", "joint_blocks.*.x_block.attn.ln_q"),
    ("transformer_blocks.*.attn2.norm_q", "joint_blocks.*.x_block.attn2.ln_q"),
    ("transformer_blocks.*.attn.norm_k", "joint_blocks.*.x_block.attn.ln_k"),
    ("transformer_blocks.*.attn2.norm_k", "joint_blocks.*.x_block.attn2.ln_k"),
    ("transformer_blocks.*.attn.to_add_out", "joint_blocks.*.context_block.attn.proj"),
    ("transformer_blocks.*.attn.to_out.0", "joint_blocks.*.x_block.attn.proj"),
    ("transformer_blocks.*.attn2.to_out.0", "joint_blocks.*.x_block.attn2.proj"),
    ("transformer_blocks.*.ff_context.net.0.proj", "joint_blocks.*.context_block.mlp.fc1"),
    ("transformer_blocks.*.ff_context.net.2", "joint_blocks.*.context_block.mlp.fc2"),
    ("transformer_blocks.*.ff.net.0.proj", "joint_blocks.*.x_block.mlp.fc1"),
    ("transformer_blocks.*.ff.net.2", "joint_blocks.*.x_block.mlp.fc2"),
    ("time_text_embed.timestep_embedder.linear_1", "t_embedder.mlp.0"),
    ("time_text_embed.timestep_embedder.linear_2", "t_embedder.mlp.2"),
    ("time_text_embed.text_embedder.linear_1", "y_embedder.mlp.0"),
    ("time_text_embed.text_embedder.linear_2", "y_embedder.mlp.2"),
    ("pos_embed.proj", "x_embedder.proj"),
    ("norm_out.linear", "final_layer.adaLN_modulation.1"),
    ("proj_out", "final_layer.linear"),
)

_QKV = ("to_q", "to_k", "to_v")
_ADDED = ("add_q_proj", "add_k_proj", "add_v_proj")


def flux(tensors: Tensors) -> dict[str, Tensor]:
    """Flux.1's, or Chroma's."""
    found = dict(tensors)
    for block in _blocks(found, "transformer_blocks"):
        attention = f"transformer_blocks.{block}.attn"
        _join(found, attention, _QKV, f"double_blocks.{block}.img_attn.qkv")
        _join(found, attention, _ADDED, f"double_blocks.{block}.txt_attn.qkv")
    for block in _blocks(found, "single_transformer_blocks"):
        parts = (*(f"attn.{name}" for name in _QKV), "proj_mlp")
        stem = f"single_transformer_blocks.{block}"
        _join(found, stem, parts, f"single_blocks.{block}.linear1")
    _swap(found, "norm_out.linear")
    return _renamed(found, _FLUX)


def sd3(tensors: Tensors) -> dict[str, Tensor]:
    """Stable Diffusion 3's."""
    found = dict(tensors)
    blocks = _blocks(found, "transformer_blocks")
    for block in blocks:
        stem = f"transformer_blocks.{block}"
        _join(found, f"{stem}.attn", _QKV, f"joint_blocks.{block}.x_block.attn.qkv")
        _join(found, f"{stem}.attn", _ADDED, f"joint_blocks.{block}.context_block.attn.qkv")
        _join(found, f"{stem}.attn2", _QKV, f"joint_blocks.{block}.x_block.attn2.qkv")
    _swap(found, "norm_out.linear")
    _swap(found, f"transformer_blocks.{blocks[-1]}.norm1_context.linear")
    found["pos_embed"] = found.pop("pos_embed.pos_embed")
    return _renamed(found, _SD3)


def _blocks(tensors: Tensors, stem: str) -> list[int]:
    found = (re.match(rf"{stem}\.(\d+)\.", name) for name in tensors)
    return sorted({int(match[1]) for match in found if match})


def _join(tensors: dict[str, Tensor], stem: str, parts: tuple[str, ...], into: str) -> None:
    for end in ("weight", "bias"):
        names = [f"{stem}.{part}.{end}" for part in parts]
        if names[0] in tensors:
            tensors[f"{into}.{end}"] = torch.cat([tensors.pop(name) for name in names])


def _swap(tensors: dict[str, Tensor], layer: str) -> None:
    """Scale and shift the other way round."""
    for end in ("weight", "bias"):
        name = f"{layer}.{end}"
        if name in tensors:
            tensors[name] = torch.cat(tensors[name].chunk(2)[::-1])


def _renamed(tensors: Tensors, pairs: Pairs) -> dict[str, Tensor]:
    """Layers by their other names; ``*`` is a number."""
    found = {}
    for name, tensor in tensors.items():
        stem, _, end = name.rpartition(".")
        for here, other in pairs:
            match = re.fullmatch(re.escape(here).replace(r"\*", r"(\d+)"), stem)
            if match:
                stem = other.replace("*", *match.groups()) if match.groups() else other
                break
        is_norm = stem.endswith(("query_norm", "key_norm")) or ".norms." in stem
        new = f"{stem}.{'scale' if is_norm else end}" if stem else end
        found[new] = tensor.detach().clone().contiguous()
    return found
