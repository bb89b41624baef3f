"""LTX-2 gives what diffusers' pipelines give, to the last bit: the video and its sound."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import diffusers as d
import numpy as np
import torch
import transformers as tf
from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.diffusion import decode_video, sample
from nodegraph.families.base import RATE
from nodegraph.models.image_to_video import encode_first_frame
from nodegraph.models.vae import decode_sound
from nodegraph.sampling.inpainting import with_tensors

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Model, picture
from .parts import dynamic_flow
from .words import gemma_words

ModelOf = Callable[[Callable[[], Any]], Pair]
Pictured = tuple[Tensor, Tensor]
"""A video and its sound."""

_PLAIN = {
    f"{modality}{name}": value
    for modality in ("", "audio_")
    for name, value in (("stg_scale", 0.0), ("modality_scale", 1.0), ("guidance_rescale", 0.0))
}
"""Options of the pipelines: classifier-free guidance alone."""

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


def sampled(model: Model, width: int, height: int, frames: int, **options: Any) -> Latent:
    """A video with sound by nodegraph."""
    batch, rate = options.pop("batch", 1), options.pop("rate", None)
    negative = model.encode(options.pop("negative", None))
    positive = model.encode(PROMPT)
    assert positive is not None
    positive = options.pop("change", lambda given: given)(positive)
    if rate is not None:
        positive = with_tensors(positive, {RATE: torch.tensor([[rate, 1]])})
    start = options.pop("latent", None) or Latent(None, width, height, batch, frames=frames)
    usual = {"seed": SEED, "steps": 2, "sampler": "euler", "schedule": "normal"}
    return sample(model.part("model"), positive, negative, start, **{**usual, **options})


def stock(
    pipeline: Any,
    width: int,
    height: int,
    frames: int,
    *,
    cfg: float,
    kind: str = "latent",
    batch: int = 1,
    negative: str | None = None,
    rate: float = 24,
    **options: Any,
) -> Pictured:
    """The same by the stock pipeline, with a generator for each video."""
    generators = [torch.Generator().manual_seed(SEED + item) for item in range(batch)]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pipeline(
            prompt=PROMPT,
            negative_prompt=negative,
            width=width,
            height=height,
            num_frames=frames,
            frame_rate=rate,
            num_inference_steps=2,
            guidance_scale=cfg,
            audio_guidance_scale=cfg,
            num_videos_per_prompt=batch,
            generator=generators,
            output_type=kind,
            **_PLAIN,
            **options,
        )
    return torch.as_tensor(made.frames), made.audio


def unscaled(pipeline: Any, latent: Latent) -> Pictured:
    """A latent as the pipelines return it: as the autoencoders take it."""
    assert latent.samples is not None
    assert latent.sound is not None
    mean, deviation = (
        item.view(1, -1, 1, 1, 1) for item in (pipeline.vae.latents_mean, pipeline.vae.latents_std)
    )
    heard = [
        item.view(1, 8, 1, 16)
        for item in (pipeline.audio_vae.latents_mean, pipeline.audio_vae.latents_std)
    ]
    return latent.samples * deviation + mean, latent.sound * heard[1] + heard[0]


def assert_equal(found: Pictured, expected: Pictured) -> None:
    for ours, theirs in zip(found, expected, strict=True):
        assert theirs.std() > 1e-4
        assert torch.equal(ours, theirs), (ours - theirs).abs().max()


def test_videos_with_sound_are_those_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(ltx2)
    for width, frames, options in (
        (64, 9, {"cfg": 3.0}),
        (96, 17, {"cfg": 4.0, "negative": NEGATIVE, "batch": 2}),
        (64, 9, {"cfg": 1.0}),
    ):
        latent = sampled(model, width, 64, frames, **options)
        assert_equal(unscaled(pipeline, latent), stock(pipeline, width, 64, frames, **options))


def test_the_rate_sets_the_length_of_the_sound(model_of: ModelOf) -> None:
    pipeline, model = model_of(ltx2)
    latent = sampled(model, 64, 64, 9, cfg=1.0, rate=12)
    assert latent.sound is not None
    assert latent.sound.shape == (1, 8, 19, 16)
    assert_equal(unscaled(pipeline, latent), stock(pipeline, 64, 64, 9, cfg=1.0, rate=12))


def test_sound_and_video_are_decoded_as_by_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(ltx2)
    latent = sampled(model, 64, 64, 9, cfg=3.0)
    video, sound = stock(pipeline, 64, 64, 9, cfg=3.0, kind="pt")
    vae = model.part("vae")
    audio = decode_sound(vae, latent)
    assert audio.rate == 24_000
    assert_equal(
        (decode_video(vae, latent).movedim(-1, 1)[None], audio.waveform[None]), (video, sound)
    )


def test_videos_of_a_first_image_are_those_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(ltx2_i2v)
    for width, frames, options in (
        (96, 17, {"cfg": 4.0, "negative": NEGATIVE}),
        (64, 9, {"cfg": 1.0}),
    ):
        image = picture(width, 64)
        seen = torch.from_numpy(np.asarray(image)).float()[None] / 255
        shown = lambda given: with_tensors(  # noqa: E731
            given,
            encode_first_frame(model.part("vae"), given, seen, frames),  # noqa: B023
        )
        latent = sampled(model, width, 64, frames, change=shown, **options)
        expected = stock(pipeline, width, 64, frames, image=image, **options)
        assert_equal(unscaled(pipeline, latent), expected)
