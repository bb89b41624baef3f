"""Pipelines that make videos."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import diffusers

from tests.pipelines.tiny.base import SHORT, SIDE, SIZED, WIDTH, Tiny, clip, picture
from tests.pipelines.tiny.parts import clip_pixels, clip_vision, flow
from tests.pipelines.tiny.stable import parts
from tests.pipelines.tiny.words import t5_encoder, t5_tokenizer


def _wan(kind: Any, call: Mapping[str, Any], channels: int = 16, **more: Any) -> Tiny:
    sees = {"image_dim": WIDTH, "added_kv_proj_dim": 24} if more else {}
    backbone = diffusers.WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=channels,
        out_channels=16,
        text_dim=WIDTH,
        freq_dim=16,
        ffn_dim=32,
        num_layers=1,
        **sees,
    )
    made = kind(
        tokenizer=t5_tokenizer(),
        text_encoder=t5_encoder("UMT5"),
        # Sixteen latent channels, as it has a mean for each of so many.
        vae=diffusers.AutoencoderKLWan(base_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1),
        scheduler=diffusers.UniPCMultistepScheduler(
            use_flow_sigmas=True, prediction_type="flow_prediction", flow_shift=3.0
        ),
        transformer=backbone,
        **more,
    )
    return Tiny(made, {**SIZED, **SHORT, **call})


def _wan_from_picture() -> Tiny:
    # Noise, four channels that say which frames are given, and these.
    return _wan(
        diffusers.WanImageToVideoPipeline,
        {"num_frames": 5, "image": picture()},
        16 + 4 + 16,
        image_processor=clip_pixels(),
        image_encoder=clip_vision(projected=False),
    )


def _ltx(kind: Any, call: Mapping[str, Any]) -> Tiny:
    backbone = diffusers.LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        num_attention_heads=2,
        attention_head_dim=16,
        cross_attention_dim=32,
        num_layers=1,
        caption_channels=WIDTH,
    )
    coder = diffusers.AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8,) * 4,
        decoder_block_out_channels=(8,) * 4,
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5,
    )
    made = kind(
        scheduler=flow(),
        vae=coder,
        text_encoder=t5_encoder(),
        tokenizer=t5_tokenizer(),
        transformer=backbone,
    )
    return Tiny(made, {**SIZED, **SHORT, "num_frames": 9, **call})


def _cog(kind: Any, call: Mapping[str, Any]) -> Tiny:
    backbone = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=4,
        time_embed_dim=8,
        text_embed_dim=WIDTH,
        num_layers=1,
        sample_width=SIDE // 8,
        sample_height=SIDE // 8,
        sample_frames=9,
        max_text_seq_length=16,
    )
    coder = diffusers.AutoencoderKLCogVideoX(
        block_out_channels=(8,) * 4,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        sample_height=SIDE,
        sample_width=SIDE,
    )
    made = kind(
        tokenizer=t5_tokenizer(),
        text_encoder=t5_encoder(),
        vae=coder,
        transformer=backbone,
        scheduler=diffusers.CogVideoXDDIMScheduler(),
    )
    return Tiny(made, {**SIZED, **SHORT, **call})


def _svd() -> Tiny:
    backbone = diffusers.UNetSpatioTemporalConditionModel(
        sample_size=SIDE // 2,
        in_channels=8,
        out_channels=4,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"),
        block_out_channels=(32, 32),  # normalized in 32 groups, whatever is said
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=24,
        layers_per_block=1,
        cross_attention_dim=WIDTH,
        num_attention_heads=4,
        num_frames=2,
    )
    coder = diffusers.AutoencoderKLTemporalDecoder(
        down_block_types=("DownEncoderBlock2D",) * 2, block_out_channels=(32, 32)
    )
    schedule = diffusers.EulerDiscreteScheduler(
        prediction_type="v_prediction",
        use_karras_sigmas=True,
        sigma_min=0.002,
        sigma_max=700.0,
        timestep_spacing="leading",
        timestep_type="continuous",
    )
    made = diffusers.StableVideoDiffusionPipeline(
        vae=coder,
        image_encoder=clip_vision(side=224, patch=56),  # images come in that size
        unet=backbone,
        scheduler=schedule,
        feature_extractor=clip_pixels(),
    )
    call = {"image": picture(), "num_frames": 2, "num_inference_steps": 2}
    return Tiny(made, {**call, "height": SIDE, "width": SIDE})


def _animate() -> Tiny:
    adapter = diffusers.MotionAdapter(
        block_out_channels=(16, 32),
        motion_layers_per_block=1,
        motion_norm_num_groups=2,
        motion_num_attention_heads=2,
        motion_max_seq_length=8,
    )
    made = diffusers.AnimateDiffPipeline(**parts(motion_adapter=adapter))
    return Tiny(made, {**SIZED, "num_frames": 4})


PIPELINES: Mapping[str, Callable[[], Tiny]] = {
    "WanPipeline": lambda: _wan(diffusers.WanPipeline, {"num_frames": 5}),
    "WanImageToVideoPipeline": _wan_from_picture,
    "WanVideoToVideoPipeline": lambda: _wan(
        diffusers.WanVideoToVideoPipeline, {"video": clip(5), "strength": 1.0}
    ),
    "LTXPipeline": lambda: _ltx(diffusers.LTXPipeline, {}),
    "LTXImageToVideoPipeline": lambda: _ltx(
        diffusers.LTXImageToVideoPipeline, {"image": picture()}
    ),
    "CogVideoXPipeline": lambda: _cog(diffusers.CogVideoXPipeline, {"num_frames": 9}),
    "CogVideoXVideoToVideoPipeline": lambda: _cog(
        diffusers.CogVideoXVideoToVideoPipeline, {"video": clip(9), "strength": 1.0}
    ),
    "StableVideoDiffusionPipeline": _svd,
    "AnimateDiffPipeline": _animate,
}
