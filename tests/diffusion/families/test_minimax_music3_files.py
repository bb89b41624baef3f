"""MiniMax Music 3's published files: every tensor comes back, and sound is that of the folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.diffusion import load_component
from nodegraph.errors import InvalidFile
from nodegraph.families import minimax_music3_files as layouts
from nodegraph.families.minimax_music3_song import song_tokens
from nodegraph.models.conditioning import encode_music
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.text_encoder_files import open_text_encoder
from nodegraph.models.vae import decode_sound
from nodegraph.models.vae_files import open_vae
from nodegraph.weights.single_files.base import FileLayout
from tests.messages import raises

from .conftest import Pair
from .test_minimax_music3 import SONG, minimax_music3, sampled

ModelOf = Callable[[Callable[[], Any]], Pair]
Weights = Mapping[str, Tensor]


# The names of the original code


def original_transformer(weights: Weights) -> dict[str, Tensor]:
    """Queries, keys and values are one layer there."""
    names = {
        "norm1.weight": "pre_norm.gamma",
        "norm1.bias": "pre_norm.beta",
        "norm2.weight": "ff_norm.gamma",
        "norm2.bias": "ff_norm.beta",
        "attn.to_out.0": "self_attn.to_out",
        "ff_in": "ff.ff.0.proj",
        "ff_out": "ff.ff.2",
        "transformer_blocks": "transformer.layers",
        "proj_in": "transformer.project_in",
        "proj_out": "transformer.project_out",
        "time_proj": "timestep_features",
        "time_embed.linear_1": "to_timestep_embed.0",
        "time_embed.linear_2": "to_timestep_embed.2",
    }
    made = {}
    for name, item in weights.items():
        if ".to_k." in name or ".to_v." in name:
            continue
        new = name
        if ".to_q." in name:
            others = [weights[name.replace(".to_q.", f".to_{part}.")] for part in "kv"]
            item = torch.cat([item, *others])
            new = name.replace("attn.to_q.", "self_attn.to_qkv.")
        for ours, theirs in names.items():
            new = new.replace(ours, theirs)
        made[f"diffusion_transformer.{new}"] = item
    made["diffusion_transformer.transformer.rotary_pos_emb.inv_freq"] = torch.ones(16)
    return made


def original_conditions(weights: Weights) -> dict[str, Tensor]:
    names = {
        "layer_weight_logits": "cond_layer_logits",
        "layer_scale": "cond_layer_scale",
        "proj.weight": "latent_conditioners.0.weight",
        "proj.bias": "latent_conditioners.0.bias",
    }
    return {names[name]: item for name, item in weights.items()}


def original_depth(weights: Weights) -> dict[str, Tensor]:
    made = {}
    for name, item in weights.items():
        for ours, theirs in (("to_q", "q_proj"), ("to_k", "k_proj"), ("to_v", "v_proj")):
            name = name.replace(f"attn.{ours}.", f"self_attn.{theirs}.")
        name = name.replace("attn.to_out.", "self_attn.o_proj.")
        for part in ("gate_proj", "up_proj", "down_proj"):
            name = name.replace(f".{part}.", f".mlp.{part}.")
        made[f"model.audio_decoder.{name}"] = item
    made["model.audio_extra_embedding.weight"] = made.pop(
        "model.audio_decoder.audio_embeddings.weight"
    )
    return made


def original_vocoder(weights: Weights, *, newer: bool = False) -> dict[str, Tensor]:
    """Layers are counted there; newer versions of torch name the parts of a weight otherwise."""
    inner = ("snake1", "conv_t1", "res_unit1", "res_unit2", "res_unit3")
    unit = ("snake1", "conv1", "snake2", "conv2")
    made = {}
    for name, item in weights.items():
        stem, *parts = name.split(".")
        if stem == "blocks":
            number, layer, *end = parts
            new = f"decoder.model.{int(number) + 1}.block.{inner.index(layer)}"
            if layer.startswith("res_unit"):
                new += f".block.{unit.index(end.pop(0))}"
            new = ".".join([new, *end])
        else:
            at = {"conv_in": "decoder.model.0", "snake_out": "decoder.model.5"} | {
                "conv_out": "decoder.model.6"
            }
            new = ".".join([at.get(stem, stem), *parts])
        if newer:
            for part, number in (("weight_g", 0), ("weight_v", 1)):
                new = new.replace(part, f"parametrizations.weight.original{number}")
        made[new] = item
    return made


def merged(weights: Weights) -> dict[str, Tensor]:
    """Layers that are one in some files."""
    kinds = {
        "qkv_proj": ("q_proj", "k_proj", "v_proj"),
        "gate_up_proj": ("gate_proj", "up_proj"),
    }
    made = dict(weights)
    for whole, (first, *others) in kinds.items():
        for name in [name for name in made if f".{first}." in name]:
            rows = [made.pop(name.replace(first, other)) for other in (first, *others)]
            made[name.replace(first, whole)] = torch.cat(rows)
    return made


def pruned(weights: Weights) -> dict[str, Tensor]:
    """The rows that prompts and audio codes need, as ComfyUI's smaller files have them."""
    made = dict(weights)
    words, head = made.pop("model.embed_tokens.weight"), made.pop("lm_head.weight")
    made["model.embed_tokens_prefill.weight"] = words[: layouts.CODE_OFFSET]
    codes = slice(layouts.CODE_OFFSET, layouts.CODE_OFFSET + layouts.CODES)
    made["model.embed_tokens_audio.weight"] = words[codes]
    made["model.lm_head_pruned.weight"] = torch.cat(
        [head[layouts.AUDIO_END : layouts.AUDIO_END + 1], head[codes]]
    )
    made["tokenizer_json"] = torch.zeros(4, dtype=torch.uint8)
    return made


def language_file(pipeline: Any) -> dict[str, Tensor]:
    depth = original_depth(pipeline.components["rvq_depth_decoder"].state_dict())
    return {**pipeline.components["language_model"].state_dict(), **depth}


def save(path: Path, tensors: Weights) -> str:
    save_file({name: item.clone().contiguous() for name, item in tensors.items()}, path)
    return str(path)


def loaded_encoder(path: Path, tensors: Weights) -> Any:
    names = {"file": save(path, tensors)}
    return load_component(open_text_encoder("minimax-music3", names, []), "cpu")


def assert_holds(found: Any, role: str, expected: Any) -> None:
    own, wanted = found.modules[role].state_dict(), expected.state_dict()
    assert own.keys() == wanted.keys()
    for name, item in wanted.items():
        assert torch.equal(item, own[name]), name


def test_the_diffusion_model_comes_back_from_its_file(model_of: ModelOf, tmp_path: Path) -> None:
    pipeline, model = model_of(minimax_music3)
    parts = pipeline.components
    file = original_transformer(parts["transformer"].state_dict())
    file |= original_conditions(parts["condition_encoder"].state_dict())
    path = save(tmp_path / "minimax_music3_dit_fp16.safetensors", file)
    found = load_component(open_denoiser(DenoiserRequest(path), []), "cpu")
    for role in ("transformer", "condition_encoder"):
        assert_holds(found, role, parts[role])
    positive = encode_music(model.part("text_encoder"), SONG)

    class FromFile:
        def part(self, name: str) -> Any:
            return found

    expected = sampled(model, positive)
    assert torch.equal(sampled(FromFile(), positive), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "merge"),
    [
        pytest.param(lambda weights: weights, False, id="whole"),
        pytest.param(pruned, True, id="pruned", marks=pytest.mark.slow),
    ],
)
def test_the_language_model_comes_back_from_its_file(
    model_of: ModelOf, tmp_path: Path, change: Callable[[Weights], Weights], merge: bool
) -> None:
    """Pruned files have no logits of words, which no song has."""
    pipeline, _ = model_of(minimax_music3)
    file = change(language_file(pipeline))
    found = loaded_encoder(tmp_path / "encoder.safetensors", merged(file) if merge else file)
    assert_holds(found, "rvq_depth_decoder", pipeline.components["rvq_depth_decoder"])
    own = dict(found.modules["language_model"].state_dict())
    wanted = dict(pipeline.components["language_model"].state_dict())
    heads = [weights.pop("lm_head.weight") for weights in (own, wanted)]
    rows = [layouts.AUDIO_END, *range(layouts.CODE_OFFSET, layouts.CODE_OFFSET + layouts.CODES)]
    assert torch.equal(heads[0][rows], heads[1][rows])
    assert own.keys() == wanted.keys()
    for name, item in wanted.items():
        assert torch.equal(item, own[name]), name


@pytest.mark.slow
def test_the_tokenizer_comes_along(model_of: ModelOf, tmp_path: Path) -> None:
    pipeline, _ = model_of(minimax_music3)
    found = loaded_encoder(tmp_path / "encoder.safetensors", language_file(pipeline))
    ids, wordless = song_tokens(found.tokenizers["tokenizer"], SONG)
    marks = [151_644, 151_671, 151_672, 151_673, 151_674, 151_645, 151_669]
    assert [token for token in ids.tolist() if token >= 151_643] == marks
    assert set(wordless[1:-2].tolist()) == {151_654}
    assert encode_music(found, SONG).entries[0].embeddings.shape[1] == 10


@pytest.mark.parametrize("newer", [False, True])
def test_the_vocoder_comes_back_from_its_file(
    model_of: ModelOf, tmp_path: Path, newer: bool
) -> None:
    pipeline, model = model_of(minimax_music3)
    weights = pipeline.components["vocoder"].state_dict()
    path = save(tmp_path / "minimax_music3_dav.safetensors", original_vocoder(weights, newer=newer))
    vae = load_component(open_vae(path, []), "cpu")
    latents = torch.randn(1, 1, 128, 5, generator=torch.Generator().manual_seed(1))
    latent = Latent(latents, 5, 128, 1, format="minimax-music3")
    found, expected = (decode_sound(each, latent) for each in (vae, model.part("vae")))
    assert expected.waveform.std() > 1e-5
    assert torch.equal(found.waveform, expected.waveform)
    assert found.rate == 44_100


def shapes(module: Any) -> dict[str, Tensor]:
    return dict(module.state_dict())


@pytest.mark.slow
def test_the_published_sizes_are_read_from_shapes() -> None:
    """Those of the configurations of diffusers' classes, and of ComfyUI's language model."""
    with torch.device("meta"):
        language = tf.Qwen3ForCausalLM(
            tf.Qwen3Config(
                vocab_size=200_000,
                hidden_size=4096,
                intermediate_size=12_288,
                num_hidden_layers=2,
                num_attention_heads=32,
                num_key_value_heads=8,
                head_dim=128,
                max_position_embeddings=10_240,
                tie_word_embeddings=False,
            )
        )
        depth = d.MiniMaxMusic3RVQDepthDecoder()
        transformer = d.MiniMaxMusic3Transformer1DModel(num_layers=2)
        conditions = d.MiniMaxMusic3ConditionEncoder()
    words = merged({**language.state_dict(), **original_depth(depth.state_dict())})
    cases: list[tuple[FileLayout, Any, Weights]] = [
        (layouts.TRANSFORMER, transformer, original_transformer(transformer.state_dict())),
        (layouts.CONDITIONS, conditions, original_conditions(conditions.state_dict())),
        (layouts.DEPTH_DECODER, depth, words),
        (layouts.LANGUAGE_MODEL, language, words),
    ]
    for layout, module, weights in cases:
        named = {name: tuple(item.shape) for name, item in weights.items()}
        beginnings = layout.name_beginnings("")
        assert layout.matches(named)
        config = layout.config(named)
        for name, value in config.items():
            if not isinstance(value, dict):
                assert getattr(module.config, name) == value, name
        own = {name: item for name, item in weights.items() if name.startswith(beginnings)}
        made = layout.convert(own, config)
        expected = module.state_dict()
        assert made.keys() == expected.keys()
        assert all(made[name].shape == expected[name].shape for name in expected)


def test_a_language_model_without_its_depth_decoder_is_refused(
    model_of: ModelOf, tmp_path: Path
) -> None:
    pipeline, _ = model_of(minimax_music3)
    weights = pipeline.components["language_model"].state_dict()
    path = save(tmp_path / "qwen3.safetensors", weights)
    with raises(InvalidFile, port="file"):
        open_text_encoder("minimax-music3", {"file": path}, [])
