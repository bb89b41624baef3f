"""CFG++ samplers: the noise that is added back is predicted without guidance.

So the guided prediction isn't left for the next noise level by a noise that was guided, too, and
the scale is one between two predictions: 0 to 1, where others want 5 or more.

Source: Chung et al. 2024, arXiv:2406.08070, algorithm 1, and for methods of several steps
equations 14 and 15. By ComfyUI's convention those walk flow models as table models, as its
samplers of these names do (``comfy/k_diffusion/sampling.py``).
"""

from __future__ import annotations

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import NOISY, Done, Evaluate, Steps, Walk, sampler
from nodegraph.sampling.samplers.spaces import STRAIGHT, UNMIXED, NoiseLevel, StraightSpace
from nodegraph.sampling.table_schedules import CONTINUOUS


@sampler(
    "euler_cfg_pp",
    STRAIGHT,
    CONTINUOUS,
    order=1,
    asks_unguided=True,
    elsewhere={"A1111 and Forge": ("DDIM CFG++",)},
)
def euler_cfg_pp(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """The guided prediction with the unguided noise of the next level: `euler` where both agree."""
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        denoised, _, noise = _guided(walk, here, output, x)
        stepped = after.alpha * denoised + after.deviation * noise if after.sigma > 0 else denoised
        x = yield Done(stepped, denoised)


@sampler("euler_ancestral_cfg_pp", STRAIGHT, CONTINUOUS, order=1, options=NOISY, asks_unguided=True)
def euler_ancestral_cfg_pp(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """The same with part of the noise drawn anew."""
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        denoised, _, noise = _guided(walk, here, output, x)
        stepped = denoised
        if after.sigma > 0:
            drawn = walk.options.eta * (1 - _ratio(here, after) ** 2).clamp(min=0) ** 0.5
            kept = (1 - drawn**2).clamp(min=0) ** 0.5
            noise = kept * noise + drawn * walk.noise(x).to(torch.float32)
            stepped = after.alpha * denoised + after.deviation * noise
        x = yield Done(stepped, denoised)


@sampler(
    "dpmpp_2m_cfg_pp", STRAIGHT, CONTINUOUS, comfyui_spaces=UNMIXED, order=2, asks_unguided=True
)
def dpmpp_2m_cfg_pp(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """With the change since the unguided prediction before: `dpmpp_2m` where both agree."""
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        denoised, away, noise = _guided(walk, here, output, x)
        stepped = denoised
        if after.sigma > 0:
            stepped = after.alpha * denoised + after.deviation * noise
            if "away" in walk.memory:
                before = walk.level(here.index - 1)
                step, last_step = after.log_snr - here.log_snr, here.log_snr - before.log_snr
                change = (step / last_step) * (denoised - walk.memory["away"])
                stepped = stepped + 0.5 * after.alpha * (1 - _ratio(here, after)) * change
            walk.memory["away"] = away
        x = yield Done(stepped, denoised)


@sampler(
    "gradient_estimation_cfg_pp",
    STRAIGHT,
    CONTINUOUS,
    comfyui_spaces=UNMIXED,
    order=1,
    options={"gamma": 2.0},
    asks_unguided=True,
)
def gradient_estimation_cfg_pp(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """With the change of the unguided slope: `gradient_estimation` where both agree."""
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        denoised, away, noise = _guided(walk, here, output, x)
        stepped = denoised
        if after.sigma > 0:
            stepped = after.alpha * denoised + after.deviation * noise
            slope = (x.to(torch.float32) - away) / here.sigma
            if "slope" in walk.memory:
                further = (walk.options.gamma - 1) * (slope - walk.memory["slope"])
                stepped = stepped + (after.sigma - here.sigma) * further
            walk.memory["slope"] = slope
        x = yield Done(stepped, denoised)


def _guided(
    walk: Walk[StraightSpace], here: NoiseLevel[StraightSpace], output: Tensor, x: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The guided prediction, the unguided one, and the noise of unit variance that this leaves."""
    x = x.to(torch.float32)
    denoised = here.denoised(output, x).to(torch.float32)
    away = walk.unguided_denoised(here, x, denoised)
    return denoised, away, (x - here.alpha * away) / here.deviation


def _ratio(here: NoiseLevel[StraightSpace], after: NoiseLevel[StraightSpace]) -> Tensor:
    """What becomes of the noise over the latent in a step: less than 1."""
    return torch.exp(here.log_snr - after.log_snr)
