"""Guidance away from worse networks is as diffusers', and leaves the network as it is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import diffusers as d
import pytest
import torch
from torch import Tensor

from nodegraph.core.values import DiffusionModel, Latent, RecipeFile
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.registry import FAMILIES
from nodegraph.sampling.composed_schedules import named_schedule
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.guiders.added_guidance import (
    PerturbedAttention,
    SelfAttention,
    SkippedLayers,
    SmoothedEnergy,
)
from nodegraph.sampling.guiders.base import AddedGuidance
from nodegraph.sampling.guiders.perturbed_networks import (
    identity_attention,
    with_attention,
    without_layers,
)
from nodegraph.sampling.sampling_parts import (
    GuiderChoice,
    SamplerChoice,
    SamplingNoise,
    SamplingParts,
)
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.equality import NEGATIVE, PROMPT, SEED, Model, stock
from tests.diffusion.families.test_flux import flux, sd3
from tests.diffusion.families.test_stable_diffusion import sd1
from tests.diffusion.families.tiny_models import TINY
from tests.diffusion.speed.speedy import IDLE, sped_up
from tests.messages import raises

ModelOf = Callable[[Callable[[], Any]], Pair]

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")


def walked(
    model: Model,
    *added: AddedGuidance,
    cfg: float = 3.0,
    steps: int = 3,
    sampler: str = "euler",
    **options: Any,
) -> Tensor:
    positive, negative = model.encode(PROMPT), model.encode(NEGATIVE)
    assert positive is not None
    parts = SamplingParts(
        SamplingNoise(SEED),
        GuiderChoice(positive, negative, cfg, added=added, rescale=options.pop("rescale", 0.0)),
        SamplerChoice(sampler),
        named_schedule("normal", steps),
    )
    size = {"width": 64, "height": 64, **options}
    denoising = Denoising(model.part("model"), Latent(None, **size), parts)
    list(denoising)
    found = denoising.result().samples
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("cfg", "rescale"), [pytest.param(3.0, 0.0, marks=pytest.mark.slow), (3.0, 0.7), (1.0, 0.0)]
)
def test_perturbed_attention_is_the_pipelines(
    model_of: ModelOf,  # noqa: F811
    cfg: float,
    rescale: float,
) -> None:
    pipeline, model = model_of(sd1)
    parts = {**pipeline.components, "feature_extractor": None, "safety_checker": None}
    pag = d.StableDiffusionPAGPipeline(
        **parts, requires_safety_checker=False, pag_applied_layers=["mid", "up_blocks.1"]
    )
    pag.set_progress_bar_config(disable=True)
    before = [type(item) for item in pipeline.unet.attn_processors.values()]
    expected = stock(
        pag,
        width=64,
        height=64,
        steps=3,
        negative=NEGATIVE,
        guidance_scale=cfg,
        guidance_rescale=rescale,
        pag_scale=2.0,
    )
    assert [type(item) for item in pipeline.unet.attn_processors.values()] == before
    added = PerturbedAttention(2.0, 0.0, 1.0, ("mid", "up.1"))
    found = walked(model, added, cfg=cfg, rescale=rescale, sampler="ddim")
    # There all three answers are one batch.
    torch.testing.assert_close(found, expected.latents, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, walked(model, cfg=cfg, sampler="ddim"), atol=1e-2)


def test_skipped_layers_are_the_pipelines(model_of: ModelOf) -> None:  # noqa: F811
    pipeline, model = model_of(sd3)
    expected = stock(
        pipeline,
        width=64,
        height=64,
        steps=4,
        negative=NEGATIVE,
        guidance_scale=3.0,
        skip_guidance_layers=[1],
        skip_layer_guidance_scale=2.0,
        skip_layer_guidance_start=0.01,
        skip_layer_guidance_stop=0.7,
    )
    found = walked(model, SkippedLayers(2.0, 0.01, 0.7, ("1",)), steps=4)
    torch.testing.assert_close(found, expected.latents, rtol=1e-4, atol=1e-4)


NETWORKS = {FAMILIES[name].denoisers[0].classes[0]: name for name in reversed(TINY)}
REFUSED: Mapping[str, tuple[type, ...]] = {
    "sana": (SkippedLayers,),
    "sana-video": (SkippedLayers,),
    "hidream": (),
    "ltx2": (),
    "minimax-h3": (),
    "qwen-image-21": (SkippedLayers,),
    "prx-dc": (SkippedLayers,),
    "nucleusmoe-image": (SkippedLayers,),
    "hunyuan-video-15": (SkippedLayers,),
    "hunyuan-dit": (),
    "wan-animate-2": (),
}
"""Families that aren't led in all of these ways, and those in which they are."""
RECIPE = DiffusionModel("sd1", (RecipeFile("unet", "nowhere", "0" * 64),))


def network_of(family: str) -> str:
    return FAMILIES[family].denoisers[0].classes[0]


@pytest.mark.slow
@pytest.mark.parametrize("family", NETWORKS.values())
def test_every_family_is_led_or_refused(model_of: ModelOf, family: str) -> None:  # noqa: F811
    tiny = TINY[family]
    _, model = model_of(tiny.build)
    # The middle of the UNets has a cell for 64 pixels, whose attention is to itself anyway.
    size = {"width": 128} if network_of(family).startswith("UNet") else {}
    options = {"cfg": 1.0, "steps": 1, "sampler": tiny.sampler, "frames": tiny.frames, **size}
    leads = []
    for added in (PerturbedAttention(50.0, 0.0, 1.0), SkippedLayers(5.0, 0.0, 1.0)):
        if family not in REFUSED or isinstance(added, REFUSED[family]):
            leads.append(added)
            continue
        with pytest.raises(InvalidValue, match=FAMILIES[family].title):
            added.check(replace(RECIPE, family=family))
    if not leads:
        return
    exact = walked(model, **options)
    for added in leads:
        assert not torch.equal(walked(model, added, **options), exact), type(added).__name__
    assert torch.equal(walked(model, **options), exact)


@pytest.mark.parametrize("cfg", [pytest.param(1.0, marks=pytest.mark.slow), 3.0])
def test_self_attention_guidance_is_the_pipelines(
    model_of: ModelOf,  # noqa: F811
    cfg: float,
) -> None:
    pipeline, model = model_of(sd1)
    # In a copy, as it leaves its own attention behind.
    parts = {**pipeline.components, "unet": copy.deepcopy(pipeline.unet)}
    sag = d.StableDiffusionSAGPipeline(
        **parts | {"safety_checker": None, "feature_extractor": None},
        requires_safety_checker=False,
    )
    sag.set_progress_bar_config(disable=True)
    options = {"width": 192, "height": 128, "steps": 2, "batch": 2, "negative": NEGATIVE}
    expected = stock(sag, **options, guidance_scale=cfg, sag_scale=2.0)
    added = SelfAttention(2.0, 0.0, 1.0)
    size = {"width": 192, "height": 128, "batch_size": 2, "steps": 2, "sampler": "ddim"}
    found = walked(model, added, cfg=cfg, **size)
    torch.testing.assert_close(found, expected.latents, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(found, walked(model, cfg=cfg, **size), atol=1e-3)


@pytest.mark.parametrize(
    "make", [SmoothedEnergy, pytest.param(SelfAttention, marks=pytest.mark.slow)]
)
def test_some_guidance_is_for_unets(model_of: ModelOf, make: Any) -> None:  # noqa: F811
    with raises(InvalidValue, port="guider", given="Flux.1"):
        make(1.0, 0.0, 1.0).check(replace(RECIPE, family="flux"))
    _, model = model_of(sd1)
    wide = {"width": 96, "height": 56, "steps": 2}
    one, other = (walked(model, make(2.0, 0.0, 1.0), **wide, cfg=cfg) for cfg in (1.0, 3.0))
    assert not torch.equal(one, walked(model, **wide, cfg=1.0))
    assert not torch.equal(other, walked(model, **wide))
    pair = walked(model, make(2.0, 0.0, 1.0), **wide, batch_size=2)
    torch.testing.assert_close(pair[:1], other, rtol=1e-4, atol=1e-4)


def test_a_blur_of_no_width_is_none(model_of: ModelOf) -> None:  # noqa: F811
    _, model = model_of(sd1)
    found = walked(model, SmoothedEnergy(5.0, 0.0, 1.0, ("mid",), 0.01))
    torch.testing.assert_close(found, walked(model), rtol=1e-4, atol=1e-4)


def test_guidance_in_its_part_of_the_sampling_alone(model_of: ModelOf) -> None:  # noqa: F811
    _, model = model_of(sd1)
    exact = walked(model)
    assert torch.equal(walked(model, PerturbedAttention(3.0, 0.5, 0.5)), exact)
    assert torch.equal(walked(model, PerturbedAttention(0.0, 0.0, 1.0)), exact)


@pytest.mark.parametrize(("build", "wrong"), [(sd1, "7"), (flux, "mid"), (flux, "9")])
@pytest.mark.parametrize(
    "make", [without_layers, lambda *args: with_attention(*args, identity_attention)]
)
def test_layers_that_there_are_not_are_told(
    model_of: ModelOf,  # noqa: F811
    build: Callable[[], Any],
    wrong: str,
    make: Callable[..., Denoiser],
) -> None:
    _, model = model_of(build)
    with raises(InvalidValue, port="guider"):
        make(model.part("model"), (wrong,))


@pytest.mark.parametrize(
    "make", [PerturbedAttention, pytest.param(SkippedLayers, marks=pytest.mark.slow)]
)
def test_a_network_of_ones_own_is_worse_only_while_it_is_asked_so(
    model_of: ModelOf,  # noqa: F811
    make: Any,
) -> None:
    _, model = model_of(flux)
    shared = model.part("model")
    expected, exact = walked(model, make(3.0, 0.0, 1.0)), walked(model)
    twins = {"transformer": copy.deepcopy(shared.module)}
    own = Model(model.folder, loaded={**model.loaded})
    own.loaded["model"] = replace(shared, modules=twins, is_own=True)
    assert torch.equal(walked(own, make(3.0, 0.0, 1.0)), expected)
    assert torch.equal(walked(own), exact)


@pytest.mark.parametrize(
    "cache", ["first_block", pytest.param("taylorseer", marks=pytest.mark.slow)]
)
def test_a_step_cache_goes_with_worse_networks(model_of: ModelOf, cache: str) -> None:  # noqa: F811
    _, model = model_of(flux)
    added = PerturbedAttention(3.0, 0.0, 1.0)
    cached = Model(model.folder, loaded={**model.loaded})
    cached.loaded["model"] = sped_up(model, IDLE[cache])
    assert torch.equal(walked(cached, added, steps=6), walked(model, added, steps=6))
