"""A Brownian motion is known by its seed, wherever it is asked."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.sampling.latent_noise import BrownianTree, draw_sampling_noise
from nodegraph.sampling.sampling_parts import SamplingNoise

SEED, LOW, HIGH = 2**64 - 1, 0.03, 14.5
TIMES = (14.5, 3.25, 0.7, 0.03)
RECORDED = [
    [-0.9429941773414612, 0.20821580290794373, -1.376526117324829],
    [0.359221488237381, -0.9512345790863037, -0.5344790816307068],
    [-1.2841917276382446, -1.9773865938186646, 0.4628140926361084],
]
"""By BrownianTree of torchsde 0.2.6, as k-diffusion asks it."""


def ways(tree: BrownianTree, times: tuple[float, ...] = TIMES) -> list[Tensor]:
    return [tree.unit(one, other) for one, other in itertools.pairwise(times)]


def test_its_numbers_are_those_of_torchsde() -> None:
    found = ways(BrownianTree(SEED, LOW, HIGH, (3,)))
    torch.testing.assert_close(torch.stack(found), torch.tensor(RECORDED), rtol=1e-6, atol=1e-6)


@pytest.mark.filterwarnings("ignore:Should have t:UserWarning")
def test_it_is_torchsdes_to_the_last_bit_where_that_is_installed() -> None:
    torchsde = pytest.importorskip("torchsde")
    rng = np.random.default_rng(0)
    for seed in map(int, rng.integers(0, 2**63, 8)):
        inner = np.sort(rng.uniform(LOW, HIGH, 5).astype(np.float32))[::-1].tolist()
        tree = BrownianTree(seed, LOW, HIGH, (2, 4, 8, 8))
        low, high = torch.tensor(LOW), torch.tensor(HIGH)
        other = torchsde.BrownianTree(low, torch.zeros(2, 4, 8, 8), high, entropy=seed)
        for start, end in itertools.pairwise([torch.tensor(level) for level in inner]):
            expected = -other(end, start) / (end - start).abs().sqrt()
            assert torch.equal(tree.unit(float(start), float(end)), expected)


def test_two_ways_one_after_the_other_are_one() -> None:
    tree = BrownianTree(SEED, LOW, HIGH, (500,))
    first, second = ways(tree, (9.0, 4.0, 1.0))
    whole = tree.unit(9.0, 1.0) * 8**0.5
    torch.testing.assert_close(first * 5**0.5 + second * 3**0.5, whole, rtol=1e-4, atol=1e-4)
    assert torch.equal(tree.unit(1.0, 9.0), -tree.unit(9.0, 1.0))


def test_each_way_is_normal_and_no_two_are_alike() -> None:
    one, two, three = ways(BrownianTree(SEED, LOW, HIGH, (40_000,)))
    for way in (one, two, three):
        assert abs(float(way.mean())) < 0.02
        assert float(way.std()) == pytest.approx(1, abs=0.02)
    assert abs(float((one * two).mean())) < 0.02
    assert abs(float((two * three).mean())) < 0.02


def test_beyond_its_ends_nothing_moves() -> None:
    tree = BrownianTree(SEED, LOW, HIGH, (3,))
    assert not tree.unit(LOW, 0.0).any()
    assert not tree.unit(2.0, 2.0).any()


def test_what_is_drawn_at_once_is_a_motion_of_the_seed() -> None:
    latent = Latent(None, 64, 64)
    assert (
        draw_sampling_noise(SamplingNoise(5, draw="per batch"), latent, (1, 4, 8, 8)).brownian_seed
        == 5
    )
    assert draw_sampling_noise(SamplingNoise(5), latent, (1, 4, 8, 8)).brownian_seed is None
