"""HunyuanImage 2.1's transformer in a file of its own. Imports no torch.

Source of what no tensor shows: https://github.com/Tencent-Hunyuan/HunyuanImage-2.1,
``hunyuanimage_pipeline.py`` and its configurations, and diffusers'
``convert_hunyuan_image_to_diffusers.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import Config, count_of
from nodegraph.diffusion.single_files.denoisers import EULER_FLOW, denoiser_layout

_GUIDER: Mapping[str, Any] = {
    "_class_name": "AdaptiveProjectedMixGuidance",
    "guidance_scale": 3.5,
    "adaptive_projected_guidance_scale": 10.0,
    "adaptive_projected_guidance_momentum": -0.5,
    "adaptive_projected_guidance_rescale": 10.0,
    "eta": 0.0,
}


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels, *patch = shapes["x_embedder.proj.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    cells = patch[0] * patch[1]
    embedders = "time_guidance_embed"
    return {
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0] // cells,
        "num_attention_heads": width // head,
        "attention_head_dim": head,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_single_layers": count_of(shapes, r"single_transformer_blocks\.(\d+)\."),
        "num_refiner_layers": count_of(
            shapes, r"context_embedder\.token_refiner\.refiner_blocks\.(\d+)\."
        ),
        "mlp_ratio": shapes["transformer_blocks.0.ff.net.2.weight"][1] / width,
        "patch_size": tuple(patch),
        "qk_norm": "rms_norm",
        "guidance_embeds": f"{embedders}.guidance_embedder.linear_1.weight" in shapes,
        "text_embed_dim": shapes["context_embedder.proj_in.weight"][1],
        "text_embed_2_dim": shapes["context_embedder_2.linear_1.weight"][1],
        "rope_theta": 256.0,
        "rope_axes_dim": (head // 2, head // 2),
        "use_meanflow": f"{embedders}.timestep_embedder_r.linear_1.weight" in shapes,
    }


def _scheduler(config: Config) -> Config:
    return {**EULER_FLOW, "shift": 4.0 if config["guidance_embeds"] else 5.0}


def _settings(config: Config) -> Config:
    """How it is led: in another way from the sixth step on, or later where letters are drawn."""
    if config["guidance_embeds"]:
        return {}
    starts = {"guider": 5, "ocr_guider": 38}
    return {
        name: {**_GUIDER, "adaptive_projected_guidance_start_step": step}
        for name, step in starts.items()
    }


HUNYUAN_IMAGE_FILE = denoiser_layout(
    "hunyuan-image-transformer",
    "the transformer of HunyuanImage 2.1",
    "HunyuanImageTransformer2DModel",
    marks=(
        (
            "txt_in.individual_token_refiner.blocks.0.norm1.weight",
            "byt5_in.fc1.weight",
            "img_in.proj.weight",
        ),
        (
            "context_embedder.token_refiner.refiner_blocks.0.norm1.weight",
            "context_embedder_2.linear_1.weight",
            "x_embedder.proj.weight",
        ),
    ),
    config=_config,
    scheduler=_scheduler,
    settings=_settings,
    # Those of HunyuanVideo have patches of several frames.
    fits=lambda shapes: len(shapes["x_embedder.proj.weight"]) == 4,
    without=("vision_in.", "vector_in."),
)
