"""Pipelines that make sound."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import diffusers
from diffusers.pipelines.stable_audio import StableAudioProjectionModel

from tests.pipelines.tiny.base import TEXT, Tiny
from tests.pipelines.tiny.words import t5_encoder, t5_tokenizer


def _stable_audio() -> Tiny:
    coder = diffusers.AutoencoderOobleck(
        encoder_hidden_size=6,
        downsampling_ratios=[1, 2],
        channel_multiples=[1, 2],
        decoder_channels=3,
        decoder_input_channels=3,
        audio_channels=2,
        sampling_rate=4,
    )
    backbone = diffusers.StableAudioDiTModel(
        sample_size=4,
        in_channels=3,
        num_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        num_key_value_attention_heads=2,
        out_channels=3,
        cross_attention_dim=16,
        time_proj_dim=8,
        global_states_input_dim=32,
        cross_attention_input_dim=16,
    )
    made = diffusers.StableAudioPipeline(
        vae=coder,
        text_encoder=t5_encoder(width=16),
        projection_model=StableAudioProjectionModel(
            text_encoder_dim=16, conditioning_dim=16, min_value=0, max_value=32
        ),
        tokenizer=t5_tokenizer(),
        transformer=backbone,
        scheduler=diffusers.EDMDPMSolverMultistepScheduler(
            solver_order=2,
            prediction_type="v_prediction",
            sigma_data=1.0,
            sigma_schedule="exponential",
        ),
    )
    return Tiny(made, {**TEXT, "audio_end_in_s": 1.0})


def _dance() -> Tiny:
    widths = (32, 32, 64)  # as many heads as the last is times 32
    backbone = diffusers.UNet1DModel(
        sample_size=64,
        sample_rate=64,
        extra_in_channels=2 * widths[0],  # sine and cosine of the time
        use_timestep_embedding=False,
        flip_sin_to_cos=True,
        down_block_types=("DownBlock1DNoSkip", "DownBlock1D", "AttnDownBlock1D"),
        up_block_types=("AttnUpBlock1D", "UpBlock1D", "UpBlock1DNoSkip"),
        block_out_channels=widths,
    )
    made = diffusers.DanceDiffusionPipeline(backbone, diffusers.IPNDMScheduler())
    return Tiny(made, {"num_inference_steps": 3})


PIPELINES: Mapping[str, Callable[[], Tiny]] = {
    "StableAudioPipeline": _stable_audio,
    "DanceDiffusionPipeline": _dance,
}
