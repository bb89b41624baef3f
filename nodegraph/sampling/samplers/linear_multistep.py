"""Linear multistep methods over slopes: LMS, iPNDM and DEIS."""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from nodegraph.sampling.samplers.base import Sampler, Spaces
from nodegraph.sampling.samplers.spaces import ExplodingSpace, FlowSpace, StraightSpace
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


class SlopeMultistep(Sampler):
    """One evaluation a step; `history` holds earlier slopes, ``slope.1`` the latest of them.

    The option order says how many slopes a step looks at, once there are as many.
    """

    spaces: ClassVar[Spaces] = {"discrete": ExplodingSpace, "flow": FlowSpace}
    grid = CONTINUOUS
    space: StraightSpace

    def feed(self, output: Tensor) -> None:
        x = self.x.to(torch.float32)
        self.denoised = self.space.to_denoised(output, x, self.step_index)
        slope = self.space.slope(output, x, self.denoised, self.step_index).to(torch.float32)
        known = [slope, *(self.history[name] for name in sorted(self.history))]
        weights = self._weights(min(self._order(), len(known)))
        for weight, item in zip(weights, known, strict=False):
            x = x + weight * item
        kept = known[: self.options.order - 1]
        self.history = {f"slope.{index}": item for index, item in enumerate(kept, start=1)}
        self.denoised = self.denoised.to(output.dtype)
        self.x = x.to(output.dtype)
        self.step_index += 1

    def _order(self) -> int:
        """Order of the coming step, if there are slopes enough."""
        return 1 if self._ends_on_prediction else self.options.order

    @property
    def _ends_on_prediction(self) -> bool:
        """Whether the coming step is ComfyUI's last, which takes what the model predicts."""
        return self._is_comfyui and not self.next_sigma > 0

    @abstractmethod
    def _weights(self, order: int) -> Sequence[float]:
        """Of the latest slope, the one before and so on: `order` many."""

    def _levels(self, order: int) -> list[float]:
        """Noise levels of the latest slope, the one before and so on."""
        return [float(self.noise_levels.sigmas[self.step_index - back]) for back in range(order)]


class LMS(SlopeMultistep):
    """Fourth order: integrates the polynomial over sigma through the last slopes.

    Source: Adams and Bashforth's method for steps of any length, as k-diffusion's sample_lms.
    """

    def _weights(self, order: int) -> Sequence[float]:
        return _integrals(self._levels(order), float(self.next_sigma), lambda sigma: sigma)


class IPNDM(SlopeMultistep):
    """Fourth order where steps are equally long: Adams and Bashforth's weights for such steps.

    Source: Zhang & Chen 2022, arXiv:2204.13902 (iPNDM); over noise levels as ComfyUI's
    sample_ipndm (``comfy/k_diffusion/sampling.py``).
    """

    def _weights(self, order: int) -> Sequence[float]:
        fall = float(self.next_sigma - self.sigma)
        return [fall * weight for weight in ADAMS_BASHFORTH[order - 1]]


class IPNDMV(LMS):
    """`LMS`; by ComfyUI's convention with the weights of its sampler ``ipndm_v``.

    Those of third and fourth order integrate the polynomial where steps are equally long alone.
    Source: ComfyUI's sample_ipndm_v (``comfy/k_diffusion/sampling.py``), after Zhang & Chen 2022,
    arXiv:2204.13902 (iPNDM of steps of any length).
    """

    def _weights(self, order: int) -> Sequence[float]:
        if not self._is_comfyui:
            return super()._weights(order)
        levels = [float(self.next_sigma), *self._levels(order)]
        steps = [level - before for level, before in itertools.pairwise(levels)]
        return [steps[0] * float(weight) for weight in _comfyui_weights(steps)]


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


class DEIS(SlopeMultistep):
    """Third order: integrates the polynomial over log sigma through the last slopes.

    First order in the first and the last step and, of fewer than 15 steps, second order in the
    last but one. By ComfyUI's convention over time, and of lower order in the last step alone.

    Source: Zhang & Chen 2022, arXiv:2204.13902 (tAB-DEIS, over log rho; over t as ComfyUI's
    sample_deis, ``comfy/k_diffusion/deis.py``).
    """

    grid = replace(MULTISTEP, flow="trained")

    def _order(self) -> int:
        left = self.noise_levels.level_count - self.step_index
        if self._is_comfyui:
            return 1 if self._ends_on_prediction else min(3, self.options.order)
        if left == 1:
            return 1
        return min(2 if left == 2 and self.noise_levels.level_count < 15 else 3, self.options.order)

    def _weights(self, order: int) -> Sequence[float]:
        if order == 1:
            return [float(self.next_sigma - self.sigma)]
        scale = _time if self._is_comfyui else math.log
        return _integrals(self._levels(order), float(self.next_sigma), scale)


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
