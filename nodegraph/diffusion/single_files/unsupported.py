"""Models that nobody reads here, so that a file of one is told as what it is. Imports no torch.

Names of tensors as in ComfyUI, ``comfy/model_detection.py``, and in the models' own code.
"""

from __future__ import annotations

from collections.abc import Mapping

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.denoisers import PREFIXES

_MARKS: Mapping[str, tuple[str, ...]] = {
    "LTX-2": ("audio_patchify_proj.weight", "audio_proj_in.weight"),
    "Wan VACE": ("vace_patch_embedding.weight",),
    "Wan Animate": ("face_adapter.fuser_blocks.0.k_norm.weight", "pose_patch_embedding.weight"),
    "Wan S2V": ("casual_audio_encoder.encoder.final_linear.weight",),
    "HuMo": ("audio_proj.audio_proj_glob_1.layer.bias",),
    "a Wan that is led by a camera": ("control_adapter.conv.weight",),
    "a Wan that is shown a reference": ("ref_conv.weight",),
    "a Wan that goes from a first to a last picture": (
        "img_emb.emb_pos",
        "condition_embedder.image_embedder.pos_embed",
    ),
    "Sana Sprint": ("cfg_embedder.mlp.0.weight", "time_embed.guidance_embedder.linear_1.weight"),
    "PixArt-α": (
        "csize_embedder.mlp.0.weight",
        "adaln_single.emb.resolution_embedder.linear_1.weight",
    ),
    "Qwen-Image-Layered": ("time_text_embed.addition_t_embedding.weight",),
    "Z-Image Omni": ("siglip_embedder.0.weight",),
    "NewBie": ("clip_text_pooled_proj.0.weight",),
    "HunyuanVideo": (
        "txt_in.individual_token_refiner.blocks.0.norm1.weight",
        "context_embedder.token_refiner.refiner_blocks.0.norm1.weight",
    ),
    "Hunyuan-DiT": ("mlp_t5.0.weight",),
    "AuraFlow": ("double_layers.0.attn.w1q.weight",),
    "Stable Cascade": ("clip_txt_mapper.weight", "clip_mapper.weight"),
    "Mochi": ("t5_yproj.weight",),
    "Cosmos": (
        "blocks.block0.blocks.0.block.attn.to_q.0.weight",
        "blocks.0.mlp.layer1.weight",
    ),
    "ACE-Step": ("genre_embedder.weight",),
    "HiDream-O1": ("t_embedder1.mlp.0.weight",),
    "a tiny VAE of videos (TAEHV)": ("decoder.22.bias",),
}
"""By title: tensors of which one tells the model, where no supported one was found."""


def unsupported(shapes: Shapes) -> str | None:
    """What a file holds that isn't read here, in words; None if that isn't known either."""
    for title, marks in _MARKS.items():
        if any(f"{prefix}{mark}" in shapes for mark in marks for prefix in PREFIXES):
            return title
    return None
