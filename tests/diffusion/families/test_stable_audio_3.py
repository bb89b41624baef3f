"""Stable Audio 3 gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
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
from nodegraph.diffusion import encode_prompt, load_component, open_model, sample
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.identification import identify_tensors
from nodegraph.families.prompts import MusicPrompt
from nodegraph.families.stable_audio_3 import HOP, RATE, STABLE_AUDIO_3, sound_frames_3
from nodegraph.models.adapters.recipes import OpenedAdapter
from nodegraph.models.conditioning import encode_music
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.derived_components import derive
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
WIDTH = 32
"""Of the transformer."""


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
            embed_dim=WIDTH,
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


def original_transformer(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The transformer of the published file, with the rows of the joined layer in its order."""
    named = {}
    for name, item in tensors.items():
        top, *others = name.split(".")
        if name == "prompt_padding_embedding":
            named["conditioner.conditioners.prompt.padding_embedding"] = item
            continue
        if top == "transformer_blocks":
            end = ".".join(others[1:])
            end = end.replace("ff.proj_in", "ff.ff.0.proj").replace("ff.proj_out", "ff.ff.2")
            inner = f"transformer.layers.{others[0]}.{end}"
        elif top in ("proj_in", "proj_out"):
            inner = f"transformer.project_{top[5:]}.weight"
        elif top in ("global_cond_embedder", "memory_tokens", "rotary_pos_emb"):
            inner = f"transformer.{name}"
        else:
            inner = name
        named[f"model.model.{inner}"] = unordered(item) if "to_qkv" in name else item
    return {name: item.clone().contiguous() for name, item in named.items()}


def unordered(rows: Tensor) -> Tensor:
    """Rows of the joined layer in the order of the published file."""
    if len(rows) != 5 * WIDTH:
        return rows
    query, query_2, key, key_2, value = rows.chunk(5)
    return torch.cat([query, key, value, query_2, key_2])


def plain_attention() -> Any:
    """As Stable Audio 3 small, which has no second attention."""
    pipeline = stable_audio_3()
    config = {**pipeline.transformer.config, "use_differential_attention": False}
    pipeline.transformer = d.StableAudio3DiTModel.from_config(config)
    return pipeline


@pytest.mark.parametrize("build", [stable_audio_3, plain_attention])
def test_the_transformer_is_read_from_the_published_file(
    build: Callable[[], Any], model_of: ModelOf, tmp_path: Path
) -> None:
    pipeline, folder = model_of(build)
    file = tmp_path / "stable_audio_3_medium.safetensors"
    wanted = pipeline.transformer.state_dict()
    save_file({**original_transformer(wanted), "pretransform.model.bias": torch.ones(1)}, file)
    model: Any = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    own = model.modules["transformer"].state_dict()
    assert own.keys() == wanted.keys()
    assert all(torch.equal(own[name], item) for name, item in wanted.items())
    text = prompt(folder, seconds_of(8))
    assert torch.equal(sampled(model, text), sampled(folder.part("model"), text))


def test_published_widths_are_read_from_shapes() -> None:
    with torch.device("meta"):
        network = d.StableAudio3DiTModel()
    names = original_transformer({**network.state_dict()})
    shapes = {name: tuple(item.shape) for name, item in names.items()}
    layout = STABLE_AUDIO_3.denoisers[0].files[0]
    assert layout.prefix(shapes) == ""
    config = layout.config(shapes)
    assert config == {name: network.config[name] for name in config}
    assert identify_tensors(shapes).title == "the transformer of Stable Audio 3"


@pytest.mark.parametrize("prefix", ["", "model.", "model.model."])
def test_a_lora_of_the_makers_changes_the_rows_that_it_was_trained_on(
    prefix: str, model_of: ModelOf, tmp_path: Path
) -> None:
    pipeline, folder = model_of(stable_audio_3)
    layer = pipeline.transformer.transformer_blocks[1].self_attn.to_qkv
    generator = torch.Generator().manual_seed(4)
    down = torch.randn(2, WIDTH, generator=generator)
    up = torch.randn(5 * WIDTH, 2, generator=generator)
    stem = f"{prefix}transformer.layers.1.self_attn.to_qkv.parametrizations.weight.0."
    file = tmp_path / "lora.safetensors"
    settings = {"lora_config": json.dumps({"rank": 2, "alpha": 1, "adapter_type": "lora"})}
    save_file({f"{stem}lora_A": down, f"{stem}lora_B": up}, file, settings)
    recipe = open_model(str(folder.folder), []).model

    adapted = OpenedAdapter(file, fused=True).apply_to(recipe, 1.0)

    assert adapted.matched is not None
    assert adapted.matched.total == len(adapted.matched.applied) == 1
    found = derive(folder.part("model"), adapted.recipe).module
    found = found.transformer_blocks[1].self_attn.to_qkv.weight
    torch.testing.assert_close(unordered(found), unordered(layer.weight) + up @ down / 2)


def test_lengths_are_whole_latent_frames() -> None:
    assert [sound_frames_3(seconds) for seconds in (0.01, 1.0, 120.0)] == [1, 11, 1292]
