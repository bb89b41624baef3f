"""Euler's method: plain, with churn, ancestral, with gradient estimation, and with CFG++.

In CFG++ the noise that is added back is predicted without guidance. So the guided prediction is not
left for the next noise level by a noise that was guided, too, and the scale is one between two
predictions: 0 to 1, where others want 5 or more. DPM-Solver++ (2M) has it here, too.

Source: Chung et al. 2024, arXiv:2406.08070, algorithm 1, and for methods of several steps
equations 14 and 15. By ComfyUI's convention those walk flow models as table models, as its
samplers of these names do (``comfy/k_diffusion/sampling.py``).
"""

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
from nodegraph.sampling.samplers.spaces import STRAIGHT, UNMIXED, NoiseLevel, StraightSpace
from nodegraph.sampling.table_schedules import CONTINUOUS

MOST = 2**0.5 - 1
"""Greatest part of its sigma that noise is raised by before a step."""


def _part(walk: Walk[StraightSpace], index: int) -> float:
    """Part of sigma that the noise is raised by before the step from a level."""
    options = walk.options
    if options.s_churn == 0:
        return 0.0
    noise = float(torch.exp(-walk.level(index).log_snr))
    if not options.s_tmin <= noise <= options.s_tmax:
        return 0.0
    begin, end = walk.whole_range
    return min(options.s_churn / (end - begin), MOST)


def churn_draws(walk: Walk[StraightSpace], index: int) -> int:
    """How often the step from a level draws noise; see `Method.draws`."""
    # Without churn none is drawn, and the number has no meaning.
    return int(_part(walk, index) > 0) if walk.options.s_churn > 0 else 1


class Churn:
    """Begins steps above their noise level, raised there by fresh noise.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 2.

    Attributes:
        sigmas: The noise levels that the steps begin at; float32, shape (levels,).
    """

    def __init__(self, walk: Walk[StraightSpace]) -> None:
        self._walk = walk
        space = walk.space
        self.sigmas = torch.stack(
            [space.churn_step(index, _part(walk, index))[0] for index in range(walk.count)]
        )
        self._space = space.with_sigmas(self.sigmas) if walk.options.s_churn > 0 else space

    def raised(
        self, x: Tensor, here: NoiseLevel[StraightSpace]
    ) -> tuple[Tensor, NoiseLevel[StraightSpace]]:
        """x where its step begins, and the level there."""
        part = _part(self._walk, here.index)
        if part == 0:
            return x, here
        _, scale, up = here.space.churn_step(here.index, part)
        x = scale * x.to(torch.float32) + self._walk.noise(x) * up
        return self._walk.kept(x), NoiseLevel(self._space, here.index)


@sampler(
    "euler",
    STRAIGHT,
    CONTINUOUS,
    draws=churn_draws,
    order=1,
    options=CHURN,
    elsewhere={
        "diffusers": (
            "EDMEulerScheduler",
            "EulerDiscreteScheduler",
            "FlowMatchEulerDiscreteScheduler",
        )
    },
    also_comfyui=("ddim",),
    may_rise=True,
)
def euler(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """First order: follow the slope at each noise level down to the next.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 2 without its correction.
    """
    churn = Churn(walk)
    for here, after in walk.steps():
        x, begin = churn.raised(x, here)
        output = yield Evaluate(x, begin)
        x = x.to(torch.float32)
        denoised = begin.denoised(output, x)
        slope = begin.slope(output, x, denoised)
        # the scalar first: the other way round, half precision rounds another way
        x = yield Done(x + (after.sigma - begin.sigma) * slope, denoised)


@sampler(
    "euler_ancestral",
    STRAIGHT,
    CONTINUOUS,
    order=1,
    options=NOISY,
    elsewhere={
        "A1111 and Forge": ("Euler a",),
        "InvokeAI": ("euler_a",),
        "diffusers": (
            "EulerAncestralDiscreteScheduler",
            "LTXEulerAncestralRFScheduler",
        ),
    },
    also_comfyui=("ddpm",),
)
def euler_ancestral(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """Euler's method to below the next noise level, then noise up to it.

    Source: k-diffusion, sample_euler_ancestral.
    """
    for here, _ in walk.steps():
        output = yield Evaluate(x, here)
        wide = x.to(torch.float32)
        denoised = here.denoised(output, wide)
        slope = here.slope(output, wide, denoised)
        down, scale, up = here.ancestral(walk.options.eta)
        # noise in the model's precision, added in float32
        stepped = scale * (wide + slope * (down - here.sigma)) + walk.noise(x) * up
        x = yield Done(stepped, denoised)


@sampler("gradient_estimation", STRAIGHT, CONTINUOUS, order=1, options={"gamma": 2.0})
def gradient_estimation(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """Euler's method along gamma · slope + (1 - gamma) · the slope before.

    The first step and the last are Euler's own.

    Source: Permenter & Yuan 2023, arXiv:2306.04848; gamma 2 as there.
    """
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        x = x.to(torch.float32)
        denoised = here.denoised(output, x)
        slope = followed = here.slope(output, x, denoised).to(torch.float32)
        if "slope" in walk.memory and after.sigma > 0:
            followed = slope + (walk.options.gamma - 1) * (slope - walk.memory["slope"])
        walk.memory["slope"] = slope
        x = yield Done(x + (after.sigma - here.sigma) * followed, denoised)


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
