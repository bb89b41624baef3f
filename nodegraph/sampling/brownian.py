"""Brownian noise: what is drawn on the way depends on the noise levels, not on the steps.

The motion's way between two times is known once its seed is: halves of an interval are drawn from
seeds of their own, given the whole, down to a millionth. More steps, or other ones, so see the same
motion. Numbers are those of torchsde's BrownianTree, which k-diffusion and ComfyUI take; it is no
requirement here, as it brings SciPy and isn't kept up any more.

Source: Lévy's construction, with seeds for its nodes as of Salmon et al. 2011 and Claessen & Pałka
2013; the virtual Brownian tree is Li et al. 2020, arXiv:2001.01328, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_DIGITS = 6
"""Of times: what is nearer is one time."""
_POOL = 24
"""Words of entropy that seeds are made of."""


@dataclass(frozen=True, slots=True)
class _Interval:
    """A part of the motion's time, which is halved.

    Attributes:
        number: Of the part among those of its depth, from the first one, 0.
    """

    start: float
    end: float
    number: int = 0
    depth: int = 0


class BrownianTree:
    """A Brownian motion of the noise level, as far as a sampling walks.

    Args:
        seed: 0 to 2**64 - 1.
        low, high: Times between which it is known, low < high.
        shape: Of what moves.
    """

    def __init__(self, seed: int, low: float, high: float, shape: Sequence[int]) -> None:
        self._seed, self._shape = seed, tuple(shape)
        self._whole = _Interval(_rounded(low), _rounded(high))
        # The seed's own, and not that of an interval.
        entropy = np.random.SeedSequence(seed, pool_size=_POOL)
        self._increment = self._drawn(entropy) * math.sqrt(high - low)

    def unit(self, from_time: float, to_time: float) -> Tensor:
        """The way between two times, in the direction of time, brought to unit variance.

        Args:
            from_time, to_time: In any order; what lies beyond the ends is not known, and left out.
        Returns:
            float32 on the CPU; zeros where no time passes.
        """
        start, end = sorted((self._within(from_time), self._within(to_time)))
        if start == end:
            return torch.zeros(self._shape)
        increment, *remaining = self._parts(self._whole, self._increment, start, end)
        for part in remaining:
            increment = increment + part
        sign = 1 if from_time < to_time else -1
        # As wide as was asked for, in float32, as the level's differences are.
        length = torch.tensor(to_time, dtype=torch.float32) - torch.tensor(
            from_time, dtype=torch.float32
        )
        return increment * sign / length.abs().sqrt()

    def _within(self, time: float) -> float:
        return min(max(_rounded(time), self._whole.start), self._whole.end)

    def _parts(
        self, part: _Interval, increment: Tensor, start: float, end: float
    ) -> Iterator[Tensor]:
        """Increments over the intervals that make up one, in their order."""
        if start == part.start and end == part.end:
            yield increment
            return
        middle = _rounded(0.5 * (part.end + part.start))
        first = self._first_half(part, middle, increment)
        number, depth = 2 * part.number, part.depth + 1
        if start < middle:
            half = _Interval(part.start, middle, number, depth)
            yield from self._parts(half, first, start, min(end, middle))
        if end > middle:
            half = _Interval(middle, part.end, number + 1, depth)
            yield from self._parts(half, increment - first, max(start, middle), end)

    def _first_half(self, part: _Interval, middle: float, increment: Tensor) -> Tensor:
        """The increment over an interval's first half, given that over all of it."""
        before, after = middle - part.start, part.end - middle
        share = 1 / (part.end - part.start)
        key = (part.number, part.depth)
        drawn = self._drawn(np.random.SeedSequence(self._seed, spawn_key=key, pool_size=_POOL))
        return before * increment * share + math.sqrt(before * after * share) * drawn

    def _drawn(self, entropy: np.random.SeedSequence) -> Tensor:
        generator = torch.Generator("cpu").manual_seed(int(entropy.generate_state(1)[0]))
        return torch.randn(self._shape, generator=generator)


def _rounded(time: float) -> float:
    return round(time, _DIGITS)
