"""Tiny random parts of the true architectures: widths of a few dozen, one or two blocks deep."""

from __future__ import annotations

from typing import Any

import diffusers as d
import transformers as tf

from .words import clip_words, t5_words


def clip_text(
    words: Any,
    width: int = 32,
    projection: int | None = None,
    act: str = "quick_gelu",
    length: int = 77,
) -> Any:
    config = tf.CLIPTextConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=length,
        hidden_act=act,
        projection_dim=projection or width,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=1,
    )
    kind = tf.CLIPTextModelWithProjection if projection else tf.CLIPTextModel
    return kind(config)


def t5_text(words: Any, width: int = 32, kind: Any = tf.T5EncoderModel) -> Any:
    config = (tf.UMT5Config if kind is tf.UMT5EncoderModel else tf.T5Config)(
        vocab_size=len(words),
        d_model=width,
        d_kv=8,
        d_ff=2 * width,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    )
    return kind(config)


def vae(
    latents: int = 4, scale: float = 0.18215, shift: float | None = None, *, quant: bool = True
) -> Any:
    return d.AutoencoderKL(
        block_out_channels=(8, 8, 16, 16),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=latents,
        scaling_factor=scale,
        shift_factor=shift,
        use_quant_conv=quant,
        use_post_quant_conv=quant,
        sample_size=64,
    )


def flux_vae() -> Any:
    return vae(16, 0.3611, 0.1159, quant=False)


def hunyuan_vae() -> Any:
    return d.AutoencoderKLHunyuanImage(
        in_channels=3,
        out_channels=3,
        latent_channels=64,
        block_out_channels=(32, 32, 32, 32, 64, 128),
        layers_per_block=1,
        spatial_compression_ratio=32,
        sample_size=64,
        scaling_factor=0.75289,
    )


def sd3_around(net: Any) -> Any:
    """A pipeline of Stable Diffusion 3 with a transformer that attends to a width of 80."""
    one, two, three = clip_words(), clip_words(pad="!"), t5_words()
    encoders = (clip_text(one, 32, 32), one, clip_text(two, 32, 32, "gelu"), two)
    autoencoder = vae(16, 1.5305, 0.0609, quant=False)
    return d.StableDiffusion3Pipeline(
        net, flow(shift=3.0), autoencoder, *encoders, t5_text(three, 80), three
    )


def unet(cross: int, heads: Any, **more: Any) -> Any:
    options = {
        "sample_size": 8,
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": (32, 32, 64, 64),
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        "cross_attention_dim": cross,
        "attention_head_dim": heads,
        "norm_num_groups": 16,
    }
    return d.UNet2DConditionModel(**{**options, **more})


def ddim(**more: Any) -> Any:
    return d.DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        **more,
    )


def flow(**more: Any) -> Any:
    return d.FlowMatchEulerDiscreteScheduler(**more)


def dynamic_flow(**more: Any) -> Any:
    """A flow whose shift depends on the size, as Flux.1's."""
    usual = {
        "shift": 3.0,
        "use_dynamic_shifting": True,
        "base_shift": 0.5,
        "max_shift": 1.15,
        "base_image_seq_len": 256,
        "max_image_seq_len": 4096,
    }
    return flow(**{**usual, **more})
