"""Flux.2 and Flux.2 Klein give what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffusers as d
import pytest
import torch
from torch import Tensor

from nodegraph.core.values import Conditioning
from nodegraph.diffusion import encode_image
from nodegraph.errors import InvalidValue
from nodegraph.families.flux2 import FLUX2_LATENTS, unpatchify
from nodegraph.sampling.previews import map_colours
from tests.messages import raises

from .checks import assert_like_stock, assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import NEGATIVE, assert_same, picture, stock
from .language import mistral3_text, mistral_words, qwen3_text
from .parts import dynamic_flow
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]


def normed_vae() -> Any:
    vae = d.AutoencoderKLFlux2(
        block_out_channels=(8, 8, 16, 16), norm_num_groups=4, layers_per_block=1, latent_channels=32
    )
    vae.bn.running_mean.normal_(0, 0.1)
    vae.bn.running_var.uniform_(0.5, 2.0)
    return vae


def flux2_net(*, guidance: bool) -> Any:
    return d.Flux2Transformer2DModel(
        patch_size=1,
        in_channels=128,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * 32,
        timestep_guidance_channels=32,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=guidance,
    )


def flux2() -> Any:
    words = mistral_words()
    encoder = mistral3_text(words, layers=31)
    return d.Flux2Pipeline(dynamic_flow(), normed_vae(), encoder, words, flux2_net(guidance=True))


def flux2_klein(*, distilled: bool = False) -> Any:
    words = qwen_words()
    net = flux2_net(guidance=False)
    parts = (dynamic_flow(), normed_vae(), qwen3_text(words, layers=28), words, net)
    return d.Flux2KleinPipeline(*parts, is_distilled=distilled)


def flux2_klein_distilled() -> Any:
    return flux2_klein(distilled=True)


def tokens(latents: Tensor) -> Tensor:
    """As Flux.2's pipeline hands out latents."""
    return latents.flatten(2).transpose(1, 2)


def denormalised(vae: Any) -> Callable[[Tensor], Tensor]:
    """As Klein's pipeline hands out latents."""
    mean, variance = (item.view(1, -1, 1, 1) for item in (vae.bn.running_mean, vae.bn.running_var))
    deviation = torch.sqrt(variance + vae.config.batch_norm_eps)
    return lambda latents: unpatchify(latents * deviation + mean)


def test_flux2_is_diffusers(model_of: ModelOf) -> None:
    cases = ((64, 64, 1, None, 4.0), (96, 64, 2, None, 4.0))
    assert_like_stock(model_of(flux2), cases, pack=tokens)


@pytest.mark.parametrize(
    "build", [flux2_klein, pytest.param(flux2_klein_distilled, marks=pytest.mark.slow)]
)
def test_klein_is_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    pair = model_of(build)
    cases = ((64, 64, 1, None, 4.0), (96, 64, 2, None, 3.0), (64, 64, 1, None, 1.0))
    assert_like_stock(pair, cases, pack=denormalised(pair[0].vae))


def test_what_was_distilled_looks_at_no_negative_prompt(model_of: ModelOf) -> None:
    _, model = model_of(flux2_klein_distilled)
    one, other = (model.make(64, 64, cfg=cfg, negative=NEGATIVE) for cfg in (1.0, 4.0))
    assert torch.equal(one.latents, other.latents)


@pytest.mark.parametrize("build", [flux2, pytest.param(flux2_klein, marks=pytest.mark.slow)])
def test_references_are_seen_as_by_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    pipeline, model = model_of(build)
    pictures = [picture(96, 64), picture(64, 80)]
    pixels = [pipeline.image_processor.preprocess(item) for item in pictures]
    with torch.no_grad():
        references = tuple(FLUX2_LATENTS.encode(model.part("vae").module, item) for item in pixels)

    def change(prompts: Conditioning) -> Conditioning:
        entries = (replace(entry, references=references) for entry in prompts.entries)
        return replace(prompts, entries=tuple(entries))

    pack = tokens if build is flux2 else denormalised(pipeline.vae)
    for batch in (1, 2):
        found = model.make(96, 64, batch=batch, cfg=4.0, change=change)
        options = {"image": pictures, "guidance_scale": 4.0, "width": 96, "height": 64}
        expected = stock(pipeline, batch=batch, **options)
        assert_same(replace(found, latents=pack(found.latents)), expected)


def test_references_of_another_format_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(flux2_klein)

    def change(prompts: Conditioning) -> Conditioning:
        (entry,) = prompts.entries
        other = replace(entry, references=(torch.zeros(1, 16, 8, 8),))
        return replace(prompts, entries=(other,))

    with raises(InvalidValue, port="positive", given="a latent of shape (1, 16, 8, 8)"):
        model.make(64, 64, cfg=1.0, change=change)


@pytest.mark.parametrize(
    ("scale", "batch"),
    [
        (2.5, 1),
        pytest.param(7.3, 3, marks=pytest.mark.slow),
        pytest.param(0.0, 1, marks=pytest.mark.slow),
        pytest.param(1.0, 1, marks=pytest.mark.slow),
    ],
)
def test_the_scale_that_dev_is_told_is_the_conditionings(
    model_of: ModelOf, scale: float, batch: int
) -> None:
    pipeline, model = model_of(flux2)

    def change(prompts: Conditioning) -> Conditioning:
        (entry,) = prompts.entries
        told = {**entry.tensors, "guidance": torch.tensor([scale])}
        return replace(prompts, entries=(replace(entry, tensors=told),))

    found = model.make(48, 64, cfg=1.0, change=change, batch=batch)
    expected = stock(pipeline, width=48, height=64, guidance_scale=scale, batch=batch)
    assert_same(replace(found, latents=tokens(found.latents)), expected)


def test_pictures_become_the_autoencoders_latents(model_of: ModelOf) -> None:
    pipeline, model = model_of(flux2_klein)
    given = torch.rand(1, 64, 96, 3, generator=torch.Generator().manual_seed(1))
    latent = encode_image(model.part("vae"), given)
    assert latent.samples is not None
    assert latent.samples.shape == (1, 128, 4, 6)
    with torch.no_grad():
        pixels = (given.movedim(-1, 1) * 2 - 1).contiguous()
        mode = pipeline.vae.encode(pixels).latent_dist.mode()
    back = denormalised(pipeline.vae)(latent.samples)
    torch.testing.assert_close(back, mode)  # they were normalized and brought back: rounding
    made = model.make(96, 64, latent=latent, denoise=0.5, steps=4, cfg=1.0)
    assert torch.isfinite(made.pixels).all()


def test_previews_have_the_colours_of_patches() -> None:
    preview = map_colours(torch.randn(1, 128, 4, 6), FLUX2_LATENTS)
    assert preview is not None
    assert preview.shape == (1, 3, 64, 96)


@pytest.mark.slow
def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    found, expected = in_bfloat16(model_of(flux2), cfg=None, guidance_scale=4.0)
    assert torch.equal(tokens(found.latents), expected.latents.float())


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(flux2_klein)
    assert_samples_by(model, {"dpmpp_2m": "normal", "uni_pc": "simple", "heun": "beta"})
    assert_refuses(model, near="64 x 64")
