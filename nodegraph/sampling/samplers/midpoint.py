"""Midpoint methods of second order: DPM-Solver-2 and ancestral DPM-Solver++(2S)."""

from __future__ import annotations

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import (
    CHURN,
    NOISY,
    Done,
    Evaluate,
    Steps,
    Walk,
    sampler,
)
from nodegraph.sampling.samplers.euler import Churn, churn_draws
from nodegraph.sampling.samplers.spaces import STRAIGHT, UNMIXED, NoiseLevel, StraightSpace
from nodegraph.sampling.table_schedules import CONTINUOUS, CONTINUOUS_FINITE


@sampler(
    "dpm_2",
    STRAIGHT,
    CONTINUOUS,
    draws=churn_draws,
    order=2,
    options=CHURN,
    evaluations=(2, -1),
    elsewhere={
        "A1111 and Forge": ("DPM2",),
        "InvokeAI": ("kdpm_2",),
        "diffusers": ("KDPM2DiscreteScheduler",),
    },
)
def dpm_2(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """Second order: a trial step to the middle, whose slope then carries the whole step.

    The model is evaluated twice a step, once where that leads to no noise, as the last does.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 2, as k-diffusion's sample_dpm_2; after
    Lu et al. 2022, arXiv:2206.00927 (DPM-Solver-2).
    """
    churn = Churn(walk)
    middles = _middles(walk, walk.noise_levels.sigmas[1 : walk.count + 1], churn.sigmas)
    for here, after in walk.steps():
        x, begin = churn.raised(x, here)
        output = yield Evaluate(x, begin)
        x = x.to(torch.float32)
        denoised = begin.denoised(output, x)
        slope = begin.slope(output, x, denoised)
        if after.sigma > 0:
            middle = NoiseLevel(middles, here.index)
            trial = walk.kept(x + slope * (middle.sigma - begin.sigma))
            output = yield Evaluate(trial, middle)
            trial = trial.to(torch.float32)
            denoised = middle.denoised(output, trial)
            slope = middle.slope(output, trial, denoised)
        x = yield Done(x + slope * (after.sigma - begin.sigma), denoised)


@sampler(
    "dpm_2_ancestral",
    STRAIGHT,
    CONTINUOUS,
    order=2,
    options=NOISY,
    evaluations=(2, -1),
    elsewhere={
        "A1111 and Forge": ("DPM2 a",),
        "InvokeAI": ("kdpm_2_a",),
        "diffusers": ("KDPM2AncestralDiscreteScheduler",),
    },
)
def dpm_2_ancestral(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """The same to below the next noise level, then noise up to it.

    Source: k-diffusion, sample_dpm_2_ancestral; for flow models ComfyUI's
    sample_dpm_2_ancestral_RF (``comfy/k_diffusion/sampling.py``).
    """
    eta = walk.options.eta
    downs = torch.stack([walk.level(index).ancestral(eta)[0] for index in range(walk.count)])
    middles = _middles(walk, downs, walk.noise_levels.sigmas[: walk.count])
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        start = x.to(torch.float32)
        denoised = here.denoised(output, start)
        slope = here.slope(output, start, denoised)
        down, scale, up = here.ancestral(eta)
        if down > 0:
            middle = NoiseLevel(middles, here.index)
            trial = walk.kept(start + slope * (middle.sigma - here.sigma))
            output = yield Evaluate(trial, middle)
            trial = trial.to(torch.float32)
            denoised = middle.denoised(output, trial)
            slope = middle.slope(output, trial, denoised)
        stepped = scale * (start + slope * (down - here.sigma))
        if after.sigma > 0:
            stepped = stepped + walk.noise(x) * up
        x = yield Done(stepped, denoised)


def _middles(walk: Walk[StraightSpace], ends: Tensor, starts: Tensor) -> StraightSpace:
    """The space at the middle of each step, in log sigma."""
    return walk.space.with_sigmas(ends.log().lerp(starts.log(), 0.5).exp())


@sampler(
    "dpmpp_2s_ancestral",
    STRAIGHT,
    CONTINUOUS_FINITE,
    order=2,
    options=NOISY,
    evaluations=(2, -1),
    elsewhere={"A1111 and Forge": ("DPM++ 2S a",)},
)
def dpmpp_2s_ancestral(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """Second order to below the next noise level, by the prediction in the middle; then noise up.

    The model is evaluated twice a step, once where that leads to no noise, as the last does.

    Source: k-diffusion, sample_dpmpp_2s_ancestral; for flow models ComfyUI's
    sample_dpmpp_2s_ancestral_RF (``comfy/k_diffusion/sampling.py``); after Lu et al. 2022,
    arXiv:2211.01095, algorithm 1.
    """
    halves = _halves(walk)
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        start = x.to(torch.float32)
        stepped = denoised = here.denoised(output, start).to(torch.float32)
        down, scale, up = here.ancestral(walk.options.eta)
        if down > 0:
            middle = NoiseLevel(halves, here.index)
            trial = walk.kept(_towards(start, denoised, middle.sigma / here.sigma))
            output = yield Evaluate(trial, middle)
            denoised = middle.denoised(output, trial.to(torch.float32)).to(torch.float32)
            stepped = scale * _towards(start, denoised, down / here.sigma)
        if after.sigma > 0:
            stepped = stepped + up * walk.noise(x)
        x = yield Done(stepped, denoised)


@sampler(
    "dpmpp_2s_ancestral_cfg_pp",
    STRAIGHT,
    CONTINUOUS_FINITE,
    comfyui_spaces=UNMIXED,
    order=2,
    options=NOISY,
    asks_unguided=True,
    evaluations=(2, -1),
)
def dpmpp_2s_ancestral_cfg_pp(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """The same by unguided predictions, and then on by what guidance changed at the step's start.

    Source: as the samplers of `cfg_pp`.

    By ComfyUI's convention guided predictions lead, both times from a start that is moved by what
    guidance changes: by the first guided prediction less the unguided one of the latest call. Flow
    models are walked as table models. Source: ComfyUI's sample_dpmpp_2s_ancestral_cfg_pp
    (``comfy/k_diffusion/sampling.py``).
    """
    halves = _halves(walk)
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        start = x.to(torch.float32)
        guided = denoised = here.denoised(output, start).to(torch.float32)
        away = walk.unguided_denoised(here, start, denoised)
        change, stepped = guided - away, guided if walk.is_comfyui else away
        down, scale, up = here.ancestral(walk.options.eta)
        if down > 0:
            middle = NoiseLevel(halves, here.index)
            begin = start + change if walk.is_comfyui else start
            trial = walk.kept(_towards(begin, stepped, middle.sigma / here.sigma))
            output = yield Evaluate(trial, middle)
            trial = trial.to(torch.float32)
            denoised = middle.denoised(output, trial).to(torch.float32)
            away = walk.unguided_denoised(middle, trial, denoised)
            begin = start + (guided - away) if walk.is_comfyui else start
            target = denoised if walk.is_comfyui else away
            stepped = scale * _towards(begin, target, down / here.sigma)
        if after.sigma > 0:
            stepped = stepped + up * walk.noise(x)
        if not walk.is_comfyui:
            stepped = stepped + after.alpha * change
        x = yield Done(stepped, denoised)


def _towards(start: Tensor, denoised: Tensor, kept: Tensor) -> Tensor:
    """On the straight way from a start to a prediction, with a part of the noise kept."""
    return kept * start + (1 - kept) * denoised


def _halves(walk: Walk[StraightSpace]) -> StraightSpace:
    """The space halfway in log-SNR of each step but the last, where there is nothing."""
    space, levels = walk.space, [walk.level(index) for index in range(walk.count)]
    ends = space.with_sigmas(
        torch.stack([level.ancestral(walk.options.eta)[0] for level in levels])
    )
    log_snrs = [(level.log_snr + ends.log_snr(level.index)) / 2 for level in levels]
    return space.with_sigmas(space.sigma_from_log_snr(torch.stack(log_snrs)))
