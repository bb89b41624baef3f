"""HiDream gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from safetensors.torch import save_file

from nodegraph.core.values import Latent
from nodegraph.diffusion import open_model
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.image_conditioning import CONTROL_IMAGE
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.sampling.composed_schedules import named_schedule
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.guiders.methods import Dual
from nodegraph.sampling.inpainting import with_tensors
from nodegraph.sampling.sampling_parts import (
    GuiderChoice,
    SamplerChoice,
    SamplingNoise,
    SamplingParts,
)
from tests.messages import raises

from .checks import assert_like_stock, assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, assert_same, stock
from .language import llama_text
from .parts import clip_text, dynamic_flow, flow, flux_vae, t5_text
from .words import clip_words, llama_words, t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]

CELLS = 16
"""Along a side of the area that the pipeline scales to: it leaves these sizes as they are."""


def hidream_net(cells: int = CELLS) -> Any:
    return d.HiDreamImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=4,
        caption_channels=[32, 48],
        text_emb_dim=64,
        num_routed_experts=4,
        num_activated_experts=2,
        axes_dims_rope=(4, 2, 2),
        max_resolution=(cells, cells),
        llama_layers=[0, 1],
    )


def hidream(scheduler: Any = None, cells: int = CELLS) -> Any:
    one, two = clip_words(length=248), clip_words(length=248, pad="!")
    three, four = t5_words(), llama_words()
    encoders = (
        clip_text(one, 32, 32, length=248),
        one,
        clip_text(two, 32, 32, "gelu", length=248),
        two,
        t5_text(three),
        three,
        llama_text(four, 48),
        four,
    )
    made = d.HiDreamImagePipeline(
        scheduler or flow(shift=3.0), flux_vae(), *encoders, hidream_net(cells)
    )
    made.default_sample_size = CELLS
    return made


def hidream_by_uni_pc() -> Any:
    scheduler = d.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
    )
    return hidream(scheduler)


def hidream_dynamic() -> Any:
    """With as many tokens as published models, by which noise levels are shifted."""
    return hidream(dynamic_flow(), cells=128)


def test_hidream_is_diffusers(model_of: ModelOf) -> None:
    cases = (
        (128, 128, 1, None, 5.0),
        (160, 96, 2, NEGATIVE, 4.0),
        (96, 160, 1, NEGATIVE, 4.0),
        (128, 128, 1, None, 1.0),
    )
    assert_like_stock(model_of(hidream), cases)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "sampler"), [(hidream_by_uni_pc, "uni_pc"), (hidream_dynamic, "euler")]
)
def test_hidream_by_other_schedulers_is_diffusers(
    model_of: ModelOf, build: Callable[[], Any], sampler: str
) -> None:
    assert_like_stock(model_of(build), ((128, 128, 1, None, 5.0),), sampler=sampler, steps=3)


@pytest.mark.parametrize(
    ("width", "height", "cfg"),
    [
        (128, 128, 5.0),
        pytest.param(96, 160, 1.0, marks=pytest.mark.slow),
        pytest.param(160, 96, 7.3, marks=pytest.mark.slow),
    ],
)
def test_hidream_e1_sees_the_image_on_the_right(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch, width: int, height: int, cfg: float
) -> None:
    """diffusers has no pipeline for it: its transformer is shown the wide image in that of I1."""
    pipeline, model = model_of(hidream)
    seen = torch.randn(1, 16, height // 8, width // 8, generator=torch.Generator().manual_seed(9))
    net = pipeline.transformer
    plain = net.forward

    def paired(hidden_states: torch.Tensor, **inputs: Any) -> Any:
        right = seen.expand(len(hidden_states), -1, -1, -1)
        wide = torch.cat([hidden_states, right], -1)
        return (plain(hidden_states=wide, **inputs)[0][..., : hidden_states.shape[-1]],)

    monkeypatch.setattr(net, "forward", paired)
    monkeypatch.setattr(net, "max_seq", seen.shape[2] * seen.shape[3] // 2)
    show: Any = lambda prompts: with_tensors(prompts, {CONTROL_IMAGE: seen})  # noqa: E731
    found = model.make(width, height, change=show, cfg=cfg)
    expected = stock(pipeline, width=width, height=height, guidance_scale=cfg)
    assert_same(found, expected)
    assert not torch.equal(found.latents, model.make(width, height, cfg=cfg).latents)


def test_hidream_e1_compares_with_a_prompt_without_the_image(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By two scales, as ComfyUI's template has it: of the text, and of the image."""
    pipeline, model = model_of(hidream)
    seen = torch.randn(1, 16, 16, 16, generator=torch.Generator().manual_seed(9))
    net = pipeline.transformer
    plain = net.forward

    def guided(hidden_states: torch.Tensor, **inputs: Any) -> Any:
        def predicted(row: int, *, image: bool) -> torch.Tensor:
            own = {
                name: item[:, row : row + 1] if name.endswith("llama3") else item[row : row + 1]
                for name, item in inputs.items()
                if isinstance(item, torch.Tensor)
            }
            shown = [hidden_states[row : row + 1], *([seen] if image else [])]
            found: torch.Tensor = plain(
                hidden_states=torch.cat(shown, -1), return_dict=False, **own
            )[0]
            return found[..., :16]

        negative = predicted(0, image=False)
        second, first = predicted(0, image=True), predicted(1, image=True)
        whole = negative + 2.0 * (second - negative) + 5.0 * (first - second)
        return (torch.cat([whole, whole]),)

    monkeypatch.setattr(net, "forward", guided)
    monkeypatch.setattr(net, "max_seq", 128)
    show: Any = lambda text, image: with_tensors(model.encode(text), {CONTROL_IMAGE: image})  # noqa: E731
    method = Dual(show(NEGATIVE, seen), 2.0)
    guider = GuiderChoice(show(PROMPT, seen), show(NEGATIVE, 0 * seen), 5.0, method=method)
    parts = SamplingParts(
        SamplingNoise(SEED), guider, SamplerChoice("euler"), named_schedule("normal", 2)
    )
    denoising = Denoising(model.part("model"), Latent(None, 128, 128), parts)
    list(denoising)
    expected = stock(pipeline, negative=NEGATIVE, width=128, height=128, guidance_scale=5.0)
    torch.testing.assert_close(denoising.result().samples, expected.latents, atol=1e-4, rtol=1e-4)


def test_pictures_that_are_too_large_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(hidream)
    with raises(InvalidValue, port="latent", given="160 x 112"):
        model.make(160, 112, cfg=1.0)


def test_encoding_gives_no_advice_that_nobody_can_follow(
    model_of: ModelOf, caplog: pytest.LogCaptureFixture
) -> None:
    _, model = model_of(hidream)
    logging.Logger.warning_once.cache_clear()  # type: ignore[attr-defined]
    model.encode(NEGATIVE)
    assert caplog.messages == []


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    found, expected = in_bfloat16(model_of(hidream), side=128)
    assert torch.equal(found.latents, expected.latents.float())


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(hidream)
    assert_samples_by(model, {"dpmpp_2m": "normal", "lcm": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


@pytest.mark.parametrize("prefix", ["model.", "model.diffusion_model."])
def test_files_of_hidream_o1_are_refused_by_name(tmp_path: Path, prefix: str) -> None:
    """One network reads the prompt and generates pixels: no part of it is one of HiDream-I1."""
    names = ("t_embedder1.mlp.0", "x_embedder.proj1", "language_model.layers.0.self_attn.q_proj")
    file = tmp_path / "hidream_o1_image_bf16.safetensors"
    save_file({f"{prefix}{name}.weight": torch.zeros(2, 2) for name in names}, file)
    with raises(InvalidFile):
        open_model(str(file), [])
    with raises(InvalidFile):
        open_denoiser(DenoiserRequest(str(file)), [])
