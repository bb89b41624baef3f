"""ACE-Step 1.5's published files: every tensor comes back, and music is that of the folder."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from diffusers.pipelines.ace_step import modeling_ace_step as networks
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Audio, Conditioning, Latent
from nodegraph.diffusion import load_component, open_model, sample
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families import ace_step_files as layouts
from nodegraph.families.identification import identify_tensors
from nodegraph.models.conditioning import encode_music, encode_prompt
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.text_encoder_files import open_text_encoder
from nodegraph.models.vae import decode_sound, encode_silence, encode_sound
from nodegraph.models.vae_files import open_vae
from nodegraph.weights.single_files.base import FileLayout
from tests.messages import raises

from .conftest import Pair
from .equality import Model
from .oobleck_names import original_oobleck
from .test_ace_step import OPTIONS, RATE, SONG, pipeline_with_codes
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]


def published() -> Any:
    """A pipeline with the window that no tensor shows."""
    return pipeline_with_codes(sliding_window=128)


# The published names

_ATTENTION = {"to_q": "q_proj", "to_k": "k_proj", "to_v": "v_proj", "to_out.0": "o_proj"} | {
    "norm_q": "q_norm",
    "norm_k": "k_norm",
}


def _original(name: str) -> str:
    pattern = r"(self_attn|cross_attn)\.(to_out\.0|to_[qkv]|norm_[qk])\."
    name = re.sub(pattern, lambda found: f"{found[1]}.{_ATTENTION[found[2]]}.", name)
    return name.replace("proj_in_conv.", "proj_in.1.").replace("proj_out_conv.", "proj_out.1.")


_PARTS = {
    "transformer": "decoder.",
    "condition_encoder": "encoder.",
    "audio_tokenizer": "tokenizer.",
    "audio_token_detokenizer": "detokenizer.",
}


def diffusion_model(parts: Mapping[str, Any]) -> dict[str, Tensor]:
    """The file of a diffusion model, of modules by role."""
    tensors = {}
    for role, prefix in _PARTS.items():
        for name, item in parts[role].state_dict().items():
            if name == "null_condition_emb":
                tensors[name] = item.contiguous()
            elif name != "silence_latent":
                tensors[f"{prefix}{_original(name)}"] = item.contiguous()
    return tensors


def vae_tensors(vae: Any) -> dict[str, Tensor]:
    names = {name: original_oobleck(name, 1) for name in vae.state_dict()}
    return {
        names[name]: item.flatten().contiguous() if ".snake" in name else item.contiguous()
        for name, item in vae.state_dict().items()
    }


def _with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}{name}": item for name, item in tensors.items()}


@dataclass
class Files:
    """The published files of a pipeline."""

    folder: Path
    pipeline: Any
    model: Path
    encoder: Path
    vae: Path
    whole: Path

    def load(self, name: str) -> Any:
        encoders = {"file": str(self.encoder), "file_2": str(self.model)}
        if name == "model":
            return load_component(open_denoiser(DenoiserRequest(str(self.model)), []), "cpu")
        if name == "vae":
            return load_component(open_vae(str(self.vae), []), "cpu")
        recipe = open_text_encoder("ace-step", encoders, [self.folder])
        return load_component(recipe, "cpu")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, model_of: ModelOf) -> Files:
    pipeline, _ = model_of(published)
    folder = tmp_path_factory.mktemp("ace")
    model = diffusion_model(pipeline.components)
    text = _with_prefix("model.", pipeline.text_encoder.state_dict())
    vae = vae_tensors(pipeline.vae)
    paths = [folder / f"{name}.safetensors" for name in ("model", "encoder", "vae", "whole")]
    whole = {
        **_with_prefix("model.diffusion_model.", model),
        **_with_prefix("text_encoders.qwen3_06b.transformer.", text),
        **_with_prefix("text_encoders.qwen3_2b.transformer.", text),
        **_with_prefix("vae.", vae),
    }
    for tensors, path in zip((model, text, vae, whole), paths, strict=True):
        save_file({name: item.clone() for name, item in tensors.items()}, path)
    qwen_words().save_pretrained(folder / "tokenizers" / "qwen3-embedding")
    return Files(folder, pipeline, *paths)


def assert_holds(found: Any, role: str, expected: Any) -> None:
    own, wanted = found.modules[role].state_dict(), expected.state_dict()
    wanted.pop("silence_latent", None)
    assert own.keys() - {"silence_latent"} == wanted.keys()
    for name, item in wanted.items():
        assert torch.equal(item, own[name]), name


def test_every_tensor_of_the_published_files_comes_back(files: Files, model_of: ModelOf) -> None:
    _, folder = model_of(published)
    model, text, vae = (files.load(name) for name in ("model", "text_encoder", "vae"))
    assert_holds(model, "transformer", files.pipeline.transformer)
    for role in text.modules:
        assert_holds(text, role, getattr(files.pipeline, role))
    assert_holds(vae, "vae", folder.part("vae").module)


def _music(model: Any, encoder: Any, silence: Latent | None, **more: Any) -> Tensor:
    prompt = encode_music(encoder, replace(SONG, **more), silence=silence)
    samples = sample(model, prompt, None, Latent(None, 64, 25), **OPTIONS).samples
    assert samples is not None
    return samples


@pytest.fixture
def silent(model_of: ModelOf, tmp_path: Path) -> Model:
    """A folder whose silence is that of its VAE."""
    pipeline, folder = model_of(published)
    encoded = encode_silence(folder.part("vae")).samples
    assert encoded is not None
    kept = pipeline.condition_encoder.silence_latent
    pipeline.condition_encoder.silence_latent = torch.cat(
        [encoded[:, 0, :32], encoded[:, 0, 32:33].expand(-1, 15_000 - 32, -1)], 1
    ).contiguous()
    pipeline.save_pretrained(tmp_path)
    pipeline.condition_encoder.silence_latent = kept
    return Model(tmp_path)


def test_music_of_the_files_is_that_of_the_folder(files: Files, silent: Model) -> None:
    expected = _music(silent.part("model"), silent.part("text_encoder"), None)
    silence = encode_silence(files.load("vae"))
    found = _music(files.load("model"), files.load("text_encoder"), silence)
    assert torch.equal(found, expected)
    decoded = [
        decode_sound(vae, Latent(found, 64, 25, 1, format="ace-step"))
        for vae in (files.load("vae"), silent.part("vae"))
    ]
    assert torch.equal(decoded[0].waveform, decoded[1].waveform)


def test_silence_is_the_same_far_from_its_ends(files: Files) -> None:
    samples = encode_silence(files.load("vae")).samples
    assert samples is not None
    assert samples.any()
    assert torch.equal(samples[:, :, 28], samples[:, :, 32])


def test_a_whole_file_opens_as_its_parts(files: Files, model_of: ModelOf) -> None:
    recipes = open_model(str(files.whole), [files.folder], dtype="float32")
    model, text, vae = (
        load_component(recipe, "cpu")
        for recipe in (recipes.model, recipes.text_encoder, recipes.vae)
    )
    assert_holds(model, "transformer", files.pipeline.transformer)
    for role in text.modules:
        assert_holds(text, role, getattr(files.pipeline, role))
    _, folder = model_of(published)
    assert_holds(vae, "vae", folder.part("vae").module)


def test_without_silence_the_vae_is_needed(files: Files) -> None:
    encoder = files.load("text_encoder")
    with raises(InvalidValue, port="vae"):
        encode_music(encoder, SONG)
    with raises(InvalidValue, port="vae"):
        encode_prompt(encoder, "a calm song")


def test_a_missing_negative_prompt_takes_the_silence_of_the_positive(files: Files) -> None:
    silence = encode_silence(files.load("vae"))
    prompt = encode_music(files.load("text_encoder"), SONG, silence=silence)
    assert isinstance(prompt, Conditioning)
    assert prompt.unconditional is not None
    assert "silence" not in prompt.unconditional.tensors
    assert "silence" in prompt.entries[0].tensors


def test_the_file_of_the_language_model_is_refused(files: Files, tmp_path: Path) -> None:
    text = _with_prefix("model.", files.pipeline.text_encoder.state_dict())
    words = torch.zeros(217_204, text["model.embed_tokens.weight"].shape[1], dtype=torch.float16)
    path = tmp_path / "lm.safetensors"
    save_file({**text, "model.embed_tokens.weight": words}, path)
    encoders = {"file": str(path), "file_2": str(files.model)}
    with raises(InvalidFile, port="file"):
        open_text_encoder("ace-step", encoders, [files.folder])


def test_the_condition_encoder_is_named_where_it_is_missing(files: Files) -> None:
    with raises(InvalidFile, port="file_2"):
        open_text_encoder("ace-step", {"file": str(files.encoder)}, [files.folder])


def test_version_1_is_known_and_refused_by_name() -> None:
    shapes = {"model.diffusion_model.genre_embedder.weight": (8, 8)}
    assert identify_tensors(shapes).title == "ACE-Step (version 1)"


# The layouts at the published widths


def _shapes_on_meta(build: Callable[[], Any]) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        module = build()
    return {name: tuple(item.shape) for name, item in module.state_dict().items()}


_XL = {"hidden_size": 2560, "intermediate_size": 9728, "num_attention_heads": 32}
_PUBLISHED: tuple[tuple[FileLayout, type, str, Mapping[str, Any]], ...] = (
    (layouts.TRANSFORMER, d.AceStepTransformer1DModel, "decoder.", {}),
    (
        layouts.TRANSFORMER,
        d.AceStepTransformer1DModel,
        "decoder.",
        {**_XL, "num_hidden_layers": 4, "encoder_hidden_size": 2048},
    ),
    (layouts.CONDITIONS, networks.AceStepConditionEncoder, "encoder.", {}),
    (layouts.TOKENIZER, networks.AceStepAudioTokenizer, "tokenizer.", {}),
    (layouts.DETOKENIZER, networks.AceStepAudioTokenDetokenizer, "detokenizer.", {}),
)


@pytest.mark.parametrize(("layout", "kind", "prefix", "options"), _PUBLISHED)
def test_published_widths_are_read_from_shapes(
    layout: FileLayout, kind: Any, prefix: str, options: Mapping[str, Any]
) -> None:
    wanted = _shapes_on_meta(lambda: kind(**options))
    shapes = {f"{prefix}{_original(name)}": shape for name, shape in wanted.items()}
    found = layout.prefix(shapes)
    assert found is not None
    own = {name.removeprefix(found): shape for name, shape in shapes.items()}
    config = layout.config(own)
    assert _shapes_on_meta(lambda: kind(**config)) == wanted
    # What no tensor shows is published, as the defaults are.
    with torch.device("meta"):
        ours, theirs = (dict(kind(**each).config) for each in (config, options))
    for each in (ours, theirs):
        each.pop("_use_default_values", None)
        each.pop("encoder_hidden_size", None)
    assert ours == theirs


def test_the_published_vae_is_told_from_that_of_stable_audio() -> None:
    ratios = [2, 4, 4, 6, 10]
    wanted = _shapes_on_meta(lambda: d.AutoencoderOobleck(downsampling_ratios=ratios))
    shapes = {
        original_oobleck(name, 5): (shape[1],) if ".snake" in name else shape
        for name, shape in wanted.items()
    }
    config = layouts.VAE.config(shapes)
    assert config["downsampling_ratios"] == ratios
    assert config["sampling_rate"] == 48_000
    assert _shapes_on_meta(lambda: d.AutoencoderOobleck(**config)) == wanted
    assert identify_tensors(shapes).title == "the VAE of ACE-Step 1.5"


def test_sound_is_encoded_as_by_the_folder(files: Files, model_of: ModelOf) -> None:
    _, folder = model_of(published)
    sound = Audio(torch.randn(2, 400, generator=torch.Generator().manual_seed(1)) * 0.1, RATE)
    vae = folder.part("vae")
    found = load_component(open_vae(str(files.vae), []), "cpu")
    ours: Any = encode_sound(found, replace(sound, rate=48_000)).samples  # type: ignore[arg-type]
    theirs: Any = encode_sound(vae, sound).samples
    assert torch.equal(ours, theirs)
