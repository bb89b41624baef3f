"""Every sampler over every schedule, in one to three steps, of every kind of model.

The images are independent normal numbers, of which the exact prediction is known. What comes out
is finite and of their size, and what diffusers' scheduler or ComfyUI's formulas make of the same
noise, where there is such a reference. That is compared to the last bit in the tests of samplers,
for some schedules; here it is compared but for rounding, for all.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.families.comfyui_sigmas import ComfyUIFlow
from nodegraph.families.flow_noise import FlowNoise, ModelNoise
from nodegraph.families.noise import NoiseSchedule, draw_batch, item_generators
from nodegraph.families.registry import FAMILIES
from nodegraph.families.sampler_names import (
    SAMPLER_NAMES,
    SCHEDULE_NAMES,
    SPACINGS,
    allowed_schedules,
    follows_any_level,
)
from nodegraph.sampling.initial_latent import InitialLatent
from nodegraph.sampling.samplers import SAMPLERS, Sampler, make_sampler
from nodegraph.sampling.sampling_parts import CONVENTIONS
from nodegraph.sampling.schedules import sigmas_for
from tests.diffusion import test_cfg_pp as guided
from tests.diffusion import test_comfyui_numbers as numbers
from tests.diffusion import test_comfyui_steps as further
from tests.diffusion import test_flow_samplers as flows
from tests.diffusion import test_samplers as tables

# diffusers 0.42 hands tensors to numpy in a way that numpy 2 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = (1, 2, 2, 2)
MEAN, SPREAD = 0.3, 0.5
CONFIG: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "leading",
    "steps_offset": 1,
    "set_alpha_to_one": True,
    "clip_sample": False,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "table": CONFIG,
    "v": {**CONFIG, "prediction_type": "v_prediction"},
    "zero SNR": {
        **CONFIG,
        "prediction_type": "v_prediction",
        "rescale_betas_zero_snr": True,
        "timestep_spacing": "trailing",
    },
}
NOISES: dict[str, ModelNoise] = {
    **{
        kind: replace(NoiseSchedule.from_config(config), aligned=FAMILIES["sd1"].aligned)
        for kind, config in CONFIGS.items()
    },
    "flow": replace(FlowNoise(shift=3.0), common=ComfyUIFlow(3.0)),
}


@dataclass(frozen=True)
class Case:
    """One sampling.

    Attributes:
        kind: Of model, of `NOISES`.
    """

    sampler: str
    schedule: str
    steps: int
    kind: str
    convention: str

    @property
    def noise(self) -> ModelNoise:
        return NOISES[self.kind]

    @property
    def is_allowed(self) -> bool:
        allowed, kind = allowed_schedules(self.noise.kind), self.noise.kind
        if self.sampler not in allowed:
            return False
        if self.schedule in allowed[self.sampler]:
            return True
        any_level = follows_any_level(self.sampler, kind, self.convention)
        return any_level and self.schedule in allowed["euler"]


def output(noise: ModelNoise, x: Tensor, timestep: float, mean: float = MEAN) -> Tensor:
    """The exact model's, of images of a mean.

    Args:
        x: As it takes it.
    """
    if isinstance(noise, FlowNoise):
        deviation = timestep / noise.timesteps
        alpha = 1 - deviation
    else:
        sigma = float(noise.timestep_to_sigma(timestep))
        alpha = 1 / math.hypot(1, sigma)
        deviation = sigma * alpha
    share = alpha * SPREAD**2 / ((alpha * SPREAD) ** 2 + deviation**2)
    denoised = mean + share * (x - alpha * mean)
    drawn = (x - alpha * denoised) / deviation
    if isinstance(noise, FlowNoise):
        return drawn - denoised
    return drawn if noise.prediction_type == "epsilon" else alpha * drawn - deviation * denoised


def drawn() -> tuple[Tensor, list[torch.Generator]]:
    """The first noise, and what draws all other."""
    generators = item_generators(3, [0])
    return draw_batch(generators, SHAPE), generators


def started(case: Case) -> Sampler:
    grid = SAMPLERS[case.sampler].grid_for(case.convention)
    ladder = sigmas_for(case.schedule, case.noise, case.steps, grid=grid)
    first, generators = drawn()
    made = make_sampler(case.sampler, ladder, case.noise, generators, convention=case.convention)
    InitialLatent(Latent(None, 16, 16), first, added=True).start(made, lambda tensor: tensor)
    return made


def sampled(case: Case) -> Tensor:
    sampler = started(case)
    while not sampler.done:
        asked = sampler.model_input(), float(sampler.timestep)
        sampler.unguided = output(case.noise, *asked, mean=-MEAN)
        sampler.feed(output(case.noise, *asked))
    return sampler.x


def by_diffusers(case: Case) -> Tensor | None:
    """What diffusers' scheduler makes of it; None where there is none that walks it."""
    if case.kind == "flow":
        if case.schedule != "normal" or case.sampler not in flows.COUNTERPARTS:
            return None
        kind, _ = flows.COUNTERPARTS[case.sampler]
        config = flows.config_of(case.sampler, 3.0) | flows.METHODS.get(case.sampler, {})
        random = case.sampler in flows.RANDOM
    else:
        # its LCM and TCD lay levels of their own whatever the schedule, its beta is another
        if case.sampler not in tables.COUNTERPARTS or case.sampler in ("lcm", "tcd"):
            return None
        if case.schedule == "beta":
            return None
        kind, method = tables.COUNTERPARTS[case.sampler]
        asked = {f"use_{case.schedule}_sigmas": True}
        if case.schedule in ("normal", *SPACINGS):
            spacing = CONFIGS[case.kind]["timestep_spacing"]
            asked = {"timestep_spacing": spacing if case.schedule == "normal" else case.schedule}
        taken = inspect.signature(kind.__init__).parameters
        needed = {*asked, *(["rescale_betas_zero_snr"] if case.kind == "zero SNR" else [])}
        if not needed <= set(taken):
            return None
        config = {**CONFIGS[case.kind], **method, **asked}
        random = case.sampler in tables.RANDOM
    scheduler = kind.from_config(config)
    scheduler.set_timesteps(case.steps)
    first, generators = drawn()
    x = first * scheduler.init_noise_sigma if case.kind != "flow" else first
    for timestep in scheduler.timesteps:
        scaled = scheduler.scale_model_input(x, timestep) if case.kind != "flow" else x
        answer = output(case.noise, scaled, float(timestep))
        more = {"generator": generators} if random else {}
        x = scheduler.step(answer, timestep, x, **more).prev_sample
    return x


Formula = Callable[..., Tensor]
"""Of ComfyUI: a function that predicts, x, sigmas, and a function that draws."""
COMMON: dict[str, Formula] = {
    "euler": numbers.euler,
    "heun": numbers.heun,
    "dpm_2": numbers.dpm_2,
    "dpmpp_2m": numbers.dpmpp_2m,
    "res_multistep": numbers.res_multistep,
    "gradient_estimation": numbers.gradient_estimation,
    "lms": further.lms,
    "ipndm": further.ipndm,
    "ipndm_v": further.ipndm_v,
    "heunpp2": further.heunpp2,
    "res_multistep_ancestral": further.res_multistep_ancestral,
    "dpmpp_2m_cfg_pp": guided.dpmpp_2m,
    "gradient_estimation_cfg_pp": guided.gradients,
    "dpmpp_2s_ancestral_cfg_pp": guided.dpmpp_2s,
}
FORMULAS: dict[str, dict[str, Formula]] = {
    "table": {
        **COMMON,
        "lcm": numbers.lcm,
        "euler_ancestral": numbers.euler_ancestral,
        "dpm_2_ancestral": numbers.dpm_2_ancestral,
        "dpmpp_2s_ancestral": numbers.dpmpp_2s_ancestral,
        "dpmpp_2m_sde": further.multistep(2),
        "dpmpp_2m_sde_heun": further.multistep(2, heun=True),
        "dpmpp_3m_sde": further.multistep(3),
        "seeds_2": further.seeds(1 / 2),
        "seeds_3": further.seeds(1 / 3, 2 / 3),
        "exp_heun_2_x0": further.exp_heun(eta=0.0),
        "exp_heun_2_x0_sde": further.exp_heun(eta=1.0),
        "euler_cfg_pp": guided.ancestral(eta=0.0, flow=False),
        "euler_ancestral_cfg_pp": guided.ancestral(eta=1.0, flow=False),
    },
    "flow": {
        **COMMON,
        "lcm": numbers.flow_lcm,
        "euler_ancestral": numbers.flow_ancestral,
        "dpmpp_2m_sde": further.multistep(2, flow=True),
        "dpm_2_ancestral": numbers.flow_dpm_2_ancestral,
        "dpmpp_2s_ancestral": numbers.flow_dpmpp_2s_ancestral,
        "dpmpp_3m_sde": further.multistep(3, flow=True),
        "seeds_2": further.seeds(1 / 2, flow=True),
        "seeds_3": further.seeds(1 / 3, 2 / 3, flow=True),
        "exp_heun_2_x0": further.exp_heun(eta=0.0, flow=True),
        "exp_heun_2_x0_sde": further.exp_heun(eta=1.0, flow=True),
        "euler_cfg_pp": guided.ancestral(eta=0.0, flow=True),
        "euler_ancestral_cfg_pp": guided.ancestral(eta=1.0, flow=True),
    },
}
"""By kind of noise, those that are quick to work out; others are compared in the tests of these."""


def by_comfyui(case: Case) -> Tensor | None:
    """What ComfyUI's formulas make of it; None where they aren't here."""
    is_flow = case.kind == "flow"
    method = FORMULAS["flow" if is_flow else "table"].get(case.sampler)
    if method is None:
        return None
    ladder = started(case).noise_levels
    first, generators = drawn()
    # halfway between two timesteps rounding decides which is nearer
    asked = dict(zip(ladder.sigmas.tolist(), ladder.timesteps.tolist(), strict=False))
    sigmas, scale = ladder.sigmas, ladder.sigmas[0]
    if not is_flow and ladder.starts_at_max_sigma:
        scale = (1 + scale**2).sqrt()

    def denoise(x: Tensor, sigma: Tensor) -> Any:
        """The prediction; for CFG++, with the unguided one."""
        means = (MEAN, -MEAN) if case.sampler.endswith("_cfg_pp") else (MEAN,)
        found = tuple(predicted(case.noise, x, sigma, mean, asked) for mean in means)
        return found if len(found) > 1 else found[0]

    def draw(*_: Tensor) -> Tensor:
        return draw_batch(generators, SHAPE)

    return method(denoise, first * scale, sigmas, draw)


def predicted(
    noise: ModelNoise, x: Tensor, sigma: Tensor, mean: float, asked: Mapping[float, float]
) -> Tensor:
    """The clean image, of x in k-diffusion's form.

    Args:
        asked: Timesteps of some levels; else the nearest.
    """
    if isinstance(noise, FlowNoise):
        return x - sigma * output(noise, x, float(sigma) * 1000, mean)
    nearest = float((noise.sigmas.log() - sigma.log()).abs().argmin())
    timestep = asked.get(float(sigma), nearest)
    scaled = x / (sigma**2 + 1).sqrt()
    found = output(noise, scaled, timestep, mean)
    if noise.prediction_type == "epsilon":
        return x - sigma * found
    return x / (sigma**2 + 1) - found * sigma / (sigma**2 + 1).sqrt()


NEVER_CLEAN = ("tcd", "lcm", "ddpm")
"""Samplers whose single step doesn't end on the prediction: at the noise of timestep 0, by a
boundary condition, or with the least variance that they know."""
LEAPING = ("heun", "restart", "dpm_2", "dpm_2_ancestral")
"""Those that follow a second slope: so few steps may lead far off."""
ROUGH = {*LEAPING, "res_multistep_ancestral"}
"""Those that bring what is rounded far with them, from the level of 4096 that is zero SNR's."""


def check(case: Case) -> None:
    found = sampled(case)
    assert found.isfinite().all(), case
    if case.sampler not in LEAPING:
        assert found.abs().max() < 10, case
    expected = by_diffusers(case) if case.convention == "diffusers" else by_comfyui(case)
    if expected is not None:
        apart = (found - expected).abs().max() / expected.abs().max()
        rough = case.sampler in ROUGH and case.kind == "zero SNR"
        assert float(apart) < (5e-2 if rough else 1e-3), (case, float(apart))
    if case.steps == 1 and case.sampler not in NEVER_CLEAN:
        sampler = started(case)
        answer = output(case.noise, sampler.model_input(), float(sampler.timestep))
        clean = sampler.space.to_denoised(answer, sampler.x, sampler.step_index)
        torch.testing.assert_close(found, clean, rtol=1e-3, atol=1e-3, msg=str(case))


def every(sampler: str) -> Iterator[Case]:
    for schedule in SCHEDULE_NAMES:
        for steps in (1, 2, 3):
            for kind in NOISES:
                for convention in CONVENTIONS:
                    yield Case(sampler, schedule, steps, kind, convention)


def pairs(sampler: str) -> Iterator[Case]:
    """Each schedule once with each convention; kinds of models and numbers of steps take turns, so
    that any two of what there is to choose meet."""
    at, kinds = SAMPLER_NAMES.index(sampler), list(NOISES)
    for place, schedule in enumerate(SCHEDULE_NAMES):
        for turn, convention in enumerate(CONVENTIONS):
            steps = 1 + (at + place + turn) % 3
            turned = np.roll(kinds, -(at + 2 * place + turn) % len(kinds)).tolist()
            cases = [Case(sampler, schedule, steps, kind, convention) for kind in turned]
            yield from [case for case in cases if case.is_allowed][:1]


@pytest.mark.parametrize("sampler", SAMPLER_NAMES)
def test_samplers_walk_each_schedule(sampler: str) -> None:
    for case in pairs(sampler):
        check(case)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLER_NAMES)
def test_samplers_walk_each_schedule_of_each_kind_of_model(sampler: str) -> None:
    for case in every(sampler):
        if case.is_allowed:
            check(case)
