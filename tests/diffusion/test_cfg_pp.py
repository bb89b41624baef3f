"""Samplers that put unguided noise to the guided prediction."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from nodegraph.core.values import Conditioning, ConditioningEntry, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.flow_noise import FlowNoise, ModelNoise
from nodegraph.families.noise import NoiseSchedule, draw_from, draw_noise, item_generators
from nodegraph.families.sampler_names import CFG_PP_SAMPLERS
from nodegraph.sampling.denoise import sample
from nodegraph.sampling.samplers import SAMPLERS, Sampler, make_sampler
from nodegraph.sampling.schedules import sigmas_for
from tests.diffusion.conftest import SD1_SCHEDULER, tiny_unet
from tests.diffusion.stand_in import SHAPE, model
from tests.diffusion.test_comfyui_numbers import FLOW, TABLE, ancestral_levels, begun
from tests.messages import raises

NOISES: dict[str, ModelNoise] = {
    "discrete": NoiseSchedule.from_config({"beta_schedule": "scaled_linear"}),
    "flow": FlowNoise(shift=3.0),
}
PROMPT, OTHER = (
    Conditioning(
        (ConditioningEntry({"embeddings": draw_noise((7, 32), seed, [0])}),),
        "sd1",
        ConditioningEntry({"embeddings": draw_noise((7, 32), 2, [0])}),
    )
    for seed in (1, 9)
)
PLAIN = {
    "euler_cfg_pp": "euler",
    "euler_ancestral_cfg_pp": "euler_ancestral",
    "dpmpp_2s_ancestral_cfg_pp": "dpmpp_2s_ancestral",
    "gradient_estimation_cfg_pp": "gradient_estimation",
}


def tiny_denoiser(**changes: Any) -> Denoiser:
    torch.manual_seed(0)
    config = {**tiny_unet().config, "_use_default_values": [], **changes}
    unet = UNet2DConditionModel.from_config(config)
    return Denoiser({"unet": unet.eval()}, "sd1", SD1_SCHEDULER)


def made(name: str, kind: str) -> Sampler:
    noise = NOISES[kind]
    ladder = sigmas_for("normal", noise, 6, grid=SAMPLERS[name].grid)
    generators = item_generators(3, [0, 1])
    sampler = make_sampler(name, ladder, noise, generators)
    sampler.start(sampler.pure_noise(draw_from(generators, SHAPE)))
    return sampler


@pytest.mark.parametrize("kind", NOISES)
@pytest.mark.parametrize("name", PLAIN)
def test_where_both_sides_agree_it_is_the_plain_sampler(name: str, kind: str) -> None:
    if kind == "flow" and name == "euler_ancestral_cfg_pp":
        pytest.skip("the plain one goes another way below the next level there")
    found, plain = made(name, kind), made(PLAIN[name], kind)
    while not found.done:
        for sampler in (found, plain):
            sampler.feed(model(sampler.model_input(), sampler.timestep))
    torch.testing.assert_close(found.x, plain.x, rtol=1e-4, atol=1e-4)


Both = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
Formula = Callable[[Both, Tensor, Tensor, Callable[[], Tensor]], Tensor]


def other_model(x: Tensor, timestep: Tensor) -> Tensor:
    """What the stand-in's model says without guidance."""
    return torch.cos(x.roll(1, -2) * 0.5 + float(timestep) / 1000)


def ancestral(*, eta: float, flow: bool) -> Formula:
    """Euler's, with the scales of the image in flows."""

    def walk(denoise: Both, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]) -> Tensor:
        for here, to in itertools.pairwise(sigmas):
            found, away = denoise(x, here)
            if to == 0:
                return found
            alpha, alpha_to = (1 - here, 1 - to) if flow else (1.0, 1.0)
            level, level_to = here / alpha, to / alpha_to
            up = eta * level_to * (1 - level_to**2 / level**2).sqrt()
            down = (level_to**2 - up**2).sqrt()
            x = alpha_to * (found + down * (x - alpha * away) / here)
            if eta:
                x = x + alpha_to * up * draw()
        return x

    return walk


def dpmpp_2m(denoise: Both, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]) -> Tensor:
    before, last = None, torch.tensor(0.0)
    for here, to in itertools.pairwise(sigmas):
        found, away = denoise(x, here)
        ratio = to / here
        led = found + ratio * (x - away)
        if before is not None and to > 0:
            way, gone = (here / to).log(), (last / here).log()
            led = led + (1 - ratio) * way / gone / 2 * (found - before)
        x, before, last = led, away, here
    return x


def gradients(denoise: Both, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]) -> Tensor:
    before: Tensor | None = None
    for here, to in itertools.pairwise(sigmas):
        found, away = denoise(x, here)
        slope = (x - away) / here
        x = found + to * slope
        if before is not None and to > 0:
            x = x + (to - here) * (slope - before)
        before = slope
    return x


def dpmpp_2s(denoise: Both, x: Tensor, sigmas: Tensor, draw: Callable[[], Tensor]) -> Tensor:
    for here, to in itertools.pairwise(sigmas):
        found, away = denoise(x, here)
        if to == 0:
            return found
        up, down = ancestral_levels(here, to)
        if down == 0:
            x = found + up * draw()
            continue
        middle = (here * down).sqrt()
        trial = middle / here * (x + found - away) + (1 - middle / here) * found
        second, away = denoise(trial, middle)
        # the unguided prediction is the second one by now
        x = down / here * (x + found - away) + (1 - down / here) * second + up * draw()
    return x


@pytest.mark.parametrize("noise", [TABLE, FLOW], ids=["table", "flow"])
@pytest.mark.parametrize(
    "name",
    [
        "euler_cfg_pp",
        "euler_ancestral_cfg_pp",
        "dpmpp_2m_cfg_pp",
        "gradient_estimation_cfg_pp",
        "dpmpp_2s_ancestral_cfg_pp",
    ],
)
def test_by_comfyui_s_convention_steps_are_those_of_its_formulas(
    name: str, noise: ModelNoise
) -> None:
    flow = noise is FLOW
    method = {
        "euler_cfg_pp": ancestral(eta=0.0, flow=flow),
        "euler_ancestral_cfg_pp": ancestral(eta=1.0, flow=flow),
        "dpmpp_2m_cfg_pp": dpmpp_2m,
        "gradient_estimation_cfg_pp": gradients,
        "dpmpp_2s_ancestral_cfg_pp": dpmpp_2s,
    }[name]
    sampler, x, sigmas = begun("simple", name, noise)
    drawing = torch.Generator().manual_seed(4)

    def denoise(x: Tensor, sigma: Tensor) -> tuple[Tensor, Tensor]:
        scaled = x if flow else x / (sigma**2 + 1).sqrt()
        nearest = (TABLE.sigmas.log() - sigma.log()).abs().argmin()
        timestep = sigma * 1000 if flow else nearest
        return x - sigma * model(scaled, timestep), x - sigma * other_model(scaled, timestep)

    while not sampler.done:
        asked = sampler.model_input(), sampler.timestep
        sampler.unguided = other_model(*asked)
        sampler.feed(model(*asked))
    expected = method(denoise, x, sigmas, lambda: torch.randn(x.shape, generator=drawing))
    assert float((sampler.x - expected).abs().max() / expected.abs().max()) < 1e-5


def test_the_next_latent_has_the_guided_picture_and_the_unguided_noise() -> None:
    """Equation 12 of Song et al. 2021, with the two taken from two answers."""
    sampler, noise = made("euler_cfg_pp", "discrete"), NOISES["discrete"]
    assert isinstance(noise, NoiseSchedule)
    x = sampler.model_input()  # of unit variance
    guided, unguided = torch.randn(2, 2, *SHAPE).unbind()
    bars = [1 / (1 + float(level) ** 2) for level in sampler.noise_levels.sigmas[:2]]
    sampler.unguided = unguided
    sampler.feed(guided)
    denoised = (x - (1 - bars[0]) ** 0.5 * guided) / bars[0] ** 0.5
    expected = bars[1] ** 0.5 * denoised + (1 - bars[1]) ** 0.5 * unguided
    torch.testing.assert_close(sampler.model_input(), expected, rtol=1e-4, atol=1e-4)


def test_the_scale_lies_between_two_predictions() -> None:
    """Also at 1 and below, where other samplers don't look at the negative prompt."""
    arguments = (tiny_denoiser(), PROMPT, OTHER, Latent(None, 64, 64))
    options: dict[str, Any] = {"seed": 5, "steps": 4, "schedule": "normal"}
    half = sample(*arguments, sampler="euler_cfg_pp", cfg=0.5, **options)
    whole = sample(*arguments, sampler="euler_cfg_pp", cfg=1.0, **options)
    plain = sample(*arguments, sampler="euler", cfg=1.0, **options)
    assert not torch.equal(half.samples, whole.samples)
    assert not torch.equal(whole.samples, plain.samples)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(CFG_PP_SAMPLERS))
def test_a_negative_prompt_that_is_the_positive_one_leaves_nothing_to_guide(name: str) -> None:
    arguments = (tiny_denoiser(), PROMPT, PROMPT, Latent(None, 64, 64))
    options: dict[str, Any] = {"seed": 5, "steps": 4, "schedule": "normal", "sampler": name}
    found = [sample(*arguments, cfg=cfg, **options).samples for cfg in (0.3, 1.0, 4.0)]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-3, atol=1e-3)


def test_a_model_that_is_asked_for_one_prompt_alone_is_refused() -> None:
    denoiser: Denoiser = tiny_denoiser(time_cond_proj_dim=8)
    with raises(InvalidValue, port="sampler", given="euler_cfg_pp"):
        sample(
            denoiser,
            PROMPT,
            None,
            Latent(None, 64, 64),
            seed=1,
            steps=2,
            cfg=1.0,
            sampler="euler_cfg_pp",
            schedule="normal",
        )
