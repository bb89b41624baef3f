"""Configurations of small denoisers, which `denoisers` adds to its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_HEADS: dict[str, Any] = {"num_attention_heads": 2, "attention_head_dim": 16}
_LTX2: dict[str, Any] = {
    **_HEADS,
    "cross_attention_dim": 32,
    "audio_num_attention_heads": 2,
    "audio_attention_head_dim": 8,
    "audio_cross_attention_dim": 16,
    "num_layers": 1,
    "caption_channels": 24,
    "rope_type": "split",
}
_STABLE_AUDIO_3: dict[str, Any] = {
    "io_channels": 4,
    "embed_dim": 32,
    "depth": 2,
    "num_heads": 2,
    "cond_token_dim": 12,
    "global_cond_dim": 20,
    "local_add_cond_dim": 5,
    "timestep_features_dim": 8,
    "num_memory_tokens": 3,
}

LATER_DENOISERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "auraflow": (
        "AuraFlowTransformer2DModel",
        {
            **_HEADS,
            "sample_size": 8,
            "num_mmdit_layers": 1,
            "num_single_dit_layers": 1,
            "joint_attention_dim": 24,
            "caption_projection_dim": 32,
            "pos_embed_max_size": 64,
        },
    ),
    "krea2": (
        "Krea2Transformer2DModel",
        {
            "in_channels": 64,
            "num_layers": 1,
            "attention_head_dim": 16,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 96,
            "timestep_embed_dim": 32,
            "text_hidden_dim": 32,
            "num_text_layers": 2,
            "text_num_attention_heads": 4,
            "text_num_key_value_heads": 2,
            "text_intermediate_size": 48,
            "num_layerwise_text_blocks": 1,
            "num_refiner_text_blocks": 1,
            "axes_dims_rope": (4, 6, 6),
        },
    ),
    "qwen_image_21": (
        "QwenImage21Transformer2DModel",
        {
            **_HEADS,
            "in_channels": 64,
            "out_channels": 64,
            "num_layers": 1,
            "context_in_dim": 24,
            "mlp_ratio": 2,
            "axes_dims_rope": (2, 7, 7),
        },
    ),
    "ovis_image": (
        "OvisImageTransformer2DModel",
        {
            **_HEADS,
            "in_channels": 64,
            "out_channels": 64,
            "num_layers": 1,
            "num_single_layers": 1,
            "joint_attention_dim": 24,
            "axes_dims_rope": (4, 6, 6),
        },
    ),
    "longcat_image": (
        "LongCatImageTransformer2DModel",
        {
            **_HEADS,
            "in_channels": 64,
            "num_layers": 1,
            "num_single_layers": 1,
            "joint_attention_dim": 24,
            "pooled_projection_dim": 24,
            "axes_dims_rope": (4, 6, 6),
        },
    ),
    "ltx2": ("LTX2VideoTransformer3DModel", _LTX2),
    "ltx23": (
        "LTX2VideoTransformer3DModel",
        {
            **_LTX2,
            "use_prompt_embeddings": False,
            **{
                f"{stream}{name}": True
                for stream in ("", "audio_")
                for name in ("gated_attn", "cross_attn_mod")
            },
        },
    ),
    "stable_audio": (
        "StableAudioDiTModel",
        {
            **_HEADS,
            "in_channels": 4,
            "out_channels": 4,
            "num_layers": 2,
            "num_key_value_attention_heads": 1,
            "cross_attention_dim": 24,
            "cross_attention_input_dim": 12,
            "time_proj_dim": 8,
            "global_states_input_dim": 20,
        },
    ),
    "stable_audio_3": ("StableAudio3DiTModel", _STABLE_AUDIO_3),
    "stable_audio_3_small": (
        "StableAudio3DiTModel",
        {**_STABLE_AUDIO_3, "use_differential_attention": False},
    ),
    "shap_e": (
        "PriorTransformer",
        {
            **_HEADS,
            "num_layers": 2,
            "embedding_dim": 24,
            "num_embeddings": 16,
            "additional_embeddings": 0,
            "time_embed_act_fn": "gelu",
            "norm_in_type": "layer",
            "embedding_proj_norm_type": "layer",
            "encoder_hid_proj_type": None,
            "added_emb_type": None,
            "time_embed_dim": 40,
            "embedding_proj_dim": 12,
            "clip_embed_dim": 48,
        },
    ),
    "minimax_h3_pruned": (
        "MiniMaxH3PrunedTransformer3DModel",
        {
            **_HEADS,
            "hidden_size": 32,
            "num_layers": 1,
            "num_refiner_layers": 1,
            "ffn_dim": 48,
            "text_dim": 24,
            "time_embed_dim": 8,
            "time_points": 9,
            "rope_freq_dim": 2,
        },
    ),
}
