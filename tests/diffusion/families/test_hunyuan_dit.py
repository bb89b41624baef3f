"""Hunyuan-DiT gives what diffusers' pipeline gives, to the last bit.

Text to image, odd sizes, batches, guidance of 0, 1 and 7.3, negative and long prompts, sizes as
conditioning, bfloat16, and image to image at any strength.

Most are compared by DDIM, which the pipeline takes in place of its published DDPM and which draws
no noise; DDPM has a test of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from safetensors.torch import save_file

from nodegraph.core.values import Conditioning
from nodegraph.diffusion import encode_image, encode_prompt, load_component
from nodegraph.families.base import CROP, ORIGINAL_SIZE, TARGET_SIZE
from nodegraph.families.building import build_tokenizer
from nodegraph.families.hunyuan_dit import _FILE
from nodegraph.families.identification import identify_tensors
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser

from .checks import assert_like_stock, assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Model, assert_same, picture, stock
from .image_to_image import as_tensor
from .parts import t5_text, vae
from .words import t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]
AS_ASKED = {"use_resolution_binning": False}
"""The pipeline brings images to sizes of a table; nodegraph does not."""
LONG = "a red cat on a mat, " * 40
"""Of more than 256 tokens."""


def bert_words() -> Any:
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "red",
        "cat",
        "\u732b",
        *map(chr, range(33, 127)),
    ]
    words += [f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"]
    return tf.BertTokenizer(vocab={word: at for at, word in enumerate(words)}, model_max_length=77)


def bert_text(words: Any, width: int = 24) -> Any:
    return tf.BertModel(
        tf.BertConfig(
            vocab_size=len(words),
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=77,
        )
    )


def network(*, sizes: bool = False, **more: Any) -> Any:
    options: dict[str, Any] = {
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "in_channels": 4,
        "patch_size": 2,
        "sample_size": 8,
        "hidden_size": 32,
        # Three skips and the middle.
        "num_layers": 8,
        "mlp_ratio": 4.3637,
        "cross_attention_dim": 24,
        "cross_attention_dim_t5": 32,
        "pooled_projection_dim": 20,
        "use_style_cond_and_image_meta_size": sizes,
    }
    return d.HunyuanDiT2DModel(**{**options, **more})


def schedule(kind: Any = d.DDIMScheduler, end: float = 0.018, **more: Any) -> Any:
    return kind(
        beta_start=0.00085,
        beta_end=end,
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        clip_sample=False,
        steps_offset=1,
        **more,
    )


def _pipeline(net: Any, scheduler: Any) -> Any:
    bert, t5 = bert_words(), t5_words()
    return d.HunyuanDiTPipeline(
        vae(scale=0.13025),
        bert_text(bert),
        bert,
        net,
        scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        text_encoder_2=t5_text(t5),
        tokenizer_2=t5,
    )


def hunyuan_dit() -> Any:
    """Of version 1.2."""
    return _pipeline(network(), schedule(set_alpha_to_one=False))


def hunyuan_dit_sizes() -> Any:
    """Of version 1.1, which is conditioned on sizes."""
    return _pipeline(network(sizes=True), schedule(end=0.03, set_alpha_to_one=False))


def hunyuan_dit_ddpm() -> Any:
    """With the published scheduler."""
    return _pipeline(network(), schedule(d.DDPMScheduler))


@pytest.mark.parametrize(
    "build", [hunyuan_dit, pytest.param(hunyuan_dit_sizes, marks=pytest.mark.slow)]
)
def test_hunyuan_dit_is_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    assert_like_stock(model_of(build), sampler="ddim", **AS_ASKED)


@pytest.mark.slow
def test_guidance_batches_and_long_prompts_are_diffusers(model_of: ModelOf) -> None:
    """At 0 and 1 the pipeline reads the positive prompt alone; here that is 1."""
    pipeline, model = model_of(hunyuan_dit)
    for guidance, cfg, prompt, negative, batch in (
        (0.0, 1.0, PROMPT, NEGATIVE, 1),
        (1.0, 1.0, PROMPT, NEGATIVE, 1),
        (7.3, 7.3, LONG, NEGATIVE, 3),
        (7.3, 7.3, "\u732b cat", LONG, 1),
        (2.0, 2.0, "", "", 1),
    ):
        both: dict[str, Any] = {"prompt": prompt, "negative": negative, "batch": batch}
        found = model.make(80, 112, cfg=cfg, sampler="ddim", **both)
        called: dict[str, Any] = {"width": 80, "height": 112, "guidance_scale": guidance}
        assert_same(found, stock(pipeline, **both, **called, **AS_ASKED))


@pytest.mark.parametrize(
    "denoise",
    [
        pytest.param(0.5, marks=pytest.mark.slow),
        pytest.param(0.13, marks=pytest.mark.slow),
        pytest.param(0.99, marks=pytest.mark.slow),
    ],
)
def test_pictures_of_pictures_are_diffusers(model_of: ModelOf, denoise: float) -> None:
    """diffusers has no such pipeline: its own one walks the last timesteps from a noised image."""
    pipeline, model = model_of(hunyuan_dit)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    both: dict[str, Any] = {"negative": NEGATIVE, "steps": 8}
    found = model.make(96, 64, latent=latent, cfg=4.0, denoise=denoise, sampler="ddim", **both)
    assert latent.samples is not None
    scheduler = pipeline.scheduler
    walked = min(int(8 * denoise), 8)
    usual = scheduler.set_timesteps

    def late(steps: int, **options: Any) -> None:
        usual(steps, **options)
        scheduler.timesteps = scheduler.timesteps[steps - walked :]

    usual(8)
    noise = torch.randn(1, 4, 8, 12, generator=torch.Generator().manual_seed(SEED))
    first = scheduler.timesteps[8 - walked :][:1]
    noised = scheduler.add_noise(latent.samples, noise, first)
    called: dict[str, Any] = {"width": 96, "height": 64, "guidance_scale": 4.0, "latents": noised}
    scheduler.set_timesteps = late
    try:
        expected = stock(pipeline, **called, **both, **AS_ASKED)
    finally:
        del scheduler.set_timesteps
    assert_same(found, expected)


@pytest.mark.slow
def test_sizes_as_conditioning_are_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(hunyuan_dit_sizes)
    sizes = {
        ORIGINAL_SIZE: torch.tensor([[48.0, 32.0]]),
        CROP: torch.tensor([[3.0, 5.0]]),
        TARGET_SIZE: torch.tensor([[80.0, 40.0]]),
    }

    def sized(prompt: Conditioning) -> Conditioning:
        (entry,) = prompt.entries
        return replace(prompt, entries=(replace(entry, tensors={**entry.tensors, **sizes}),))

    found = model.make(64, 96, cfg=1.0, change=sized, sampler="ddim")
    expected = stock(
        pipeline,
        width=64,
        height=96,
        guidance_scale=1.0,
        original_size=(48, 32),
        crops_coords_top_left=(3, 5),
        target_size=(80, 40),
        **AS_ASKED,
    )
    assert_same(found, expected)


@pytest.mark.parametrize("steps", [1, 5])
def test_the_published_scheduler_is_diffusers(model_of: ModelOf, steps: int) -> None:
    """It draws noise in each step."""
    pipeline, model = model_of(hunyuan_dit_ddpm)
    both: dict[str, Any] = {"negative": NEGATIVE, "batch": 2, "steps": steps}
    found = model.make(64, 64, cfg=4.0, sampler="ddpm", **both)
    called: dict[str, Any] = {"width": 64, "height": 64, "guidance_scale": 4.0}
    assert_same(found, stock(pipeline, **both, **called, **AS_ASKED))


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    found, expected = in_bfloat16(model_of(hunyuan_dit), sampler="ddim", **AS_ASKED)
    assert torch.equal(found.latents, expected.latents.float())


def test_a_prompt_that_is_cut_is_reported(model_of: ModelOf) -> None:
    _, model = model_of(hunyuan_dit)
    warnings: list[str] = []
    encoder = model.part("text_encoder")
    encode_prompt(encoder, LONG, warn=warnings.append)
    assert len(warnings) == 1
    encode_prompt(encoder, PROMPT, warn=warnings.append)
    assert len(warnings) == 1


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(hunyuan_dit)
    assert_samples_by(model, {"dpmpp_2m": "karras", "ddpm": "normal", "euler": "normal"})
    assert_refuses(model, near="64 x 64")


def test_a_published_vocabulary_is_a_list_of_words(tmp_path: Path) -> None:
    """The published folders have a ``vocab.txt``, and no ``tokenizer.json``."""
    own = bert_words()
    words = sorted(own.get_vocab(), key=own.get_vocab().get)
    file = tmp_path / "vocab.txt"
    file.write_text("\n".join(words), "utf-8")
    found = build_tokenizer(("BertTokenizer",), [file])
    for text in (PROMPT, "\u732b cats", ""):
        assert found(text)["input_ids"] == own(text)["input_ids"]


_ORIGINAL = (
    ("time_extra_emb.timestep_embedder.linear_1", "t_embedder.mlp.0"),
    ("time_extra_emb.timestep_embedder.linear_2", "t_embedder.mlp.2"),
    ("time_extra_emb.extra_embedder.linear_1", "extra_embedder.0"),
    ("time_extra_emb.extra_embedder.linear_2", "extra_embedder.2"),
    ("time_extra_emb.", ""),
    ("text_embedder.linear_1", "mlp_t5.0"),
    ("text_embedder.linear_2", "mlp_t5.2"),
    ("pos_embed.", "x_embedder."),
    ("norm_out.linear", "final_layer.adaLN_modulation.1"),
    ("proj_out.", "final_layer.linear."),
    (".norm1.linear", ".default_modulation.1"),
    (".norm1.norm", ".norm1"),
    (".ff.net.0.proj", ".mlp.fc1"),
    (".ff.net.2", ".mlp.fc2"),
    (".norm_q", ".q_norm"),
    (".norm_k", ".k_norm"),
    (".to_out.0", ".out_proj"),
)


def original(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """As the training code names them: the conversion of diffusers' script backwards."""
    named: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        new = name
        for here, there in _ORIGINAL:
            new = new.replace(here, there)
        stem, _, end = name.rpartition(".")
        if stem.endswith("attn1.to_q"):
            parts = [tensors[f"{stem[:-1]}{kind}.{end}"] for kind in "qkv"]
            named[f"{stem.replace('to_q', 'Wqkv')}.{end}"] = torch.cat(parts)
        elif stem.endswith("attn2.to_k"):
            parts = [tensors[f"{stem[:-1]}{kind}.{end}"] for kind in "kv"]
            named[f"{stem.replace('to_k', 'kv_proj')}.{end}"] = torch.cat(parts)
        elif stem.endswith("attn2.to_q"):
            named[f"{stem.replace('to_q', 'q_proj')}.{end}"] = tensor
        elif stem.endswith((".to_k", ".to_v")):
            continue
        elif stem.endswith((".norm2", ".norm3")) and stem.startswith("blocks"):
            swapped = {"2": "3", "3": "2"}[stem[-1]]
            named[f"{stem[:-1]}{swapped}.{end}"] = tensor
        elif stem == "norm_out.linear":
            named[new] = torch.cat(tensor.chunk(2)[::-1])
        else:
            named[new] = tensor
    return named


@pytest.mark.parametrize("names", [dict, original])
@pytest.mark.parametrize("sizes", [False, True])
def test_a_file_of_its_transformer_is_the_folders(
    tmp_path: Path, names: Callable[[dict[str, torch.Tensor]], Any], *, sizes: bool
) -> None:
    torch.manual_seed(0)
    own = network(sizes=sizes).eval()
    tensors = {
        f"model.diffusion_model.{name}": item for name, item in names(own.state_dict()).items()
    }
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of Hunyuan-DiT"
    file = tmp_path / "dit.safetensors"
    save_file({name: item.contiguous().clone() for name, item in tensors.items()}, file)
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    assert loaded.family == "hunyuan-dit"
    found = loaded.module.state_dict()
    assert found.keys() == own.state_dict().keys()
    assert all(torch.equal(item, found[name]) for name, item in own.state_dict().items())
    assert loaded.scheduler_config["prediction_type"] == "v_prediction"
    assert loaded.scheduler_config["beta_end"] == (0.03 if sizes else 0.018)


@pytest.mark.slow
def test_a_published_file_has_the_published_sizes() -> None:
    """Those of the model DiT-g/2, 40 blocks 1408 wide."""
    with torch.device("meta"):
        published = network(
            num_attention_heads=16,
            attention_head_dim=88,
            hidden_size=1408,
            num_layers=40,
            cross_attention_dim=1024,
            cross_attention_dim_t5=2048,
            pooled_projection_dim=1024,
            sample_size=128,
        )
        shapes = {name: tuple(item.shape) for name, item in published.state_dict().items()}
        found = _FILE.config(shapes)
        again = d.HunyuanDiT2DModel(**found)
    expected = {name: published.config[name] for name in found if name != "mlp_ratio"}
    assert {name: value for name, value in found.items() if name != "mlp_ratio"} == expected
    assert {name: tuple(item.shape) for name, item in again.state_dict().items()} == shapes


@pytest.mark.slow
def test_its_file_samples_as_its_folder(model_of: ModelOf, tmp_path: Path) -> None:
    _, model = model_of(hunyuan_dit)
    file = tmp_path / "dit.safetensors"
    whole = original(model.part("model").module.state_dict())
    save_file({name: item.contiguous().clone() for name, item in whole.items()}, file)
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    other = Model(model.folder, loaded={**model.loaded, "model": loaded})
    # The folder's scheduler is DDIM's, whose timesteps have an offset.
    moved = replace(loaded, scheduler_config=model.part("model").scheduler_config)
    other.loaded["model"] = moved
    first, second = (each.make(64, 64, cfg=1.0, sampler="ddim").latents for each in (model, other))
    assert torch.equal(first, second)
