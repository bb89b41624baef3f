"""Noise of a batch: each item by a seed of its own, or all in one draw."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.noise import draw_noise
from nodegraph.sampling.latent_noise import MOST_DRAWN, draw_sampling_noise
from nodegraph.sampling.sampling_parts import SamplingNoise
from tests.messages import raises

SHAPE = (3, 4, 8, 8)
LATENT = Latent(None, 64, 64, 3)
AT_ONCE = SamplingNoise(2**64 - 1, draw="per batch")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator("cpu").manual_seed(seed)


def at_once(latent: Latent = LATENT, shape: tuple[int, ...] = SHAPE) -> Tensor:
    return draw_sampling_noise(AT_ONCE, latent, shape).first


def test_items_have_seeds_that_count_up() -> None:
    found = draw_sampling_noise(SamplingNoise(5), LATENT, SHAPE)
    assert torch.equal(found.first, draw_noise(SHAPE[1:], 5, range(3)))
    assert len(found.generators) == 3


def test_a_batch_in_one_draw_is_what_torch_draws_from_the_seed() -> None:
    state = torch.get_rng_state()
    torch.manual_seed(AT_ONCE.seed)
    expected = torch.randn(SHAPE)
    torch.set_rng_state(state)
    assert torch.equal(at_once(), expected)


def test_the_first_of_a_batch_is_drawn_as_a_single_one() -> None:
    assert torch.equal(at_once()[:1], at_once(Latent(None, 64, 64), (1, *SHAPE[1:])))


def test_a_part_of_a_batch_has_what_the_whole_has() -> None:
    part = replace(LATENT, batch_size=2, batch_index=(2, 0))
    assert torch.equal(at_once(part, (2, *SHAPE[1:])), at_once()[[2, 0]])


def test_on_the_way_the_next_seed_is_drawn_from() -> None:
    [generator] = draw_sampling_noise(SamplingNoise(7, draw="per batch"), LATENT, SHAPE).generators
    assert torch.equal(torch.randn(5, generator=generator), torch.randn(5, generator=seeded(8)))
    [last] = draw_sampling_noise(AT_ONCE, LATENT, SHAPE).generators
    assert last.initial_seed() == 0


def test_on_the_way_the_same_seed_may_be_drawn_from() -> None:
    noise = SamplingNoise(7, draw="per batch, one seed")
    found = draw_sampling_noise(noise, LATENT, SHAPE)
    [generator] = found.generators
    assert torch.equal(
        found.first, draw_sampling_noise(replace(noise, draw="per batch"), LATENT, SHAPE).first
    )
    assert torch.equal(torch.randn(5, generator=generator), torch.randn(5, generator=seeded(7)))


def test_mixed_noise_is_drawn_at_once_too() -> None:
    mixed = replace(AT_ONCE, other_seed=3, share=0.5)
    other = torch.randn(SHAPE, generator=seeded(3))
    expected = (at_once() + other) / 2**0.5
    torch.testing.assert_close(draw_sampling_noise(mixed, LATENT, SHAPE).first, expected)


def test_seeds_of_items_cannot_be_drawn_with_the_batch() -> None:
    latent = replace(LATENT, batch_index=(0, 1, MOST_DRAWN))
    with raises(InvalidValue, port="latent", given="batch index 4096"):
        at_once(latent)
