"""LTX-2 gives what diffusers' pipelines give, to the last bit: the video and its sound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import diffusers as d
import torch
import transformers as tf
from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder

from .conftest import Pair
from .parts import dynamic_flow
from .words import gemma_words

ModelOf = Callable[[Callable[[], Any]], Pair]

_WIDTH = 16


def gemma3_text(words: Any, layers: int = 2) -> Any:
    eyes = tf.SiglipVisionConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        image_size=28,
        patch_size=14,
    )
    text = tf.Gemma3TextConfig(
        vocab_size=len(words),
        hidden_size=_WIDTH,
        intermediate_size=32,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        max_position_embeddings=1024,
        pad_token_id=words.pad_token_id,
        eos_token_id=words.eos_token_id,
        bos_token_id=words.bos_token_id,
    )
    config = tf.Gemma3Config(text_config=text, vision_config=eyes, mm_tokens_per_image=4)
    return tf.Gemma3ForConditionalGeneration(config)


def transformer() -> Any:
    return d.LTX2VideoTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        cross_attention_dim=32,
        audio_num_attention_heads=2,
        audio_attention_head_dim=8,
        audio_cross_attention_dim=16,
        num_layers=2,
        caption_channels=_WIDTH,
        rope_double_precision=False,
        rope_type="split",
    )


def connectors(layers: int = 2) -> Any:
    return LTX2TextConnectors(
        caption_channels=_WIDTH,
        text_proj_in_factor=layers + 1,
        video_connector_num_attention_heads=2,
        video_connector_attention_head_dim=8,
        video_connector_num_layers=1,
        audio_connector_num_attention_heads=2,
        audio_connector_attention_head_dim=8,
        audio_connector_num_layers=1,
        rope_double_precision=False,
        rope_type="split",
    )


def video_vae() -> Any:
    vae = d.AutoencoderKLLTX2Video(
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8),
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 4,
        upsample_factor=(1, 1, 1),
        upsample_residual=(False,) * 3,
        spatial_compression_ratio=32,
        temporal_compression_ratio=8,
    )
    vae.latents_mean.normal_(0, 0.1)
    vae.latents_std.uniform_(0.5, 1.5)
    return vae


def sound_vae() -> Any:
    # its statistics have as many entries as the network has base channels
    vae = d.AutoencoderKLLTX2Audio(base_channels=128, ch_mult=(1, 1, 1), num_res_blocks=1)
    vae.latents_mean.normal_(0, 0.1)
    vae.latents_std.uniform_(0.5, 1.5)
    return vae


def vocoder() -> Any:
    return LTX2Vocoder(
        hidden_channels=32,
        upsample_kernel_sizes=[4, 4],
        upsample_factors=[2, 2],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1]],
    )


def _pipeline(kind: Any) -> Any:
    words = gemma_words()
    scheduler = dynamic_flow(
        shift=1.0, base_shift=0.95, max_shift=2.05, base_image_seq_len=1024, shift_terminal=0.1
    )
    return kind(
        scheduler=scheduler,
        vae=video_vae(),
        audio_vae=sound_vae(),
        text_encoder=gemma3_text(words),
        tokenizer=words,
        connectors=connectors(),
        transformer=transformer(),
        vocoder=vocoder(),
    )


def ltx2() -> Any:
    return _pipeline(d.LTX2Pipeline)


def ltx2_i2v() -> Any:
    return _pipeline(d.LTX2ImageToVideoPipeline)
