"""Flux.1 and what is built like it give what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import diffusers as d
import pytest
import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.families.patches import reference_positions, token_positions, unpack_latents
from nodegraph.models.conditioning import encode_prompt, with_references
from nodegraph.models.vae import latent_format

from .conftest import Pair
from .equality import NEGATIVE, assert_same, picture, stock
from .image_to_image import STRENGTHS
from .parts import clip_text, dynamic_flow, flow, flux_vae, sd3_around, t5_text
from .words import clip_words, t5_words

# Of classes of diffusers that are found at another place in a later version.
pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")

ModelOf = Callable[[Callable[[], Any]], Pair]


def flux_net(channels: int = 64, *, guidance: bool = True) -> Any:
    return d.FluxTransformer2DModel(
        patch_size=1,
        in_channels=channels,
        out_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        guidance_embeds=guidance,
        axes_dims_rope=(4, 6, 6),
    )


def flux() -> Any:
    one, two = clip_words(), t5_words()
    parts = (dynamic_flow(), flux_vae(), clip_text(one), one, t5_text(two), two)
    return d.FluxPipeline(*parts, flux_net())


def flux_schnell() -> Any:
    one, two = clip_words(), t5_words()
    parts = (flow(shift=1.0), flux_vae(), clip_text(one), one, t5_text(two), two)
    return d.FluxPipeline(*parts, flux_net(guidance=False))


def flux_kontext() -> Any:
    one, two = clip_words(), t5_words()
    parts = (dynamic_flow(), flux_vae(), clip_text(one), one, t5_text(two), two)
    return d.FluxKontextPipeline(*parts, flux_net())


def chroma() -> Any:
    words = t5_words()
    net = d.ChromaTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=(4, 6, 6),
        approximator_num_channels=8,
        approximator_hidden_dim=32,
        approximator_layers=1,
    )
    return d.ChromaPipeline(dynamic_flow(shift=1.0), flux_vae(), t5_text(words), words, net)


def sd3(dual: tuple[int, ...] = ()) -> Any:
    net = d.SD3Transformer2DModel(
        sample_size=32,
        patch_size=2,
        in_channels=16,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=80,
        caption_projection_dim=32,
        pooled_projection_dim=64,
        out_channels=16,
        pos_embed_max_size=24,
        dual_attention_layers=dual,
        qk_norm="rms_norm" if dual else None,
    )
    return sd3_around(net)


def sd35() -> Any:
    return sd3((0,))


def unpack(width: int, height: int) -> Callable[[Tensor], Tensor]:
    return lambda tokens: unpack_latents(tokens, height // 8, width // 8)


@pytest.mark.parametrize("build", [flux, pytest.param(flux_schnell, marks=pytest.mark.slow)])
def test_flux_is_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    pipeline, model = model_of(build)
    for width, height, batch in ((64, 64, 1), (96, 64, 2)):
        found = model.make(width, height, batch=batch, cfg=7.0)
        expected = stock(pipeline, width=width, height=height, batch=batch, guidance_scale=3.5)
        assert_same(found, expected, unpack(width, height), pixels=batch == 1)


def test_flux_with_a_negative_prompt_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(flux)
    found = model.make(96, 64, negative=NEGATIVE, cfg=3.0)
    options = {"negative": NEGATIVE, "true_cfg_scale": 3.0, "guidance_scale": 3.5}
    assert_same(found, stock(pipeline, width=96, height=64, **options), unpack(96, 64))


@pytest.mark.parametrize("negative", [pytest.param(None, marks=pytest.mark.slow), NEGATIVE])
def test_kontext_sees_a_picture_as_diffusers(model_of: ModelOf, negative: str | None) -> None:
    pipeline, model = model_of(flux_kontext)
    given = picture(96, 64)
    pixels = pipeline.image_processor.preprocess(given, height=64, width=96)
    vae = model.part("vae")
    with torch.no_grad():
        reference = latent_format(vae).encode(vae.module, pixels)

    def change(prompts: Conditioning) -> Conditioning:
        entries = (replace(entry, references=(reference,)) for entry in prompts.entries)
        return replace(prompts, entries=tuple(entries))

    for batch in (1, 2):
        options = {"negative": negative, "batch": batch}
        found = model.make(64, 64, cfg=2.0, change=change, **options)
        expected = stock(
            pipeline,
            image=given,
            width=64,
            height=64,
            max_area=64 * 64,
            _auto_resize=False,
            guidance_scale=3.5,
            true_cfg_scale=2.0,
            **options,
        )
        assert_same(found, expected, unpack(64, 64))


@pytest.mark.parametrize(("denoise", "steps"), STRENGTHS)
@pytest.mark.parametrize(
    ("build", "kind"),
    [
        ("flux", d.FluxImg2ImgPipeline),
        ("sd3", d.StableDiffusion3Img2ImgPipeline),
    ],
)
def test_pictures_from_pictures_are_diffusers(
    model_of: ModelOf, build: str, kind: Any, denoise: float, steps: int
) -> None:
    pipeline, model = model_of({"flux": flux, "sd3": sd3}[build])
    other = kind(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    start = torch.randn(1, 16, 8, 12, generator=torch.Generator().manual_seed(1))
    found = model.make(
        96,
        64,
        latent=Latent(start, 96, 64),
        denoise=denoise,
        cfg=1.0 if build == "flux" else 4.0,
        steps=steps,
    )
    scale = 3.5 if build == "flux" else 4.0
    called = {"image": start, "strength": denoise, "guidance_scale": scale}
    expected = stock(other, steps=steps, width=96, height=64, **called)
    assert_same(found, expected, None if build == "sd3" else unpack(96, 64))


def test_chroma_is_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(chroma)
    for width, height, batch, negative, cfg in (
        (64, 64, 1, None, 5.0),
        (96, 64, 2, NEGATIVE, 4.0),
        (64, 64, 1, None, 1.0),
    ):
        options = {"batch": batch, "negative": negative}
        found = model.make(width, height, cfg=cfg, **options)
        expected = stock(pipeline, width=width, height=height, guidance_scale=cfg, **options)
        assert_same(found, expected, unpack(width, height), pixels=cfg == 5.0)


@pytest.mark.parametrize("build", [sd3, pytest.param(sd35, marks=pytest.mark.slow)])
def test_sd3_is_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    pipeline, model = model_of(build)
    for width, height, batch, negative, cfg in (
        (64, 64, 1, None, 7.0),
        (96, 64, 2, NEGATIVE, 4.0),
        (64, 64, 1, None, 1.0),
    ):
        options = {"batch": batch, "negative": negative}
        found = model.make(width, height, cfg=cfg, **options)
        expected = stock(pipeline, width=width, height=height, guidance_scale=cfg, **options)
        assert_same(found, expected, pixels=cfg == 7.0)


def test_several_pictures_lie_side_by_side_or_have_numbers() -> None:
    sizes = [(4, 6), (2, 6), (8, 2)]
    # the second below the first, as both are wide; the third beside them
    assert reference_positions(sizes, numbered=False) == [(1, 0, 0), (1, 4, 0), (1, 0, 6)]
    assert reference_positions(sizes, numbered=True) == [(1, 0, 0), (2, 0, 0), (3, 0, 0)]
    grid = token_positions(2, 3, torch.device("cpu"), (1, 4, 6))
    assert grid[0].tolist() == [1, 4, 6]
    assert grid[-1].tolist() == [1, 5, 8]


def test_numbers_tell_several_pictures_apart(model_of: ModelOf) -> None:
    _, model = model_of(flux_kontext)
    seen = Latent(torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(1)), 64, 64, 2)

    def made(*, numbered: bool, of: Latent = seen) -> Tensor:
        return model.make(
            64, 64, cfg=1.0, change=lambda given: with_references(given, of, indexed=numbered)
        ).latents

    assert not torch.equal(made(numbered=True), made(numbered=False))
    assert seen.samples is not None
    one = replace(seen, samples=seen.samples[:1], batch_size=1)
    assert torch.equal(made(numbered=True, of=one), made(numbered=False, of=one))


@pytest.mark.parametrize(("words", "tokens"), [(2, 256), (300, 301)])
def test_as_in_comfyui_t5_pads_a_prompt_to_256_tokens(
    model_of: ModelOf, words: int, tokens: int
) -> None:
    _, model = model_of(flux)
    text, encoder = "a " * words, model.part("text_encoder")
    [found] = encode_prompt(encoder, text, syntax="comfyui").entries
    [usual] = encode_prompt(encoder, text).entries
    assert found.embeddings.shape[1] == tokens
    assert usual.embeddings.shape[1] == 512
    assert torch.equal(found.tensors["pooled"], usual.tensors["pooled"])
