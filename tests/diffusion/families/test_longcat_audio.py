"""LongCat-AudioDiT gives what diffusers' pipeline gives, to the last bit.

The pipeline lowers the letters of a prompt and not those of a negative prompt; here, both are read
in lower case, so that negative prompts are compared in it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from torch import Tensor

from nodegraph.core.values import Audio, Conditioning, Latent
from nodegraph.diffusion import encode_prompt, sample
from nodegraph.errors import InvalidValue
from nodegraph.families.longcat_audio import longcat_frames
from nodegraph.families.prompts import MusicPrompt
from nodegraph.models.conditioning import encode_music
from nodegraph.models.vae import decode_sound, encode_sound
from tests.messages import raises

from .conftest import Pair
from .equality import SEED, Model
from .parts import flow, t5_text
from .words import t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]

OPTIONS: Mapping[str, Any] = MappingProxyType(
    {"seed": SEED, "steps": 3, "cfg": 4.0, "sampler": "euler", "schedule": "normal"}
)
TEXT = 'A "red"  cat'
HOP, RATE = 4, 24_000


def sound_vae() -> Any:
    with warnings.catch_warnings():
        # of a function of torch that diffusers uses
        warnings.simplefilter("ignore", FutureWarning)
        return d.LongCatAudioDiTVae(
            channels=64, c_mults=[1, 2], strides=[2, 2], latent_dim=64, downsampling_ratio=HOP
        )


def longcat_audio() -> Any:
    words = t5_words()
    return d.LongCatAudioDiTPipeline(
        vae=sound_vae(),
        text_encoder=t5_text(words, kind=tf.UMT5EncoderModel),
        tokenizer=words,
        transformer=d.LongCatAudioDiTTransformer(
            dit_dim=32, dit_depth=2, dit_heads=2, dit_text_dim=32
        ),
        scheduler=flow(shift=1.0, invert_sigmas=True),
    )


def sampled(
    model: Any, positive: Conditioning, negative: Conditioning | None = None, **more: Any
) -> Tensor:
    frames, batch = more.pop("frames", 8), more.pop("batch", 1)
    latent = more.pop("latent", None) or Latent(None, 64, frames, batch)
    found = sample(model, positive, negative, latent, **{**OPTIONS, **more})
    assert found.samples is not None
    return found.samples[:, 0]


def stock(
    pipeline: Any, frames: int, *, batch: int = 1, steps: int = 3, text: str = TEXT, **more: Any
) -> Tensor:
    generators = [torch.Generator().manual_seed(SEED + item) for item in range(batch)]
    options = {"output_type": "latent", "guidance_scale": 4.0, **more}
    with torch.no_grad():
        made = pipeline(
            prompt=[text] * batch,
            audio_duration_s=(frames + 0.5) * HOP / RATE,
            num_inference_steps=steps,
            generator=generators,
            **options,
        )
    return torch.as_tensor(made.audios)


def assert_equal(found: Tensor, expected: Tensor) -> None:
    assert expected.std() > 1e-3
    assert torch.equal(found, expected), (found - expected).abs().max()


@pytest.mark.parametrize(
    ("frames", "cfg", "steps", "text"),
    [
        (8, 4.0, 3, TEXT),
        pytest.param(5, 7.3, 16, "a long rain on a roof " * 30, marks=pytest.mark.slow),
        pytest.param(1, 1.0, 1, "", marks=pytest.mark.slow),
        pytest.param(7, 0.0, 2, TEXT, marks=pytest.mark.slow),
    ],
)
def test_sound_of_a_text_is_that_of_diffusers(
    model_of: ModelOf, frames: int, cfg: float, steps: int, text: str
) -> None:
    pipeline, model = model_of(longcat_audio)
    positive = encode_prompt(model.part("text_encoder"), text)
    found = sampled(model.part("model"), positive, cfg=cfg, steps=steps, frames=frames)
    assert_equal(found, stock(pipeline, frames, steps=steps, text=text, guidance_scale=cfg))


@pytest.mark.slow
def test_a_batch_is_that_of_diffusers_but_for_last_bits(model_of: ModelOf) -> None:
    """The pipeline encodes a batch of prompts at once."""
    pipeline, model = model_of(longcat_audio)
    positive = encode_prompt(model.part("text_encoder"), TEXT)
    found = sampled(model.part("model"), positive, batch=3)
    assert torch.allclose(found, stock(pipeline, 8, batch=3), atol=1e-5)


def test_a_negative_prompt_is_that_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(longcat_audio)
    encoder = model.part("text_encoder")
    positive, negative = (encode_prompt(encoder, text) for text in (TEXT, "noise, a dog"))
    found = sampled(model.part("model"), positive, negative)
    assert_equal(found, stock(pipeline, 8, negative_prompt=["noise, a dog"]))


@pytest.mark.slow
def test_in_bfloat16_as_diffusers(model_of: ModelOf) -> None:
    _, model = model_of(longcat_audio)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        pipeline = d.LongCatAudioDiTPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    narrow = Model(model.folder, "bfloat16")
    positive = encode_prompt(narrow.part("text_encoder"), TEXT)
    assert_equal(sampled(narrow.part("model"), positive), stock(pipeline, 8).float())


def test_tags_are_read_as_a_text(model_of: ModelOf) -> None:
    _, model = model_of(longcat_audio)
    encoder = model.part("text_encoder")
    (plain,), (tags,) = (
        found.entries
        for found in (encode_prompt(encoder, TEXT), encode_music(encoder, MusicPrompt(TEXT)))
    )
    assert torch.equal(plain.embeddings, tags.embeddings)


def test_sound_is_decoded_and_encoded_as_by_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(longcat_audio)
    vae = model.part("vae")
    latents = torch.randn(1, 64, 6, generator=torch.Generator().manual_seed(3))
    samples = latents.transpose(1, 2)[:, None]
    audio = decode_sound(vae, Latent(samples, 64, 6, 1, format="longcat-audio"))
    sound = torch.randn(1, 4 * HOP, generator=torch.Generator().manual_seed(2)) * 0.1
    with torch.no_grad():
        decoded = pipeline.vae.decode(latents).sample
        encoded = pipeline.vae.encode(sound[None], sample_posterior=False).latents
    assert audio.rate == RATE
    assert torch.equal(audio.waveform[None], decoded)
    found = encode_sound(vae, Audio(sound, RATE))
    assert found.samples is not None
    assert torch.equal(found.samples[:, 0], encoded.transpose(1, 2))


def test_latents_of_another_model_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(longcat_audio)
    positive = encode_prompt(model.part("text_encoder"), TEXT)
    with raises(InvalidValue, port="latent", given="128 x 8"):
        sampled(model.part("model"), positive, latent=Latent(None, 128, 8))


def test_lengths_are_whole_latent_frames() -> None:
    assert [longcat_frames(seconds) for seconds in (0.01, 1.0, 30.0, 90.0)] == [1, 11, 351, 351]
