"""The transformers of Qwen-Image, Edit and Edit Plus in files of their own. They are made alike: no
tensor shows which of them one is. Imports no torch.

Source of what no tensor shows: ``transformer/config.json`` and ``scheduler_config.json`` of
https://huggingface.co/Qwen/Qwen-Image
"""

from __future__ import annotations

from typing import Any

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import count_of
from nodegraph.diffusion.single_files.denoisers import DYNAMIC_FLOW, denoiser_layout

_PATCH = 2
_STILL = "__index_timestep_zero__"
"""An empty tensor by which ComfyUI marks models to which references are pictures without noise, as
Edit Plus of November 2025 has it."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, patch = shapes["img_in.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    return {
        "patch_size": _PATCH,
        "in_channels": patch,
        "out_channels": shapes["proj_out.weight"][0] // _PATCH**2,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["txt_in.weight"][1],
        "guidance_embeds": False,
        # 16, 56 and 56 of 128
        "axes_dims_rope": (head // 8, 7 * head // 16, 7 * head // 16),
        "zero_cond_t": _STILL in shapes,
    }


QWEN_IMAGE_FILE = denoiser_layout(
    "qwen-image-transformer",
    "the transformer of Qwen-Image",
    "QwenImageTransformer2DModel",
    marks=(("txt_norm.weight", "img_in.weight", "transformer_blocks.0.attn.add_k_proj.weight"),),
    config=_config,
    scheduler={
        **DYNAMIC_FLOW,
        "max_image_seq_len": 8192,
        "max_shift": 0.9,
        "shift": 1.0,
        "shift_terminal": 0.02,
    },
    # Layered, and control models
    without=("time_text_embed.addition_t_embedding.", "controlnet_"),
    unused=(_STILL,),
)
