"""Pipelines that make images with transformers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import diffusers
import transformers

from tests.pipelines.tiny.base import SHORT, SIDE, SIZED, WIDTH, Tiny, picture
from tests.pipelines.tiny.parts import autoencoder, flow
from tests.pipelines.tiny.words import (
    clip_text,
    clip_tokenizer,
    decoder_config,
    gemma_tokenizer,
    qwen_tokenizer,
    t5_encoder,
    t5_tokenizer,
)


def _sd3() -> Tiny:
    both = 2 * WIDTH  # texts of both CLIPs side by side, and T5 as wide as they are together
    backbone = diffusers.SD3Transformer2DModel(
        sample_size=SIDE // 2,
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=both,
        caption_projection_dim=32,
        pooled_projection_dim=both,
    )
    made = diffusers.StableDiffusion3Pipeline(
        transformer=backbone,
        scheduler=flow(),
        vae=autoencoder(shift_factor=0.06),
        text_encoder=clip_text(projected=True),
        tokenizer=clip_tokenizer(),
        text_encoder_2=clip_text(projected=True),
        tokenizer_2=clip_tokenizer(),
        text_encoder_3=t5_encoder(width=both),
        tokenizer_3=t5_tokenizer(),
    )
    return Tiny(made, {**SIZED, **SHORT})


def _flux(kind: Any, call: Mapping[str, Any]) -> Tiny:
    backbone = diffusers.FluxTransformer2DModel(
        in_channels=16,  # four of the autoencoder's in patches of two by two
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        pooled_projection_dim=WIDTH,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    )
    made = kind(
        scheduler=flow(),
        vae=autoencoder(shift_factor=0.0),
        text_encoder=clip_text(),
        tokenizer=clip_tokenizer(),
        text_encoder_2=t5_encoder(),
        tokenizer_2=t5_tokenizer(),
        transformer=backbone,
    )
    return Tiny(made, {**SIZED, **SHORT, **call})


def _pixart() -> Tiny:
    backbone = diffusers.PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=8,
        in_channels=4,
        out_channels=8,
        num_layers=1,
        cross_attention_dim=16,
        sample_size=SIDE // 2,
        caption_channels=WIDTH,
        use_additional_conditions=False,
        norm_num_groups=1,
    )
    made = diffusers.PixArtSigmaPipeline(
        tokenizer=t5_tokenizer(),
        text_encoder=t5_encoder(),
        vae=autoencoder(),
        transformer=backbone,
        scheduler=diffusers.DPMSolverMultistepScheduler(),
    )
    more = {"use_resolution_binning": False, "clean_caption": False}
    return Tiny(made, {**SIZED, **SHORT, **more})


def _sprint() -> Tiny:
    backbone = diffusers.SanaTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=1,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=WIDTH,
        sample_size=SIDE // 2,
        guidance_embeds=True,
        qk_norm="rms_norm_across_heads",
    )
    coder = diffusers.AutoencoderDC(
        latent_channels=4,
        attention_head_dim=2,
        encoder_block_types=("ResBlock", "EfficientViTBlock"),
        decoder_block_types=("ResBlock", "EfficientViTBlock"),
        encoder_block_out_channels=(8, 8),
        decoder_block_out_channels=(8, 8),
        encoder_qkv_multiscales=((), (5,)),
        decoder_qkv_multiscales=((), (5,)),
        encoder_layers_per_block=(1, 1),
        decoder_layers_per_block=(1, 1),
        downsample_block_type="conv",
        upsample_block_type="interpolate",
    )
    made = diffusers.SanaSprintPipeline(
        tokenizer=gemma_tokenizer(),
        text_encoder=transformers.Gemma2Model(decoder_config("Gemma2")),
        vae=coder,
        transformer=backbone,
        scheduler=diffusers.SCMScheduler(),
    )
    more = {"complex_human_instruction": [], "use_resolution_binning": False}
    return Tiny(made, {**SIZED, **SHORT, **more})


def _z_image() -> Tiny:
    backbone = diffusers.ZImageTransformer2DModel(
        in_channels=16,
        dim=32,
        n_layers=1,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=WIDTH,
        axes_dims=[4, 4, 8],
        axes_lens=[256, 32, 32],
    )
    made = diffusers.ZImagePipeline(
        scheduler=flow(),
        vae=autoencoder(16, shift_factor=0.0),
        text_encoder=transformers.Qwen3Model(decoder_config("Qwen3", layers=2)),
        tokenizer=qwen_tokenizer(),
        transformer=backbone,
    )
    return Tiny(made, {**SIZED, "max_sequence_length": 64})


def _amused() -> Tiny:
    codes = 32
    backbone = diffusers.UVit2DModel(
        hidden_size=32,
        cond_embed_dim=WIDTH,
        micro_cond_encode_dim=8,
        micro_cond_embed_dim=5 * 8,  # five numbers about the image
        encoder_hidden_size=WIDTH,
        vocab_size=codes + 1,
        codebook_size=codes,
        in_channels=8,
        block_out_channels=8,
        num_res_blocks=1,
        block_num_heads=1,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        sample_size=SIDE // 2,
    )
    coder = diffusers.VQModel(
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 16),
        norm_num_groups=4,
        latent_channels=8,
        num_vq_embeddings=codes,
        mid_block_add_attention=False,
        lookup_from_codebook=True,
    )
    made = diffusers.AmusedPipeline(
        vqvae=coder,
        tokenizer=clip_tokenizer(),
        text_encoder=clip_text(projected=True),
        transformer=backbone,
        scheduler=diffusers.AmusedScheduler(mask_token_id=codes),
    )
    return Tiny(made, SIZED)


PIPELINES: Mapping[str, Callable[[], Tiny]] = {
    "StableDiffusion3Pipeline": _sd3,
    "FluxPipeline": lambda: _flux(diffusers.FluxPipeline, {}),
    "FluxImg2ImgPipeline": lambda: _flux(
        diffusers.FluxImg2ImgPipeline, {"image": picture(), "strength": 1.0}
    ),
    "PixArtSigmaPipeline": _pixart,
    "SanaSprintPipeline": _sprint,
    "ZImagePipeline": _z_image,
    "AmusedPipeline": _amused,
}
