"""Anima gives what diffusers' modular pipeline gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import (
    encode_image,
    encode_prompt,
    estimate_bytes,
    load_component,
    open_model,
)
from nodegraph.errors import InvalidValue
from nodegraph.families.anima import CONDITIONER_FILE, TRANSFORMER_FILE
from nodegraph.families.conditionings import average, zero_out
from nodegraph.families.identification import identify_tensors
from nodegraph.models.adapters.recipes import OpenedAdapter
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.derived_components import derive
from nodegraph.residency import component_bytes
from tests.diffusion.adapters import files
from tests.messages import raises

from .checks import assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .language import qwen3_text
from .modular_pipelines import ModularPipeline
from .parts import flow
from .qwen_parts import qwen_vae
from .test_cosmos import network
from .words import qwen_words, t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]
LONG = "a red cat on a mat, " * 60


def conditioner(words: Any, **changed: Any) -> Any:
    usual = {
        "source_dim": 32,
        "target_dim": 32,
        "model_dim": 48,
        "num_layers": 2,
        "num_attention_heads": 3,
        "mlp_ratio": 2.0,
        "target_vocab_size": len(words),
        "min_sequence_length": 24,
    }
    return d.AnimaTextConditioner(**{**usual, **changed})


def anima() -> ModularPipeline:
    words, t5 = qwen_words(), t5_words()
    return ModularPipeline(
        d.AnimaAutoBlocks(),
        text_encoder=qwen3_text(words, kind=tf.Qwen3Model),
        tokenizer=words,
        t5_tokenizer=t5,
        text_conditioner=conditioner(t5),
        transformer=network(positions=None, rope_scale=(1.0, 4.0, 4.0)),
        vae=qwen_vae(),
        scheduler=flow(shift=3.0),
    )


@pytest.mark.parametrize(
    ("width", "height", "cfg", "prompt", "negative", "batch"),
    [
        (64, 64, 7.3, PROMPT, NEGATIVE, 1),
        pytest.param(80, 112, 4.0, LONG, NEGATIVE, 3, marks=pytest.mark.slow),
        pytest.param(96, 64, 4.0, PROMPT, LONG, 1, marks=pytest.mark.slow),
        pytest.param(64, 64, 4.0, "", None, 1, marks=pytest.mark.slow),
        pytest.param(64, 96, 1.0, PROMPT, None, 1, marks=pytest.mark.slow),
    ],
)
def test_anima_is_diffusers(
    model_of: ModelOf,
    width: int,
    height: int,
    cfg: float,
    prompt: str,
    negative: str | None,
    batch: int,
) -> None:
    pipeline, model = model_of(anima)
    both: dict[str, Any] = {"prompt": prompt, "negative": negative, "batch": batch, "steps": 3}
    found = model.make(width, height, cfg=cfg, **both)
    expected = stock(pipeline, width=width, height=height, guidance_scale=cfg, **both)
    assert_same(found, expected, pixels=cfg == 7.3)


@pytest.mark.parametrize(
    ("denoise", "walked"),
    [
        (0.5, 4),
        pytest.param(0.13, 1, marks=pytest.mark.slow),
        pytest.param(0.99, 7, marks=pytest.mark.slow),
    ],
)
def test_images_of_images_are_diffusers(model_of: ModelOf, denoise: float, walked: int) -> None:
    """The pipeline counts the levels from strengths in another way; see `denoise` of KSampler."""
    pipeline, model = model_of(anima)
    shown = picture(96, 64)
    latent = encode_image(model.part("vae"), as_tensor(shown))
    found = model.make(96, 64, latent=latent, cfg=4.0, denoise=denoise, steps=8)
    options = {"width": 96, "height": 64, "guidance_scale": 4.0, "strength": walked / 8}
    expected = stock(pipeline, image=shown, steps=8, **options)
    assert_same(found, expected, pixels=walked == 4)


@pytest.mark.slow
def test_bfloat16_is_near_diffusers(model_of: ModelOf) -> None:
    """The pipeline rounds latents to bfloat16 after each step, and what guidance adds up; here both
    stay in float32, as in ComfyUI. After one step without guidance they differ by that rounding."""
    _, model = model_of(anima)
    loaded = ModularPipeline.from_pretrained(model.folder, dtype=torch.bfloat16)
    loaded.set_progress_bar_config(disable=True)
    half = Model(model.folder, "bfloat16")
    found = half.make(64, 64, cfg=1.0, steps=1).latents
    expected = stock(loaded, width=64, height=64, guidance_scale=1.0, steps=1).latents
    assert expected.dtype == torch.bfloat16
    assert torch.equal(found.to(torch.bfloat16), expected)
    found = half.make(64, 64, cfg=4.0, steps=3).latents
    expected = stock(loaded, width=64, height=64, guidance_scale=4.0, steps=3).latents.float()
    assert (found - expected).abs().max() < 0.1 * expected.std()


def test_a_prompt_that_is_cut_is_reported(model_of: ModelOf) -> None:
    _, model = model_of(anima)
    warnings: list[str] = []
    encoder = model.part("text_encoder")
    (entry,) = encode_prompt(encoder, "cat " * 600, warn=warnings.append).entries
    assert entry.embeddings.shape == (1, 512, 32)
    assert entry.tensors["t5_ids"].shape == (1, 512)
    assert len(warnings) == 2
    encode_prompt(encoder, PROMPT, warn=warnings.append)
    assert len(warnings) == 2


def test_blended_prompts_keep_the_tokens_of_the_first(model_of: ModelOf) -> None:
    _, model = model_of(anima)
    first, second = model.encode(PROMPT), model.encode("a blue dog, far away")
    assert first is not None
    assert second is not None
    (blended,) = average(first, second, 0.5).entries
    assert torch.equal(blended.tensors["t5_ids"], first.entries[0].tensors["t5_ids"])
    plain = model.make(64, 64, cfg=1.0).latents
    made = model.make(64, 64, cfg=1.0, change=lambda _: average(first, second, 0.5)).latents
    assert not torch.equal(made, plain)
    whole = model.make(64, 64, cfg=1.0, change=lambda _: average(first, first, 0.5)).latents
    assert torch.equal(whole, plain)
    assert torch.isfinite(model.make(64, 64, cfg=3.0, away=zero_out(first)).latents).all()


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(anima)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


_RENAMED = {
    "transformer_blocks.": "blocks.",
    "attn1.to_out.0": "self_attn.output_proj",
    "attn2.to_out.0": "cross_attn.output_proj",
    **{
        f"attn{number}.{here}": f"{there}_attn.{original}"
        for number, there in ((1, "self"), (2, "cross"))
        for here, original in (
            ("to_q", "q_proj"),
            ("to_k", "k_proj"),
            ("to_v", "v_proj"),
            ("norm_q", "q_norm"),
            ("norm_k", "k_norm"),
        )
    },
    "ff.net.0.proj": "mlp.layer1",
    "ff.net.2": "mlp.layer2",
    **{
        f"norm{number}.linear_{layer}": f"adaln_modulation_{part}.{layer}"
        for number, part in ((1, "self_attn"), (2, "cross_attn"), (3, "mlp"))
        for layer in (1, 2)
    },
    "norm_out.linear_": "final_layer.adaln_modulation.",
    "proj_out": "final_layer.linear",
    "time_embed.t_embedder": "t_embedder.1",
    "time_embed.norm": "t_embedding_norm",
    "patch_embed.proj": "x_embedder.proj.1",
}


def renamed(name: str) -> str:
    """A tensor's name in the transformer of the published files."""
    for here, there in _RENAMED.items():
        name = name.replace(here, there)
    return name


def original(network: Any, reader: Any, prefix: str) -> dict[str, Tensor]:
    """Both networks' tensors as the published files have them."""
    written = {f"{prefix}{renamed(name)}": item for name, item in network.state_dict().items()}
    for name, item in reader.state_dict().items():
        written[f"{prefix}llm_adapter.{name}"] = item
    return written


def shapes_of(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(item.shape) for name, item in tensors.items()}


def test_a_published_file_has_the_published_sizes() -> None:
    with torch.device("meta"):
        published = d.CosmosTransformer3DModel(
            in_channels=16,
            num_attention_heads=16,
            attention_head_dim=128,
            num_layers=28,
            mlp_ratio=4.0,
            text_embed_dim=1024,
            adaln_lora_dim=256,
            max_size=(128, 240, 240),
            rope_scale=(1.0, 4.0, 4.0),
            concat_padding_mask=True,
            extra_pos_embed_type=None,
        )
        reader = d.AnimaTextConditioner()
    shapes = shapes_of(original(published, reader, ""))
    found = TRANSFORMER_FILE.config(shapes)
    assert found == {
        name: type(value)(published.config[name]) if value is not None else None
        for name, value in found.items()
    }
    found = CONDITIONER_FILE.config(
        {name: shape for name, shape in shapes.items() if name.startswith("llm_adapter.")}
    )
    assert found == {name: reader.config[name] for name in found}
    assert TRANSFORMER_FILE.scheduler({})["shift"] == 3.0


@pytest.mark.parametrize("prefix", ["", "net.", "model.diffusion_model."])
def test_files_of_its_transformer_hold_both_networks(tmp_path: Path, prefix: str) -> None:
    sizes = {"num_attention_heads": 1, "attention_head_dim": 128}
    net = network(positions=None, rope_scale=(1.0, 4.0, 4.0), **sizes)
    reader = conditioner(t5_words())
    tensors = original(net, reader, prefix)
    assert identify_tensors(shapes_of(tensors)).title == "the transformer of Anima"
    file = tmp_path / "anima.safetensors"
    save_file({name: item.contiguous() for name, item in tensors.items()}, file)
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    recipe = open_denoiser(DenoiserRequest(str(file)), [])
    # beside tables of positions, which no file holds
    assert estimate_bytes(recipe) == pytest.approx(component_bytes(loaded), abs=64)
    assert loaded.family == "anima"
    assert loaded.conditioners == {"text_conditioner"}
    assert [*loaded.networks] == ["transformer"]
    for role, module in (("transformer", net), ("text_conditioner", reader)):
        found, own = loaded.modules[role].state_dict(), module.state_dict()
        assert found.keys() == own.keys()
        assert all(torch.equal(item, own[name]) for name, item in found.items())


def test_a_transformer_without_the_text_conditioner_is_another_model(tmp_path: Path) -> None:
    sizes = {"num_attention_heads": 1, "attention_head_dim": 128}
    net = network(positions=None, rope_scale=(1.0, 4.0, 4.0), **sizes)
    tensors = {renamed(name): item for name, item in net.state_dict().items()}
    assert identify_tensors(shapes_of(tensors)).title == "the transformer of Cosmos Predict2"
    file = tmp_path / "alone.safetensors"
    save_file({name: item.contiguous() for name, item in tensors.items()}, file)
    with raises(InvalidValue, port="family", given="anima"):
        open_denoiser(DenoiserRequest(str(file), family="anima"), [])


_KOHYA = "lora_unet_"


@pytest.mark.parametrize(
    ("writes", "network", "reader"),
    [
        (files.peft_file, "transformer.", "text_conditioner."),
        pytest.param(
            files.peft_file,
            "diffusion_model.",
            "diffusion_model.llm_adapter.",
            marks=pytest.mark.slow,
        ),
        pytest.param(files.flat_file, _KOHYA, f"{_KOHYA}llm_adapter_", marks=pytest.mark.slow),
    ],
)
def test_loras_of_both_networks_are_diffusers(
    model_of: ModelOf,
    tmp_path: Path,
    writes: Callable[[files.Pairs, str], dict[str, Tensor]],
    network: str,
    reader: str,
) -> None:
    """kohya's names, which diffusers does not read, are compared with its own."""
    pipeline, model = model_of(anima)
    parts = pipeline.components
    torch.manual_seed(1)
    pairs = [files.own_pairs(parts[role]) for role in ("transformer", "text_conditioner")]
    # peft has other names for embeddings, which nobody trains.
    pairs[1].pop("embed")
    if network == "transformer.":
        named = pairs[0]
    else:
        named = {renamed(f"{name}."): pair for name, pair in pairs[0].items()}
        named = {name.removesuffix("."): pair for name, pair in named.items()}
    path = files.saved(
        {**writes(named, network), **writes(pairs[1], reader)}, tmp_path / "lora.safetensors"
    )
    found = with_lora(model, path).make(64, 64, negative=NEGATIVE, cfg=4.0)
    if network == _KOHYA:
        same = {
            **files.dotted_file(pairs[0], "transformer."),
            **files.dotted_file(pairs[1], "text_conditioner."),
        }
        again = with_lora(model, files.saved(same, tmp_path / "same.safetensors"))
        expected = again.make(64, 64, negative=NEGATIVE, cfg=4.0)
    else:
        changed = deepcopy(pipeline)
        changed.inner.load_lora_weights(str(path))
        for part in changed.components.values():
            if isinstance(part, torch.nn.Module):
                part.requires_grad_(False)
        options = {"width": 64, "height": 64, "guidance_scale": 4.0}
        expected = stock(changed, negative=NEGATIVE, **options)
    assert_same(found, expected)
    plain = model.make(64, 64, negative=NEGATIVE, cfg=4.0)
    assert not torch.equal(found.latents, plain.latents)


def with_lora(model: Model, path: Path) -> Model:
    recipe = OpenedAdapter(path).apply_to(open_model(str(model.folder), []).model, 1.0)
    assert recipe.matched is not None
    assert not recipe.matched.unknown
    changed = derive(model.part("model"), recipe.recipe)
    return Model(model.folder, loaded={**model.loaded, "model": changed})


def test_weights_of_comfyui_are_no_text(model_of: ModelOf) -> None:
    """There T5's words have them, and no encoder does."""
    _, model = model_of(anima)
    encoder = model.part("text_encoder")
    text = r"a (red:1.3) cat \(film\)"
    (found,) = encode_prompt(encoder, text, syntax="comfyui").entries
    (plain,) = encode_prompt(encoder, "a red cat (film)").entries
    for name, tensor in plain.tensors.items():
        assert torch.equal(found.tensors[name], tensor), name
