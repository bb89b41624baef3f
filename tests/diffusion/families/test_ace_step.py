"""ACE-Step 1.5 gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.pipelines.ace_step import modeling_ace_step as networks
from torch import Tensor, nn

from nodegraph.core.values import Audio, Conditioning, Latent
from nodegraph.diffusion import decode_latent, encode_image, sample
from nodegraph.errors import InvalidValue
from nodegraph.families.ace_step import ACE_STEP_LATENTS, music_frames
from nodegraph.families.conditionings import zero_out
from nodegraph.families.prompts import MusicPrompt
from nodegraph.models.conditioning import encode_music, encode_prompt
from nodegraph.models.vae import decode_sound, encode_reference, encode_sound
from tests.messages import raises

from .conftest import Pair
from .equality import SEED, Model
from .parts import flow
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]

TAGS = "a calm cat song, piano"
LYRICS = "[verse]\nA red cat\nsleeps\n[chorus]\nOh, cat"

HOP, RATE = 40, 1000
"""Samples of a latent frame, and those per second: so are there 25 frames, as in published models.
Few, because a reference for timbre has 30 seconds."""

OPTIONS: Mapping[str, Any] = MappingProxyType(
    {"seed": SEED, "steps": 3, "cfg": 7.0, "sampler": "euler", "schedule": "normal"}
)

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


def conditions(**more: Any) -> Any:
    network = networks.AceStepConditionEncoder(
        text_hidden_dim=16,
        num_lyric_encoder_hidden_layers=2,
        num_timbre_encoder_hidden_layers=2,
        **{**_LAYERS, **more},
    )
    network.silence_latent.normal_()
    return network


def sound_vae() -> Any:
    with warnings.catch_warnings():
        # of a function of torch that diffusers uses
        warnings.simplefilter("ignore", FutureWarning)
        return d.AutoencoderOobleck(
            encoder_hidden_size=128,
            downsampling_ratios=[HOP],
            channel_multiples=[1],
            decoder_channels=4,
            sampling_rate=RATE,
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
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        )
    )


def _pipeline(layers: Mapping[str, Any] = MappingProxyType({}), **more: Any) -> Any:
    words = qwen_words()
    return d.AceStepPipeline(
        vae=sound_vae(),
        text_encoder=text_encoder(words),
        tokenizer=words,
        transformer=transformer(**layers, **more),
        condition_encoder=conditions(**layers),
        scheduler=flow(num_train_timesteps=1, shift=1.0),
    )


def ace_step() -> Any:
    return _pipeline()


def ace_step_codes() -> Any:
    """With the parts for covers."""
    return pipeline_with_codes()


def pipeline_with_codes(**layers: Any) -> Any:
    """With the parts for covers, whose layers have these options."""
    made = _pipeline(layers)
    sizes = {**_LAYERS, **layers, "num_attention_pooler_hidden_layers": 2}
    made.register_modules(
        audio_tokenizer=networks.AceStepAudioTokenizer(fsq_dim=_WIDTH, **sizes),
        audio_token_detokenizer=networks.AceStepAudioTokenDetokenizer(**sizes),
    )
    return made


def ace_step_turbo() -> Any:
    return _pipeline(is_turbo=True, model_version="turbo")


def sampled(
    model: Model,
    prompt: MusicPrompt,
    batch: int = 1,
    negative: Conditioning | None = None,
    latent: Latent | None = None,
    **options: Any,
) -> Tensor:
    """Music by nodegraph, as latents of the pipeline's shape."""
    positive = encode_music(model.part("text_encoder"), prompt)
    start = latent or Latent(None, 64, music_frames(prompt.seconds), batch)
    found = sample(model.part("model"), positive, negative, start, **{**OPTIONS, **options})
    assert found.samples is not None
    return found.samples[:, 0]


class _ConditionsOneByOne(nn.Module):
    """A condition encoder that never takes several prompts at once."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.device = network, network.device
        self.silence_latent, self.null_condition_emb = (
            network.silence_latent,
            network.null_condition_emb,
        )

    def forward(self, refer_audio_order_mask: Tensor, **tensors: Tensor) -> tuple[Tensor, Tensor]:
        made = [
            self.network(
                refer_audio_order_mask=torch.zeros(1, dtype=torch.long),
                **{name: item[index : index + 1] for name, item in tensors.items()},
            )
            for index in range(len(refer_audio_order_mask))
        ]
        states, masks = zip(*made, strict=True)
        return torch.cat(states), torch.cat(masks)


class _OneByOne(d.AceStepPipeline):  # type: ignore[misc]
    """The pipeline, encoding equal prompts of a batch once. Matrices of a batch have other last
    bits."""

    def encode_prompt(self, prompt: Any, lyrics: Any, **options: Any) -> Any:
        made = super().encode_prompt(prompt[:1], lyrics[:1], **options)
        return tuple(item.expand(len(prompt), *item.shape[1:]) for item in made)


def one_by_one(pipeline: Any) -> Any:
    made = _OneByOne(**pipeline.components)
    made.condition_encoder = _ConditionsOneByOne(pipeline.condition_encoder)
    made.set_progress_bar_config(disable=True)
    return made


class _MostLikely(nn.Module):
    """An autoencoder of whose latents the most likely one is drawn."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.device, self.dtype = network, network.device, network.dtype
        self.config = network.config

    def encode(self, waveform: Tensor) -> Any:
        mode = self.network.encode(waveform).latent_dist.mode()
        return SimpleNamespace(latent_dist=SimpleNamespace(sample=lambda: mode))


def stock(
    pipeline: Any, prompt: MusicPrompt, *, cfg: float, batch: int = 1, steps: int = 3, **more: Any
) -> Tensor:
    """The same by the stock pipeline, with a generator for each item."""
    generators = [torch.Generator().manual_seed(SEED + item) for item in range(batch)]
    options = {"output_type": "latent", **more}
    pipeline = one_by_one(pipeline) if batch > 1 else pipeline
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = pipeline(
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
        )
    return torch.as_tensor(made.audios)


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
    assert audio.rate == RATE
    assert_equal(audio.waveform[None], stock(pipeline, SONG, cfg=7.0, output_type="pt"))


def test_in_bfloat16_as_diffusers(model_of: ModelOf) -> None:
    _, model = model_of(ace_step)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        pipeline = d.AceStepPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    pipeline.set_progress_bar_config(disable=True)
    narrow = Model(model.folder, "bfloat16")
    assert_equal(sampled(narrow, SONG), stock(pipeline, SONG, cfg=7.0).float())


def test_zeros_stand_for_no_prompt(model_of: ModelOf) -> None:
    _, model = model_of(ace_step)
    zeros = zero_out(encode_music(model.part("text_encoder"), SONG))
    assert_equal(sampled(model, SONG, negative=zeros), sampled(model, SONG))


def test_a_negative_prompt_of_another_length_leads_away(model_of: ModelOf) -> None:
    _, model = model_of(ace_step)
    negative = encode_music(model.part("text_encoder"), MusicPrompt("noise"))
    found, plain = sampled(model, SONG, negative=negative), sampled(model, SONG)
    assert found.isfinite().all()
    assert not torch.equal(found, plain)


def test_a_plain_prompt_is_tags_for_a_minute(model_of: ModelOf) -> None:
    _, model = model_of(ace_step)
    encoder = model.part("text_encoder")
    (plain,), (music,) = (
        found.entries
        for found in (encode_prompt(encoder, TAGS), encode_music(encoder, MusicPrompt(TAGS)))
    )
    assert torch.equal(plain.embeddings, music.embeddings)


def test_other_samplers_and_a_sampling_from_music(model_of: ModelOf) -> None:
    _, model = model_of(ace_step)
    for sampler, schedule in (("dpmpp_2m", "normal"), ("heun", "beta"), ("uni_pc", "simple")):
        assert sampled(model, SONG, sampler=sampler, schedule=schedule).std() > 0.1
    start = sampled(model, SONG)[:, None]
    latent = Latent(start, 64, start.shape[2], 1, format="ace-step")
    near, far = (
        sampled(model, SONG, latent=latent, denoise=share, seed=1, steps=8)[:, None]
        for share in (0.25, 1.0)
    )
    assert (near - start).abs().mean() < (far - start).abs().mean()


def test_a_mask_keeps_latent_frames(model_of: ModelOf) -> None:
    _, model = model_of(ace_step)
    start = sampled(model, SONG)[:, None]
    mask = torch.zeros(1, 25, 64)
    mask[:, 10:] = 1
    latent = Latent(start, 64, 25, 1, format="ace-step", noise_mask=mask)
    found = sampled(model, SONG, latent=latent, seed=1)[:, None]
    assert torch.equal(found[:, :, :10], start[:, :, :10])
    assert not torch.isclose(found[:, :, 10:], start[:, :, 10:]).all()


def test_sound_is_encoded_as_the_most_likely_latent(model_of: ModelOf) -> None:
    pipeline, model = model_of(ace_step)
    waveform = torch.randn(2, 200, generator=torch.Generator().manual_seed(2)) * 0.1
    latent = encode_sound(model.part("vae"), Audio(waveform, RATE))
    with torch.no_grad():
        mode = pipeline.vae.encode(waveform[None]).latent_dist.mode()
    assert latent.samples is not None
    assert (latent.width, latent.height) == (64, 200 // HOP)
    assert_equal(latent.samples[:, 0], mode.transpose(1, 2))


def test_what_is_no_music_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(ace_step)
    vae = model.part("vae")
    with raises(InvalidValue, port="latent", given="128 x 64"):
        sampled(model, SONG, latent=Latent(None, 128, 64, 1))
    with raises(InvalidValue, port="vae"):
        encode_image(vae, torch.zeros(1, 8, 8, 3))
    with raises(InvalidValue, port="vae"):
        decode_latent(vae, Latent(torch.zeros(1, 1, 4, 64), 64, 4, 1, format="ace-step"))
    with raises(InvalidValue, port="audio", given="39 samples"):
        encode_sound(vae, Audio(torch.zeros(1, HOP - 1), RATE))
    with raises(InvalidValue, port="latent"):
        decode_sound(vae, Latent(torch.zeros(2, 1, 4, 64), 64, 4, 2, format="ace-step"))


def noise_of(seconds: float, seed: int) -> Tensor:
    """Stereo sound."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, round(seconds * RATE), generator=generator) * 0.1


def edited(
    pair: Pair, prompt: MusicPrompt, source: Tensor | None, reference: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Music of other sound, by nodegraph and by the stock pipeline."""
    pipeline, model = pair
    vae = model.part("vae")
    latent = None if source is None else encode_sound(vae, Audio(source, RATE))
    heard = None if reference is None else encode_reference(vae, Audio(reference, RATE))
    positive = encode_music(model.part("text_encoder"), prompt, source=latent, reference=heard)
    start = latent or Latent(None, 64, music_frames(prompt.seconds))
    found = sample(model.part("model"), positive, None, start, **OPTIONS).samples
    assert found is not None
    theirs = d.AceStepPipeline(**pipeline.components)
    theirs.set_progress_bar_config(disable=True)
    theirs.vae = _MostLikely(pipeline.vae)
    made = stock(
        theirs,
        prompt,
        cfg=7.0,
        task_type=prompt.task,
        track_name=prompt.track or None,
        complete_track_classes=prompt.track.split(", ") if prompt.track else None,
        src_audio=source,
        reference_audio=reference,
        repainting_start=prompt.start,
        repainting_end=prompt.end,
    )
    return found[:, 0], made


@pytest.mark.parametrize(
    "edit",
    [
        {"task": "repaint", "start": 0.2, "end": 0.6},
        {"task": "cover"},
        {"task": "lego", "track": "drums", "start": 0.1, "end": 0.5},
        pytest.param({"task": "repaint", "start": 0.5}, marks=pytest.mark.slow),
        pytest.param({"task": "extract", "track": "vocals"}, marks=pytest.mark.slow),
        pytest.param({"task": "complete", "track": "drums, bass"}, marks=pytest.mark.slow),
        pytest.param({"task": "complete"}, marks=pytest.mark.slow),
    ],
)
def test_edited_music_is_that_of_diffusers(model_of: ModelOf, edit: Mapping[str, Any]) -> None:
    # not whole latent frames, nor whole groups of five
    source = noise_of(0.91, 1)
    prompt = replace(SONG, seconds=0.91, **edit)
    assert_equal(*edited(model_of(ace_step_codes), prompt, source))


@pytest.mark.slow
def test_timbre_of_a_reference_is_that_of_diffusers(model_of: ModelOf) -> None:
    pair = model_of(ace_step_codes)
    assert_equal(*edited(pair, SONG, None, noise_of(1.3, 2)))


def test_a_long_reference_is_heard_at_three_places() -> None:
    sound = torch.arange(47_000.0).expand(2, -1)
    part = ACE_STEP_LATENTS.reference_part(sound, 1000)
    assert part.shape == (2, 30_000)
    assert part[0, [0, 10_000, 20_000, -1]].tolist() == [0, 15_666, 37_000, 46_999]


def test_edits_that_do_not_fit_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(ace_step)
    encoder = model.part("text_encoder")
    source = encode_sound(model.part("vae"), Audio(noise_of(0.4, 1), RATE))
    with raises(InvalidValue, port="source"):
        encode_music(encoder, replace(SONG, task="repaint"))
    with raises(InvalidValue, port="task"):
        encode_music(encoder, SONG, source=source)
    with raises(InvalidValue, port="task"):
        encode_music(encoder, replace(SONG, task="cover"), source=source)
    positive = encode_music(encoder, replace(SONG, task="repaint"), source=source)
    with raises(InvalidValue, port="positive", given="10 latent frames"):
        sample(model.part("model"), positive, None, Latent(None, 64, 11), **OPTIONS)
