"""More samplers by ComfyUI's convention: those that follow a Brownian motion, and multistep ones.

As test_comfyui_numbers, whose levels and models these are.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from nodegraph.diffusion.brownian import BrownianTree
from tests.diffusion.stand_in import run
from tests.diffusion.test_comfyui_numbers import TABLE, begun, table_denoiser

Denoiser = Callable[[Tensor, Tensor], Tensor]
Moved = Callable[[Tensor, Tensor], Tensor]
Method = Callable[[Denoiser, Tensor, Tensor, Moved], Tensor]
SEED = 2**63 + 5


def dpmpp_sde(denoise: Denoiser, x: Tensor, sigmas: Tensor, moved: Moved) -> Tensor:
    """Of k-diffusion, with r = 1/2."""
    for here, to in itertools.pairwise(sigmas):
        found = denoise(x, here)
        if to == 0:
            return found
        middle = (here * to).sqrt()
        down, up = _ancestral(here, middle)
        trial = down / here * x + (1 - down / here) * found + moved(here, middle) * up
        found = denoise(trial, middle)
        down, up = _ancestral(here, to)
        x = down / here * x + (1 - down / here) * found + moved(here, to) * up
    return x


def _ancestral(here: Tensor, to: Tensor) -> tuple[Tensor, Tensor]:
    up = to * (1 - to**2 / here**2).sqrt()
    return (to**2 - up**2).sqrt(), up


def multistep(order: int, *, heun: bool = False) -> Method:
    """dpmpp_2m_sde, dpmpp_2m_sde_heun and dpmpp_3m_sde, at eta 1."""

    def walk(denoise: Denoiser, x: Tensor, sigmas: Tensor, moved: Moved) -> Tensor:
        known: list[Tensor] = []
        ways: list[Tensor] = []
        for here, to in itertools.pairwise(sigmas):
            found = denoise(x, here)
            if to == 0:
                return found
            way = (here / to).log()
            gone = -torch.expm1(-2 * way)
            x = (to / here) * (-way).exp() * x + gone * found
            linear = 1 - gone / (2 * way)
            if order == 3 and len(known) > 1:
                near, far = ways[-1] / way, ways[-2] / way
                first, second = (found - known[-1]) / near, (known[-1] - known[-2]) / far
                bend = (first - second) / (near + far)
                slope = first + bend * near
                x = x + linear * slope - (linear / (2 * way) - 0.5) * bend
            elif known:
                slope = (found - known[-1]) / (ways[-1] / way)
                x = x + (linear if heun or order == 3 else 0.5 * gone) * slope
            x = x + moved(here, to) * to * gone.sqrt()
            known.append(found)
            ways.append(way)
        return x

    return walk


@pytest.mark.parametrize(
    ("sampler", "method", "bound"),
    [
        # its middle is a time of its own, which the motion knows to a millionth
        ("dpmpp_sde", dpmpp_sde, 1e-3),
        ("dpmpp_2m_sde", multistep(2), 1e-5),
        ("dpmpp_2m_sde_heun", multistep(2, heun=True), 1e-5),
        ("dpmpp_3m_sde", multistep(3), 1e-5),
    ],
)
def test_steps_follow_a_brownian_motion(sampler: str, method: Method, bound: float) -> None:
    made, x, sigmas = begun("simple", sampler, TABLE)
    made.follow_motion(SEED, x.shape)
    motion = BrownianTree(SEED, float(sigmas[-2]), float(sigmas[0]), x.shape)

    def moved(here: Tensor, to: Tensor) -> Tensor:
        return motion.unit(float(here), float(to))

    expected = method(table_denoiser, x, sigmas, moved)
    assert difference(run(made), expected) < bound


def difference(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())
