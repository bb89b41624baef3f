"""Transformers of Flux.1 and of Chroma in files of their own. Imports no torch.

Flux.1: dev, schnell, Fill, Depth, Canny and Kontext, and what was made from them with fewer blocks.
Source of what no tensor shows: ``flux/util.py`` of https://github.com/black-forest-labs/flux, and
``scheduler_config.json`` of https://huggingface.co/black-forest-labs/FLUX.1-dev and -schnell.

diffusers' converter does the same, but for published widths alone.
"""

from __future__ import annotations

from typing import Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config, count_of
from nodegraph.weights.single_files.renamed_layouts import DYNAMIC_FLOW, EULER_FLOW, denoiser_layout

FILL_CHANNELS = 384
"""That Flux.1 Fill takes for each patch: of the latent, of the rest of the picture, and the mask's
256."""

_AXES = (16, 56, 56)
"""Of a head's width, for each axis that places have: which picture, row, column."""


def _common(shapes: Shapes) -> dict[str, Any]:
    width, taken = shapes["x_embedder.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    if head != sum(_AXES):
        raise ValueError(f"attention heads are {head} wide, not {sum(_AXES)}")
    return {
        "patch_size": 1,
        "in_channels": taken,
        "out_channels": shapes["proj_out.weight"][0],
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_single_layers": count_of(shapes, r"single_transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["context_embedder.weight"][1],
        "axes_dims_rope": _AXES,
    }


def _flux_config(shapes: Shapes) -> dict[str, Any]:
    embedder = "time_text_embed.{}_embedder.linear_1.weight"
    return {
        **_common(shapes),
        "pooled_projection_dim": shapes[embedder.format("text")][1],
        "guidance_embeds": embedder.format("guidance") in shapes,
    }


def _chroma_config(shapes: Shapes) -> dict[str, Any]:
    hidden, channels = shapes["distilled_guidance_layer.in_proj.weight"]
    return {
        **_common(shapes),
        "approximator_num_channels": channels,
        "approximator_hidden_dim": hidden,
        "approximator_layers": count_of(shapes, r"distilled_guidance_layer\.layers\.(\d+)\."),
    }


def _scheduler(config: Config) -> Config:
    """That of schnell, which was distilled to a few steps, isn't shifted."""
    return DYNAMIC_FLOW if config["guidance_embeds"] else {**EULER_FLOW, "shift": 1.0}


def _fits(shapes: Shapes) -> bool:
    """Whether it takes a latent alone, fills masked ones, or takes one more: Depth and Canny."""
    taken = shapes.get("x_embedder.weight", (0, 0))[-1]
    out_channels = shapes.get("proj_out.weight", (0,))[0]
    return taken in (out_channels, 2 * out_channels, FILL_CHANNELS)


FLUX = denoiser_layout(
    "flux-transformer",
    "the transformer of Flux.1",
    "FluxTransformer2DModel",
    marks=(
        ("img_in.weight", "double_blocks.0.img_mod.lin.weight", "vector_in.in_layer.weight"),
        (
            "x_embedder.weight",
            "transformer_blocks.0.norm1_context.linear.weight",
            "single_transformer_blocks.0.proj_mlp.weight",
            "time_text_embed.text_embedder.linear_1.weight",
        ),
    ),
    config=_flux_config,
    scheduler=_scheduler,
    fits=_fits,
)

CHROMA = denoiser_layout(
    "chroma-transformer",
    "the transformer of Chroma",
    "ChromaTransformer2DModel",
    marks=(
        ("img_in.weight", "distilled_guidance_layer.in_proj.weight"),
        ("x_embedder.weight", "distilled_guidance_layer.in_proj.weight"),
    ),
    config=_chroma_config,
    # As Flux.1 dev's, which is ComfyUI's for 1024 x 1024 pixels (``comfy/model_sampling.py``).
    scheduler=DYNAMIC_FLOW,
    fits=_fits,
)
