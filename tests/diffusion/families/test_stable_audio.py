"""Stable Audio Open gives what diffusers' pipeline gives, but for rounding of its noise space."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Audio, Conditioning, Latent
from nodegraph.diffusion import encode_prompt, load_component, sample
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.identification import identify_tensors
from nodegraph.families.prompts import MusicPrompt
from nodegraph.families.stable_audio import HOP, RATE, STABLE_AUDIO, sound_frames
from nodegraph.models.conditioning import encode_music
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.text_encoder_files import open_text_encoder
from nodegraph.models.vae import decode_sound, encode_sound
from nodegraph.models.vae_files import open_vae
from tests.messages import raises

from .conftest import Pair
from .equality import SEED, Model
from .oobleck_names import original_oobleck
from .words import t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]

FRAMES = 12
OPTIONS: Mapping[str, Any] = MappingProxyType(
    {"seed": SEED, "steps": 4, "cfg": 7.0, "sampler": "dpmpp_2m", "schedule": "exponential"}
)
TEXT = "a red cat"


class CosineDPMSolverMultistepScheduler(d.EDMDPMSolverMultistepScheduler):  # type: ignore[misc]
    """The published scheduler without its noise, which needs the package torchsde."""

    def precondition_noise(self, sigma: Tensor) -> Tensor:
        return sigma.atan() / math.pi * 2


def _scheduler() -> Any:
    return CosineDPMSolverMultistepScheduler(
        sigma_min=0.3,
        sigma_max=500.0,
        sigma_data=1.0,
        sigma_schedule="exponential",
        prediction_type="v_prediction",
    )


def _pipeline(head: int, width: int = 16) -> Any:
    words = t5_words()
    words.model_max_length = 24
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        vae = d.AutoencoderOobleck(
            encoder_hidden_size=128,
            downsampling_ratios=[2, 2, 4],
            channel_multiples=[1, 1, 2],
            decoder_channels=4,
            sampling_rate=RATE,
        )
    return d.StableAudioPipeline(
        vae=vae,
        text_encoder=tf.T5EncoderModel(
            tf.T5Config(
                vocab_size=len(words), d_model=width, d_kv=8, d_ff=24, num_layers=2, num_heads=2
            )
        ),
        projection_model=d.StableAudioProjectionModel(width, width, 0, 512),
        tokenizer=words,
        transformer=d.StableAudioDiTModel(
            sample_size=FRAMES,
            num_layers=2,
            attention_head_dim=head,
            num_attention_heads=4,
            num_key_value_attention_heads=2,
            cross_attention_dim=2 * head,
            cross_attention_input_dim=width,
            global_states_input_dim=2 * width,
            time_proj_dim=8,
        ),
        scheduler=_scheduler(),
    )


def stable_audio() -> Any:
    return _pipeline(8)


def published() -> Any:
    """With heads as wide as the published ones, which no tensor shows."""
    return _pipeline(64)


def empty(frames: int = FRAMES, batch: int = 1) -> Latent:
    return Latent(None, frames, 64, batch)


def sampled(
    model: Any, positive: Conditioning, negative: Conditioning | None = None, **more: Any
) -> Tensor:
    latent = more.pop("latent", None) or empty(batch=more.pop("batch", 1))
    found = sample(model, positive, negative, latent, **{**OPTIONS, **more})
    assert found.samples is not None
    return found.samples[:, 0]


def stock(pipeline: Any, seconds: float, *, batch: int = 1, steps: int = 4, **more: Any) -> Tensor:
    generators = [torch.Generator().manual_seed(SEED + item) for item in range(batch)]
    options = {"output_type": "latent", "prompt": TEXT, "guidance_scale": 7.0, **more}
    with torch.no_grad():
        made = pipeline(
            audio_end_in_s=seconds,
            num_inference_steps=steps,
            num_waveforms_per_prompt=batch,
            generator=generators,
            **options,
        )
    return torch.as_tensor(made.audios)


def assert_close(found: Tensor, expected: Tensor) -> None:
    """diffusers' sampler adds noise to the latent, ours mixes them: the last bits differ, and
    guidance multiplies them."""
    assert expected.std() > 1e-3
    assert torch.allclose(found, expected, rtol=1e-3, atol=2e-3), (found - expected).abs().max()


def prompt(model: Any, seconds: float | None, text: str = TEXT) -> Conditioning:
    encoder = model.part("text_encoder")
    if seconds is None:
        return encode_prompt(encoder, text)
    return encode_music(encoder, MusicPrompt(text, seconds=seconds))


def test_sound_of_a_text_is_that_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(stable_audio)
    longest = FRAMES * pipeline.vae.hop_length / RATE
    for seconds, cfg, batch, steps, text in (
        (longest, 7.0, 1, 4, TEXT),
        (longest / 2, 7.3, 3, 6, "a long rain on a roof " * 12),
        (longest / 3, 1.0, 1, 2, ""),
        (longest / 3, 0.0, 1, 3, TEXT),
    ):
        options: Any = {"cfg": cfg, "batch": batch, "steps": steps}
        found = sampled(model.part("model"), prompt(model, seconds, text), **options)
        scale = {"guidance_scale": cfg, "prompt": text}
        assert_close(found, stock(pipeline, seconds, batch=batch, steps=steps, **scale))


def test_a_negative_prompt_is_that_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(stable_audio)
    seconds = FRAMES * pipeline.vae.hop_length / RATE
    found = sampled(
        model.part("model"), prompt(model, seconds), prompt(model, seconds, "low quality")
    )
    assert_close(found, stock(pipeline, seconds, negative_prompt="low quality"))


def test_the_transformer_is_called_as_by_diffusers(model_of: ModelOf) -> None:
    """Text, times and positions are the same to the last bit, and levels but for rounding."""
    pipeline, model = model_of(stable_audio)
    calls: list[dict[str, Any]] = []

    def record(module: Any, inputs: Any, named: Any) -> None:
        calls.append({"level": inputs[1], **named})

    networks = pipeline.transformer, model.part("model").module
    hooks = [each.register_forward_pre_hook(record, with_kwargs=True) for each in networks]
    seconds = FRAMES * pipeline.vae.hop_length / RATE
    stock(pipeline, seconds, guidance_scale=1.0)
    sampled(model.part("model"), prompt(model, seconds), cfg=1.0)
    for hook in hooks:
        hook.remove()
    for theirs, ours in zip(calls[:4], calls[4:], strict=True):
        assert torch.allclose(ours["level"], theirs["level"], rtol=1e-6)
        for name in ("encoder_hidden_states", "global_hidden_states"):
            assert torch.equal(ours[name], theirs[name])
        assert all(map(torch.equal, ours["rotary_embedding"], theirs["rotary_embedding"]))


def test_without_a_length_a_prompt_is_as_long_as_the_latent(model_of: ModelOf) -> None:
    _, model = model_of(stable_audio)
    plain, said = (
        sampled(model.part("model"), prompt(model, seconds))
        for seconds in (None, FRAMES * HOP / RATE)
    )
    other = sampled(model.part("model"), prompt(model, 20.0))
    assert torch.equal(plain, said)
    assert not torch.equal(plain, other)


def test_in_bfloat16(model_of: ModelOf) -> None:
    _, model = model_of(stable_audio)
    narrow = Model(model.folder, "bfloat16")
    found = sampled(narrow.part("model"), prompt(narrow, 0.1))
    expected = sampled(model.part("model"), prompt(model, 0.1))
    assert (found - expected).abs().mean() < 0.1 * expected.abs().mean()


def test_sound_is_decoded_and_encoded_as_by_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(stable_audio)
    vae = model.part("vae")
    latents = torch.randn(1, 64, FRAMES, generator=torch.Generator().manual_seed(3))
    audio = decode_sound(vae, Latent(latents[:, None], FRAMES, 64, 1, format="stable-audio"))
    with torch.no_grad():
        assert torch.equal(audio.waveform[None], pipeline.vae.decode(latents).sample)
        sound = torch.randn(2, 64, generator=torch.Generator().manual_seed(2)) * 0.1
        mode = pipeline.vae.encode(sound[None]).latent_dist.mode()
    encoded = encode_sound(vae, Audio(sound, RATE))
    assert encoded.samples is not None
    assert torch.equal(encoded.samples[:, 0], mode)
    assert (encoded.width, encoded.height) == (4, 64)


def test_a_sampling_begins_at_sound_and_keeps_masked_frames(model_of: ModelOf) -> None:
    _, model = model_of(stable_audio)
    start = torch.randn(1, 1, 64, FRAMES, generator=torch.Generator().manual_seed(3))
    mask = torch.zeros(1, 64, FRAMES)
    mask[..., 6:] = 1
    latent = Latent(start, FRAMES, 64, 1, format="stable-audio", noise_mask=mask)
    found = sampled(model.part("model"), prompt(model, 0.1), latent=latent)
    assert torch.allclose(found[..., :6], start[:, 0, :, :6], atol=1e-5)
    assert not torch.isclose(found[..., 6:], start[:, 0, :, 6:]).all()
    whole = replace(latent, noise_mask=None)
    near, far = (
        sampled(model.part("model"), prompt(model, 0.1), latent=whole, denoise=share, steps=8)
        for share in (0.2, 1.0)
    )
    assert (near - start[:, 0]).abs().mean() < (far - start[:, 0]).abs().mean()


def test_what_is_no_sound_of_the_model_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(stable_audio)
    with raises(InvalidValue, port="latent", given="64 x 25"):
        sampled(model.part("model"), prompt(model, 0.1), latent=Latent(None, 64, 25))
    with raises(InvalidValue, port="source"):
        encode_music(
            model.part("text_encoder"),
            MusicPrompt(TEXT, task="repaint"),
            source=Latent(torch.zeros(1, 1, 64, 4), 4, 64, 1, format="stable-audio"),
        )


def test_lengths_are_whole_pairs_of_latent_frames() -> None:
    assert [sound_frames(seconds) for seconds in (0.01, 1.0, 47.6)] == [2, 22, 1024]


# Files

_NORMS = {"norm1": "pre_norm", "norm2": "cross_attend_norm", "norm3": "ff_norm"}
_FLAT = {
    "timestep_proj": "to_timestep_embed",
    "global_proj": "to_global_embed",
    "cross_attention_proj": "to_cond_embed",
    "proj_in": "transformer.project_in",
    "proj_out": "transformer.project_out",
}


def original_transformer(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """In the names of stable-audio-tools, with joined attention layers."""
    named = {}
    for name, item in tensors.items():
        parts = name.split(".")
        if parts[0] == "time_proj":
            named["timestep_features.weight"] = item[:, None]
        elif parts[0] != "transformer_blocks":
            named[".".join([_FLAT.get(parts[0], parts[0]), *parts[1:]])] = item
        elif parts[2] in _NORMS:
            end = {"weight": "gamma", "bias": "beta"}[parts[3]]
            named[f"transformer.layers.{parts[1]}.{_NORMS[parts[2]]}.{end}"] = item
        elif parts[2] == "ff":
            named[f"transformer.layers.{parts[1]}.ff.ff.{'.'.join(parts[4:])}"] = item
    for block in range(2):
        here, there = f"transformer_blocks.{block}.", f"transformer.layers.{block}."
        for ours, theirs, joined in (("attn1", "self_attn", "qkv"), ("attn2", "cross_attn", "kv")):
            rows = [tensors[f"{here}{ours}.to_{letter}.weight"] for letter in joined]
            named[f"{there}{theirs}.to_{joined}.weight"] = torch.cat(rows)
            named[f"{there}{theirs}.to_out.weight"] = tensors[f"{here}{ours}.to_out.0.weight"]
        named[f"{there}cross_attn.to_q.weight"] = tensors[f"{here}attn2.to_q.weight"]
    return named


def checkpoint(pipeline: Any) -> dict[str, Tensor]:
    """A published file: all but T5."""
    tensors = {
        f"model.model.{name}": item
        for name, item in original_transformer(pipeline.transformer.state_dict()).items()
    }
    tensors["model.model.transformer.rotary_pos_emb.inv_freq"] = torch.ones(16)
    for name, item in pipeline.vae.state_dict().items():
        flat = item.flatten() if ".snake" in name else item
        tensors[f"pretransform.model.{original_oobleck(name, 3)}"] = flat
    for name, item in pipeline.projection_model.state_dict().items():
        edge, _, layer = name.partition("_number_conditioner.time_positional_embedding.")
        role = {"start": "seconds_start", "end": "seconds_total"}[edge]
        tensors[f"conditioner.conditioners.{role}.embedder.embedding.{layer}"] = item
    return {name: item.clone().contiguous() for name, item in tensors.items()}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, model_of: ModelOf) -> tuple[Path, Path]:
    """The published file of a model, and that of T5."""
    pipeline, _ = model_of(published)
    folder = tmp_path_factory.mktemp("stable-audio")
    whole, text = folder / "stable-audio-open-1.0.safetensors", folder / "t5-base.safetensors"
    save_file(checkpoint(pipeline), whole)
    encoder = {name: item.clone() for name, item in pipeline.text_encoder.state_dict().items()}
    encoder.pop("encoder.embed_tokens.weight", None)
    save_file(encoder, text)
    words = t5_words()
    words.model_max_length = 24
    words.save_pretrained(folder / "tokenizers" / "t5")
    return whole, text


def test_a_sampling_from_the_published_files_is_that_of_the_folder(
    files: tuple[Path, Path], model_of: ModelOf
) -> None:
    whole, text = files
    pipeline, folder = model_of(published)
    model: Any = load_component(open_denoiser(DenoiserRequest(str(whole)), []), "cpu")
    encoders = {"file": str(text), "file_2": str(whole)}
    recipe = open_text_encoder("stable-audio", encoders, [whole.parent])
    encoder: Any = load_component(recipe, "cpu")
    vae: Any = load_component(open_vae(str(whole), []), "cpu")
    for found, role in ((model, "transformer"), (encoder, "projection_model")):
        wanted = getattr(pipeline, role).state_dict()
        own = found.modules[role].state_dict()
        assert own.keys() == wanted.keys()
        assert all(torch.equal(own[name], item) for name, item in wanted.items())
    music = MusicPrompt(TEXT, seconds=0.2)
    found = sampled(model, encode_music(encoder, music))
    assert torch.equal(found, sampled(folder.part("model"), prompt(folder, 0.2)))
    latent = Latent(found[:, None], FRAMES, 64, 1, format="stable-audio")
    waveforms = [decode_sound(each, latent).waveform for each in (vae, folder.part("vae"))]
    assert torch.equal(*waveforms)


def test_a_text_encoder_without_its_conditioners_is_told(files: tuple[Path, Path]) -> None:
    _, text = files
    with raises(InvalidFile, port="file_2"):
        open_text_encoder("stable-audio", {"file": str(text)}, [text.parent])


def test_published_widths_are_read_from_shapes() -> None:
    with torch.device("meta"):
        network = d.StableAudioDiTModel()
    tensors = original_transformer({**network.state_dict()})
    shapes = {f"model.model.{name}": tuple(item.shape) for name, item in tensors.items()}
    layout = STABLE_AUDIO.denoisers[0].files[0]
    prefix = layout.prefix(shapes)
    assert prefix == "model.model."
    config = layout.config({name.removeprefix(prefix): shape for name, shape in shapes.items()})
    defaults = dict(network.config)
    # Only two of the blocks are written above.
    assert {**config, "num_layers": 24} == {name: defaults[name] for name in config}
    assert identify_tensors(shapes).title == "the transformer of Stable Audio Open"
