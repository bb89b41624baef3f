"""HunyuanImage gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf

from nodegraph.core.values import Latent
from nodegraph.diffusion import encode_image, open_model
from nodegraph.errors import InvalidFile
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.guiders.decomposed_guidance import ProjectedGuidance
from tests.messages import raises

from .checks import assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Model, assert_same, stock
from .language import qwen_vl_text
from .parts import flow, hunyuan_vae, t5_text
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]

SIGN = "a sign 'cat' and “dog”, \"red\""


def hunyuan(*, distilled: bool = False) -> Any:
    words, letters = qwen_words(), tf.ByT5Tokenizer()
    net = d.HunyuanImageTransformer2DModel(
        in_channels=64,
        out_channels=64,
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=1,
        num_single_layers=1,
        num_refiner_layers=1,
        patch_size=(1, 1),
        text_embed_dim=32,
        text_embed_2_dim=32,
        rope_axes_dim=(8, 8),
        guidance_embeds=distilled,
        use_meanflow=distilled,
    )
    guiders = [
        None if distilled else d.AdaptiveProjectedMixGuidance(**options)
        for options in (
            {"guidance_scale": 4.0, "adaptive_projected_guidance_start_step": 1},
            {"guidance_scale": 4.0, "adaptive_projected_guidance_start_step": 0, "eta": 0.5},
        )
    ]
    encoders = (qwen_vl_text(words, layers=4), words, t5_text(letters), letters)
    return d.HunyuanImagePipeline(flow(shift=5.0), hunyuan_vae(), *encoders, net, *guiders)


def hunyuan_distilled() -> Any:
    return hunyuan(distilled=True)


@pytest.mark.parametrize(
    ("prompt", "negative", "width", "batch"),
    [
        pytest.param(PROMPT, None, 64, 1, id="words"),
        pytest.param(SIGN, NEGATIVE, 96, 2, id="letters", marks=pytest.mark.slow),
    ],
)
def test_hunyuan_is_diffusers(
    model_of: ModelOf, prompt: str, negative: str | None, width: int, batch: int
) -> None:
    pipeline, model = model_of(hunyuan)
    options = {"prompt": prompt, "negative": negative, "batch": batch, "steps": 4}
    found = model.make(width, 64, cfg=4.0, **options)
    assert_same(found, stock(pipeline, width=width, height=64, **options), pixels=batch == 1)


def test_hunyuan_without_guidance_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(hunyuan)
    off = d.AdaptiveProjectedMixGuidance(enabled=False)
    alone = d.HunyuanImagePipeline(**{**pipeline.components, "guider": off})
    alone.set_progress_bar_config(disable=True)
    assert_same(model.make(64, 64, cfg=1.0), stock(alone, width=64, height=64))


def test_mean_flow_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(hunyuan_distilled)
    options = {"prompt": SIGN, "batch": 2, "steps": 3}
    # the scale is told, so that cfg and negative prompts count for nothing
    found = model.make(96, 64, cfg=4.0, negative=NEGATIVE, **options)
    assert_same(found, stock(pipeline, width=96, height=64, **options))


def test_sampling_goes_on_with_what_its_guider_kept(model_of: ModelOf) -> None:
    _, model = model_of(hunyuan)

    def sampling() -> Denoising:
        prompts = model.encode(PROMPT), model.encode(NEGATIVE)
        assert prompts[0] is not None
        names = {"sampler": "euler", "schedule": "normal"}
        start = Latent(None, 64, 64)
        return Denoising.named(
            model.part("model"), *prompts, start, seed=SEED, steps=5, cfg=4.0, **names
        )

    whole, first, second = sampling(), sampling(), sampling()
    for _ in range(3):
        first.advance()
    second.restore(first.state())
    for each in (whole, second):
        list(each)
    wanted, found = whole.result().samples, second.result().samples
    assert wanted is not None
    assert found is not None
    assert torch.equal(found, wanted)


def test_a_changed_guider_is_another_recipe(model_of: ModelOf, tmp_path: Path) -> None:
    _, model = model_of(hunyuan)
    folder = tmp_path / "copy"
    folder.mkdir()
    for part in model.folder.iterdir():
        (folder / part.name).symlink_to(part)
    (folder / "guider").unlink()
    (folder / "guider").mkdir()
    config = json.loads((model.folder / "guider" / "guider_config.json").read_text())
    config["adaptive_projected_guidance_start_step"] = 9
    (folder / "guider" / "guider_config.json").write_text(json.dumps(config))
    before, after = (open_model(str(place), []).model for place in (model.folder, folder))
    assert before.options != after.options


@pytest.mark.parametrize(
    "wrong", [{"_class_name": "PerturbedAttentionGuidance"}, {"start": 0.1}, {"stop": 0.5}]
)
def test_other_guiders_are_refused(wrong: dict[str, Any]) -> None:
    with raises(InvalidFile, port="model"):
        ProjectedGuidance.from_config(wrong, 4.0)


def test_a_guider_may_be_off() -> None:
    assert ProjectedGuidance.from_config({"enabled": False}, 4.0) is None


def test_pictures_become_the_autoencoders_latents(model_of: ModelOf) -> None:
    pipeline, model = model_of(hunyuan)
    picture = torch.rand(1, 64, 96, 3, generator=torch.Generator().manual_seed(1))
    latent = encode_image(model.part("vae"), picture)
    with torch.no_grad():
        scaled = (picture.movedim(-1, 1) * 2 - 1).contiguous()
        mode = pipeline.vae.encode(scaled).latent_dist.mode()
    assert latent.samples is not None
    assert torch.equal(latent.samples, mode * pipeline.vae.config.scaling_factor)


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    found, expected = in_bfloat16(model_of(hunyuan_distilled), cfg=None)
    assert torch.equal(found.latents, expected.latents.float())


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(hunyuan)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


def test_a_folder_without_the_letters_tokenizer_is_incomplete(
    model_of: ModelOf, tmp_path: Path
) -> None:
    _, model = model_of(hunyuan)
    for part in model.folder.iterdir():
        if part.name != "tokenizer_2":
            (tmp_path / part.name).symlink_to(part)
    with raises(InvalidFile):
        Model(tmp_path).part("model")
