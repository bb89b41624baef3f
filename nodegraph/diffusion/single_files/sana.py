"""Sana's transformer in a file of its own: 1.0 and 1.5. Imports no torch.

Source of what no tensor shows: https://github.com/NVlabs/Sana, ``configs``, and diffusers'
``convert_sana_to_diffusers.py``.
"""

from __future__ import annotations

import math
from typing import Any

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import Config, count_of
from nodegraph.diffusion.single_files.denoisers import denoiser_layout

_HEAD = 32
_ACROSS = {2240: 112, 1152: 72}
"""Width of heads that look at the prompt, by the model's."""
_SAMPLE = 32
"""Cells per side of the latents that most were trained on."""
_PLACED = 64
"""The fewest of models that are told where a cell lies."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels, patch, _ = shapes["patch_embed.proj.weight"]
    inner = shapes["transformer_blocks.0.ff.conv_point.weight"][1]
    across = _ACROSS.get(width, _HEAD)
    sample = _sample_size(shapes, patch)
    return {
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0] // patch**2,
        "num_attention_heads": width // _HEAD,
        "attention_head_dim": _HEAD,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_cross_attention_heads": width // across,
        "cross_attention_head_dim": across,
        "cross_attention_dim": width,
        "caption_channels": shapes["caption_projection.linear_1.weight"][1],
        "mlp_ratio": inner / width,
        "attention_bias": "transformer_blocks.0.attn1.to_q.bias" in shapes,
        "sample_size": sample,
        "patch_size": patch,
        "norm_elementwise_affine": False,
        "norm_eps": 1e-6,
        "interpolation_scale": sample / _PLACED if sample >= _PLACED else None,
        "qk_norm": (
            "rms_norm_across_heads"
            if "transformer_blocks.0.attn1.norm_q.weight" in shapes
            else None
        ),
        "timestep_scale": 1.0,
    }


def _sample_size(shapes: Shapes, patch: int) -> int:
    """Cells per side, by the table of places: not all files bring it, nor whole."""
    places = shapes.get("pos_embed", ())
    return math.isqrt(places[1]) * patch if len(places) == 3 else _SAMPLE


def _scheduler(config: Config) -> Config:
    return {
        "_class_name": "DPMSolverMultistepScheduler",
        "num_train_timesteps": 1000,
        "prediction_type": "flow_prediction",
        "use_flow_sigmas": True,
        "flow_shift": 6.0 if config["sample_size"] > _PLACED else 3.0,
    }


SANA_FILE = denoiser_layout(
    "sana-transformer",
    "the transformer of Sana",
    "SanaTransformer2DModel",
    marks=(
        ("x_embedder.proj.weight", "blocks.0.mlp.inverted_conv.conv.weight"),
        ("patch_embed.proj.weight", "transformer_blocks.0.ff.conv_inverted.weight"),
    ),
    config=_config,
    scheduler=_scheduler,
    fits=lambda shapes: len(shapes["patch_embed.proj.weight"]) == 4,
    # Sana Sprint, which is told the guidance.
    without=("cfg_embedder.", "time_embed.guidance_embedder."),
    unused=("pos_embed", "y_embedder.y_embedding", "logvar_linear."),
)
