"""Linear multistep methods over slopes: LMS, iPNDM and DEIS."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Done, Evaluate, Steps, Walk, sampler
from nodegraph.sampling.samplers.spaces import STRAIGHT, NoiseLevel, StraightSpace
from nodegraph.sampling.table_schedules import CONTINUOUS, MULTISTEP

ADAMS_BASHFORTH = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""Weights of the latest slope, the one before and so on, for steps of equal length."""

_NODES, _SHARES = np.polynomial.legendre.leggauss(16)
"""Gauss and Legendre's rule: exact for polynomials, and to 1e-12 for those of a logarithm."""

Weights = Callable[
    [Walk[StraightSpace], NoiseLevel[StraightSpace], NoiseLevel[StraightSpace], int],
    Sequence[float],
]
"""Of the latest slope, the one before and so on, in a step between two levels: as many as the order
says."""


def _ends_on_prediction(walk: Walk[StraightSpace], after: NoiseLevel[StraightSpace]) -> bool:
    """Whether a step is ComfyUI's last, which takes what the model predicts."""
    return walk.is_comfyui and not after.sigma > 0


def _full_order(
    walk: Walk[StraightSpace], here: NoiseLevel[StraightSpace], after: NoiseLevel[StraightSpace]
) -> int:
    """Order of a step, if there are slopes enough."""
    return 1 if _ends_on_prediction(walk, after) else walk.options.order


def _multistep(
    walk: Walk[StraightSpace],
    x: Tensor,
    weights: Weights,
    order: Callable[
        [Walk[StraightSpace], NoiseLevel[StraightSpace], NoiseLevel[StraightSpace]], int
    ] = _full_order,
) -> Steps:
    """A weighted sum of the last slopes; ``slope.1`` is the latest that it remembers.

    The option order says how many slopes a step looks at, once there are as many.
    """
    for here, after in walk.steps():
        output = yield Evaluate(x, here)
        x = x.to(torch.float32)
        denoised = here.denoised(output, x)
        slope = here.slope(output, x, denoised).to(torch.float32)
        known = [slope, *(walk.memory[name] for name in sorted(walk.memory))]
        count = min(order(walk, here, after), len(known))
        for weight, item in zip(weights(walk, here, after, count), known, strict=False):
            x = x + weight * item
        kept = known[: walk.options.order - 1]
        walk.memory = {f"slope.{back}": item for back, item in enumerate(kept, start=1)}
        x = yield Done(x, denoised)


def _sigmas(walk: Walk[StraightSpace], here: NoiseLevel[StraightSpace], order: int) -> list[float]:
    """Noise levels of the latest slope, the one before and so on."""
    return [float(walk.level(here.index - back).sigma) for back in range(order)]


def _exact(
    walk: Walk[StraightSpace],
    here: NoiseLevel[StraightSpace],
    after: NoiseLevel[StraightSpace],
    order: int,
) -> Sequence[float]:
    """Integrates the polynomial over sigma through the slopes."""
    return _integrals(_sigmas(walk, here, order), float(after.sigma), lambda sigma: sigma)


def _of_equal_steps(
    walk: Walk[StraightSpace],
    here: NoiseLevel[StraightSpace],
    after: NoiseLevel[StraightSpace],
    order: int,
) -> Sequence[float]:
    fall = float(after.sigma - here.sigma)
    return [fall * weight for weight in ADAMS_BASHFORTH[order - 1]]


def _ipndm_v_weights(
    walk: Walk[StraightSpace],
    here: NoiseLevel[StraightSpace],
    after: NoiseLevel[StraightSpace],
    order: int,
) -> Sequence[float]:
    if not walk.is_comfyui:
        return _exact(walk, here, after, order)
    levels = [float(after.sigma), *_sigmas(walk, here, order)]
    steps = [level - before for level, before in itertools.pairwise(levels)]
    return [steps[0] * float(weight) for weight in _comfyui_weights(steps)]


@sampler(
    "lms",
    STRAIGHT,
    CONTINUOUS,
    order=4,
    options={"order": 4},
    elsewhere={"A1111 and Forge": ("LMS",), "diffusers": ("LMSDiscreteScheduler",)},
)
def lms(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """Fourth order: integrates the polynomial over sigma through the last slopes.

    Source: Adams and Bashforth's method for steps of any length, as k-diffusion's sample_lms.
    """
    return _multistep(walk, x, _exact)


@sampler(
    "ipndm",
    STRAIGHT,
    CONTINUOUS,
    order=4,
    options={"order": 4},
    elsewhere={"diffusers": ("IPNDMScheduler",)},
)
def ipndm(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """Fourth order where steps are equally long: Adams and Bashforth's weights for such steps.

    Source: Zhang & Chen 2022, arXiv:2204.13902 (iPNDM); over noise levels as ComfyUI's
    sample_ipndm (``comfy/k_diffusion/sampling.py``).
    """
    return _multistep(walk, x, _of_equal_steps)


@sampler("ipndm_v", STRAIGHT, CONTINUOUS, order=4, options={"order": 4})
def ipndm_v(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """`lms`; by ComfyUI's convention with the weights of its sampler ``ipndm_v``.

    Those of third and fourth order integrate the polynomial where steps are equally long alone.
    Source: ComfyUI's sample_ipndm_v (``comfy/k_diffusion/sampling.py``), after Zhang & Chen 2022,
    arXiv:2204.13902 (iPNDM of steps of any length).
    """
    return _multistep(walk, x, _ipndm_v_weights)


def _comfyui_weights(steps: Sequence[float]) -> Sequence[float]:
    """ComfyUI's weights of the latest slope, the one before and so on, as many as there are steps.

    Each order adds a multiple of the next difference of slopes, as Newton's form does.

    Args:
        steps: Lengths of the coming step, the one before and so on; one to four.
    """
    if len(steps) == 1:
        return [1.0]
    now, last, *earlier = steps
    weights = np.zeros(len(steps))
    weights[:2] = 1 + now / last / 2, -now / last / 2
    if not earlier:
        return list(weights)
    before, *first = earlier
    ratio = last / before
    # Newton's form has 1 - now / (3 (now + last)), halved and times all of
    # now (now + last) / (last (last + before)).
    bend = (1 - now**2 / (3 * last * (last + before))) / 2
    weights[:3] += bend * np.array([1, -1 - ratio, ratio])
    if not first:
        return list(weights)
    part, whole = now / (now + last), now + last + before
    turn = (1 - part / 3) / 2 + (1 - part / 2) * now / (6 * whole)
    turn *= now * (now + last) * whole / (last * (last + before) * (last + before + first[0]))
    spread = ratio * (last + before) / (before + first[0])
    # Newton's form has before / first in place of the last ratio.
    difference = [1, -1 - ratio - spread, ratio + spread * (1 + before / first[0]), -spread * ratio]
    return list(weights + turn * np.array(difference))


def _deis_order(
    walk: Walk[StraightSpace], here: NoiseLevel[StraightSpace], after: NoiseLevel[StraightSpace]
) -> int:
    most, left = min(3, walk.options.order), walk.count - here.index
    if walk.is_comfyui:
        return 1 if _ends_on_prediction(walk, after) else most
    return min(most, left) if left == 1 or walk.count < 15 else most


def _deis_weights(
    walk: Walk[StraightSpace],
    here: NoiseLevel[StraightSpace],
    after: NoiseLevel[StraightSpace],
    order: int,
) -> Sequence[float]:
    if order == 1:
        return [float(after.sigma - here.sigma)]
    scale = _time if walk.is_comfyui else math.log
    return _integrals(_sigmas(walk, here, order), float(after.sigma), scale)


@sampler(
    "deis",
    STRAIGHT,
    replace(MULTISTEP, flow="trained"),
    order=3,
    options={"order": 3},
    highest_order=3,
    elsewhere={"diffusers": ("DEISMultistepScheduler",)},
)
def deis(walk: Walk[StraightSpace], x: Tensor) -> Steps:
    """Third order: integrates the polynomial over log sigma through the last slopes.

    First order in the first and the last step and, of fewer than 15 steps, second order in the
    last but one. By ComfyUI's convention over time, and of lower order in the last step alone.

    Source: Zhang & Chen 2022, arXiv:2204.13902 (tAB-DEIS, over log rho; over t as ComfyUI's
    sample_deis, ``comfy/k_diffusion/deis.py``).
    """
    return _multistep(walk, x, _deis_weights, _deis_order)


_FIRST_TIME, _LOW, _HIGH = 1e-3, 0.002, 80.0
"""The time of the least level, and the levels between which time goes up to 1."""
_LOG_LOW, _LOG_HIGH = math.log(_LOW**2 + 1), math.log(_HIGH**2 + 1)
_RISE = 2 * (_LOG_LOW / _FIRST_TIME - _LOG_HIGH) / (_FIRST_TIME - 1)
_RATE = _LOG_HIGH - 0.5 * _RISE


def _time(sigma: float) -> float:
    """The time at which a process that keeps variance has a noise level.

    Source: Song et al. 2021, arXiv:2011.13456, with Karras et al. 2022, arXiv:2206.00364, table 1.
    """
    return (math.sqrt(_RATE**2 + 2 * _RISE * math.log(sigma**2 + 1)) - _RATE) / _RISE


def _integrals(levels: Sequence[float], end: float, scale: Callable[[float], float]) -> list[float]:
    """Integral over sigma, from the first level to `end`, of each of Lagrange's polynomials.

    Args:
        levels: Where the polynomials are 1, one each, and 0 elsewhere.
        scale: Of sigma, what they are polynomials of: at most cubic.
    """
    points = [scale(level) for level in levels]
    middle, half = (levels[0] + end) / 2, (end - levels[0]) / 2

    def polynomial(index: int, sigma: float) -> float:
        at = scale(sigma)
        factors = (
            (at - point) / (points[index] - point)
            for other, point in enumerate(points)
            if other != index
        )
        return math.prod(factors)

    return [
        half
        * sum(
            float(share) * polynomial(index, middle + half * float(node))
            for node, share in zip(_NODES, _SHARES, strict=True)
        )
        for index in range(len(levels))
    ]
