"""Tiny random video models of the true architectures."""

from __future__ import annotations

from typing import Any

import diffusers as d
import transformers as tf

from nodegraph.families.wan_fun_transformer import WanFunTransformer3DModel

from .parts import dynamic_flow, t5_text
from .words import t5_words


def umt5_text(words: Any) -> Any:
    return t5_text(words, kind=tf.UMT5EncoderModel)


def wan_vae(latents: int = 16, **more: Any) -> Any:
    return d.AutoencoderKLWan(
        base_dim=8,
        z_dim=latents,
        dim_mult=[1, 2, 2, 2],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        **more,
    )


def uni_pc_flow(shift: float = 3.0) -> Any:
    return d.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift
    )


def ltx_vae(**more: Any) -> Any:
    return d.AutoencoderKLLTXVideo(
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5,
        latent_channels=128,
        decoder_inject_noise=(False,) * 5,
        **more,
    )


def wan_net(taken: int = 16, given: int = 16, **more: Any) -> Any:
    return d.WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=taken,
        out_channels=given,
        text_dim=32,
        freq_dim=32,
        ffn_dim=64,
        num_layers=2,
        rope_max_seq_len=64,
        **more,
    )


def wan() -> Any:
    words = t5_words()
    return d.WanPipeline(words, umt5_text(words), wan_vae(), uni_pc_flow(), wan_net())


def wan22() -> Any:
    words, two = t5_words(), {"transformer_2": wan_net(), "boundary_ratio": 0.875}
    return d.WanPipeline(words, umt5_text(words), wan_vae(), uni_pc_flow(), wan_net(), **two)


def wan_vace() -> Any:
    words = t5_words()
    net = d.WanVACETransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        text_dim=32,
        freq_dim=32,
        ffn_dim=64,
        num_layers=4,
        vace_layers=[0, 2],
        rope_max_seq_len=64,
    )
    return d.WanVACEPipeline(words, umt5_text(words), wan_vae(), uni_pc_flow(), net)


def wan22_vae() -> Any:
    return wan_vae(
        48,
        is_residual=True,
        decoder_base_dim=8,
        in_channels=12,
        out_channels=12,
        patch_size=2,
        scale_factor_spatial=16,
        latents_mean=[0.1] * 48,
        latents_std=[0.7] * 48,
    )


def wan22_5b() -> Any:
    words = t5_words()
    parts = (words, umt5_text(words), wan22_vae(), uni_pc_flow(5.0), wan_net(48, 48))
    return d.WanPipeline(*parts, expand_timesteps=True)


def wan22_5b_inpaint() -> Any:
    """The Fun model, which is shown a film of 48 channels and its mask of 4."""
    words = t5_words()
    parts = (words, umt5_text(words), wan22_vae(), uni_pc_flow(5.0), None, None, wan_net(100, 48))
    return d.WanImageToVideoPipeline(*parts, expand_timesteps=True)


def ltx_parts(**more: Any) -> tuple[Any, ...]:
    words = t5_words(128)
    net = d.LTXVideoTransformer3DModel(
        in_channels=128,
        out_channels=128,
        num_attention_heads=2,
        attention_head_dim=16,
        cross_attention_dim=32,
        num_layers=2,
        caption_channels=32,
    )
    scheduler = dynamic_flow(
        shift=1.0, base_shift=0.95, max_shift=2.05, base_image_seq_len=1024, shift_terminal=0.1
    )
    return scheduler, ltx_vae(**more), t5_text(words), words, net


def ltx() -> Any:
    return d.LTXPipeline(*ltx_parts())


def ltx_timed() -> Any:
    return d.LTXPipeline(*ltx_parts(timestep_conditioning=True))


def wan_fun_net(taken: int, given: int = 16, **more: Any) -> Any:
    """That of Wan's Fun control with a reference image, or of Fun camera."""
    config = {**wan_net(taken, given).config, **more}
    return WanFunTransformer3DModel(**{k: v for k, v in config.items() if not k.startswith("_")})


def wan22_fun_control() -> Any:
    """Two experts that take a control video, a first image with its mask, and a reference image."""
    words = t5_words()
    nets = {
        "transformer": wan_fun_net(52, reference_channels=16),
        "transformer_2": wan_fun_net(52, reference_channels=16),
    }
    parts = (words, umt5_text(words), wan_vae(), uni_pc_flow())
    return d.WanPipeline(*parts, **nets, boundary_ratio=0.9)


def wan22_5b_fun_control() -> Any:
    words = t5_words()
    net = wan_fun_net(148, 48, reference_channels=48)
    parts = (words, umt5_text(words), wan22_vae(), uni_pc_flow(5.0), net)
    return d.WanPipeline(*parts, expand_timesteps=True)


def wan_fun_camera() -> Any:
    """Wan 2.1's Fun camera model, which takes a first image without a mask."""
    pipeline = wan_i2v()
    more = {"image_dim": 16, "added_kv_proj_dim": 32, "camera_channels": 24 * 64}
    pipeline.register_modules(transformer=wan_fun_net(32, **more))
    return pipeline


def wan22_fun_camera() -> Any:
    words = t5_words()
    nets = [wan_fun_net(36, camera_channels=24 * 64) for _ in range(2)]
    parts = (words, umt5_text(words), wan_vae(), uni_pc_flow(), *nets)
    return d.WanPipeline(*parts, boundary_ratio=0.9)


def wan_control() -> Any:
    """The Fun control model, which is shown a control video and a first image."""
    return wan_i2v(taken=48)


def wan_i2v(taken: int = 36, **more: Any) -> Any:
    """Wan 2.1's, whose transformer is shown what a CLIP encoder sees."""
    words = t5_words()
    eye = tf.CLIPVisionModel(
        tf.CLIPVisionConfig(
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=28,
            patch_size=14,
        )
    )
    look = tf.CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    net = wan_net(taken, 16, image_dim=16, added_kv_proj_dim=32, **more)
    parts = (words, umt5_text(words), wan_vae(), uni_pc_flow(), look, eye, net)
    return d.WanImageToVideoPipeline(*parts)


def wan_animate() -> Any:
    """Animate's, which reads faces of 16 x 16 pixels here."""
    like = wan_i2v()
    net = d.WanAnimateTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        text_dim=32,
        freq_dim=32,
        ffn_dim=64,
        num_layers=2,
        image_dim=16,
        added_kv_proj_dim=32,
        rope_max_seq_len=64,
        motion_encoder_channel_sizes={"16": 8, "8": 8, "4": 12},
        motion_encoder_size=16,
        motion_style_dim=8,
        motion_dim=4,
        motion_encoder_dim=12,
        face_encoder_hidden_dim=8,
        face_encoder_num_heads=2,
        inject_face_latents_blocks=2,
    )
    return d.WanAnimatePipeline(
        like.tokenizer,
        like.text_encoder,
        like.vae,
        like.scheduler,
        like.image_processor,
        like.image_encoder,
        net,
    )


def wan_flf() -> Any:
    """Wan 2.1's for videos between two images, each of which gives 5 tokens here."""
    return wan_i2v(pos_embed_seq_len=10)


def wan22_i2v() -> Any:
    words, nets = t5_words(), (wan_net(36, 16), wan_net(36, 16))
    parts = (words, umt5_text(words), wan_vae(), uni_pc_flow(), None, None, *nets)
    return d.WanImageToVideoPipeline(*parts, boundary_ratio=0.9)


def wan22_5b_i2v() -> Any:
    words = t5_words()
    parts = (words, umt5_text(words), wan22_vae(), uni_pc_flow(5.0), None, None, wan_net(48, 48))
    return d.WanImageToVideoPipeline(*parts, expand_timesteps=True)


def ltx_i2v() -> Any:
    return d.LTXImageToVideoPipeline(*ltx_parts())
