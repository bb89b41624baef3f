"""Small denoisers whose heads and places are as published ones', and what published ones are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from nodegraph.families.building import library_class

_HEADS = {"num_attention_heads": 2, "attention_head_dim": 128}


@dataclass(frozen=True)
class Small:
    """A denoiser to be written to a file.

    Attributes:
        layout: That reads it.
        writer: That writes it, one of `originals.WRITERS`.
        kind: Class of diffusers.
        config: Of that class.
        published: What of the configuration is otherwise in a published model.
    """

    layout: str
    writer: str
    kind: str
    config: Mapping[str, Any]
    published: Mapping[str, Any]

    def build(self) -> nn.Module:
        """With random weights, none of them zero."""
        made: nn.Module = library_class(self.kind)(**self.config)
        for parameter in made.parameters():
            if not bool(parameter.any()):
                nn.init.normal_(parameter, 0, 0.02)
        return made.eval().requires_grad_(False)

    def on_meta(self) -> nn.Module:
        """The published model's structure."""
        with torch.device("meta"):
            made: nn.Module = library_class(self.kind)(**{**self.config, **self.published})
        return made


_WAN = {
    **_HEADS,
    "patch_size": (1, 2, 2),
    "text_dim": 32,
    "freq_dim": 32,
    "ffn_dim": 48,
    "num_layers": 2,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
}
_WAN_WIDE = {"text_dim": 4096, "freq_dim": 256}
_SANA = {
    "num_attention_heads": 4,
    "attention_head_dim": 32,
    "num_cross_attention_heads": 4,
    "cross_attention_head_dim": 32,
    "cross_attention_dim": 128,
    "caption_channels": 48,
    "num_layers": 2,
}
_SANA_WIDE = {
    "num_attention_heads": 70,
    "num_cross_attention_heads": 20,
    "cross_attention_head_dim": 112,
    "cross_attention_dim": 2240,
    "caption_channels": 2304,
}
_SANA_VIDEO = {
    "num_attention_heads": 2,
    "attention_head_dim": 112,
    "num_cross_attention_heads": 2,
    "cross_attention_head_dim": 112,
    "cross_attention_dim": 224,
    "caption_channels": 48,
    "mlp_ratio": 3.0,
    "num_layers": 2,
}
_SANA_WIDE_VIDEO = {
    "num_attention_heads": 20,
    "num_cross_attention_heads": 20,
    "cross_attention_dim": 2240,
    "caption_channels": 2304,
}
_FLUX2 = {
    **_HEADS,
    "in_channels": 128,
    "out_channels": 128,
    "num_layers": 2,
    "num_single_layers": 1,
    "joint_attention_dim": 48,
    "timestep_guidance_channels": 32,
}
_LTX = {
    "num_attention_heads": 32,
    "attention_head_dim": 4,
    "cross_attention_dim": 128,
    "caption_channels": 48,
    "num_layers": 2,
}
_HUNYUAN = {
    **_HEADS,
    "num_layers": 2,
    "num_single_layers": 1,
    "num_refiner_layers": 2,
    "patch_size": (1, 1),
    "text_embed_dim": 48,
    "text_embed_2_dim": 32,
}
_HUNYUAN_WIDE = {"num_attention_heads": 28, "text_embed_dim": 3584, "text_embed_2_dim": 1472}
_HUNYUAN_VIDEO_1 = {
    **_HEADS,
    "num_layers": 2,
    "num_single_layers": 1,
    "text_embed_dim": 48,
    "pooled_projection_dim": 32,
}
_HUNYUAN_VIDEO_1_WIDE = {
    "num_attention_heads": 24,
    "text_embed_dim": 4096,
    "pooled_projection_dim": 768,
}
_HUNYUAN_VIDEO = {
    **_HEADS,
    "num_layers": 2,
    "text_embed_dim": 48,
    "text_embed_2_dim": 32,
    "image_embed_dim": 16,
    "task_type": "",
}
_HUNYUAN_VIDEO_WIDE = {
    "num_attention_heads": 16,
    "text_embed_dim": 3584,
    "text_embed_2_dim": 1472,
    "image_embed_dim": 1152,
}
_QWEN = {**_HEADS, "num_layers": 2, "joint_attention_dim": 48, "out_channels": 16}

SMALL: Mapping[str, Small] = {
    "z-image": Small(
        "z-image-transformer",
        "z-image",
        "ZImageTransformer2DModel",
        {
            "dim": 256,
            "n_layers": 2,
            "n_refiner_layers": 1,
            "n_heads": 2,
            "n_kv_heads": 2,
            "cap_feat_dim": 48,
            "axes_lens": (1536, 512, 512),
        },
        {"dim": 3840, "n_heads": 30, "n_kv_heads": 30, "cap_feat_dim": 2560, "n_refiner_layers": 2},
    ),
    "z-image-omni": Small(
        "z-image-omni-transformer",
        "z-image-omni",
        "ZImageTransformer2DModel",
        {
            "dim": 256,
            "n_layers": 2,
            "n_refiner_layers": 1,
            "n_heads": 2,
            "n_kv_heads": 2,
            "cap_feat_dim": 48,
            "siglip_feat_dim": 40,
            "axes_lens": (1536, 512, 512),
        },
        {"dim": 3840, "n_heads": 30, "n_kv_heads": 30, "cap_feat_dim": 2560, "n_refiner_layers": 2},
    ),
    "lumina2": Small(
        "lumina2-transformer",
        "lumina2",
        "Lumina2Transformer2DModel",
        {
            "hidden_size": 192,
            "num_layers": 2,
            "num_refiner_layers": 1,
            "num_attention_heads": 2,
            "num_kv_heads": 1,
            "out_channels": 16,
            "cap_feat_dim": 48,
        },
        {
            "hidden_size": 2304,
            "num_attention_heads": 24,
            "num_kv_heads": 8,
            "num_refiner_layers": 2,
            "cap_feat_dim": 2304,
        },
    ),
    "sana": Small("sana-transformer", "sana", "SanaTransformer2DModel", _SANA, _SANA_WIDE),
    "sana-1.5": Small(
        "sana-transformer",
        "sana",
        "SanaTransformer2DModel",
        {**_SANA, "qk_norm": "rms_norm_across_heads"},
        _SANA_WIDE,
    ),
    "sana-video": Small(
        "sana-video-transformer",
        "sana",
        "SanaVideoTransformer3DModel",
        _SANA_VIDEO,
        _SANA_WIDE_VIDEO,
    ),
    "sana-video-720p": Small(
        "sana-video-720p-transformer",
        "sana",
        "SanaVideoTransformer3DModel",
        {
            **_SANA_VIDEO,
            "in_channels": 128,
            "out_channels": 128,
            "patch_size": (1, 1, 1),
            "sample_size": 22,
        },
        _SANA_WIDE_VIDEO,
    ),
    "pixart-sigma": Small(
        "pixart-sigma-transformer",
        "pixart-sigma",
        "PixArtTransformer2DModel",
        {
            "num_attention_heads": 2,
            "attention_head_dim": 72,
            "cross_attention_dim": 144,
            "num_layers": 2,
            "caption_channels": 48,
            "interpolation_scale": 2,
            "use_additional_conditions": False,
        },
        {"num_attention_heads": 16, "cross_attention_dim": 1152, "caption_channels": 4096},
    ),
    "wan": Small(
        "wan-transformer",
        "wan",
        "WanTransformer3DModel",
        _WAN,
        {**_WAN_WIDE, "num_attention_heads": 40, "ffn_dim": 13824},
    ),
    "wan-i2v": Small(
        "wan-transformer",
        "wan",
        "WanTransformer3DModel",
        {**_WAN, "in_channels": 36, "image_dim": 32, "added_kv_proj_dim": 256},
        {
            **_WAN_WIDE,
            "num_attention_heads": 40,
            "ffn_dim": 13824,
            "image_dim": 1280,
            "added_kv_proj_dim": 5120,
        },
    ),
    "wan-flf": Small(
        "wan-transformer",
        "wan",
        "WanTransformer3DModel",
        {
            **_WAN,
            "in_channels": 36,
            "image_dim": 32,
            "added_kv_proj_dim": 256,
            "pos_embed_seq_len": 10,
        },
        {
            **_WAN_WIDE,
            "num_attention_heads": 40,
            "ffn_dim": 13824,
            "image_dim": 1280,
            "added_kv_proj_dim": 5120,
            "pos_embed_seq_len": 514,
        },
    ),
    "wan22-i2v": Small(
        "wan-transformer",
        "wan",
        "WanTransformer3DModel",
        {**_WAN, "in_channels": 36},
        {**_WAN_WIDE, "num_attention_heads": 40, "ffn_dim": 13824},
    ),
    "wan-control": Small(
        "wan-transformer",
        "wan",
        "WanTransformer3DModel",
        {**_WAN, "in_channels": 48, "image_dim": 32, "added_kv_proj_dim": 256},
        {
            **_WAN_WIDE,
            "num_attention_heads": 40,
            "ffn_dim": 13824,
            "image_dim": 1280,
            "added_kv_proj_dim": 5120,
        },
    ),
    "wan-vace": Small(
        "wan-vace-transformer",
        "wan",
        "WanVACETransformer3DModel",
        {**_WAN, "num_layers": 4, "vace_layers": [0, 2]},
        {**_WAN_WIDE, "num_attention_heads": 40, "ffn_dim": 13824},
    ),
    "wan-animate": Small(
        "wan-animate-transformer",
        "wan-animate",
        "WanAnimateTransformer3DModel",
        {
            **_WAN,
            "num_layers": 10,
            "in_channels": 36,
            "image_dim": 32,
            "added_kv_proj_dim": 256,
            "motion_encoder_channel_sizes": {
                "512": 4,
                "256": 4,
                "128": 4,
                "64": 6,
                "32": 6,
                "16": 8,
                "8": 8,
                "4": 10,
            },
            "motion_style_dim": 12,
            "motion_dim": 5,
            "motion_encoder_dim": 14,
            "face_encoder_hidden_dim": 16,
        },
        {
            **_WAN_WIDE,
            "num_attention_heads": 40,
            "ffn_dim": 13824,
            "num_layers": 40,
            "image_dim": 1280,
            "added_kv_proj_dim": 5120,
            "motion_encoder_channel_sizes": {
                **dict.fromkeys(("4", "8", "16", "32"), 512),
                "64": 256,
                "128": 128,
                "256": 64,
                "512": 32,
            },
            "motion_style_dim": 512,
            "motion_dim": 20,
            "motion_encoder_dim": 512,
            "face_encoder_hidden_dim": 1024,
        },
    ),
    **{
        name: Small(
            layout,
            name,
            "WanAnimate2Transformer3DModel",
            {
                "dim": 256,
                "num_heads": 2,
                "ffn_dim": 48,
                "freq_dim": 32,
                "text_dim": 32,
                "num_layers": 2,
            },
            {
                **_WAN_WIDE,
                "dim": 5120,
                "num_heads": 40,
                "ffn_dim": 13824,
                "num_layers": 40,
            },
        )
        for name, layout in (
            ("wan-animate-2", "wan-animate-2-original"),
            ("wan-animate-2-comfyui", "wan-animate-2-transformer"),
        )
    },
    "wan-control-reference": Small(
        "wan-fun-transformer",
        "wan",
        "WanFunTransformer3DModel",
        {
            **_WAN,
            "in_channels": 48,
            "image_dim": 32,
            "added_kv_proj_dim": 256,
            "reference_channels": 16,
        },
        {
            **_WAN_WIDE,
            "num_attention_heads": 40,
            "ffn_dim": 13824,
            "image_dim": 1280,
            "added_kv_proj_dim": 5120,
        },
    ),
    "wan22-control": Small(
        "wan-fun-transformer",
        "wan",
        "WanFunTransformer3DModel",
        {**_WAN, "in_channels": 52, "reference_channels": 16},
        {**_WAN_WIDE, "num_attention_heads": 40, "ffn_dim": 13824},
    ),
    "wan22-5b-control": Small(
        "wan22-5b-fun-transformer",
        "wan",
        "WanFunTransformer3DModel",
        {**_WAN, "in_channels": 148, "out_channels": 48, "reference_channels": 48},
        {**_WAN_WIDE, "num_attention_heads": 24, "ffn_dim": 14336},
    ),
    "wan-camera": Small(
        "wan-fun-transformer",
        "wan",
        "WanFunTransformer3DModel",
        {
            **_WAN,
            "in_channels": 32,
            "image_dim": 32,
            "added_kv_proj_dim": 256,
            "camera_channels": 1536,
        },
        {
            **_WAN_WIDE,
            "num_attention_heads": 12,
            "ffn_dim": 8960,
            "num_layers": 30,
            "image_dim": 1280,
            "added_kv_proj_dim": 1536,
        },
    ),
    "wan22-camera": Small(
        "wan-fun-transformer",
        "wan",
        "WanFunTransformer3DModel",
        {**_WAN, "in_channels": 36, "camera_channels": 1536},
        {**_WAN_WIDE, "num_attention_heads": 40, "ffn_dim": 13824},
    ),
    "wan22-5b": Small(
        "wan22-5b-transformer",
        "wan",
        "WanTransformer3DModel",
        {**_WAN, "in_channels": 48, "out_channels": 48},
        {**_WAN_WIDE, "num_attention_heads": 24, "ffn_dim": 14336},
    ),
    "wan22-5b-inpaint": Small(
        "wan22-5b-transformer",
        "wan",
        "WanTransformer3DModel",
        {**_WAN, "in_channels": 100, "out_channels": 48},
        {**_WAN_WIDE, "num_attention_heads": 24, "ffn_dim": 14336},
    ),
    "ltx": Small(
        "ltx-transformer",
        "ltx",
        "LTXVideoTransformer3DModel",
        _LTX,
        {"attention_head_dim": 128, "cross_attention_dim": 4096, "caption_channels": 4096},
    ),
    "hidream": Small(
        "hidream-transformer",
        "hidream",
        "HiDreamImageTransformer2DModel",
        {
            **_HEADS,
            "num_attention_heads": 1,
            "patch_size": 2,
            "in_channels": 16,
            "out_channels": 16,
            "num_layers": 1,
            "num_single_layers": 2,
            "caption_channels": [32, 48],
            "text_emb_dim": 64,
            "axes_dims_rope": (64, 32, 32),
            "llama_layers": [0, 1, 2],
        },
        {
            "num_attention_heads": 20,
            "caption_channels": [4096, 4096],
            "text_emb_dim": 2048,
        },
    ),
    "flux2": Small(
        "flux2-transformer",
        "flux2",
        "Flux2Transformer2DModel",
        _FLUX2,
        {"num_attention_heads": 48, "joint_attention_dim": 15360},
    ),
    "flux2-klein": Small(
        "flux2-klein-transformer",
        "flux2",
        "Flux2Transformer2DModel",
        {**_FLUX2, "guidance_embeds": False},
        {"num_attention_heads": 24, "joint_attention_dim": 7680, "timestep_guidance_channels": 256},
    ),
    "qwen-image": Small(
        "qwen-image-transformer",
        "qwen-image",
        "QwenImageTransformer2DModel",
        _QWEN,
        {"num_attention_heads": 24, "joint_attention_dim": 3584},
    ),
    "qwen-image-layered": Small(
        "qwen-image-layered-transformer",
        "qwen-image",
        "QwenImageTransformer2DModel",
        {**_QWEN, "use_additional_t_cond": True, "use_layer3d_rope": True},
        {"num_attention_heads": 24, "joint_attention_dim": 3584},
    ),
    "hunyuan-image": Small(
        "hunyuan-image-transformer",
        "hunyuan-image",
        "HunyuanImageTransformer2DModel",
        _HUNYUAN,
        _HUNYUAN_WIDE,
    ),
    "hunyuan-image-distilled": Small(
        "hunyuan-image-transformer",
        "hunyuan-image-apart",
        "HunyuanImageTransformer2DModel",
        {**_HUNYUAN, "guidance_embeds": True, "use_meanflow": True},
        _HUNYUAN_WIDE,
    ),
    "hunyuan-video": Small(
        "hunyuan-video-transformer",
        "hunyuan-video",
        "HunyuanVideoTransformer3DModel",
        _HUNYUAN_VIDEO_1,
        _HUNYUAN_VIDEO_1_WIDE,
    ),
    "hunyuan-video-15": Small(
        "hunyuan-video-15-transformer",
        "hunyuan-video-15",
        "HunyuanVideo15Transformer3DModel",
        _HUNYUAN_VIDEO,
        _HUNYUAN_VIDEO_WIDE,
    ),
    "hunyuan-video-15-meanflow": Small(
        "hunyuan-video-15-transformer",
        "hunyuan-video-15-comfyui",
        "HunyuanVideo15Transformer3DModel",
        {**_HUNYUAN_VIDEO, "use_meanflow": True},
        _HUNYUAN_VIDEO_WIDE,
    ),
}
