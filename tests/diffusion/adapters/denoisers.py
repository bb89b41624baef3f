"""Small denoisers of every family, made from configurations written here, on any device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from nodegraph.families.building import library_class

from .later_denoisers import LATER_DENOISERS


def build(name: str, **changed: Any) -> nn.Module:
    """A denoiser with random weights, none of them zero, in eval mode."""
    kind, settings = DENOISERS[name]
    made: nn.Module = library_class(kind)(**{**settings, **changed})
    for parameter in made.parameters():
        if not parameter.is_meta and not bool(parameter.any()):
            nn.init.normal_(parameter, 0, 0.02)
    return made.eval().requires_grad_(False)


def on_meta(name: str, **changed: Any) -> nn.Module:
    """Its structure alone."""
    with torch.device("meta"):
        return build(name, **changed)


def _unet(**changed: Any) -> tuple[str, dict[str, Any]]:
    return "UNet2DConditionModel", {
        "sample_size": 8,
        "block_out_channels": (32, 64),
        "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
        "layers_per_block": 2,
        "attention_head_dim": 4,
        "cross_attention_dim": 32,
        "norm_num_groups": 8,
        **changed,
    }


_HEADS: dict[str, Any] = {"num_attention_heads": 2, "attention_head_dim": 16}
_FLUX: dict[str, Any] = {
    **_HEADS,
    "patch_size": 1,
    "num_layers": 1,
    "num_single_layers": 1,
    "joint_attention_dim": 32,
    "axes_dims_rope": (4, 6, 6),
}
DENOISERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "sd1": _unet(),
    "sdxl": _unet(
        block_out_channels=(32, 32, 64),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        transformer_layers_per_block=[1, 1, 2],
        use_linear_projection=True,
        cross_attention_dim=80,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 48,
    ),
    "stable_cascade": (
        "StableCascadeUNet",
        {
            "conditioning_dim": 64,
            "block_out_channels": (64, 64),
            "num_attention_heads": (1, 1),
            "down_num_layers_per_block": (1, 1),
            "up_num_layers_per_block": (1, 1),
            "clip_text_in_channels": 32,
            "clip_text_pooled_in_channels": 32,
            "clip_image_in_channels": 24,
            "switch_level": (False,),
        },
    ),
    "sd3": (
        "SD3Transformer2DModel",
        {
            "sample_size": 32,
            "num_layers": 2,
            "attention_head_dim": 8,
            "num_attention_heads": 4,
            "joint_attention_dim": 80,
            "caption_projection_dim": 32,
            "pooled_projection_dim": 64,
            "pos_embed_max_size": 24,
            "dual_attention_layers": (0,),
            "qk_norm": "rms_norm",
        },
    ),
    "flux": (
        "FluxTransformer2DModel",
        {**_FLUX, "in_channels": 64, "pooled_projection_dim": 32, "guidance_embeds": True},
    ),
    "flux2": (
        "Flux2Transformer2DModel",
        {
            **_FLUX,
            "in_channels": 32,
            "axes_dims_rope": (4, 4, 4, 4),
            "timestep_guidance_channels": 32,
        },
    ),
    "flux3": (
        "Flux3Transformer2DModel",
        {
            **_HEADS,
            "in_channels": 32,
            "cond_in_channels": 32,
            "num_layers": 1,
            "num_single_layers": 1,
            "joint_attention_dim": 32,
            "timestep_channels": 32,
            "axes_dims_rope": (4, 4, 4, 4),
            "flow_map": True,
        },
    ),
    "chroma": (
        "ChromaTransformer2DModel",
        {
            **_FLUX,
            "in_channels": 64,
            "approximator_num_channels": 8,
            "approximator_hidden_dim": 32,
            "approximator_layers": 1,
        },
    ),
    "qwen_image": (
        "QwenImageTransformer2DModel",
        {
            **_HEADS,
            "in_channels": 64,
            "num_layers": 1,
            "joint_attention_dim": 32,
            "axes_dims_rope": (4, 6, 6),
        },
    ),
    "z_image": (
        "ZImageTransformer2DModel",
        {
            "in_channels": 16,
            "dim": 32,
            "n_layers": 1,
            "n_refiner_layers": 1,
            "n_heads": 2,
            "n_kv_heads": 2,
            "cap_feat_dim": 32,
            "axes_dims": [4, 6, 6],
            "axes_lens": [64, 64, 64],
        },
    ),
    "z_image_omni": (
        "ZImageTransformer2DModel",
        {
            "in_channels": 16,
            "dim": 32,
            "n_layers": 1,
            "n_refiner_layers": 1,
            "n_heads": 2,
            "n_kv_heads": 2,
            "cap_feat_dim": 32,
            "siglip_feat_dim": 24,
            "axes_dims": [4, 6, 6],
            "axes_lens": [64, 64, 64],
        },
    ),
    "lumina2": (
        "Lumina2Transformer2DModel",
        {
            "sample_size": 8,
            "hidden_size": 32,
            "num_layers": 1,
            "num_refiner_layers": 1,
            "num_attention_heads": 2,
            "num_kv_heads": 1,
            "multiple_of": 16,
            "axes_dim_rope": (4, 6, 6),
            "axes_lens": (64, 64, 64),
            "cap_feat_dim": 32,
        },
    ),
    "sana": (
        "SanaTransformer2DModel",
        {
            "num_attention_heads": 4,
            "attention_head_dim": 8,
            "num_layers": 1,
            "num_cross_attention_heads": 2,
            "cross_attention_head_dim": 16,
            "cross_attention_dim": 32,
            "caption_channels": 32,
        },
    ),
    "sana-video": (
        "SanaVideoTransformer3DModel",
        {
            "num_attention_heads": 2,
            "attention_head_dim": 16,
            "num_layers": 1,
            "num_cross_attention_heads": 2,
            "cross_attention_head_dim": 16,
            "cross_attention_dim": 32,
            "caption_channels": 32,
        },
    ),
    "pixart": (
        "PixArtTransformer2DModel",
        {
            **_HEADS,
            "num_layers": 1,
            "cross_attention_dim": 32,
            "sample_size": 32,
            "caption_channels": 32,
            "interpolation_scale": 1,
            "use_additional_conditions": False,
        },
    ),
    "hidream": (
        "HiDreamImageTransformer2DModel",
        {
            "patch_size": 2,
            "in_channels": 16,
            "num_layers": 1,
            "num_single_layers": 1,
            "attention_head_dim": 8,
            "num_attention_heads": 4,
            "caption_channels": [32, 32],
            "text_emb_dim": 64,
            "num_routed_experts": 2,
            "num_activated_experts": 1,
            "axes_dims_rope": (4, 2, 2),
            "max_resolution": (16, 16),
            "llama_layers": [0, 1],
        },
    ),
    "hunyuan_image": (
        "HunyuanImageTransformer2DModel",
        {
            **_HEADS,
            "in_channels": 32,
            "out_channels": 32,
            "num_layers": 1,
            "num_single_layers": 1,
            "num_refiner_layers": 1,
            "patch_size": (1, 1),
            "text_embed_dim": 32,
            "text_embed_2_dim": 32,
            "rope_axes_dim": (8, 8),
        },
    ),
    "hunyuan_video": (
        "HunyuanVideoTransformer3DModel",
        {
            **_HEADS,
            "num_layers": 1,
            "num_single_layers": 1,
            "num_refiner_layers": 1,
            "text_embed_dim": 32,
            "pooled_projection_dim": 32,
            "rope_axes_dim": (4, 6, 6),
        },
    ),
    "hunyuan_video_15": (
        "HunyuanVideo15Transformer3DModel",
        {
            **_HEADS,
            "num_layers": 1,
            "num_refiner_layers": 1,
            "text_embed_dim": 32,
            "text_embed_2_dim": 32,
            "image_embed_dim": 16,
            "rope_axes_dim": (4, 6, 6),
        },
    ),
    "wan": (
        "WanTransformer3DModel",
        {
            **_HEADS,
            "in_channels": 36,
            "text_dim": 32,
            "freq_dim": 32,
            "ffn_dim": 64,
            "num_layers": 1,
            "rope_max_seq_len": 64,
            "image_dim": 16,
            "added_kv_proj_dim": 32,
        },
    ),
    "wan-vace": (
        "WanVACETransformer3DModel",
        {
            **_HEADS,
            "text_dim": 32,
            "freq_dim": 32,
            "ffn_dim": 64,
            "num_layers": 1,
            "vace_layers": [0],
            "rope_max_seq_len": 64,
        },
    ),
    "ltx": (
        "LTXVideoTransformer3DModel",
        {**_HEADS, "cross_attention_dim": 32, "num_layers": 1, "caption_channels": 32},
    ),
    "minimax_h3": (
        "MiniMaxH3Transformer3DModel",
        {
            "num_attention_heads": 2,
            "attention_head_dim": 16,
            "hidden_size": 32,
            "num_layers": 2,
            "num_refiner_layers": 1,
            "ffn_dim": 48,
            "text_dim": 24,
            "freq_dim": 32,
            "time_embed_hidden_dim": 40,
            "time_embed_dim": 24,
            "rope_freq_dim": 2,
        },
    ),
    "hunyuan_dit": (
        "HunyuanDiT2DModel",
        {
            **_HEADS,
            "in_channels": 4,
            "patch_size": 2,
            "sample_size": 8,
            "hidden_size": 32,
            "num_layers": 6,
            "cross_attention_dim": 24,
            "cross_attention_dim_t5": 32,
            "pooled_projection_dim": 20,
        },
    ),
    "mochi": (
        "MochiTransformer3DModel",
        {
            **_HEADS,
            "num_layers": 2,
            "pooled_projection_dim": 24,
            "text_embed_dim": 32,
            "time_embed_dim": 16,
        },
    ),
    "cogvideox": (
        "CogVideoXTransformer3DModel",
        {**_HEADS, "num_layers": 2, "text_embed_dim": 32, "time_embed_dim": 16},
    ),
    "prx": (
        "PRXTransformer2DModel",
        {"context_in_dim": 24, "hidden_size": 32, "num_heads": 2, "depth": 2, "axes_dim": [8, 8]},
    ),
    "nucleusmoe_image": (
        "NucleusMoEImageTransformer2DModel",
        {
            # A narrower one has a dense block without layers.
            "num_attention_heads": 4,
            "attention_head_dim": 16,
            "num_layers": 2,
            "num_key_value_heads": 1,
            "joint_attention_dim": 24,
            "axes_dims_rope": (4, 6, 6),
            "dense_moe_strategy": "leave_first_block_dense",
            "num_experts": 2,
            "moe_intermediate_dim": 16,
            "capacity_factors": 1.0,
        },
    ),
    "ernie_image": (
        "ErnieImageTransformer2DModel",
        {
            "hidden_size": 32,
            "num_attention_heads": 2,
            "num_layers": 2,
            "ffn_hidden_size": 48,
            "in_channels": 16,
            "out_channels": 16,
            "text_in_dim": 24,
            "rope_axes_dim": (4, 6, 6),
        },
    ),
    "cogview4": (
        "CogView4Transformer2DModel",
        {
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 2,
            "num_attention_heads": 2,
            "attention_head_dim": 16,
            "text_embed_dim": 24,
            "time_embed_dim": 16,
            "condition_dim": 8,
        },
    ),
    "glm-image": (
        "GlmImageTransformer2DModel",
        {
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 2,
            "num_attention_heads": 2,
            "attention_head_dim": 16,
            "text_embed_dim": 24,
            "time_embed_dim": 16,
            "condition_dim": 8,
            "prior_vq_quantizer_codebook_size": 16,
        },
    ),
    "ideogram4": (
        "Ideogram4Transformer2DModel",
        {
            **_HEADS,
            "in_channels": 16,
            "num_layers": 2,
            "intermediate_size": 48,
            "adaln_dim": 8,
            "llm_features_dim": 24,
            "mrope_section": (2, 1, 1),
        },
    ),
    "fibo2": (
        "BriaFibo2Transformer2DModel",
        {
            "in_channels": 4,
            "dim": 32,
            "n_layers": 2,
            "n_refiner_layers": 1,
            "n_heads": 2,
            "cap_feat_dim": 24,
            "injection_layer_ids": (1,),
            "perceiver_num_layers": 1,
            "min_num_gist_tokens": 2,
            "max_num_gist_tokens": 4,
            "gist_step": 1,
            "axes_dims": (4, 6, 6),
        },
    ),
    "joyimage": (
        "JoyImageEditPlusTransformer3DModel",
        {
            "in_channels": 4,
            "hidden_size": 32,
            "num_attention_heads": 2,
            "text_dim": 24,
            "num_layers": 2,
            "rope_dim_list": [4, 6, 6],
        },
    ),
    "kandinsky5": (
        "Kandinsky5Transformer3DModel",
        {
            "in_visual_dim": 4,
            "out_visual_dim": 4,
            "in_text_dim": 32,
            "in_text_dim2": 24,
            "time_dim": 16,
            "model_dim": 32,
            "ff_dim": 48,
            "num_text_blocks": 1,
            "num_visual_blocks": 2,
            "axes_dims": (4, 6, 6),
        },
    ),
    "ace_step": (
        "AceStepTransformer1DModel",
        {
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
        },
    ),
    "longcat_audio": (
        "LongCatAudioDiTTransformer",
        {"dit_dim": 32, "dit_depth": 2, "dit_heads": 2, "dit_text_dim": 32},
    ),
    "minimax_music3": (
        "MiniMaxMusic3Transformer1DModel",
        {
            "condition_dim": 12,
            "num_layers": 2,
            "num_attention_heads": 1,
            "attention_head_dim": 64,
            "ff_inner_dim": 48,
            "fourier_embedding_dim": 16,
        },
    ),
    "cosmos_predict2": (
        "CosmosTransformer3DModel",
        {
            **_HEADS,
            "in_channels": 16,
            "num_layers": 2,
            "mlp_ratio": 2.0,
            "text_embed_dim": 32,
            "adaln_lora_dim": 4,
            "max_size": (8, 24, 24),
            "extra_pos_embed_type": None,
        },
    ),
    "cosmos_predict25": (
        "CosmosTransformer3DModel",
        {
            **_HEADS,
            "in_channels": 17,
            "num_layers": 2,
            "mlp_ratio": 2.0,
            "text_embed_dim": 32,
            "adaln_lora_dim": 4,
            "max_size": (8, 24, 24),
            "extra_pos_embed_type": None,
            "use_crossattn_projection": True,
            "crossattn_proj_in_channels": 96,
            "encoder_hidden_states_channels": 32,
        },
    ),
    "cosmos_transfer25": (
        "CosmosTransformer3DModel",
        {
            **_HEADS,
            "in_channels": 17,
            "num_layers": 2,
            "mlp_ratio": 2.0,
            "text_embed_dim": 32,
            "adaln_lora_dim": 4,
            "max_size": (8, 24, 24),
            "extra_pos_embed_type": None,
            "use_crossattn_projection": True,
            "crossattn_proj_in_channels": 96,
            "encoder_hidden_states_channels": 32,
            "controlnet_block_every_n": 1,
            "img_context_dim_in": 12,
            "img_context_dim_out": 32,
        },
    ),
    "wan-animate": (
        "WanAnimateTransformer3DModel",
        {
            **_HEADS,
            "text_dim": 32,
            "freq_dim": 32,
            "ffn_dim": 64,
            "num_layers": 1,
            "rope_max_seq_len": 64,
            "image_dim": 16,
            "added_kv_proj_dim": 32,
            "motion_encoder_channel_sizes": {"16": 8, "8": 8, "4": 12},
            "motion_encoder_size": 16,
            "motion_style_dim": 8,
            "motion_dim": 4,
            "motion_encoder_dim": 12,
            "face_encoder_hidden_dim": 8,
            "inject_face_latents_blocks": 1,
        },
    ),
    "wan-animate-2": (
        "WanAnimate2Transformer3DModel",
        {
            "dim": 32,
            "num_heads": 2,
            "text_dim": 32,
            "freq_dim": 32,
            "ffn_dim": 64,
            "num_layers": 1,
        },
    ),
    "wan-fun": (
        "WanFunTransformer3DModel",
        {
            **_HEADS,
            "in_channels": 52,
            "text_dim": 32,
            "freq_dim": 32,
            "ffn_dim": 64,
            "num_layers": 1,
            "rope_max_seq_len": 64,
            "reference_channels": 16,
            "camera_channels": 24,
        },
    ),
    "skyreels": (
        "SkyReelsV2Transformer3DModel",
        {
            **_HEADS,
            "in_channels": 36,
            "text_dim": 32,
            "freq_dim": 32,
            "ffn_dim": 64,
            "num_layers": 1,
            "rope_max_seq_len": 64,
            "image_dim": 16,
            "added_kv_proj_dim": 32,
            "inject_sample_info": True,
        },
    ),
    **LATER_DENOISERS,
}
