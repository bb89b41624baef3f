"""Tiny random parts of Qwen-Image and its editing models."""

from __future__ import annotations

from typing import Any

import diffusers as d

from .parts import dynamic_flow


def qwen_vae(**more: Any) -> Any:
    return d.AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=16,
        dim_mult=[1, 2, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        **more,
    )


def qwen_net(head: int = 16, axes_dims_rope: tuple[int, int, int] = (4, 6, 6), **more: Any) -> Any:
    return d.QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=64,
        out_channels=16,
        num_layers=2,
        attention_head_dim=head,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=axes_dims_rope,
        **more,
    )


def qwen_flow() -> Any:
    return dynamic_flow(shift=1.0, max_shift=0.9, max_image_seq_len=8192, shift_terminal=0.02)
