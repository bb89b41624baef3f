"""Lumina 2's transformer in a file of its own. Imports no torch.

Source of what no tensor shows: ``transformer/config.json`` and ``scheduler_config.json`` of
https://huggingface.co/Alpha-VLLM/Lumina-Image-2.0
"""

from __future__ import annotations

from typing import Any

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import count_of
from nodegraph.diffusion.single_files.denoisers import EULER_FLOW, denoiser_layout

_PATCH = 2


def _config(shapes: Shapes) -> dict[str, Any]:
    width, patch = shapes["x_embedder.weight"]
    (head,) = shapes["layers.0.attn.norm_q.weight"]
    return {
        "sample_size": 128,
        "patch_size": _PATCH,
        "in_channels": patch // _PATCH**2,
        "out_channels": shapes["norm_out.linear_2.weight"][0] // _PATCH**2,
        "hidden_size": width,
        "num_layers": count_of(shapes, r"layers\.(\d+)\."),
        "num_refiner_layers": count_of(shapes, r"noise_refiner\.(\d+)\."),
        "num_attention_heads": width // head,
        "num_kv_heads": shapes["layers.0.attn.to_k.weight"][0] // head,
        "multiple_of": 256,
        "ffn_dim_multiplier": None,
        "norm_eps": 1e-5,
        "scaling_factor": 1.0,
        "axes_dim_rope": (head // 3,) * 3,
        "axes_lens": (300, 512, 512),
        "cap_feat_dim": shapes["time_caption_embed.caption_embedder.1.weight"][1],
    }


LUMINA2_FILE = denoiser_layout(
    "lumina2-transformer",
    "the transformer of Lumina 2",
    "Lumina2Transformer2DModel",
    marks=(
        ("cap_embedder.1.weight", "layers.0.adaLN_modulation.1.weight"),
        ("time_caption_embed.caption_embedder.1.weight", "layers.0.norm1.linear.weight"),
    ),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 6.0},
    # NewBie reads a prompt with CLIP, too.
    without=("clip_text_pooled_proj.",),
    unused=("norm_final.",),
)
