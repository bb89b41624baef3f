"""ControlNets of Stable Diffusion 3, Flux.1 and Qwen-Image in one file, as diffusers names them.

Imports no torch.
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING, Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config, FileLayout, Tensors, count_of

if TYPE_CHECKING:
    from torch import Tensor

_TRANSFORMER_PREFIXES = ("controlnet.", "")
_BLOCKS, _OUT = r"transformer_blocks\.(\d+)\.", "controlnet_blocks.0.weight"
_AXES = (16, 56, 56)
"""Of a head's width, for each axis that places have."""
_SD3_HEAD = 64
_SD3_CHANNELS = 16


def _as_it_is(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    return dict(tensors)


def _layout(name: str, title: str, class_name: str, marks: tuple[str, ...], config: Any) -> Any:
    return FileLayout(
        f"{name}-controlnet",
        f"a ControlNet for {title}",
        class_name,
        lambda net: all(mark in net for mark in (_OUT, *marks)),
        config,
        _as_it_is,
        _TRANSFORMER_PREFIXES,
    )


def _sd3_config(net: Shapes) -> dict[str, Any]:
    inner, taken, patch, _ = net["pos_embed_input.proj.weight"]
    reads = "context_embedder.weight" in net
    count = count_of(net, _BLOCKS)
    dual = tuple(at for at in range(count) if f"transformer_blocks.{at}.attn2.to_q.weight" in net)
    table = net.get("pos_embed.pos_embed")
    return {
        "patch_size": patch,
        "in_channels": _SD3_CHANNELS,
        "num_layers": count,
        "attention_head_dim": _SD3_HEAD,
        "num_attention_heads": inner // _SD3_HEAD,
        "joint_attention_dim": net["context_embedder.weight"][1] if reads else None,
        "caption_projection_dim": inner,
        "pooled_projection_dim": net["time_text_embed.text_embedder.linear_1.weight"][1],
        "out_channels": _SD3_CHANNELS,
        "pos_embed_max_size": isqrt(table[1]) if table else None,
        "pos_embed_type": "sincos" if table else None,
        "extra_conditioning_channels": taken - _SD3_CHANNELS,
        "dual_attention_layers": dual,
        "qk_norm": ("rms_norm" if "transformer_blocks.0.attn.norm_q.weight" in net else None),
        "use_pos_embed": "pos_embed.proj.weight" in net,
        # Of those that read no prompt Stability trained all, and with the pooled prompt.
        "force_zeros_for_pooled_projection": reads,
    }


def _flux_config(net: Shapes) -> dict[str, Any]:
    width, taken = net["x_embedder.weight"]
    (head,) = net["transformer_blocks.0.attn.norm_q.weight"]
    modes = net.get("controlnet_mode_embedder.weight")
    eyes = net.get("input_hint_block.conv_out.weight")
    return {
        "patch_size": 2 if eyes else 1,
        "in_channels": taken,
        "num_layers": count_of(net, _BLOCKS),
        "num_single_layers": count_of(net, r"single_transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": net["context_embedder.weight"][1],
        "pooled_projection_dim": net["time_text_embed.text_embedder.linear_1.weight"][1],
        "guidance_embeds": "time_text_embed.guidance_embedder.linear_1.weight" in net,
        "axes_dims_rope": _AXES,
        "num_mode": modes[0] if modes else None,
        "conditioning_embedding_channels": eyes[0] if eyes else None,
    }


def _qwen_config(net: Shapes) -> dict[str, Any]:
    width, taken = net["img_in.weight"]
    (head,) = net["transformer_blocks.0.attn.norm_q.weight"]
    return {
        "patch_size": 2,
        "in_channels": taken,
        "out_channels": taken // 4,
        "num_layers": count_of(net, _BLOCKS),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": net["txt_in.weight"][1],
        "axes_dims_rope": _AXES,
        "extra_condition_channels": net["controlnet_x_embedder.weight"][1] - taken,
    }


SD3_CONTROLNET: FileLayout = _layout(
    "sd3",
    "Stable Diffusion 3",
    "SD3ControlNetModel",
    ("pos_embed_input.proj.weight", "time_text_embed.text_embedder.linear_1.weight"),
    _sd3_config,
)
FLUX_CONTROLNET: FileLayout = _layout(
    "flux",
    "Flux.1",
    "FluxControlNetModel",
    ("controlnet_x_embedder.weight", "x_embedder.weight", "context_embedder.weight"),
    _flux_config,
)
QWEN_CONTROLNET: FileLayout = _layout(
    "qwen-image",
    "Qwen-Image",
    "QwenImageControlNetModel",
    ("controlnet_x_embedder.weight", "img_in.weight", "txt_in.weight"),
    _qwen_config,
)
