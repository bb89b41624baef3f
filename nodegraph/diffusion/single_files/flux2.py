"""The transformers of Flux.2 and Klein in files of their own. Imports no torch.

Source of what no tensor shows: https://github.com/black-forest-labs/flux2, ``model.py``
"""

from __future__ import annotations

from typing import Any

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import FileLayout, count_of
from nodegraph.diffusion.single_files.denoisers import DYNAMIC_FLOW, denoiser_layout

_TOLD = "time_guidance_embed.guidance_embedder.linear_1.weight"
"""Of models that are told the guidance: dev, but none of Klein."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["x_embedder.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    return {
        "patch_size": 1,
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0],
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_single_layers": count_of(shapes, r"single_transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["context_embedder.weight"][1],
        "timestep_guidance_channels": shapes[
            "time_guidance_embed.timestep_embedder.linear_1.weight"
        ][1],
        "mlp_ratio": shapes["transformer_blocks.0.ff.linear_out.weight"][1] / width,
        "axes_dims_rope": (head // 4,) * 4,
        "rope_theta": 2000,
        "eps": 1e-6,
        "guidance_embeds": _TOLD in shapes,
    }


def _layout(name: str, title: str, *, told: bool) -> FileLayout:
    return denoiser_layout(
        f"{name}-transformer",
        f"the transformer of {title}",
        "Flux2Transformer2DModel",
        marks=(
            ("double_stream_modulation_img.lin.weight", "img_in.weight"),
            ("double_stream_modulation_img.linear.weight", "x_embedder.weight"),
        ),
        config=_config,
        scheduler=DYNAMIC_FLOW,
        fits=lambda shapes: (_TOLD in shapes) == told,
    )


FLUX2_FILE = _layout("flux2", "Flux.2", told=True)
FLUX2_KLEIN_FILE = _layout("flux2-klein", "Flux.2 Klein", told=False)
