"""Step caches: the pipelines' numbers, nothing left behind, and the same bits after a pause."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from diffusers.hooks import (
    FirstBlockCacheConfig,
    MagCacheConfig,
    TaylorSeerCacheConfig,
    apply_pyramid_attention_broadcast,
)
from diffusers.hooks.pyramid_attention_broadcast import PyramidAttentionBroadcastConfig

from nodegraph.core.values import Latent
from nodegraph.families.patches import unpack_latents
from nodegraph.families.speed_options import Broadcast, FirstBlock, Magnitude, StepCaching, Taylor
from nodegraph.sampling.denoise import Denoising
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.equality import NEGATIVE, stock
from tests.diffusion.families.test_flux import flux
from tests.diffusion.families.test_stable_diffusion import sd1
from tests.diffusion.families.video_models import wan

from .speedy import ALWAYS, EAGER, sampling, sped_up, through_a_file, walked

ModelOf = Callable[[Callable[[], Any]], Pair]

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")
CACHES = {f"flux-{name}": (flux, EAGER[name]) for name in EAGER}
CACHES |= {f"sd1-{name}": (sd1, EAGER[name]) for name in ("taylorseer", "broadcast")}


def each_cache(*quick: str) -> pytest.MarkDecorator:
    """All of them, of which those with these names are quick enough for a plain run."""
    cases = [
        pytest.param(*case, id=name, marks=() if name in quick else pytest.mark.slow)
        for name, case in CACHES.items()
    ]
    return pytest.mark.parametrize(("build", "caching"), cases)


@pytest.mark.parametrize(
    ("caching", "config"),
    [
        (FirstBlock(0.4), FirstBlockCacheConfig(0.4)),
        (
            Magnitude(0.5, 2, 0.2, ALWAYS),
            MagCacheConfig(0.5, 2, 0.2, num_inference_steps=6, mag_ratios=list(ALWAYS)),
        ),
        (
            Taylor(3, 2),
            TaylorSeerCacheConfig(3, 2, taylor_factors_dtype=torch.float32),
        ),
        (
            Taylor(3, 2, lite=True),
            TaylorSeerCacheConfig(3, 2, taylor_factors_dtype=torch.float32, use_lite_mode=True),
        ),
    ],
    ids=["first_block", "mag", "taylorseer", "lite"],
)
def test_they_are_those_of_diffusers_pipelines(
    model_of: ModelOf,  # noqa: F811 - the fixture
    caching: StepCaching,
    config: Any,
) -> None:
    """With a negative prompt, which the pipeline asks in a context of its own."""
    pipeline, model = model_of(flux)
    found = walked(sampling(model, sped_up(model, caching)))
    options = {"negative": NEGATIVE, "true_cfg_scale": 3.0, "guidance_scale": 3.5, "steps": 6}
    pipeline = deepcopy(pipeline)
    pipeline.transformer.enable_cache(config)
    # Its two turns would go on from each other's steps.
    expected = stock(_fresh(pipeline), width=64, height=64, **options)
    assert torch.equal(found, unpack_latents(expected.latents, 8, 8))
    exact = walked(sampling(model, model.part("model")))
    assert not torch.equal(found, exact)


def _fresh(pipeline: Any) -> Any:
    def begin(**options: Any) -> Any:
        pipeline.transformer._reset_stateful_cache()
        return pipeline(**options)

    return begin


def test_attention_broadcast_is_that_of_diffusers(model_of: ModelOf) -> None:  # noqa: F811
    pipeline, model = model_of(sd1)
    found = walked(sampling(model, sped_up(model, Broadcast(2, 3)), sampler="ddim"))
    now = [0]

    def noted(pipe: Any, step: int, timestep: Any, tensors: Any) -> Any:
        now[0] = int(pipe.scheduler.timesteps[min(step + 1, 5)])
        return tensors

    config = PyramidAttentionBroadcastConfig(2, None, 3, current_timestep_callback=lambda: now[0])
    pipeline = deepcopy(pipeline)
    apply_pyramid_attention_broadcast(pipeline.unet, config)
    pipeline.scheduler.set_timesteps(6)
    now[0] = int(pipeline.scheduler.timesteps[0])
    options = {"num_inference_steps": 6, "guidance_scale": 3.0, "output_type": "latent"}
    generator = torch.Generator().manual_seed(7)
    expected = pipeline(
        "a red cat",
        negative_prompt=NEGATIVE,
        width=64,
        height=64,
        generator=generator,
        callback_on_step_end=noted,
        **options,
    ).images
    assert torch.equal(found, expected)


@each_cache("flux-first_block", "flux-taylorseer")
def test_nothing_is_left_for_the_next_sampling(
    model_of: ModelOf,  # noqa: F811
    build: Callable[[], Any],
    caching: StepCaching,
) -> None:
    _, model = model_of(build)
    exact = walked(sampling(model, model.part("model")))
    denoiser = sped_up(model, caching)
    first = walked(sampling(model, denoiser))
    stopped = sampling(model, denoiser, seed=3)
    for _ in range(4):
        stopped.advance()
    assert torch.equal(walked(sampling(model, denoiser)), first)
    # Nor does anybody who shares the weights notice.
    assert torch.equal(walked(sampling(model, model.part("model"))), exact)
    assert not torch.equal(first, exact)


@each_cache("flux-mag", "flux-broadcast")
def test_samplings_at_the_same_time_do_not_see_each_other(
    model_of: ModelOf,  # noqa: F811
    build: Callable[[], Any],
    caching: StepCaching,
) -> None:
    _, model = model_of(build)
    denoiser = sped_up(model, caching)
    alone = [walked(sampling(model, denoiser, seed=seed)) for seed in (1, 2)]
    both = [sampling(model, denoiser, seed=seed) for seed in (1, 2)]
    for _ in range(3):
        for each in both:
            each.advance()
    # By threads from here on.
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(walked, both))
    assert all(map(torch.equal, found, alone))


@pytest.mark.parametrize("sampler", ["euler", pytest.param("heun", marks=pytest.mark.slow)])
@each_cache("flux-first_block", "flux-mag", "flux-taylorseer", "flux-broadcast")
def test_a_sampling_goes_on_from_any_step_to_the_same_bits(
    model_of: ModelOf,  # noqa: F811
    build: Callable[[], Any],
    caching: StepCaching,
    sampler: str,
) -> None:
    _, model = model_of(build)
    denoiser = sped_up(model, caching)
    through = sampling(model, denoiser, sampler=sampler)
    states = []
    for _ in through:
        assert through.is_savable
        states.append(through_a_file(through.state()))
    expected = through.result().samples
    assert expected is not None
    for state in states[:-1:2]:
        later = sampling(model, denoiser, sampler=sampler)
        later.restore(state)
        assert torch.equal(walked(later), expected)
        assert later.reuse == through.reuse


def test_a_damaged_state_is_refused(model_of: ModelOf) -> None:  # noqa: F811
    _, model = model_of(flux)
    denoising = sampling(model, sped_up(model, FirstBlock(10)))
    denoising.advance()
    state = denoising.state()
    kept = next(name for name in state if name.endswith("cached.outline"))
    with pytest.raises(ValueError, match="damaged"):
        denoising.restore({name: item for name, item in state.items() if name != kept})


def test_two_experts_have_a_cache_each(model_of: ModelOf) -> None:  # noqa: F811
    """Prompts, too; and it tells how often the network was spared."""
    _, model = model_of(wan)
    denoising = sampling(model, sped_up(model, FirstBlock(10)), frames=5)
    assert walked(denoising).isfinite().all()
    # Of two prompts at six steps, all but the first of each.
    assert denoising.reuse.startswith("10 of 12 calls")


def test_prompts_that_come_and_go_begin_anew(model_of: ModelOf) -> None:  # noqa: F811
    """Those that apply to a part of the sampling change the batch that the UNet is asked in."""
    _, model = model_of(sd1)
    one, other = model.encode("a red cat"), model.encode("blurry")
    assert one is not None
    assert other is not None
    late = replace(other.entries[0], start=0.5)
    options = {"seed": 1, "steps": 6, "cfg": 3.0, "sampler": "euler", "schedule": "normal"}
    found = walked(
        Denoising.named(
            sped_up(model, EAGER["broadcast"]),
            replace(one, entries=(*one.entries, late)),
            None,
            Latent(None, 64, 64, 2),
            **options,  # type: ignore[arg-type]
        )
    )
    assert found.isfinite().all()
