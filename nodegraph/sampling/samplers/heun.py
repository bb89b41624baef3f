"""Heun's method, Heun++, and restart sampling, which repeats Heun steps."""

from __future__ import annotations

from collections.abc import Generator

import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import CHURN, Done, Evaluate, Steps, Walk, sampler
from nodegraph.sampling.samplers.euler import Churn, churn_draws
from nodegraph.sampling.samplers.spaces import STRAIGHT, NoiseLevel, StraightSpace
from nodegraph.sampling.table_schedules import CONTINUOUS


@sampler(
    "heun",
    STRAIGHT,
    CONTINUOUS,
    draws=churn_draws,
    order=2,
    options=CHURN,
    evaluations=(2, -1),
    elsewhere={
        "A1111 and Forge": ("Heun",),
        "diffusers": (
            "FlowMatchHeunDiscreteScheduler",
            "HeunDiscreteScheduler",
        ),
    },
)
def heun(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """Second order: each step is walked again with the mean of the slopes at its two ends.

    The model is evaluated twice a step, once in the step to no noise.

    Source: Karras et al. 2022, arXiv:2206.00364, algorithm 1; with churn algorithm 2.
    """
    churn = Churn(walk)
    widened = walk.space.widened  # flows step in float32, tables in the latent's precision
    for here, after in walk.steps():
        x, begin = churn.raised(x, here)
        output = yield Evaluate(x, begin)
        x = widened(x)
        denoised = _clipped(begin, output, x)
        # Not the space's slope, which knows nothing of clipping.
        slope = (x - denoised) / begin.sigma
        sigma_change = after.sigma - begin.sigma
        if after.sigma > 0:
            trial = walk.kept(x + slope * sigma_change)
            output = yield Evaluate(trial, after)
            trial = widened(trial)
            denoised = _clipped(after, output, trial)
            slope = (slope + (trial - denoised) / after.sigma) / 2
        x = yield Done(x + slope * sigma_change, denoised)


def _clipped(level: NoiseLevel[StraightSpace], output: Tensor, x: Tensor) -> Tensor:
    # diffusers' Heun clips where the model's scheduler file says so.
    return level.space.clipped(level.denoised(output, x), by_default=False)


@sampler(
    "heunpp2",
    STRAIGHT,
    CONTINUOUS,
    draws=churn_draws,
    order=1,
    options=CHURN,
    elsewhere={"A1111 and Forge": ("HeunPP2",)},
    evaluations=(3, -3),
)
def heunpp2(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """Trial steps down two levels, then one step along the three slopes' mean.

    Of m slopes, a later one k has the weight sigma_k / (m · sigma_first), and the first the rest.
    The lower the noise, the more it is Euler's method, whose order it has. It evaluates the model
    three times a step, twice in the last but one, once in the last.

    Source: ComfyUI's sample_heunpp2 (``comfy/k_diffusion/sampling.py``), of Carzit's
    sd-webui-samplers-scheduler.
    """
    churn = Churn(walk)
    for here, after in walk.steps():
        x, begin = churn.raised(x, here)
        trial, at, slopes = x, begin, list[Tensor]()
        # never where the noise has ended
        further = range(here.index + 1, min(here.index + 3, walk.count))
        for following in (*map(walk.level, further), None):
            output = yield Evaluate(trial, at)
            trial = trial.to(torch.float32)
            denoised = at.denoised(output, trial)
            slopes.append(at.slope(output, trial, denoised).to(torch.float32))
            if following is not None:
                trial = walk.kept(trial + slopes[-1] * (following.sigma - at.sigma))
                at = following
        fall = after.sigma - begin.sigma
        x = yield Done(x.to(torch.float32) + _mean(walk, here.index, slopes) * fall, denoised)


def _mean(walk: Walk[StraightSpace], index: int, slopes: list[Tensor]) -> Tensor:
    sigmas = walk.noise_levels.sigmas
    whole = len(slopes) * sigmas[index - walk.noise_levels.walked(index)]
    shares = [sigmas[index + further] / whole for further in range(1, len(slopes))]
    first = 1 - torch.stack(shares).sum() if shares else torch.ones(())
    mean = first * slopes[0]
    for share, slope in zip(shares, slopes[1:], strict=True):
        mean = mean + share * slope
    return mean


def _span(walk: Walk[StraightSpace]) -> tuple[int, int]:
    """The levels that `restart` walks between again: none if they are the same."""
    options, levels = walk.options, walk.noise_levels
    begin = levels.first - levels.walked(levels.first)
    noises = [float(torch.exp(-walk.level(index).log_snr)) for index in range(walk.count)]
    within = [
        index
        for index in range(begin, walk.count)
        if options.s_tmin <= noises[index] <= options.s_tmax
    ]
    return (within[0], within[-1]) if within else (begin, begin)


def _restart_draws(walk: Walk[StraightSpace], index: int) -> int:
    top, bottom = _span(walk)
    return walk.options.repeats if index + 1 == bottom and top < bottom else 0


@sampler(
    "restart",
    STRAIGHT,
    CONTINUOUS,
    draws=_restart_draws,
    order=2,
    options={"repeats": 1, "s_tmin": 0.1, "s_tmax": 2.0, "s_noise": 1.0},
    evaluations=(3, -1),
)
def restart(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """Heun's method; at the least of some noise levels back to the greatest, and down again.

    What is walked again, `repeats` times between s_tmax and s_tmin, belongs to the step that
    arrives there: steps are as many as in the schedule, and that one asks the model more often.

    Source: Xu et al. 2023, arXiv:2306.14878, algorithm 1, over the schedule's own levels.
    """
    top, bottom = _span(walk)
    for here, after in walk.steps():
        x, denoised = yield from _heun_step(walk, x, here, after)
        if after.index == bottom and top < bottom:
            for _ in range(walk.options.repeats):
                x = _raised(walk, x, after, walk.level(top))
                for index in range(top, bottom):
                    ends = walk.level(index), walk.level(index + 1)
                    x, denoised = yield from _heun_step(walk, x, *ends)
        x = yield Done(x, denoised)


def _heun_step(
    walk: Walk[StraightSpace],
    x: Tensor,
    here: NoiseLevel[StraightSpace],
    after: NoiseLevel[StraightSpace],
) -> Generator[Evaluate | Done, Tensor, tuple[Tensor, Tensor]]:
    """x after a step, and the prediction that led it last."""
    output = yield Evaluate(x, here)
    x = x.to(torch.float32)
    denoised = here.denoised(output, x)
    slope = here.slope(output, x, denoised).to(torch.float32)
    fall = after.sigma - here.sigma
    if after.sigma > 0:
        trial = walk.kept(x + slope * fall)
        output = yield Evaluate(trial, after)
        trial = trial.to(torch.float32)
        denoised = after.denoised(output, trial)
        slope = (slope + after.slope(output, trial, denoised).to(torch.float32)) / 2
    return walk.kept(x + slope * fall), denoised


def _raised(
    walk: Walk[StraightSpace],
    x: Tensor,
    low: NoiseLevel[StraightSpace],
    high: NoiseLevel[StraightSpace],
) -> Tensor:
    """x of a level with the noise of a higher one."""
    scale = high.alpha / low.alpha
    up = (high.deviation**2 - (scale * low.deviation) ** 2).clamp(min=0) ** 0.5
    return walk.kept(scale * x.to(torch.float32) + up * walk.noise(x))
