"""LTX-Video's transformer in a file of its own, or with its VAE. Imports no torch.

Source of what no tensor shows: ``transformer/config.json`` and ``scheduler_config.json`` of
https://huggingface.co/Lightricks/LTX-Video
"""

from __future__ import annotations

from typing import Any

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import count_of
from nodegraph.diffusion.single_files.denoisers import DYNAMIC_FLOW, denoiser_layout

_HEADS = 32
"""Of 2B and of 13B, whose heads are twice as wide."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["proj_in.weight"]
    return {
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0],
        "patch_size": 1,
        "patch_size_t": 1,
        "num_attention_heads": _HEADS,
        "attention_head_dim": width // _HEADS,
        "cross_attention_dim": shapes["transformer_blocks.0.attn2.to_k.weight"][1],
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "activation_fn": "gelu-approximate",
        "qk_norm": "rms_norm_across_heads",
        "norm_elementwise_affine": False,
        "norm_eps": 1e-6,
        "caption_channels": shapes["caption_projection.linear_1.weight"][1],
        "attention_bias": "transformer_blocks.0.attn1.to_q.bias" in shapes,
        "attention_out_bias": "transformer_blocks.0.attn1.to_out.0.bias" in shapes,
    }


LTX_FILE = denoiser_layout(
    "ltx-transformer",
    "the transformer of LTX-Video",
    "LTXVideoTransformer3DModel",
    marks=(
        ("patchify_proj.weight", "adaln_single.linear.weight", "scale_shift_table"),
        ("proj_in.weight", "time_embed.linear.weight", "scale_shift_table"),
    ),
    config=_config,
    scheduler={
        **DYNAMIC_FLOW,
        "base_image_seq_len": 1024,
        "base_shift": 0.95,
        "max_shift": 2.05,
        "shift": 1.0,
        "shift_terminal": 0.1,
    },
    # LTX-2, which makes sound, too.
    without=("audio_",),
)
