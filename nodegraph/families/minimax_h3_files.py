"""MiniMax H3 in single files. Imports no torch, and reads no weights.

Source of the names: diffusers, ``loaders/single_file_utils.py``; of the table of pruned files:
ComfyUI, ``comfy/ldm/minimax/model.py``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nodegraph.families.diffusers_folder import SOUND_SCHEDULER
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config, OriginalNames, Table, Tensors, count_of
from nodegraph.weights.single_files.language import QWEN3_VL
from nodegraph.weights.single_files.renamed_layouts import denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

_NORM = "language_model.norm.weight"


def _convert_encoder(tensors: Tensors, config: Config) -> dict[str, Tensor]:
    """The tensors of Qwen3-VL; files cut off behind the layer that is read need no last norm."""
    converted = QWEN3_VL.convert(tensors, config)
    words = converted.get("language_model.embed_tokens.weight")
    if _NORM not in converted and words is not None:
        converted[_NORM] = words.new_ones(words.shape[1])
    return converted


ENCODER = replace(QWEN3_VL, convert=_convert_encoder)
"""Qwen3-VL 32B, whole or with 50 layers."""

SPATIAL, TEMPORAL = 16, 4
"""Pixels along a cell's side, and frames of a video per latent frame; see the family."""
VIDEO_SHIFT, PUBLISHED_SOUND_SHIFT = 12.0, 3.0
"""Published shifts of the noise levels of the video and of its sound."""

SCHEDULE: dict[str, Any] = {"_class_name": "MiniMaxH3Scheduler", "shift": VIDEO_SHIFT}

_FREQUENCIES = "rope.inv_freq"
_PATCH_AREA = 4


def _config(shapes: Shapes) -> dict[str, Any]:
    hidden, frequencies = shapes["time_embedder.linear_1.weight"]
    return {
        **_common_config(shapes),
        "freq_dim": frequencies,
        "time_embed_hidden_dim": hidden,
        "time_embed_dim": shapes["time_embedder.linear_2.weight"][0],
    }


def _pruned_config(shapes: Shapes) -> dict[str, Any]:
    points, width = shapes["time_embedder.table"]
    if points < 2:
        raise ValueError("a curve has two points or more")
    return {**_common_config(shapes), "time_embed_dim": width, "time_points": points}


def _common_config(shapes: Shapes) -> dict[str, Any]:
    width, patch = shapes["proj_in.weight"]
    inner, _ = shapes["transformer_blocks.0.attn.to_q.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    return {
        "num_attention_heads": inner // head,
        "attention_head_dim": head,
        "hidden_size": width,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_refiner_layers": count_of(shapes, r"token_refiner\.refiner_blocks\.(\d+)\."),
        "ffn_dim": shapes["transformer_blocks.0.ff.net.2.weight"][1],
        "in_channels": patch // _PATCH_AREA,
        "audio_in_channels": shapes["audio_proj_in.weight"][1],
        "patch_size": (1, 2, 2),
        "text_dim": shapes["context_embedder.weight"][1],
        # The published 16 of heads of 128 rotate three quarters of a head.
        "rope_freq_dim": shapes[_FREQUENCIES][0] if _FREQUENCIES in shapes else head // 8,
    }


_BLOCK: Table = (
    ("attn.{to_q,to_k,to_v}", "attn.qkv_proj"),
    ("attn.norm_q", "attn.q_norm"),
    ("attn.norm_k", "attn.k_norm"),
    ("attn.to_out.0", "attn.out_proj"),
    ("ff.net.0.proj", "mlp.fc1"),
    ("ff.net.2", "mlp.fc2"),
    ("norm1", "norm1"),
    ("norm2", "norm2"),
    ("adaln_proj.linear", "adaln_proj.linear"),
)
_LAYERS: Table = (
    *(
        (f"{here}.*.{layer}", f"{there}.*.{original}")
        for here, there in (
            ("transformer_blocks", "blocks"),
            ("token_refiner.refiner_blocks", "token_refiner.blocks"),
        )
        for layer, original in _BLOCK
    ),
    ("proj_in", "video_patch_proj"),
    ("audio_proj_in", "audio_patch_proj"),
    ("context_embedder", "condition_proj"),
    ("time_embedder.linear_1", "time_embedder.proj_in"),
    ("time_embedder.linear_2", "time_embedder.proj_out"),
    ("time_embedder.table", "adaln_t_table"),
    ("norm_out.norm", "final_layer.norm"),
    ("norm_out.linear", "final_layer.adaln_proj.linear"),
    ("proj_out", "final_layer.video_out"),
    ("audio_proj_out", "final_layer.audio_out"),
)
_NAMES = OriginalNames(_LAYERS, swapped=("ff.net.0.proj",), equal_rows=True)
TRANSFORMER = denoiser_layout(
    "minimax-h3-transformer",
    "the transformer of MiniMax H3",
    "MiniMaxH3Transformer3DModel",
    marks=(
        (
            "video_patch_proj.weight",
            "audio_patch_proj.weight",
            "token_refiner.blocks.0.attn.qkv_proj.weight",
            "time_embedder.proj_in.weight",
        ),
        (
            "audio_proj_out.weight",
            "token_refiner.refiner_blocks.0.attn.to_q.weight",
            "time_embedder.linear_1.weight",
        ),
    ),
    names=_NAMES,
    config=_config,
    scheduler=SCHEDULE,
    settings=lambda _: {SOUND_SCHEDULER: {**SCHEDULE, "shift": PUBLISHED_SOUND_SHIFT}},
    unused=(_FREQUENCIES,),
)
PRUNED_TRANSFORMER = denoiser_layout(
    "minimax-h3-pruned-transformer",
    "the pruned transformer of MiniMax H3",
    "MiniMaxH3PrunedTransformer3DModel",
    marks=(
        ("video_patch_proj.weight", "audio_patch_proj.weight", "adaln_t_table"),
        ("proj_in.weight", "audio_proj_in.weight", "time_embedder.table"),
    ),
    names=_NAMES,
    config=_pruned_config,
    scheduler=SCHEDULE,
    unused=(_FREQUENCIES,),
)
