"""Kolors gives what diffusers' pipelines give, to the last bit.

Text to image, odd sizes, batches, guidance of 0, 1 and 7.3, negative and long prompts, sizes as
conditioning, bfloat16, and image to image at any strength.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from safetensors.torch import save_file

from nodegraph.core.values import Conditioning, Latent
from nodegraph.diffusion import encode_prompt, load_component
from nodegraph.errors import InvalidFile
from nodegraph.families.base import CROP, ORIGINAL_SIZE, TARGET_SIZE
from nodegraph.families.building import build_tokenizer
from nodegraph.families.identification import identify_folder, identify_tensors
from nodegraph.families.kolors import _UNET
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser

from .chatglm import (
    KolorsImg2ImgPipeline,
    KolorsPipeline,
    chatglm_text,
    chatglm_words,
    sentencepiece_at_hand,
    sentencepiece_model,
)
from .checks import assert_like_stock, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Model, assert_same, stock
from .parts import unet, vae

ModelOf = Callable[[Callable[[], Any]], Pair]
LONG = "a red cat on a mat, " * 40
"""Of more than 256 tokens."""
ODD = "  un chat\t\u732b\n\u5199\u771f  with [gMASK] sop \u2581 \U0001f408 "


def scheduler() -> Any:
    """As published."""
    return d.EulerDiscreteScheduler(
        beta_start=0.00085,
        beta_end=0.014,
        beta_schedule="scaled_linear",
        num_train_timesteps=1100,
        steps_offset=1,
        timestep_spacing="leading",
    )


def network(width: int = 32, heads: Any = (2, 4, 8), **more: Any) -> Any:
    options: dict[str, Any] = {
        "block_out_channels": (32, 32, 64),
        "use_linear_projection": True,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": [1, 1, 2],
        "encoder_hid_dim": width,
        "encoder_hid_dim_type": "text_proj",
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 6 * 8 + width,
    }
    return unet(24, heads, **{**options, **more})


def kolors() -> Any:
    parts = (vae(scale=0.13025), chatglm_text(), chatglm_words(), network(), scheduler())
    return KolorsPipeline(*parts)


def test_kolors_is_diffusers(model_of: ModelOf) -> None:
    assert_like_stock(model_of(kolors))


@pytest.mark.slow
def test_guidance_batches_and_long_prompts_are_diffusers(model_of: ModelOf) -> None:
    """At 0 and 1 the pipeline reads the positive prompt alone; here that is 1."""
    pipeline, model = model_of(kolors)
    for guidance, cfg, prompt, negative, batch in (
        (0.0, 1.0, PROMPT, NEGATIVE, 1),
        (1.0, 1.0, PROMPT, NEGATIVE, 1),
        (7.3, 7.3, LONG, NEGATIVE, 3),
        (7.3, 7.3, ODD, LONG, 1),
        (2.0, 2.0, "", "", 1),
    ):
        both: dict[str, Any] = {"prompt": prompt, "negative": negative, "batch": batch}
        found = model.make(80, 104, cfg=cfg, **both)
        called: dict[str, Any] = {"width": 80, "height": 104, "guidance_scale": guidance}
        assert_same(found, stock(pipeline, **both, **called))


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 7, 50])
def test_the_schedule_of_1100_timesteps_is_diffusers(model_of: ModelOf, steps: int) -> None:
    pipeline, model = model_of(kolors)
    found = model.make(64, 64, cfg=1.0, steps=steps)
    called: dict[str, Any] = {"width": 64, "height": 64, "guidance_scale": 1.0, "steps": steps}
    assert_same(found, stock(pipeline, **called))


def image_to_image(pipeline: Any) -> Any:
    found = KolorsImg2ImgPipeline(**pipeline.components)
    found.set_progress_bar_config(disable=True)
    return found


@pytest.mark.parametrize(
    ("denoise", "negative"),
    [
        pytest.param(0.5, NEGATIVE, marks=pytest.mark.slow),
        pytest.param(0.5, None, marks=pytest.mark.slow),
        pytest.param(0.13, NEGATIVE, marks=pytest.mark.slow),
        pytest.param(0.99, NEGATIVE, marks=pytest.mark.slow),
    ],
)
def test_pictures_from_pictures_are_diffusers(
    model_of: ModelOf, denoise: float, negative: str | None
) -> None:
    pipeline, model = model_of(kolors)
    start = torch.randn(1, 4, 8, 12, generator=torch.Generator().manual_seed(1))
    both: dict[str, Any] = {"negative": negative, "steps": 8}
    found = model.make(
        96, 64, latent=Latent(start, 96, 64), denoise=denoise, cfg=5.0, sampler="euler", **both
    )
    called: dict[str, Any] = {
        "image": start,
        "strength": denoise,
        "guidance_scale": 5.0,
        "width": 96,
        "height": 64,
        **both,
    }
    assert_same(found, stock(image_to_image(pipeline), **called))


@pytest.mark.slow
def test_sizes_as_conditioning_are_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(kolors)
    sizes = {
        ORIGINAL_SIZE: torch.tensor([[48.0, 32.0]]),
        CROP: torch.tensor([[3.0, 5.0]]),
        TARGET_SIZE: torch.tensor([[80.0, 40.0]]),
    }

    def sized(prompt: Conditioning) -> Conditioning:
        (entry,) = prompt.entries
        return replace(prompt, entries=(replace(entry, tensors={**entry.tensors, **sizes}),))

    found = model.make(64, 96, cfg=1.0, change=sized)
    expected = stock(
        pipeline,
        width=64,
        height=96,
        guidance_scale=1.0,
        original_size=(48, 32),
        crops_coords_top_left=(3, 5),
        target_size=(80, 40),
    )
    assert_same(found, expected)


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    """The pipeline's latents are bfloat16 after its first step, and here before it, too."""
    pipeline, model = model_of(kolors)
    with sentencepiece_at_hand():
        loaded = type(pipeline).from_pretrained(model.folder, dtype=torch.bfloat16)
    # transformers leaves a buffer in float32 that says the precision of its positions.
    loaded.text_encoder.to(torch.bfloat16)
    loaded.set_progress_bar_config(disable=True)
    noise = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(SEED))
    called: dict[str, Any] = {"width": 64, "height": 64, "guidance_scale": 4.5}
    expected = stock(loaded, latents=noise.bfloat16(), **called)
    found = Model(model.folder, "bfloat16").make(64, 64, cfg=4.5)
    assert torch.equal(found.latents, expected.latents.float())


@pytest.mark.parametrize("text", ["", "a red cat", LONG, ODD, "recat rered", "<0x0A><s>\n"])
def test_prompts_are_cut_as_diffusers_tokenizer_cuts_them(model_of: ModelOf, text: str) -> None:
    pipeline, model = model_of(kolors)
    own = model.part("text_encoder").tokenizers["tokenizer"]
    how: dict[str, Any] = {"padding": "max_length", "max_length": 24, "truncation": True}
    expected, found = pipeline.tokenizer(text, **how), own(text, **how)
    assert found["input_ids"] == expected["input_ids"]
    assert found["attention_mask"] == expected["attention_mask"]


@pytest.mark.slow
def test_prompts_are_cut_as_sentencepiece_cuts_them(tmp_path: Path) -> None:
    """Vocabularies that the package itself made, with its options."""
    package = pytest.importorskip("sentencepiece")
    from diffusers.pipelines.kolors.tokenizer import ChatGLMTokenizer

    corpus = tmp_path / "corpus.txt"
    corpus.write_text(
        "\n".join(f"the red cat {at} \ufb01nds 12{at} \u732b\u5199\u771f" for at in range(300))
    )
    texts = ["", PROMPT, ODD, "<img> a <img>cat", "the  \ufb01nds 1234 \uff21", " \n\u3000the"]
    for rule, trims, prefix in (
        ("identity", True, True),
        ("nmt_nfkc", False, True),
        ("nmt_nfkc", True, False),
    ):
        package.SentencePieceTrainer.train(
            input=str(corpus),
            model_prefix=str(tmp_path / "tokenizer"),
            vocab_size=300,
            model_type="bpe",
            byte_fallback=True,
            normalization_rule_name=rule,
            remove_extra_whitespaces=trims,
            add_dummy_prefix=prefix,
            user_defined_symbols=["<img>"],
            minloglevel=2,
        )
        file = tmp_path / "tokenizer.model"
        expected, found = (
            ChatGLMTokenizer(str(file)),
            build_tokenizer(("ChatGLMTokenizer",), [file]),
        )
        for text in texts:
            assert found(text)["input_ids"] == expected(text)["input_ids"], text


def test_vocabularies_that_are_no_byte_pairs_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.model"
    file.write_bytes(sentencepiece_model(algorithm=1))
    with pytest.raises(InvalidFile, match="not of byte pairs"):
        build_tokenizer(("ChatGLMTokenizer",), [file])
    file.write_bytes(b"a red cat")
    with pytest.raises(InvalidFile, match="not a SentencePiece model"):
        build_tokenizer(("ChatGLMTokenizer",), [file])


def test_a_prompt_that_is_cut_is_reported(model_of: ModelOf) -> None:
    _, model = model_of(kolors)
    warnings: list[str] = []
    encoder = model.part("text_encoder")
    encode_prompt(encoder, LONG, warn=warnings.append)
    assert len(warnings) == 1
    encode_prompt(encoder, PROMPT, warn=warnings.append)
    assert len(warnings) == 1


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(kolors)
    assert_samples_by(model, {"dpmpp_2m": "karras", "heun": "normal", "uni_pc": "normal"})
    with pytest.raises(Exception, match="the positive to sd1"):
        model.make(64, 64, cfg=1.0, change=lambda prompt: replace(prompt, family="sd1"))


def test_a_unet_that_projects_no_text_is_refused() -> None:
    config = {"in_channels": 4, "out_channels": 4}
    found = identify_folder("KolorsPipeline", {"unet": config, "text_encoder": {}})
    assert found.family is None
    assert "does not project" in found.refusal


def published() -> Any:
    """The UNet in the published sizes, without weights."""
    with torch.device("meta"):
        return network(
            4096,
            (5, 10, 20),
            block_out_channels=(320, 640, 1280),
            layers_per_block=2,
            cross_attention_dim=2048,
            transformer_layers_per_block=[1, 2, 10],
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=5632,
            norm_num_groups=32,
            sample_size=128,
        )


def test_a_published_file_is_no_stable_diffusion_xl() -> None:
    unet = published()
    shapes = {name: tuple(item.shape) for name, item in unet.state_dict().items()}
    assert identify_tensors(shapes).title == "the UNet of Kolors"
    found = _UNET.config(shapes)
    assert {name: as_list(unet.config[name]) for name in found} == {
        name: as_list(value) for name, value in found.items()
    }
    assert _UNET.scheduler(found)["num_train_timesteps"] == 1100


def as_list(value: Any) -> Any:
    """As a configuration's file has it."""
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.slow
def test_a_file_of_its_unet_is_the_folders(tmp_path: Path) -> None:
    """With heads of the published width, which no tensor shows."""
    torch.manual_seed(0)
    own = network(
        32,
        (1, 1, 2),
        block_out_channels=(64, 64, 128),
        addition_time_embed_dim=256,
        projection_class_embeddings_input_dim=6 * 256 + 32,
        norm_num_groups=32,
    ).eval()
    file = tmp_path / "kolors.safetensors"
    save_file(own.state_dict(), file)
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    assert loaded.family == "kolors"
    found = loaded.module.state_dict()
    assert found.keys() == own.state_dict().keys()
    assert all(torch.equal(item, found[name]) for name, item in own.state_dict().items())
    schedule, published_one = loaded.scheduler_config, scheduler().config
    names = ("beta_start", "beta_end", "beta_schedule", "num_train_timesteps", "steps_offset")
    assert {name: schedule[name] for name in names} == {name: published_one[name] for name in names}
    inputs = {
        "encoder_hidden_states": torch.randn(1, 5, 32),
        "added_cond_kwargs": {"text_embeds": torch.randn(1, 32), "time_ids": torch.ones(1, 6)},
    }
    x, timestep = torch.randn(1, 4, 8, 8), torch.tensor(500)
    with torch.no_grad():
        expected = own(x, timestep, **inputs).sample
        assert torch.equal(loaded.module(x, timestep, **inputs).sample, expected)
