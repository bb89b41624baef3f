"""ACE-Step 1.5 gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import diffusers as d
import torch
import transformers as tf
from diffusers.pipelines.ace_step import modeling_ace_step as networks
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.diffusion import sample
from nodegraph.families.ace_step import music_frames
from nodegraph.families.prompts import MusicPrompt
from nodegraph.models.conditioning import encode_music
from nodegraph.models.vae import decode_sound

from .conftest import Pair
from .equality import SEED, Model
from .parts import flow
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]

TAGS = "a calm cat song, piano"
LYRICS = "[verse]\nA red cat\nsleeps\n[chorus]\nOh, cat"

_WIDTH = 24
_LAYERS = {
    "hidden_size": _WIDTH,
    "intermediate_size": 40,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "sliding_window": 3,
}


def transformer(**more: Any) -> Any:
    sizes = {**_LAYERS, "hidden_size": 32, "encoder_hidden_size": _WIDTH, "num_hidden_layers": 2}
    return d.AceStepTransformer1DModel(**{**sizes, **more})


def conditions() -> Any:
    network = networks.AceStepConditionEncoder(
        text_hidden_dim=16,
        num_lyric_encoder_hidden_layers=2,
        num_timbre_encoder_hidden_layers=2,
        **_LAYERS,
    )
    network.silence_latent.normal_()
    return network


def sound_vae() -> Any:
    with warnings.catch_warnings():
        # of a function of torch that diffusers uses
        warnings.simplefilter("ignore", FutureWarning)
        return d.AutoencoderOobleck(
            encoder_hidden_size=4,
            downsampling_ratios=[2, 4, 4, 6, 10],
            channel_multiples=[1, 1, 2, 2, 2],
            decoder_channels=4,
            sampling_rate=48_000,
        )


def text_encoder(words: Any) -> Any:
    return tf.Qwen3Model(
        tf.Qwen3Config(
            vocab_size=len(words),
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=8,
            max_position_embeddings=4096,
        )
    )


def _pipeline(**more: Any) -> Any:
    words = qwen_words()
    return d.AceStepPipeline(
        vae=sound_vae(),
        text_encoder=text_encoder(words),
        tokenizer=words,
        transformer=transformer(**more),
        condition_encoder=conditions(),
        scheduler=flow(num_train_timesteps=1, shift=1.0),
    )


def ace_step() -> Any:
    return _pipeline()


def ace_step_turbo() -> Any:
    return _pipeline(is_turbo=True, model_version="turbo")


def sampled(model: Model, prompt: MusicPrompt, batch: int = 1, **options: Any) -> Tensor:
    """Music by nodegraph, as latents of the pipeline's shape."""
    positive = encode_music(model.part("text_encoder"), prompt)
    latent = Latent(None, 64, music_frames(prompt.seconds), batch)
    usual = {"seed": SEED, "steps": 3, "sampler": "euler", "schedule": "normal"}
    found = sample(model.part("model"), positive, None, latent, **{**usual, **options})
    assert found.samples is not None
    return found.samples[:, 0]


def stock(
    pipeline: Any, prompt: MusicPrompt, *, cfg: float, batch: int = 1, steps: int = 3, **more: Any
) -> Tensor:
    """The same by the stock pipeline, with a generator for each item."""
    generators = [torch.Generator().manual_seed(SEED + item) for item in range(batch)]
    options = {"output_type": "latent", **more}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pipeline(
            prompt=[prompt.tags] * batch,
            lyrics=[prompt.lyrics] * batch,
            audio_duration=prompt.seconds,
            vocal_language=prompt.language,
            bpm=prompt.bpm or None,
            keyscale=prompt.key or None,
            timesignature=prompt.time_signature or None,
            num_inference_steps=steps,
            guidance_scale=cfg,
            generator=generators,
            **options,
        ).audios


def assert_equal(found: Tensor, expected: Tensor) -> None:
    assert expected.std() > 1e-4
    assert torch.equal(found, expected), (found - expected).abs().max()


SONG = MusicPrompt(TAGS, LYRICS, 1.0, 96, "C major", "4", "de")


def test_music_from_tags_and_lyrics_is_that_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(ace_step)
    for prompt, cfg, batch, steps in (
        (SONG, 7.0, 1, 3),
        (MusicPrompt(TAGS, "", 0.2), 1.0, 3, 8),
        (MusicPrompt("cat", LYRICS, 2.6, bpm=120), 7.3, 3, 5),
        (MusicPrompt("", "", 0.04), 0.0, 1, 2),
    ):
        found = sampled(model, prompt, cfg=cfg, batch=batch, steps=steps)
        assert_equal(found, stock(pipeline, prompt, cfg=cfg, batch=batch, steps=steps))


def test_turbo_takes_no_guidance(model_of: ModelOf) -> None:
    pipeline, model = model_of(ace_step_turbo)
    found = sampled(model, SONG, cfg=7.0, steps=8)
    assert_equal(found, sampled(model, SONG, cfg=1.0, steps=8))
    assert_equal(found, stock(pipeline, SONG, cfg=7.0, steps=8))


def test_sound_is_decoded_as_by_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(ace_step)
    samples = sampled(model, SONG, cfg=7.0)[:, None]
    latent = Latent(samples, 64, samples.shape[2], 1, format="ace-step")
    audio = decode_sound(model.part("vae"), latent)
    assert audio.rate == 48_000
    assert_equal(audio.waveform[None], stock(pipeline, SONG, cfg=7.0, output_type="pt"))
