"""InjectNoise and SetItemSeeds."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from nodegraph_nodes.latent_noise import InjectNoise, SetItemSeeds

from nodegraph import InvalidValue, Latent
from nodegraph.families.noise import draw_noise
from nodegraph.sampling.latent_noise import draw_sampling_noise
from tests.messages import raises
from tests.nodes.sampling_graphs import link, sampler, value


def test_the_noise_is_the_seeds_times_the_strength() -> None:
    latent = Latent(draw_noise((4, 6, 8), 0, range(3)), 64, 48, 3)
    found = InjectNoise(latent, 0.25, 5).samples
    torch.testing.assert_close(found - latent.samples, 0.25 * draw_noise((4, 6, 8), 5, range(3)))
    assert torch.equal(InjectNoise(latent, 0.0, 5).samples, latent.samples)


@pytest.mark.parametrize("frames", [0, 3])
def test_outside_of_the_mask_no_bit_changes(frames: int) -> None:
    shape = (4, *([frames] if frames else []), 6, 8)
    latent = Latent(draw_noise(shape, 0, [0]), 64, 48, frames=max(1, frames))
    mask = torch.zeros(1, 48, 64)
    mask[:, :16] = 1
    found = InjectNoise(latent, 1.0, 1, mask).samples
    assert torch.equal(found[..., 2:, :], latent.samples[..., 2:, :])
    assert (found[..., :2, :] != latent.samples[..., :2, :]).all()
    assert torch.equal(InjectNoise(latent, 1.0, 1, 0 * mask).samples, latent.samples)


def test_an_empty_latent_and_a_mask_of_another_batch_are_refused() -> None:
    with raises(InvalidValue, port="latent"):
        InjectNoise(Latent(None, 64, 64))
    with raises(InvalidValue, port="mask", given="shape (2, 64, 64)"):
        InjectNoise(Latent(torch.zeros(1, 4, 8, 8), 64, 64), mask=torch.ones(2, 64, 64))


def test_each_item_is_sampled_as_alone_with_its_seed() -> None:
    nodes: dict[str, Any] = {
        "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "seeds": {"type": "SeedRange", "inputs": {"start": 11, "count": 3}},
        "seeded": {
            "type": "SetItemSeeds",
            "inputs": {"latent": link("size"), "seeds": link("seeds")},
        },
        "batch": sampler(latent=link("seeded"), seed=0),
        "alone": sampler(latent=link("size"), seed=12),
    }
    batch, alone = value(nodes, "batch.latent"), value(nodes, "alone.latent")
    assert batch.batch_size == 3
    torch.testing.assert_close(batch.samples[1:2], alone.samples, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("seeds", "batch"), [([], 1), ([1, 2], 3), ([1, -1], 2), ([2**64], 1)])
def test_seeds_that_dont_fit_are_refused(seeds: list[int], batch: int) -> None:
    with raises(InvalidValue, port="seeds"):
        SetItemSeeds(Latent(None, 64, 64, batch), seeds)


def test_noise_is_stronger_by_a_factor() -> None:
    nodes = {
        "noise": {"type": "RandomNoise", "inputs": {"seed": 3}},
        "once": {"type": "ScaleNoise", "inputs": {"noise": link("noise"), "strength": 0.5}},
        "twice": {"type": "ScaleNoise", "inputs": {"noise": link("once"), "strength": 3.0}},
    }
    shape = (2, 4, 6, 5)
    plain, found = (
        draw_sampling_noise(value(nodes, f"{name}.noise"), Latent(None, 40, 48, 2), shape)
        for name in ("noise", "twice")
    )
    assert torch.equal(found.first, plain.first * 1.5)
    states = [[item.get_state() for item in drawn.generators] for drawn in (plain, found)]
    assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))
