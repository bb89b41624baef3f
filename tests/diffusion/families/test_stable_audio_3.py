"""Stable Audio 3 gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import diffusers as d
import torch
import transformers as tf
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Audio, Conditioning, Latent
from nodegraph.diffusion import encode_prompt, load_component, sample
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.prompts import MusicPrompt
from nodegraph.families.stable_audio_3 import HOP, RATE, sound_frames_3
from nodegraph.models.conditioning import encode_music
from nodegraph.models.text_encoder_files import open_text_encoder
from nodegraph.models.vae import decode_sound, encode_sound
from tests.messages import raises

from .conftest import Pair
from .equality import SEED, Model
from .parts import flow
from .words import gemma_words

ModelOf = Callable[[Callable[[], Any]], Pair]

OPTIONS: Mapping[str, Any] = MappingProxyType(
    {"seed": SEED, "steps": 3, "cfg": 7.0, "sampler": "euler", "schedule": "normal"}
)
TEXT = "a red cat"
HOP_HERE = 16


def t5_gemma(words: Any) -> Any:
    sizes = tf.models.t5gemma.T5GemmaModuleConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        query_pre_attn_scalar=8,
        sliding_window=8,
        pad_token_id=words.pad_token_id,
        eos_token_id=words.eos_token_id,
        bos_token_id=words.bos_token_id,
    )
    config = tf.T5GemmaConfig(encoder=sizes, decoder=sizes, is_encoder_decoder=False)
    return tf.T5GemmaEncoderModel(config)


def same() -> Any:
    with warnings.catch_warnings():
        # of a function of torch that diffusers uses
        warnings.simplefilter("ignore", FutureWarning)
        return d.AutoencoderSAME(
            patch_size=4,
            encoder_channels=8,
            encoder_c_mults=[2],
            encoder_strides=[4],
            encoder_transformer_depths=[1],
            dim_heads=8,
        )


def stable_audio_3() -> Any:
    words = gemma_words()
    words.model_max_length = 20
    return d.StableAudio3Pipeline(
        vae=same(),
        text_encoder=t5_gemma(words),
        tokenizer=words,
        duration_embedder=d.StableAudio3DurationEmbedder(output_dim=16, fourier_dim=8),
        transformer=d.StableAudio3DiTModel(
            embed_dim=32,
            depth=2,
            num_heads=1,
            cond_token_dim=16,
            global_cond_dim=16,
            timestep_features_dim=8,
            num_memory_tokens=3,
        ),
        scheduler=flow(num_train_timesteps=1, shift=1.0),
    )


def sampled(
    model: Any, positive: Conditioning, negative: Conditioning | None = None, **more: Any
) -> Tensor:
    frames, batch = more.pop("frames", 8), more.pop("batch", 1)
    latent = more.pop("latent", None) or Latent(None, frames, 256, batch)
    found = sample(model, positive, negative, latent, **{**OPTIONS, **more})
    assert found.samples is not None
    return found.samples[:, 0]


def stock(pipeline: Any, seconds: float, *, batch: int = 1, steps: int = 3, **more: Any) -> Tensor:
    generators = [torch.Generator().manual_seed(SEED + item) for item in range(batch)]
    options = {"output_type": "latent", "prompt": TEXT, "guidance_scale": 7.0, **more}
    with torch.no_grad():
        made = pipeline(
            duration=seconds,
            num_inference_steps=steps,
            num_waveforms_per_prompt=batch,
            generator=generators,
            **options,
        )
    return torch.as_tensor(made.audios)


def assert_equal(found: Tensor, expected: Tensor) -> None:
    assert expected.std() > 1e-3
    assert torch.equal(found, expected), (found - expected).abs().max()


def prompt(model: Any, seconds: float | None, text: str = TEXT) -> Conditioning:
    encoder = model.part("text_encoder")
    if seconds is None:
        return encode_prompt(encoder, text)
    return encode_music(encoder, MusicPrompt(text, seconds=seconds))


def seconds_of(frames: int) -> float:
    return frames * HOP_HERE / RATE


def test_sound_of_a_text_is_that_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(stable_audio_3)
    for frames, cfg, batch, steps, text in (
        (8, 7.0, 1, 3, TEXT),
        (5, 7.3, 3, 4, "a long rain on a roof " * 12),
        (1, 1.0, 1, 1, ""),
        (7, 0.0, 1, 2, TEXT),
    ):
        options: Any = {"cfg": cfg, "batch": batch, "steps": steps, "frames": frames}
        found = sampled(model.part("model"), prompt(model, seconds_of(frames), text), **options)
        more = {"guidance_scale": cfg, "prompt": text}
        assert_equal(found, stock(pipeline, seconds_of(frames), batch=batch, steps=steps, **more))


def test_a_negative_prompt_is_that_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(stable_audio_3)
    seconds = seconds_of(8)
    found = sampled(model.part("model"), prompt(model, seconds), prompt(model, seconds, "noise"))
    assert_equal(found, stock(pipeline, seconds, negative_prompt="noise"))


def test_in_bfloat16_as_diffusers(model_of: ModelOf) -> None:
    _, model = model_of(stable_audio_3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        pipeline = d.StableAudio3Pipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    narrow = Model(model.folder, "bfloat16")
    found = sampled(narrow.part("model"), prompt(narrow, seconds_of(8)))
    assert_equal(found, stock(pipeline, seconds_of(8)).float())


def test_without_a_length_a_prompt_is_as_long_as_the_latent(model_of: ModelOf) -> None:
    _, model = model_of(stable_audio_3)
    plain, said, other = (
        sampled(model.part("model"), prompt(model, seconds))
        for seconds in (None, 8 * HOP / RATE, 200.0)
    )
    assert torch.equal(plain, said)
    assert not torch.equal(plain, other)


def test_sound_is_decoded_and_encoded_as_by_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(stable_audio_3)
    vae = model.part("vae")
    latents = torch.randn(1, 256, 6, generator=torch.Generator().manual_seed(3))
    audio = decode_sound(vae, Latent(latents[:, None], 6, 256, 1, format="stable-audio-3"))
    sound = torch.randn(2, 4 * HOP_HERE, generator=torch.Generator().manual_seed(2)) * 0.1
    with torch.no_grad():
        decoded = pipeline.vae.decode(latents).sample.clamp(-1, 1)
        encoded = pipeline.vae.encode(sound[None]).latents
    assert torch.equal(audio.waveform[None], decoded)
    found = encode_sound(vae, Audio(sound, RATE))
    assert found.samples is not None
    assert torch.equal(found.samples[:, 0], encoded)
    cut = encode_sound(vae, Audio(sound[:, :-5], RATE))
    assert (cut.width, cut.height) == (4, 256)


def test_a_sampling_begins_at_sound(model_of: ModelOf) -> None:
    _, model = model_of(stable_audio_3)
    start = torch.randn(1, 1, 256, 8, generator=torch.Generator().manual_seed(3))
    latent = Latent(start, 8, 256, 1, format="stable-audio-3")
    near, far = (
        sampled(model.part("model"), prompt(model, None), latent=latent, denoise=share, steps=8)
        for share in (0.2, 1.0)
    )
    assert (near - start[:, 0]).abs().mean() < (far - start[:, 0]).abs().mean()


def test_latents_of_another_model_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(stable_audio_3)
    with raises(InvalidValue, port="latent", given="8 x 64"):
        sampled(model.part("model"), prompt(model, None), latent=Latent(None, 8, 64))


def test_the_length_conditioner_is_read_from_the_published_file(
    model_of: ModelOf, tmp_path: Path
) -> None:
    pipeline, model = model_of(stable_audio_3)
    linear = pipeline.duration_embedder.linear
    prefix = "conditioner.conditioners.seconds_total.embedder.embedding.1."
    whole = tmp_path / "stable_audio_3_medium.safetensors"
    save_file({f"{prefix}weight": linear.weight, f"{prefix}bias": linear.bias}, whole)
    names = {"file": str(model.folder / "text_encoder"), "file_2": str(whole)}
    encoder: Any = load_component(open_text_encoder("stable-audio-3", names, []), "cpu")
    own = encoder.modules["duration_embedder"].state_dict()
    for name, item in pipeline.duration_embedder.state_dict().items():
        assert torch.equal(own[name], item)
    with raises(InvalidFile, port="file_2"):
        open_text_encoder("stable-audio-3", {"file": names["file"]}, [])


def test_lengths_are_whole_latent_frames() -> None:
    assert [sound_frames_3(seconds) for seconds in (0.01, 1.0, 120.0)] == [1, 11, 1292]
