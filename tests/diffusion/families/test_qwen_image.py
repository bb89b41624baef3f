"""Qwen-Image gives what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffusers as d
import pytest
import torch
from torch import Tensor

from nodegraph.diffusion import encode_image, encode_prompt
from nodegraph.families.patches import unpack_latents
from nodegraph.models.conditioning import with_references

from .checks import assert_like_stock, assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Model, assert_same, picture, stock
from .image_to_image import STRENGTHS, as_tensor
from .language import qwen_vl_text
from .qwen_parts import qwen_flow, qwen_net, qwen_vae
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]


def qwen_image() -> Any:
    words = qwen_words()
    return d.QwenImagePipeline(qwen_flow(), qwen_vae(), qwen_vl_text(words), words, qwen_net())


def unpack(width: int, height: int) -> Callable[[Tensor], Tensor]:
    return lambda tokens: unpack_latents(tokens, height // 8, width // 8)


@pytest.mark.parametrize("cfg", [4.0, 1.0])
def test_qwen_image_is_diffusers(model_of: ModelOf, cfg: float) -> None:
    cases = [(64, 64, 1, None, cfg), (96, 64, 2, NEGATIVE, cfg)]
    options = {"true_cfg_scale": cfg, "guidance_scale": None}
    assert_like_stock(model_of(qwen_image), cases, unpack=unpack, **options)


@pytest.mark.parametrize(("denoise", "steps"), STRENGTHS)
def test_pictures_of_pictures_are_diffusers(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch, denoise: float, steps: int
) -> None:
    pipeline, model = model_of(qwen_image)
    drawn = picture(96, 64)
    latent = encode_image(model.part("vae"), as_tensor(drawn))
    assert latent.samples is not None
    start = latent.samples.unsqueeze(2)
    other = d.QwenImageImg2ImgPipeline(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    # it draws one of the likely latents at random, which nodegraph never does
    monkeypatch.setattr(other, "_encode_vae_image", lambda image, generator: start)
    both = {"negative": NEGATIVE, "steps": steps}
    found = model.make(96, 64, latent=latent, denoise=denoise, cfg=4.0, **both)
    called = {"width": 96, "height": 64, "image": drawn, "strength": denoise}
    expected = stock(other, **both, **called, true_cfg_scale=4.0)
    assert_same(found, expected, unpack(96, 64))


def test_pictures_become_the_latents_that_editing_takes(model_of: ModelOf) -> None:
    pipeline, model = model_of(qwen_image)
    seen = as_tensor(picture(96, 64))
    pixels = (seen.movedim(-1, 1) * 2 - 1).contiguous()
    editing = d.QwenImageEditPipeline(**pipeline.components, processor=None)
    with torch.no_grad():
        expected = editing._encode_vae_image(pixels.unsqueeze(2), torch.Generator())
    found = encode_image(model.part("vae"), seen)
    assert found.samples is not None
    assert torch.equal(found.samples, expected.squeeze(2))
    assert found.format == "qwen-image"


def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    options = {"true_cfg_scale": 4.5, "guidance_scale": None}
    found, expected = in_bfloat16(model_of(qwen_image), **options)
    assert torch.equal(found.latents, unpack(64, 64)(expected.latents).float())


def test_a_prompt_that_is_cut_is_told(model_of: ModelOf) -> None:
    _, model = model_of(qwen_image)
    told: list[str] = []
    encoder = model.part("text_encoder")
    (entry,) = encode_prompt(encoder, "cat " * 400, warn=told.append).entries
    assert entry.embeddings.shape == (1, 512, 32)
    assert "the first 512" in told[0]
    encode_prompt(encoder, PROMPT, warn=told.append)
    assert len(told) == 1


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(qwen_image)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


def test_pictures_that_are_said_to_be_still_are_as_for_a_model_that_knows(
    model_of: ModelOf,
) -> None:
    """As Edit Plus 2511, whose configuration says it."""
    _, model = model_of(qwen_image)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    net = model.part("model").module
    knows = d.QwenImageTransformer2DModel.from_config({**net.config, "zero_cond_t": True})
    knows.load_state_dict(net.state_dict())
    knowing = replace(model.part("model"), modules={"transformer": knows.eval()})
    other = Model(model.folder, loaded={**model.loaded, "model": knowing})

    def made(by: Model, *, still: bool) -> Tensor:
        change = lambda given: with_references(given, latent, zero_timestep=still)  # noqa: E731
        return by.make(64, 64, cfg=1.0, change=change).latents

    found = made(model, still=True)
    assert torch.equal(found, made(other, still=False))
    assert torch.equal(found, made(other, still=True))
    assert not torch.equal(found, made(model, still=False))


def test_it_looks_at_pictures_as_the_network_that_edits(model_of: ModelOf) -> None:
    """LoRAs teach it to; and prompts of either lead both."""
    _, model = model_of(qwen_image)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    editing = replace(model.part("model"), family="qwen-image-edit")
    edits = Model(model.folder, loaded={**model.loaded, "model": editing})
    found, expected = (
        each.make(64, 64, cfg=1.0, change=lambda given: with_references(given, latent))
        for each in (model, edits)
    )
    assert torch.equal(found.latents, expected.latents)
    plain = model.make(64, 64, cfg=1.0)
    assert not torch.equal(found.latents, plain.latents)
