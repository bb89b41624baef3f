"""HiDream-I1's transformer in a file of its own. Imports no torch.

Source of what no tensor shows: ``transformer/config.json`` and the inference script of
https://github.com/HiDream-ai/HiDream-I1; the shift is that of Full and Fast.
"""

from __future__ import annotations

from typing import Any

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import count_of
from nodegraph.diffusion.single_files.denoisers import EULER_FLOW, HEAD_WIDTH, denoiser_layout

_PATCH = 2
_SIDE = 128
"""Cells per side of the largest square that it takes."""
_LAYERS = 32
"""Of Llama 3, whose last one the blocks share that come after so many."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, patch = shapes["x_embedder.proj.weight"]
    double = count_of(shapes, r"double_stream_blocks\.(\d+)\.")
    single = count_of(shapes, r"single_stream_blocks\.(\d+)\.")
    # One for each block, which read Llama, and one after them for T5.
    first, last = (
        shapes[f"caption_projection.{at}.linear.weight"][1] for at in (0, double + single)
    )
    experts = shapes["double_stream_blocks.0.block.ff_i.gate.weight"][0]
    return {
        "patch_size": _PATCH,
        "in_channels": patch // _PATCH**2,
        "out_channels": shapes["final_layer.linear.weight"][0] // _PATCH**2,
        "num_layers": double,
        "num_single_layers": single,
        "attention_head_dim": HEAD_WIDTH,
        "num_attention_heads": width // HEAD_WIDTH,
        "caption_channels": [last, first],
        "text_emb_dim": shapes["p_embedder.pooled_embedder.linear_1.weight"][1],
        "num_routed_experts": experts,
        "num_activated_experts": 2,
        "axes_dims_rope": (HEAD_WIDTH // 2, HEAD_WIDTH // 4, HEAD_WIDTH // 4),
        "max_resolution": (_SIDE, _SIDE),
        "llama_layers": [min(layer, _LAYERS - 1) for layer in range(double + single)],
    }


HIDREAM_FILE = denoiser_layout(
    "hidream-transformer",
    "the transformer of HiDream-I1",
    "HiDreamImageTransformer2DModel",
    marks=(
        (
            "double_stream_blocks.0.block.adaLN_modulation.1.weight",
            "caption_projection.0.linear.weight",
        ),
    ),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 3.0},
)
